"""``wardbeat evaluate``: the monitor over annotated records, scored as ANSI/AAMI EC57 does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainer.files import unwritable
from trainer.options import group, page

if TYPE_CHECKING:
    from trainer.reporting.tables import Table
    from trainer.scoring.alarm_scores import Sounded

evaluate = group("Score the detector, the classifier and the alarms.")

Database = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="A database with reference annotations.")]
Records = Annotated[str, typer.Option(help="Records, for instance 100,101 or DS2; every annotated one if not given.")]
ComparedLeads = Annotated[
    str, typer.Option("--leads", help="Leads by name or number, for instance MLII,V1; or first, second, both, compare.")
]
RhythmLeads = Annotated[
    str,
    typer.Option("--leads", help="Leads by name or number, for instance MLII,V1; a record's first two if not given."),
]
Noise = Annotated[
    str, typer.Option(metavar="em|ma|bw", help="Add noise of the Noise Stress Test Database from 5:00 on.")
]
Ratios = Annotated[
    str, typer.Option("--snr", metavar="DB,...", help="Signal-to-noise ratios; 24,18,12,6,0,-6 if not given.")
]
Seed = Annotated[
    int, typer.Option(min=0, help="Where in the noise record to begin; 0: at its beginning, as the test did.")
]
Rates = Annotated[
    str, typer.Option("--fs", metavar="HZ,...", help="Resample the records, for instance 128,250,500,1000.")
]
Gains = Annotated[str, typer.Option("--gain", metavar="FACTOR,...", help="Scale the records, for instance 0.5,1,2,5.")]
Plots = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Draw missed and extra beats, a page or more a record.")
]
Report = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write report.html and report.md, with figures and wrong beats.")
]
AlarmLeads = Annotated[
    str, typer.Option("--leads", help="Leads by name or number; the first two ECG leads of a record if not given.")
]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the scores as JSON.")]
MarkdownFile = Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write the tables as Markdown.")]
Processes = Annotated[int, typer.Option(min=1, help="Records analysed at the same time.")]
ModelFile = Annotated[
    Path | None, typer.Option("--model", metavar="FILE", help="A model; wardbeat's own if not given.")
]
OtherModel = Annotated[
    Path | None, typer.Option("--other-model", metavar="FILE", help="A second one, for the other number of leads.")
]
OtherDigest = Annotated[str | None, typer.Option("--other-model-sha256", help="The digest it must have.")]
ModelDigest = Annotated[str | None, typer.Option("--model-sha256", help="The digest the model must have.")]


@evaluate.command()
def qrs(
    db: Database = "mitdb",
    records: Records = "",
    leads: ComparedLeads = "first",
    noise: Noise = "",
    snr: Ratios = "",
    seed: Seed = 0,
    fs: Rates = "",
    gain: Gains = "",
    plots: Plots = None,
    json_file: JsonFile = None,
    markdown_file: MarkdownFile = None,
    processes: Processes = 2,
) -> None:
    """Score the detector: missed and extra beats, places of R peaks, delays.

    With --leads compare, --noise, --fs or --gain the records are analysed several times, and a last table compares.
    Noise goes into all records; `em` without --records into 118 and 119, as in the stress test. No detector may be
    tuned on `em` or on those two.
    """
    from trainer.reporting.tables import plan_tables
    from trainer.scoring.runs import Job, run
    from trainer.scoring.scores import score_qrs
    from trainer.scoring.stress import RECORDS
    from trainer.scoring.variants import plan, results_json

    chosen = plan(leads, noise=noise, snr=snr, seed=seed, fs=fs, gain=gain)
    paths = _records(db, records, preferred=RECORDS if noise == "em" else ())
    _writable(json_file, markdown_file)
    folders = {v: None if plots is None else _plot_folder(plots / chosen.folder_of(v)) for v in chosen.variants}
    jobs = [Job(path, v.leads, None, v.condition, folders[v]) for v in chosen.variants for path in paths]
    outcomes = run(jobs, processes)
    results = []
    for number, variant in enumerate(chosen.variants):
        these = outcomes[number * len(paths) : (number + 1) * len(paths)]
        results.append((variant, score_qrs(these)))
        if (folder := folders[variant]) is not None:
            from trainer.reporting.plots import draw_distributions

            draw_distributions(these, folder)
    heading: dict[str, Any] = {"scored": "qrs", "database": db, "leads": leads}
    if noise:
        heading |= {"noise": noise, "seed": seed}
    _report(heading | results_json(chosen, results), plan_tables(chosen, results), json_file, markdown_file)


@evaluate.command()
def beats(
    db: Database = "mitdb",
    records: Records = "",
    leads: ComparedLeads = "first",
    noise: Noise = "",
    snr: Ratios = "",
    seed: Seed = 0,
    model: ModelFile = None,
    model_sha256: ModelDigest = None,
    other_model: OtherModel = None,
    other_model_sha256: OtherDigest = None,
    report: Report = None,
    json_file: JsonFile = None,
    markdown_file: MarkdownFile = None,
    processes: Processes = 2,
) -> None:
    """Score the classifier behind the detector: classes of beats, belief in probabilities, delays of labels.

    With --leads compare or --noise the records are analysed several times, and a last table compares. Noise goes
    into all records chosen, such as --records DS2. No classifier may be tuned on `em`, nor on noise in 118 and 119.
    """
    from trainer.reporting.beat_tables import beat_plan_tables
    from trainer.scoring.beat_variants import beat_results_json, missing_classes
    from trainer.scoring.runs import Job, Model, models_of, run
    from trainer.scoring.scores import score_beats
    from trainer.scoring.variants import plan

    chosen = plan(leads, noise=noise, snr=snr, seed=seed)
    paths = _records(db, records)
    _refuse_paced(paths)
    _writable(json_file, markdown_file)
    folder = None if report is None else _plot_folder(report)
    pinned = Model(model, model_sha256, other_model, other_model_sha256)
    digests = models_of(pinned).digests  # a wrong model is refused before any work
    jobs = [[Job(path, v.leads, pinned, v.condition) for path in paths] for v in chosen.variants]
    flat = run([job for these in jobs for job in these], processes)
    outcomes = [flat[n * len(paths) : (n + 1) * len(paths)] for n in range(len(jobs))]
    results = [(variant, score_beats(these)) for variant, these in zip(chosen.variants, outcomes, strict=True)]
    heading: dict[str, Any] = {"scored": "beats", "database": db, "leads": leads, **digests}
    if noise:
        heading |= {"noise": noise, "seed": seed}
    tables = beat_plan_tables(chosen, results)
    _report(heading | beat_results_json(chosen, results), tables, json_file, markdown_file)
    if missing := missing_classes(results):
        typer.echo(f"note: no beat of class {', '.join(missing)} is annotated in these records: not scored", err=True)
    if folder is not None:
        from trainer.reporting.beat_report import beat_report
        from trainer.reporting.report import write_report

        named = " and ".join(digest[:12] for digest in digests.values() if digest is not None)
        facts = f"Model {named}, database {db}, records {', '.join(path.name for path in paths)}, leads {leads}."
        write_report(folder, beat_report(chosen, results, jobs, outcomes, facts))
        typer.echo(f"report: {folder / 'report.html'}", err=True)


@evaluate.command()
def alarms(
    db: Database = "mitdb",
    records: Records = "",
    leads: AlarmLeads = "",
    json_file: JsonFile = None,
    markdown_file: MarkdownFile = None,
    processes: Processes = 2,
) -> None:
    """Score the alarms of high priority.

    Of a database with a file ALARMS, such as challenge2015: whether the monitor confirms the alarm at 5:00, hearing the
    ECG leads up to then. Of another: false alarms a day and missed episodes, against its reference annotations.
    """
    from trainer.options import words
    from trainer.parallel import each_shown
    from trainer.reporting.alarm_tables import challenge_json, challenge_tables, day_json, day_tables
    from trainer.scoring.alarm_runs import AlarmJob, challenge, judge
    from trainer.scoring.alarm_scores import SOUNDED

    _writable(json_file, markdown_file)
    chosen = tuple(words(leads)) or None
    heading: dict[str, Any] = {"scored": "alarms", "database": db, "leads": leads or "the first two of ECG"}
    if (sounded := _sounded(db, records)) is not None:
        jobs = [AlarmJob(path, chosen, SOUNDED, alarm) for path, alarm in sounded.items()]
        verdicts = each_shown(challenge, jobs, processes, lambda job: job.path.name)
        _report(heading | challenge_json(verdicts), challenge_tables(verdicts), json_file, markdown_file)
        return
    jobs = [AlarmJob(path, chosen) for path in _records(db, records)]
    outcomes = each_shown(judge, jobs, processes, lambda job: job.path.name)
    _report(heading | day_json(outcomes), day_tables(outcomes), json_file, markdown_file)


def _sounded(db: str, records: str) -> dict[Path, Sounded] | None:
    """Records whose alarm at 5:00 was judged, and how; None: the database has no such file.

    Raises:
        RecordError: the file is damaged, or does not know a record.
    """
    from monitor.exceptions import RecordError
    from monitor.records import find_database
    from trainer.options import words
    from trainer.scoring.alarm_scores import read_alarms

    folder = find_database(db)
    if not (folder / "ALARMS").is_file():
        return None
    known = read_alarms(folder)
    names = words(records) or list(known)
    if unknown := [name for name in names if name not in known]:
        raise RecordError(f"no alarm of {', '.join(unknown)} is in it", where=str(folder / "ALARMS"))
    return {folder / name: known[name] for name in names}


@evaluate.command()
def rhythm(
    db: Database = "mitdb",
    records: Records = "",
    leads: RhythmLeads = "",
    model: ModelFile = None,
    model_sha256: ModelDigest = None,
    other_model: OtherModel = None,
    other_model_sha256: OtherDigest = None,
    json_file: JsonFile = None,
    markdown_file: MarkdownFile = None,
    processes: Processes = 2,
) -> None:
    """Score rhythms by duration and by episode, and runs of ectopic beats one by one.

    Records need rhythm annotations; where no beats are annotated the counts of runs mean nothing.
    """
    from trainer.options import words
    from trainer.parallel import each_shown
    from trainer.scoring.rhythm_scores import RhythmJob, listen, rhythm_json, rhythm_tables, score_sets
    from trainer.scoring.runs import Model, models_of

    paths = _records(db, records)
    _writable(json_file, markdown_file)
    pinned = Model(model, model_sha256, other_model, other_model_sha256)
    digests = models_of(pinned).digests
    jobs = [RhythmJob(path, tuple(words(leads)), pinned) for path in paths]
    told = each_shown(listen, jobs, processes, lambda job: job.path.name)
    scores = score_sets(told)
    heading: dict[str, Any] = {"scored": "rhythm", "database": db, "leads": leads, **digests}
    _report(heading | rhythm_json(scores), rhythm_tables(told, scores), json_file, markdown_file)


@evaluate.command()
def quality(
    db: Annotated[
        str, typer.Option(metavar="NAME_OR_PATH", help="Recordings called N, A, O or ~, annotated beats, or rhythms.")
    ] = "challenge2017",
    records: Records = "",
    leads: Annotated[
        str, typer.Option(help="Leads of annotated records, by name or number; or first, second, both.")
    ] = "both",
    noise: Noise = "",
    snr: Ratios = "",
    seed: Seed = 0,
    names: Annotated[
        bool, typer.Option("--names/--no-names", help="Name the beats of annotated records by the models, too.")
    ] = True,
    json_file: JsonFile = None,
    markdown_file: MarkdownFile = None,
    processes: Processes = 2,
) -> None:
    """Score signal quality: what the monitor marks as noise, and what that suppresses.

    Of recordings like those of challenge2017 it says how many of each kind are flagged. Those at hand were learnt
    from: beside them stands what cross-validation found when the weights were made. Of annotated beats it says how
    well they are found and named where noise was marked and elsewhere, with --noise at each signal-to-noise ratio;
    of annotated rhythms, such as those of vfdb, the share of the time marked.
    """
    from trainer.reporting import quality_report as report
    from trainer.scoring.quality_scores import is_read, is_rhythms

    folder = _database(db)
    _writable(json_file, markdown_file)
    heading: dict[str, Any] = {"scored": "quality", "database": db}
    if is_read(folder):
        _only_for_beats(noise)
        found, tables = report.of_readings(folder, _words(records), processes)
    elif is_rhythms(folder):
        _only_for_beats(noise)
        found, tables = report.of_rhythms(folder, _words(records), processes)
    else:
        paths = _records(db, records)
        found, tables = report.of_beats(paths, leads, noise, snr, seed, processes, names=names)
        heading |= {"leads": leads} | ({"noise": noise, "seed": seed} if noise else {})
    _report(heading | found, tables, json_file, markdown_file)


def _database(db: str) -> Path:
    from monitor.records import find_database

    return find_database(db)


def _words(text: str) -> list[str]:
    from trainer.options import words

    return words(text)


def _only_for_beats(noise: str) -> None:
    from monitor.exceptions import ConfigError

    if noise:
        raise ConfigError("no beats are annotated to measure the signal by", where="--noise", remedy="choose mitdb")


def _records(db: str, records: str, *, preferred: Sequence[str] = ()) -> list[Path]:
    """Paths of the records: those named, or all annotated ones, or of them the preferred ones if there are any."""
    from monitor.exceptions import RecordError
    from monitor.records import find_database, record_names
    from trainer.options import words
    from trainer.splits import DS1, DS2

    folder = find_database(db)
    sets = {"DS1": DS1, "DS2": DS2}
    names = [name for word in words(records) for name in sets.get(word, (word,))]
    if not names:
        names = [name for name in record_names(folder) if (folder / f"{name}.atr").is_file()]
        names = [name for name in names if name in preferred] or names
    if not names:
        raise RecordError("no record has reference annotations", where=str(folder), remedy="they are files *.atr")
    return [folder / name for name in names]


def _refuse_paced(paths: Sequence[Path]) -> None:
    """Classes of paced records are not scored: there must be others."""
    from monitor.exceptions import RecordError
    from trainer.splits import PACED

    if all(path.name in PACED for path in paths):
        names = ", ".join(path.name for path in paths)
        raise RecordError("paced records, whose classes are not scored", where=names, remedy="choose other records")


def _writable(*files: Path | None) -> None:
    """See that files can be written, before the work that fills them; what is there stays as it is."""
    for file in files:
        if file is not None:
            there = file.exists()
            try:
                file.open("a").close()
                if not there:
                    file.unlink()
            except OSError as error:
                raise unwritable(file, error, "name a file in a folder that exists") from None


def _plot_folder(folder: Path) -> Path:
    """Make a folder for pages, and see that they can be written."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise unwritable(folder, error, "name a folder that can be made and written to") from None
    return folder


def _report(
    document: dict[str, Any], tables: Sequence[Table], json_file: Path | None, markdown_file: Path | None
) -> None:
    output = page()
    for table in tables:
        output.print(table.to_rich())
    if json_file is not None:
        write_file(json_file, json.dumps(document, indent=1, allow_nan=False) + "\n")
    if markdown_file is not None:
        write_file(markdown_file, "\n".join(table.to_markdown() for table in tables))


def write_file(file: Path, text: str) -> None:
    """Write what a command was asked to write.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        file.write_text(text)
    except OSError as error:
        raise unwritable(file, error, "name a file in a folder that exists") from None
