"""Signal quality in tables: recordings that are flagged, rhythms that are marked, beats in and out of noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor import quality
from monitor.exceptions import RecordError
from monitor.records import read_annotations, record_names
from trainer.parallel import each
from trainer.reporting.tables import Table, percent, ratios, sparse
from trainer.scoring.confusion import Confusion, gross
from trainer.scoring.ec57 import LEARNING_PERIOD
from trainer.scoring.quality_scores import (
    IN_A_ROW,
    NOISES,
    NOISY,
    READABLE,
    Analysed,
    analyse_beats,
    analyse_signal,
    by_reading,
    by_rhythm,
    in_and_out,
    length_of,
)
from trainer.scoring.runs import Job, Model
from trainer.scoring.scores import number, score_json
from trainer.scoring.variants import one_lead_set, plan
from trainer.weights.quality_examples import READINGS, readings, rhythm_spans

Found = tuple[dict[str, Any], list[Table]]


def of_readings(folder: Path, names: Sequence[str], processes: int) -> Found:
    """Recordings that were called N, A, O or ~, those named or all.

    Raises:
        RecordError: a recording cannot be read, or nobody said what it is.
    """
    called = readings(folder)
    for name in names:
        if name not in called:
            raise RecordError("nobody said what it is", where=name, remedy="choose recordings of REFERENCE.csv")
    analysed = each(analyse_signal, [folder / name for name in names or sorted(called)], processes)
    found = by_reading(analysed, called)
    validation = (quality.CARD.get("cross_validation") or {}).get("flagged", {})
    rows = []
    for reading in READINGS:
        if reading not in found:
            continue
        line = found[reading]
        line["cross_validated_share"] = validation[reading] / 100.0 if reading in validation else None
        shares = line["flagged"] / line["recordings"], line["noisy_s"] / line["seconds"]
        unseen = percent(validation[reading] / 100.0) if reading in validation else "-"
        rows.append((reading, str(line["recordings"]), str(line["flagged"]), *map(percent, shares), unseen))
    columns = ("called", "recordings", "flagged", "flagged %", "noise % of the time", "flagged % when not learnt from*")
    rule = {"noisy": NOISY, "readable_s": READABLE, "in_a_row_s": IN_A_ROW}
    title = (
        f"Recordings flagged: more than {NOISY:.0%} noise, and less than {READABLE:g} s free of it, or {IN_A_ROW:g} s "
        "in a row.\n* cross-validation of the recordings that the weights were made from; their card has it"
    )
    tables = [Table(title, columns, rows), _reasons(analysed)]
    return {"rule": rule, "readings": found, "reasons": _reason_shares(analysed)}, tables


def of_rhythms(folder: Path, names: Sequence[str], processes: int) -> Found:
    """Records with annotated rhythms, those named or all.

    Raises:
        RecordError: one cannot be read.
    """
    paths = [folder / name for name in names or record_names(folder) if (folder / f"{name}.atr").is_file()]
    analysed = each(analyse_signal, paths, processes)
    spans = [rhythm_spans(read_annotations(path), one.length) for path, one in zip(paths, analysed, strict=True)]
    found = by_rhythm(zip(analysed, spans, strict=True))
    rows = [
        (name, f"{line['seconds']:.0f}", *(percent(line[key] / line["seconds"]) for key in ("noisy_s", "lead_noisy_s")))
        for name, line in sorted(found.items(), key=lambda item: -item[1]["seconds"])
        if line["seconds"]
    ]
    columns = ("rhythm", "seconds", "no good lead %", "a lead marked as noise %")
    tables = [Table("Time marked as noise, by annotated rhythm", columns, rows), _reasons(analysed)]
    return {"rhythms": found, "reasons": _reason_shares(analysed)}, tables


def of_beats(
    paths: Sequence[Path], leads: str, noise: str, snr: str, seed: int, processes: int, *, names: bool
) -> Found:
    """Records with annotated beats: how well those are found and named where noise is marked, and elsewhere.

    Raises:
        RecordError: a record cannot be read, or ends before noise sets in.
        ConfigError: several sets of leads, or noise that is not known.
    """
    chosen = plan(",".join(one_lead_set(leads)), noise=noise, snr=snr, seed=seed)
    start = LEARNING_PERIOD if noise else 0.0
    model = Model(None, None) if names else None
    found, rows, tables = {}, [], []
    for variant in chosen.variants:
        analysed = each(
            analyse_beats, [Job(path, variant.leads, model, variant.condition) for path in paths], processes
        )
        line, row = _suppressed(analysed, start)
        found[variant.condition.title] = line
        rows += [(variant.condition.title, *texts) for texts in row]
        tables.append(_reasons(analysed, variant.condition.title if noise else ""))
        if not noise:
            tables.insert(0, _per_record(analysed))
    columns = (
        "noise",
        "where",
        "time %",
        "beats",
        "QRS Se %",
        "QRS PPV %",
        "QRS F1 %",
        "V beats",
        "V Se %",
        "V PPV %",
        "V F1 %",
    )
    title = f"Beats where noise is marked, and elsewhere, from {start / 60:g}:00 on" + (
        "" if names else "; named by rule"
    )
    return {"conditions": found}, [*tables, Table(title, columns, sparse(rows, 1), names=2)]


def _suppressed(analysed: Sequence[Analysed], start: float) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    pairs = [in_and_out(one, start) for one in analysed]
    seconds = sum(one.length / one.fs - start for one in analysed)
    noisy = sum(length_of(one.marked.noise.clip(round(start * one.fs))) / one.fs for one in analysed)
    share = noisy / seconds
    line: dict[str, Any] = {"marked": share, "seconds": seconds}
    rows: list[tuple[str, ...]] = []
    sides = {"marked": (share, [a for a, _ in pairs]), "elsewhere": (1.0 - share, [b for _, b in pairs])}
    sides["all"] = (1.0, [a + b for a, b in pairs])
    for where, (part, confusions) in sides.items():
        total: Confusion = gross(confusions)
        qrs, ventricular = total.qrs, total.of("V")
        line[f"beats_{where}"] = {"qrs": score_json(qrs), "V": score_json(ventricular)}
        beats = str(qrs.tp + qrs.fn), *ratios(qrs), str(ventricular.tp + ventricular.fn), *ratios(ventricular)
        rows.append((where, percent(part), *beats))
    line["reasons"] = _reason_shares(analysed)
    return line, rows


def _per_record(analysed: Sequence[Analysed]) -> Table:
    rows = []
    for one in analysed:
        leads = [percent(length_of(spans) / one.length) for spans in one.marked.leads.values()]
        rows.append((one.record, percent(length_of(one.marked.noise) / one.length), ", ".join(leads)))
    return Table("Time marked as noise, by record", ("record", "no good lead %", "each lead %"), rows)


def _reason_shares(analysed: Sequence[Analysed]) -> dict[str, float | None]:
    """By reason, its share of the noise of all leads."""
    seconds = {reason: sum(one.marked.reasons[reason] for one in analysed) for reason in NOISES}
    total = sum(seconds.values())
    return {reason: number(value / total if total else math.nan) for reason, value in seconds.items()}


def _reasons(analysed: Sequence[Analysed], of: str = "") -> Table:
    shares = _reason_shares(analysed)
    texts = tuple(percent(math.nan if share is None else share) for share in shares.values())
    return Table(f"What the noise is called{f', {of}' if of else ''}, % of its time", tuple(shares), [texts], names=0)
