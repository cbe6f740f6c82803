"""``wardbeat bench kernel``: filters and detector beside other packages' detectors, for speed and for accuracy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from trainer.options import page, words
from trainer.scoring.evaluate import write_file

EVERY: Final = "all"
_NO_VERSIONS: Final = ("processor", "cores")


def kernel(
    db: Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="A database with reference annotations.")] = "mitdb",
    records: Annotated[
        str, typer.Option(help=f"Records, for instance 100,101; {EVERY}: every annotated one.")
    ] = "100,105,108,116,203,207,217,232",
    repetitions: Annotated[
        int, typer.Option(min=1, max=100, help="Passes of wardbeat, sosfilt and sleepecg; the median is told.")
    ] = 5,
    peer_repetitions: Annotated[
        int, typer.Option(min=1, max=100, help="Passes of each other detector: some take minutes.")
    ] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")] = None,
) -> None:
    """Measure filters and detector beside others, on the same records.

    Told are processor time a sample at 360 Hz, one thread, after a warm-up,
    and the detection of beats as ANSI/AAMI EC57 scores it: first lead, 150 ms,
    record 207's flutter left out.

    wardbeat's filters (for display too, 0.5-40 Hz), its detector, and both
    take a whole record in one call. The front end is what a live ward runs,
    a 100 ms message of each of 64 beds a call, with all that belongs to it:
    settling of samples, signal quality, windows for the classifier. What is
    scored is the beats that a ward finds in the record. sosfilt runs once for
    each filter, with the same coefficients.

    sleepecg: detect_heartbeats, compiled. NeuroKit2: ecg_clean and
    ecg_findpeaks for pantompkins1985; ecg_findpeaks alone for khamis2016,
    which cleans by itself. wfdb: XQRS.detect; gqrs_detect on the signal
    rounded to 1/200 mV. Their R peaks are taken as they come. The extra
    "bench" of wardbeat installs them all.

    The records by default, of mitdb: a clean one, and noise, P waves like
    beats, a lead that is lost, irregular and ventricular beats, flutter, a
    pacemaker, pauses.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from trainer.speed import peers

    peers.check(peers.PEERS)
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    # Drawn between pieces of work only: a bar that a thread draws would be measured too.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("loading", total=1.0)

        def progress(what: str, share: float) -> None:
            bar.update(task, description=what, completed=share, refresh=True)

        progress("loading the kernels and the records", 0.0)
        from trainer.speed.comparison import measure, read

        subjects = [read(path) for path in _paths(db, records)]
        result = measure(subjects, peers.PEERS, repetitions, peer_repetitions, progress)

    from trainer.reporting.tables import kernel_tables

    output = page()
    output.print(
        f"[bold]{len(result.records)} records[/] of {escape(db)}: {' '.join(result.records)}; "
        f"{result.samples / 1e6:.1f} million samples; medians of {repetitions} repetitions, "
        f"of detectors but {result.yardstick}'s and ours {peer_repetitions}"
    )
    versions = ", ".join(f"{name} {value}" for name, value in result.machine.items() if name not in _NO_VERSIONS)
    output.print(f"{result.machine['processor']}; {versions}", style="dim")
    for table in kernel_tables(result):
        output.print(table.to_rich())
    output.print(f"wall over CPU {result.wall_over_cpu:.2f} (near 1: the machine was quiet)", style="dim")
    if json_file is not None:
        document = {"bench": "kernel", "database": db, **result.to_json()}
        write_file(json_file, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _paths(db: str, records: str) -> list[Path]:
    from monitor.exceptions import RecordError
    from monitor.records import find_database, record_names

    folder = find_database(db)
    names = words(records)
    if names == [EVERY]:
        names = [name for name in record_names(folder) if (folder / f"{name}.atr").is_file()]
    if not names:
        raise RecordError("no record has reference annotations", where=str(folder), remedy="they are files *.atr")
    return [folder / name for name in names]
