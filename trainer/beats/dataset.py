"""The data set: labelled beats of many records, written once, read memory-mapped.

A data set is a folder::

    manifest.json     what is in it, what made it, with which front end
    windows-1.npy     (n, channels, width) float32, beats of one lead
    features-1.npy    (n, features) float32
    rows-1.npy        (n,) :data:`trainer.beats.labelled.ROW`: label, source, place
    ...-2.npy         the same for beats of two leads

A source is one record on one choice of leads, as recorded, with noise added, or made up of its beats. The folder is
there whole or not at all, and the same records, seed and front end give the same bytes, however many processes make
it. Nothing of a network is in it (see :mod:`monitor.beats`), so it stays true whatever model follows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from monitor.beats import channels_of, features_of
from monitor.ecg import AAMI_CLASSES, MAX_LEADS
from monitor.exceptions import ConfigError, RecordError
from monitor.records import find_database, lead_columns, record_names
from monitor.window import WIDTH
from trainer.beats.labelled import ROW, Labelled, MadeUp, Noise, labelled_beats
from trainer.files import whole_folder
from trainer.made_up.rhythms import KINDS
from trainer.parallel import each
from trainer.provenance import fingerprint, versions
from trainer.scoring.runs import BOTH, FIRST, LEAD_WORDS, SECOND, choose_leads
from trainer.scoring.stress import RECORDS as NEVER_NOISY
from trainer.splits import ALL, DS1, DS2, PACED, patient_of, refuse_test_records

MANIFEST: Final = "manifest.json"
FORMAT: Final = 3
TRAINING, TEST = "training", "test"
LEAD_SETS: Final = (FIRST, SECOND, BOTH)
_REMEDY: Final = "build it again: wardbeat dataset build"


@dataclass(frozen=True, slots=True)
class Source:
    """One record on one choice of leads.

    Attributes:
        database: name of its folder.
        record: its name.
        path: without suffix.
        lead_set: the word, or the names, by which the leads were chosen.
        columns: their numbers in the record.
        noise: added first; None: none.
        made_up: takes the record's place; None: as recorded.
    """

    database: str
    record: str
    path: Path
    lead_set: str
    columns: tuple[int, ...]
    noise: Noise | None = None
    made_up: MadeUp | None = None


@dataclass(slots=True, eq=False)
class Beats:
    """Labelled beats, all of one lead or all of two; the arrays may be memory-mapped.

    Attributes:
        windows: (n, channels, width) float32, as :mod:`monitor.beats` makes them.
        features: (n, features) float32.
        labels: (n,) int64, index into :data:`monitor.ecg.AAMI_CLASSES`.
        records: (n,) names of the records they come from.
        patients: (n,) names of the patients, the database before them.
        databases: (n,) names of the databases.
        lead_sets: (n,) words by which the leads were chosen.
        noisy: (n,) bool, from a record with noise added.
        made_up: (n,) bool, from a made-up record.
        samples: (n,) int64, R peaks, on the record's clock.
        leads: 1 or 2.
    """

    windows: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    records: NDArray[np.str_]
    patients: NDArray[np.str_]
    databases: NDArray[np.str_]
    lead_sets: NDArray[np.str_]
    noisy: NDArray[np.bool_]
    made_up: NDArray[np.bool_]
    samples: NDArray[np.int64]
    leads: int

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self, rows: NDArray[Any] | slice = slice(None)) -> dict[str, int]:
        """How many beats there are of each AAMI class, among all or some rows."""
        found = np.bincount(self.labels[rows], minlength=len(AAMI_CLASSES)).tolist()
        return dict(zip(AAMI_CLASSES, found, strict=True))

    def taken_from(
        self,
        lead_sets: Collection[str],
        *,
        databases: Collection[str] = (),
        noisy: bool = True,
        made_up: bool = True,
    ) -> NDArray[np.bool_]:
        """(n,) bool: beats of those lead sets, of those databases if any is named, with noisy ones or without, with
        made-up ones or without."""
        chosen = np.isin(self.lead_sets, list(lead_sets))
        if databases:
            chosen &= np.isin(self.databases, list(databases))
        if not noisy:
            chosen &= ~self.noisy
        if not made_up:
            chosen &= ~self.made_up
        return chosen


class DataSet:
    """A data set on disk that fits this front end.

    Attributes:
        folder: where it is.
        manifest: what ``manifest.json`` says.
    """

    def __init__(self, folder: Path) -> None:
        """Open a data set.

        Raises:
            ConfigError: it is not there, is damaged, or was made by another front end.
        """
        self.folder = folder
        try:
            self._text = (folder / MANIFEST).read_text()
            self.manifest: dict[str, Any] = json.loads(self._text)
            if self.manifest["format"] != FORMAT:
                raise ValueError(f"format {self.manifest['format']}")
            made_by = self.manifest["front_end"]["fingerprint"]
            self.purpose = str(self.manifest["purpose"])
        except FileNotFoundError:
            raise ConfigError(
                "no data set here", where=str(folder), remedy="make one: wardbeat dataset build"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"its manifest is damaged ({error})", where=str(folder), remedy=_REMEDY) from None
        if made_by != fingerprint():
            what = f"made by another front end ({str(made_by)[:12]}..., this one is {fingerprint()[:12]}...)"
            raise ConfigError(what, where=str(folder), remedy=_REMEDY)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, which holds those of the arrays."""
        return sha256(self._text.encode()).hexdigest()

    @property
    def sources(self) -> list[dict[str, Any]]:
        """What it was made of, in order: names, leads, noise, counts."""
        found: list[dict[str, Any]] = self.manifest["sources"]
        return found

    def for_training(self) -> DataSet:
        """This data set, if it may be trained on.

        Raises:
            ConfigError: it was built for scores, or a test record is in it.
        """
        if self.purpose != TRAINING:
            remedy = "train on one that was built without --test"
            raise ConfigError("a data set for scores, not for training", where=str(self.folder), remedy=remedy)
        refuse_test_records({source["record"] for source in self.sources}, str(self.folder))
        return self

    def beats(self, leads: int) -> Beats:
        """Its beats of one lead, or those of two.

        Raises:
            ConfigError: it has none, or a file is damaged.
        """
        if f"rows-{leads}.npy" not in self.manifest["sha256"]:
            remedy = f"build it with --leads {BOTH if leads == 2 else FIRST}"
            raise ConfigError(
                f"no beats of {leads} lead{'s' * (leads > 1)} in it", where=str(self.folder), remedy=remedy
            )
        windows, features, rows = (self._array(name, leads) for name in ("windows", "features", "rows"))
        shapes = (len(rows), len(channels_of(leads)), WIDTH), (len(rows), len(features_of(leads)))
        if (windows.shape, features.shape) != shapes or rows.dtype != ROW or rows["source"].max() >= len(self.sources):
            raise ConfigError("its arrays do not belong together", where=str(self.folder), remedy=_REMEDY)
        of = {
            "records": [source["record"] for source in self.sources],
            "patients": [f"{source['database']}/{source['patient']}" for source in self.sources],
            "databases": [source["database"] for source in self.sources],
            "lead_sets": [source["lead_set"] for source in self.sources],
            "noisy": [source["noise"] is not None for source in self.sources],
            "made_up": [source["made_up"] is not None for source in self.sources],
        }
        by_row: dict[str, Any] = {name: np.array(values)[rows["source"]] for name, values in of.items()}
        return Beats(
            windows=windows,
            features=features,
            labels=rows["label"].astype(np.int64),
            samples=rows["sample"].astype(np.int64),
            leads=leads,
            **by_row,
        )

    def _array(self, name: str, leads: int) -> NDArray[Any]:
        file = self.folder / f"{name}-{leads}.npy"
        try:
            found: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ConfigError(f"damaged ({error})", where=str(file), remedy=_REMEDY) from None
        return found

    def check(self) -> None:
        """Compare the arrays with the digests in the manifest.

        Raises:
            ConfigError: one differs.
        """
        for name, digest in self.manifest["sha256"].items():
            found = sha256()
            try:
                with (self.folder / name).open("rb") as file:
                    while part := file.read(1 << 22):
                        found.update(part)
            except OSError as error:
                raise ConfigError(f"damaged ({error})", where=str(self.folder / name), remedy=_REMEDY) from None
            if found.hexdigest() != digest:
                raise ConfigError("not what was written", where=str(self.folder / name), remedy=_REMEDY)


