"""``wardbeat demo``: a broker, a ward of simulated beds and the monitor, in one command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from monitor.cli.serve import LogLevel, configure_logging, console


def demo(
    beds: Annotated[int, typer.Option(min=1, max=256, help="How many beds.")] = 8,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; a busy one gives way to the next.")
    ] = 8765,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, open nothing.")] = False,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Take pictures of the page in alarm, dark and light, and end."),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="How much to log.")] = LogLevel.INFO,
) -> None:
    """A ward of simulated beds, live in the browser. Not a medical device.

    It needs nothing else: the MQTT broker comes with it, and the patients are simulated, beside one real
    record. Where the MIT-BIH database is found its records are played. Ctrl-C ends it.

    The pictures need Playwright (pip install playwright pillow) and Chromium (apt install chromium).
    """
    from monitor.app import run_until_stopped

    configure_logging(log_level)
    if pictures is not None:
        _make(pictures)
    run_until_stopped(_demo(beds, port, not no_browser and pictures is None, pictures))


async def _demo(beds: int, port: int, open_browser: bool, pictures: Path | None) -> NoReturn:
    from monitor.app import monitor_ward, together
    from monitor.broker import IN_FLIGHT, Broker
    from monitor.child import Child
    from monitor.settings import load_settings

    status = console.status("starting: some seconds, the first time up to a minute")
    url = ""

    def serving(address: str) -> None:
        nonlocal url
        url = address

    started = asyncio.Event()

    def ready() -> None:
        started.set()
        status.stop()
        typer.echo(f"{beds} beds live at {url} (Ctrl-C ends it)")
        if open_browser and _has_screen():
            # Some browsers keep the caller waiting.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    with status:
        async with Broker() as broker:
            simulate = [sys.executable, "-m", "simulators", "ward"]
            options = ["--beds", str(beds), "--host", broker.host, "--port", str(broker.port)]
            settings = load_settings(
                port=port, broker_host=broker.host, broker_port=broker.port, broker_in_flight=IN_FLIGHT
            )
            async with Child("the simulated ward", simulate + options) as simulators:
                await together(
                    broker=broker.watch(),
                    simulators=simulators.watch(),
                    monitor=monitor_ward(settings, serving=serving, ready=ready),
                    **({} if pictures is None else {"pictures": _picture(started, lambda: url, pictures)}),
                )


def _make(folder: Path) -> None:
    from monitor.exceptions import ConfigError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot be made ({error.strerror})", where=str(folder), remedy="name a folder that can be written"
        ) from None


async def _picture(started: asyncio.Event, url: Callable[[], str], folder: Path) -> NoReturn:
    """Take the pictures when the ward runs, then end the demo as Ctrl-C does."""
    from monitor.pictures import take

    await started.wait()
    for file in await take(url(), folder):
        typer.echo(file)
    signal.raise_signal(signal.SIGINT)
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def _has_screen() -> bool:
    """Without one, Python would open a browser that takes over the terminal."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
