"""The ``wardbeat`` command.

Each command lives in a module of its own and is imported when it is called, so ``--help`` needs neither
numpy nor torch. The table below is the only place that knows them all; it names the trainer's and the
simulators' commands as text, because the monitor does not import either.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from monitor.exceptions import WardbeatError

_COMMANDS: Final = {
    "demo": ("monitor.cli.demo:demo", "A ward of simulated beds, live in the browser."),
    "serve": ("monitor.cli.serve:serve", "Monitor the beds of an MQTT broker; serve the live wall."),
    "replay": (
        "monitor.cli.replay:replay",
        "Play records through the monitor; write events and annotations.",
    ),
    "annotate": ("monitor.cli.annotate:annotate", "Write records' beats and rhythms as WFDB annotations."),
    "recordings": ("monitor.cli.recordings:app", "List or export what was recorded."),
    "simulate": ("simulators.cli:app", "Play records and synthetic patients as bedside devices over MQTT."),
    "dataset": ("trainer.cli:dataset", "Build or show a data set of labelled beats."),
    "experiments": ("trainer.cli:experiments", "Compare ways to train, leave-records-out."),
    "train": ("trainer.cli:train", "Train a beat classifier from annotated records."),
    "train-qrs": ("trainer.cli:train_qrs", "Train the detector's judge of candidates from annotated records."),
    "train-vf": ("trainer.cli:train_vf", "Train what tells ventricular fibrillation from annotated records."),
    "train-quality": ("trainer.cli:train_quality", "Train the verdict on signal quality from annotated records."),
    "evaluate": ("trainer.cli:evaluate", "Score the detector and the classifier as ANSI/AAMI EC57 does."),
    "bench": ("monitor.cli.bench:app", "Measure speed on this machine; put the standard waveforms to the monitor."),
    "model": ("monitor.cli.model:app", "Show or verify a model."),
    "data": ("monitor.cli.data:app", "Find or download databases."),
    "broker-config": ("monitor.cli.broker_config:broker_config", "Write a configuration for mosquitto, to begin with."),
    "doctor": ("monitor.cli.doctor:doctor", "Look whether everything needed is there; say how to get it."),
    "config": ("monitor.cli.config:app", "Show what is set, and where it comes from."),
}

_GUESTS: Final = {
    "bench": {
        "kernel": "trainer.cli:kernel",
        "live": "simulators.live.command:live",
        "standard": "trainer.cli:standard",
    }
}
"""Commands that live elsewhere than the group in which they are called: group -> command -> where."""


class _LazyGroup(TyperGroup):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(_COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in _COMMANDS:
            return None
        target, summary = _COMMANDS[cmd_name]
        words = sys.argv[1:]
        if not any(word == cmd_name for word in words):  # the list of commands: a name and a line will do
            return TyperCommand(cmd_name, short_help=summary, help=summary)
        command = _load(cmd_name, target)
        for guest, home in _GUESTS.get(cmd_name, {}).items():
            command.add_command(_load(guest, home))
        return command


def _load(name: str, target: str) -> Any:
    """Import a command, a function or a group of them, from where ``module:attribute`` says."""
    module_name, attribute = target.split(":")
    found: Any = getattr(importlib.import_module(module_name), attribute)
    if isinstance(found, typer.Typer):
        command = typer.main.get_command(found)
    else:
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name)(found)
        command = typer.main.get_command(single)
    command.name = name
    return command


app = typer.Typer(
    cls=_LazyGroup,
    help="Real-time ECG monitoring of a whole ward. Not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"wardbeat {version('wardbeat')}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Real-time ECG monitoring of a whole ward. Not a medical device."""


def main() -> None:
    """Run the command line; the exit code is 0, 1 (failed), 2 (wrong input) or 130 (interrupted)."""
    try:
        app(standalone_mode=True)
    except WardbeatError as error:
        print(f"wardbeat: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