def plan(
    databases: Sequence[str | Path],
    *,
    records: Sequence[str] = (),
    lead_sets: Sequence[str] = LEAD_SETS,
    noises: Sequence[tuple[str, float]] = (),
    nstdb: str | Path = "nstdb",
    made_up: int = 0,
    seed: int = 0,
    test: bool = False,
) -> list[Source]:
    """What a data set would be made of.

    Args:
        databases: names or folders.
        records: names; without any, DS1 (for scores: DS2) of the MIT-BIH Arrhythmia Database and all of others.
        lead_sets: ``first``, ``second``, ``both``, or leads by name, ``MLII`` or ``MLII+V1``; a record without such
            leads is left out for that set.
        noises: kind and signal-to-noise ratio, dB, of the copies to add; records 118 and 119 get none.
        nstdb: where their noise is.
        made_up: how many made-up records of each kind to add, for each patient.
        seed: of the noise, and of what is made up.
        test: for scores, not for training.

    Raises:
        RecordError: a database or a record is not there.
        ConfigError: test records without `test`, or noise or made-up records with it.
    """
    if not test:
        refuse_test_records(records, "--records")
    if noises and test:
        remedy = "score in noise with wardbeat evaluate beats"
        raise ConfigError("the noise that training hears", where="--noise", remedy=remedy)
    if made_up and test:
        raise ConfigError("made-up records tell nothing of real ones", where="--made-up", remedy="leave it out")
    folder = find_database(nstdb) if noises else Path()
    copies = [None, *(Noise(kind, snr, folder, seed) for kind, snr in noises)]
    others = [MadeUp(kind, copy, seed) for kind in KINDS for copy in range(made_up)]
    sources: list[Source] = []
    used: set[str] = set()
    for database in databases:
        home = find_database(database)
        name = Path(database).name
        for record in _names(home, records, test):
            used.add(record)
            for lead_set in lead_sets:
                if columns := _columns(home / record, lead_set):
                    sources += [
                        Source(name, record, home / record, lead_set, columns, noise)
                        for noise in copies
                        if noise is None or record not in NEVER_NOISY
                    ]
                    sources += [Source(name, record, home / record, lead_set, columns, made_up=one) for one in others]
    missing = sorted(set(records) - used)
    if missing:
        where = ", ".join(str(database) for database in databases)
        raise RecordError(f"no annotated record {', '.join(missing)}", where=where, remedy="see wardbeat data list")
    if not sources:
        raise RecordError("no record has such leads", where="--leads", remedy="name first, second, both or leads")
    return sources


