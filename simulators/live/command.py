"""The command ``wardbeat bench live``."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from simulators.live.measure import Live


def live(
    beds: Annotated[int, typer.Option(min=1, max=1024, help="How many beds.")] = 64,
    seconds: Annotated[float, typer.Option(min=1.0, max=86_400.0, help="Seconds that count.")] = 60.0,
    rate: Annotated[float, typer.Option(min=1.0, max=50.0, help="Messages a second and bed.")] = 10.0,
    broker: Annotated[str, typer.Option(metavar="mosquitto|nats", help="The broker between.")] = "mosquitto",
    scenario: Annotated[str, typer.Option(metavar="NAME_OR_FILE", help="Play this in every bed.")] = "",
    repetitions: Annotated[int, typer.Option(min=1, max=100, help="Runs; the one of median beat p99 is told.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write every run as JSON.")] = None,
) -> None:
    """Load a whole monitor and measure it: MQTT in to websocket out.

    The publisher, the broker and one viewer run on one core, wardbeat serve on
    another. Told are the delays from handing the message that holds the last
    sample an event needs to its connection, to the frame at the viewer; the
    processor time of the monitor by stage; what is on its way and whether it
    grows; memory; messages lost. A control probe says whether the machine was
    quiet: on one that was not, the delays say little.
    """
    from monitor.exceptions import ConfigError
    from simulators.live.measure import Plan, measure
    from simulators.load import PATIENTS, load_of
    from simulators.ward import demo_ward, ward_of

    plan = Plan(beds, seconds, rate, broker, scenario)
    some = min(beds, PATIENTS)
    patients = ward_of(scenario, some) if scenario else demo_ward(some, database=None)
    load = load_of(patients, beds, rate=rate)
    runs = []
    for number in range(repetitions):
        if repetitions > 1:
            typer.echo(f"run {number + 1} of {repetitions}", err=True)
        runs.append(asyncio.run(measure(plan, load)))
    runs.sort(key=lambda run: run.delays["beats"].p99)
    _show(runs[len(runs) // 2])
    if json_file is not None:
        document = {"bench": "live", "runs": [_finite(asdict(run)) for run in runs]}
        try:
            json_file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
        except OSError as error:
            remedy = "name a file in a folder there is"
            raise ConfigError(f"cannot be written ({error.strerror})", where=str(json_file), remedy=remedy) from None


def _show(run: Live) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    plan, console = run.plan, Console()
    console.print(
        f"[bold]{plan.beds} beds[/] x {plan.rate:g} messages/s x {plan.seconds:g} s through {plan.broker}; "
        f"{run.machine['processor']}, Python {run.machine['python']}"
    )
    delays = Table("delay, ms", box=box.SIMPLE_HEAD)
    for name in ("count", "p50", "p99", "worst"):
        delays.add_column(name, justify="right")
    for kind, delay in run.delays.items():
        delays.add_row(kind, f"{delay.count:,}", *(f"{ms:.1f}" for ms in (delay.p50, delay.p99, delay.worst)))
    console.print(delays)
    if run.lost:
        console.print(f"[bold]{run.lost:,} messages were never shown[/]: delays are those of the others, and too short")
    stages = Table("the monitor", box=box.SIMPLE_HEAD)
    stages.add_column("CPU us a bed-second", justify="right")
    stages.add_column("share", justify="right")
    for stage, us in run.stages.items():
        stages.add_row(stage, f"{us:.1f}", f"{100 * us / run.cpu_us:.0f} %")
    stages.add_section()
    stages.add_row("all", f"[bold]{run.cpu_us:.1f}[/]", f"{100 * run.cpu_share:.0f} % of a core")
    console.print(stages)
    console.print("most outside the core: " + "; ".join(f"{n} {us:.1f}" for n, us in list(run.functions.items())[:6]))
    (before, after), (small, large) = run.backlog, run.memory_mb
    console.print(
        f"{run.published:,} messages, {run.lost} lost, {run.gaps} samples told as missing; on their way {before:.0f} "
        f"at first, {after:.0f} at last ({run.backlog_slope:+.2f} a second); memory {small:.0f} to {large:.0f} MiB; "
        f"publisher {run.publisher_us:.0f} us a message"
    )
    console.print(
        f"{'quiet' if run.quiet else '[bold]NOT QUIET[/]'}: others used {100 * run.others:.0f} % of a core, "
        f"the monitor waited for its own {100 * run.waited:.0f} % of the time; a sleep "
        f"of 1 ms woke late by p99 {run.probes['load']['p99_ms']:.1f} ms on the load's core, on the monitor's "
        f"{run.probes['monitor']['p99_ms']:.1f}, its own work included",
        style="dim",
    )


def _finite(value: Any) -> Any:
    """NaN, of what there was none of, as null."""
    match value:
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case float() if not math.isfinite(value):
            return None
    return value
