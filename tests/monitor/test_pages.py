"""Plain HTTP on the hub's port: the page's files with their headers, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest
import pytest_asyncio

from monitor.hub import Hub
from monitor.pages import answer, read_assets

DEADLINE = 10.0


@pytest_asyncio.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub(asyncio.Queue(), port=0) as hub:
        yield hub


async def http(hub: Hub, request_line: str) -> tuple[int, dict[str, str], bytes]:
    """One plain request, its path sent exactly as written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(f"{request_line} HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), DEADLINE)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


def test_read_assets_takes_only_what_browsers_are_meant_to_get(tmp_path: Path) -> None:
    for name in ("index.html", "deep/a.js", "secret.py", "notes.txt", "a.js~"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert sorted(read_assets(tmp_path)) == ["/", "/deep/a.js", "/index.html"]
    assert read_assets(tmp_path)["/"] == ("text/html; charset=utf-8", b"index.html")


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html?x=1", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ],
)
async def test_page_is_served_with_its_type_and_a_strict_policy(hub: Hub, path: str, content_type: str) -> None:
    status, headers, body = await http(hub, f"GET {path}")
    assert status == 200
    assert headers["Content-Type"] == content_type
    assert int(headers["Content-Length"]) == len(body) > 0
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/../hub.py",
        "/../../pyproject.toml",
        "/%2e%2e/hub.py",
        "/..%2fhub.py",
        "/x/../main.js",
        "//etc/passwd",
        "/etc/passwd",
        "/..\\hub.py",
        "main.js",
        "http://127.0.0.1/main.js",
        "/main.js%00",
        "/ws/",
        "*",
    ],
)
async def test_nothing_else_is_served(hub: Hub, path: str) -> None:
    status, headers, body = await http(hub, f"GET {path}")
    assert (status, body) == (404, b"no such page\n")
    assert "Content-Security-Policy" in headers


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
async def test_other_methods_are_refused(hub: Hub, method: str) -> None:
    status, _, _ = await http(hub, f"{method} /")
    assert status == 405


async def test_healthz_and_readyz_say_how_it_is(hub: Hub) -> None:
    assert (await http(hub, "GET /healthz"))[::2] == (503, b"starting\n")
    assert (await http(hub, "GET /readyz"))[::2] == (503, b"starting: preparing the kernels and the models\n")
    hub.health.warmed()
    assert (await http(hub, "GET /healthz"))[::2] == (200, b"ready\n")
    assert (await http(hub, "GET /readyz"))[::2] == (200, b"ready\n")


async def test_a_page_of_the_app_is_served(hub: Hub) -> None:
    assert (await http(hub, "GET /metrics"))[0] == 404
    hub.pages["/metrics"] = lambda: answer(HTTPStatus.OK, b"x 1\n")
    assert (await http(hub, "GET /metrics?name=x"))[::2] == (200, b"x 1\n")