def _names(home: Path, wanted: Sequence[str], test: bool) -> list[str]:
    names = [name for name in record_names(home) if (home / f"{name}.atr").is_file()]
    if wanted:
        return [name for name in names if name in wanted]
    mine, others = (DS2, DS1) if test else (DS1, DS2)
    return [name for name in names if name in mine or name not in (*others, *PACED)] if set(names) & set(ALL) else names


def _columns(path: Path, lead_set: str) -> tuple[int, ...]:
    """Numbers of the leads in that record; none if it has no such leads."""
    asked = [lead_set] if lead_set in LEAD_WORDS else lead_set.split("+")
    lead_columns(path)  # a record that cannot be read is an error, one without such leads is not
    try:
        return tuple(choose_leads(path, asked))
    except RecordError:
        return ()


@dataclass(frozen=True, slots=True)
class _Job:
    number: int
    source: Source
    folder: Path


def _write_part(job: _Job) -> dict[str, Any]:
    """Find the beats of one source, leave them as a part of the data set, and say what they are."""
    source = job.source
    found: Labelled = labelled_beats(source.path, list(source.columns), source.noise, source.made_up)
    found.rows["source"] = job.number
    for name in ("windows", "features", "rows"):
        with (job.folder / f"part-{job.number}-{name}").open("wb") as file:
            file.write(np.ascontiguousarray(getattr(found, name)).data)
    counts = np.bincount(found.rows["label"], minlength=len(AAMI_CLASSES)).tolist()
    noise = source.noise
    return {
        "database": source.database,
        "record": source.record,
        "patient": patient_of(source.record),
        "lead_set": source.lead_set,
        "leads": list(found.leads),
        "fs": found.fs,
        "noise": None if noise is None else {"kind": noise.kind, "snr": noise.snr, "seed": noise.seed},
        "made_up": None if source.made_up is None else asdict(source.made_up),
        "annotated": found.annotated,
        "found": found.found,
        "rows": len(found.rows),
        "labels": dict(zip(AAMI_CLASSES, counts, strict=True)),
    }


