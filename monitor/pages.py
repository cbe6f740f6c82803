"""The page's files, and the headers every plain HTTP answer carries.

The files below monitor/page are read once at start and looked up by name: no request reaches the disk, so none
can climb out of the folder.
"""

from __future__ import annotations

import http
from pathlib import Path
from typing import Final

from websockets.datastructures import Headers
from websockets.http11 import Response

FOLDER: Final = Path(__file__).parent / "page"

_CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Files of other kinds are not served."""

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Connection": "close",
}

Assets = dict[str, tuple[str, bytes]]
"""Path in a URL -> content type and content."""


def read_assets(folder: Path = FOLDER) -> Assets:
    """Read every file below `folder` that a browser is meant to get; ``/`` is its index.html."""
    assets = {
        "/" + file.relative_to(folder).as_posix(): (_CONTENT_TYPES[file.suffix], file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.suffix in _CONTENT_TYPES
    }
    assets["/"] = assets["/index.html"]
    return assets


def answer(status: http.HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8") -> Response:
    """Make an HTTP answer with the security headers; the connection ends with it."""
    headers = Headers(_HEADERS)
    headers["Content-Type"] = content_type
    headers["Content-Length"] = str(len(body))
    return Response(status.value, status.phrase, headers, body)
