"""``wardbeat serve``: monitor the beds of an MQTT broker, and what it shares with ``wardbeat demo``."""

from __future__ import annotations

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.logging import RichHandler

from monitor.exceptions import ConfigError

console: Final = Console(stderr=True)
log = logging.getLogger(__name__)


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """In what form."""

    TEXT = "text"
    JSON = "json"


def serve(
    broker: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="The MQTT broker (127.0.0.1:1883).")] = None,
    host: Annotated[str | None, typer.Option(help="Address to serve, of this machine only (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to serve (8765); a busy one gives way to the next.")] = None,
    model: Annotated[Path | None, typer.Option(help="Classifier, a TorchScript file (those that ship).")] = None,
    model_sha256: Annotated[str | None, typer.Option(help="SHA-256 that --model must have.")] = None,
    other_model: Annotated[Path | None, typer.Option(help="A second one, for the other number of leads.")] = None,
    other_model_sha256: Annotated[str | None, typer.Option(help="SHA-256 that --other-model must have.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Folder of what must outlive the process (store in your state folder).")
    ] = None,
    no_store: Annotated[bool, typer.Option("--no-store", help="Keep nothing but the alarm log; begin anew.")] = False,
    record: Annotated[
        bool | None, typer.Option("--record/--no-record", help="Record signals, beats and alarms in the store (yes).")
    ] = None,
    alarm_log: Annotated[
        Path | None, typer.Option(help="File to append every alarm to (alarms.jsonl in your state folder).")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file (wardbeat.toml in your configuration folder).")] = None,
    publish: Annotated[
        bool | None, typer.Option("--publish/--no-publish", help="Publish alarms and beats at the broker (yes).")
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="How much to log.")] = LogLevel.INFO,
    log_format: Annotated[LogFormat, typer.Option(help="For people, or an object a line.")] = LogFormat.TEXT,
) -> None:
    """Monitor the beds of an MQTT broker and serve the live wall. Not a medical device.

    Every option can also be set by a variable (WARDBEAT_PORT, WARDBEAT_BROKER_HOST, ...) or in the TOML file.
    """
    from monitor.app import monitor_ward, run_until_stopped
    from monitor.settings import default_alarm_log, default_store, load_settings

    configure_logging(log_level, log_format)
    broker_host, broker_port = parse_address(broker) if broker is not None else (None, None)
    settings = load_settings(
        config,
        host=host,
        port=port,
        broker_host=broker_host,
        broker_port=broker_port,
        model=model,
        model_sha256=model_sha256,
        other_model=other_model,
        other_model_sha256=other_model_sha256,
        store=store,
        record=record,
        alarm_log=alarm_log,
        publish=publish,
    )
    if no_store and store is not None:
        raise ConfigError("--store and --no-store contradict each other", remedy="give one of them")
    there = _make_state_folder()
    settings = settings.model_copy(
        update={
            "alarm_log": settings.alarm_log or (default_alarm_log() if there else None),
            "store": None if no_store else settings.store or (default_store() if there else None),
        }
    )
    run_until_stopped(monitor_ward(settings))


def _make_state_folder() -> bool:
    """Make the user's state folder; no, and a warning, where that cannot be written."""
    from monitor.settings import state_folder

    try:
        state_folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning("nothing is kept: %s cannot be made (%s)", state_folder(), error.strerror)
        return False
    return True


def configure_logging(level: LogLevel, log_format: LogFormat = LogFormat.TEXT) -> None:
    """Log to standard error: for people on a terminal, else in plain lines that are never wrapped, or as JSON."""
    from monitor.logs import JsonLines

    handler: logging.Handler = logging.StreamHandler()
    if log_format == LogFormat.JSON:
        handler.setFormatter(JsonLines())
    elif console.is_terminal:
        handler = RichHandler(console=console, show_path=False, log_time_format="%H:%M:%S")
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level.value.upper(), handlers=[handler], force=True)
    # The clients' own accounts of lost connections: monitor.mqtt and monitor.hub say what matters.
    logging.getLogger("gmqtt").setLevel(logging.CRITICAL)
    logging.getLogger("websockets").setLevel(logging.CRITICAL)


def parse_address(text: str) -> tuple[str, int]:
    """Split ``HOST:PORT``; an IPv6 address stands in brackets.

    >>> parse_address("broker.ward-3:1883"), parse_address("[::1]:1884")
    (('broker.ward-3', 1883), ('::1', 1884))

    Raises:
        ConfigError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(
            f"{text!r} is not HOST:PORT", where="--broker", remedy="for instance: --broker 127.0.0.1:1883"
        )
    return host.removeprefix("[").removesuffix("]"), int(port)