def build(
    sources: Sequence[Source],
    folder: Path,
    *,
    test: bool = False,
    without: Collection[str] = (),
    seed: int = 0,
    processes: int = 1,
    progress: Callable[[int], None] = lambda steps: None,
) -> DataSet:
    """Write a data set.

    Args:
        sources: as :func:`plan` lists them.
        folder: where to; a data set that is there is replaced, anything else is not.
        test: for scores, not for training.
        without: classes that may be missing.
        seed: for the manifest: of the noise.
        processes: records at a time.
        progress: called with 1 when a source is done.

    Raises:
        RecordError: a record cannot be read.
        ConfigError: it cannot be written, a class is missing, or a test record is among them without `test`.
    """
    if not test:
        refuse_test_records({source.record for source in sources}, "data set")
    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError("something else is there", where=str(folder), remedy="name a new folder")
    with whole_folder(folder) as beside:
        jobs = [_Job(number, source, beside) for number, source in enumerate(sources)]
        found = each(_write_part, jobs, processes, lambda job: progress(1))
        _check_classes(found, without)
        digests = {}
        for leads in range(1, MAX_LEADS + 1):
            mine = [number for number, source in enumerate(sources) if len(source.columns) == leads]
            rows = sum(found[number]["rows"] for number in mine)
            if not rows:
                continue
            for name, dtype, shape in (
                ("windows", np.dtype(np.float32), (len(channels_of(leads)), WIDTH)),
                ("features", np.dtype(np.float32), (len(features_of(leads)),)),
                ("rows", ROW, ()),
            ):
                file = f"{name}-{leads}.npy"
                parts = [beside / f"part-{number}-{name}" for number in mine]
                digests[file] = _join(beside / file, parts, dtype, (rows, *shape))
        manifest = _manifest(found, digests, test=test, without=without, seed=seed)
        (beside / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return DataSet(folder)


def _join(file: Path, parts: Iterable[Path], dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    """Make one array of its parts, which are removed; return its digest.

    Written as a stream and not memory-mapped: on a full disk that is an error and not the end of the process.
    """

    class Digesting:
        def __init__(self, out: BinaryIO) -> None:
            self.out, self.digest = out, sha256()

        def write(self, data: bytes) -> int:
            self.digest.update(data)
            return self.out.write(data)

    with file.open("wb") as stream:
        out = Digesting(stream)
        header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(out, header)
        for part in parts:
            out.write(part.read_bytes())
            part.unlink()
    return out.digest.hexdigest()


def _check_classes(found: Sequence[dict[str, Any]], without: Collection[str]) -> None:
    for leads in range(1, MAX_LEADS + 1):
        mine = [source for source in found if len(source["leads"]) == leads]
        missing = [name for name in AAMI_CLASSES if not any(source["labels"][name] for source in mine)]
        missing = [name for name in missing if name not in without]
        if mine and missing:
            names = ",".join(missing)
            raise ConfigError(
                f"no beat of class {names} on {leads} lead{'s' * (leads > 1)}",
                where="data set",
                remedy=f"add records that have some, or say --without {names}",
            )


def _manifest(
    sources: Sequence[dict[str, Any]], digests: dict[str, str], *, test: bool, without: Collection[str], seed: int
) -> dict[str, Any]:
    totals = {
        str(leads): {
            name: sum(source["labels"][name] for source in sources if len(source["leads"]) == leads)
            for name in AAMI_CLASSES
        }
        for leads in range(1, MAX_LEADS + 1)
    }
    return {
        "format": FORMAT,
        "purpose": TEST if test else TRAINING,
        "front_end": {
            "fingerprint": fingerprint(),
            "channels": list(channels_of(MAX_LEADS)),
            "features": list(features_of(MAX_LEADS)),
        },
        "versions": versions(),
        "seed": seed,
        "without": sorted(without),
        "labels": totals,
        "sha256": digests,
        "sources": list(sources),
    }
