"""The data set: written once and whole, the same whoever makes it, and refused where it does not fit."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer.beats.dataset
from monitor.beats import channels_of, features_of
from monitor.exceptions import ConfigError, RecordError
from monitor.records import find_database
from monitor.window import WIDTH
from trainer.beats.dataset import MANIFEST, DataSet, Source, build, plan
from trainer.beats.labelled import labelled_beats
from trainer.splits import DS1, DS2

NO_F_Q = ("F", "Q")


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def copy_of(data: DataSet, folder: Path) -> Path:
    shutil.copytree(data.folder, folder / "copy")
    return folder / "copy"


def test_it_holds_the_labelled_beats_of_every_source(data: DataSet, database: Path) -> None:
    for leads, sets in ((1, {"first": [0], "second": [1]}), (2, {"both": [0, 1]})):
        beats = data.beats(leads)
        assert beats.windows.shape == (len(beats), len(channels_of(leads)), WIDTH)
        assert beats.features.shape == (len(beats), len(features_of(leads)))
        assert isinstance(beats.windows, np.memmap)
        assert set(beats.lead_sets) == set(sets)
        for lead_set, columns in sets.items():
            mine = (beats.lead_sets == lead_set) & (beats.records == "106")
            expected = labelled_beats(database / "106", columns)
            assert beats.windows[mine].tobytes() == expected.windows.tobytes()
            assert beats.features[mine].tobytes() == expected.features.tobytes()
            assert beats.labels[mine].tolist() == expected.rows["label"].tolist()
            assert beats.samples[mine].tolist() == expected.rows["sample"].tolist()


def test_the_manifest_says_what_is_in_it(data: DataSet) -> None:
    manifest = data.manifest
    assert manifest["purpose"] == "training"
    assert manifest["versions"]["numpy"] == np.__version__
    assert [s["leads"] for s in manifest["sources"] if s["record"] == "101"] == [["MLII"], ["V1"], ["MLII", "V1"]]
    assert manifest["labels"]["2"] == data.beats(2).counts()
    assert sum(s["rows"] for s in manifest["sources"] if len(s["leads"]) == 1) == len(data.beats(1))
    data.check()


def test_the_same_bytes_from_two_processes(data: DataSet, database: Path, tmp_path: Path) -> None:
    told: list[int] = []
    build(plan([database]), tmp_path / "two", without=NO_F_Q, processes=2, progress=told.append)
    assert files(tmp_path / "two") == files(data.folder)
    assert sum(told) == 9


def test_an_interrupted_build_leaves_what_was_there(
    data: DataSet, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = copy_of(data, tmp_path)
    before = files(old)
    real = trainer.beats.dataset.labelled_beats

    def interrupted(path: Path, *arguments: Any) -> Any:
        if path.name == "119":
            raise KeyboardInterrupt
        return real(path, *arguments)

    monkeypatch.setattr(trainer.beats.dataset, "labelled_beats", interrupted)
    for folder in (old, tmp_path / "new"):
        with pytest.raises(KeyboardInterrupt):
            build(plan([database]), folder, without=NO_F_Q)
    assert files(old) == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


@pytest.mark.parametrize("name", ["part-3-windows", "windows-1.npy", MANIFEST])
def test_a_full_disk_leaves_nothing(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = Path.open

    def opened(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name.lstrip(".").startswith(name) and "w" in "".join(map(str, (*arguments, *options.values()))):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(ConfigError, match=r"set: cannot be written .No space left on device.; make room") as caught:
        build(plan([database]), tmp_path / "set", without=NO_F_Q)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_class_is_an_error_and_nothing_is_written(database: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no beat of class F,Q on 1 lead.*--without F,Q"):
        build(plan([database]), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_something_else_is_not_overwritten(database: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("")
    with pytest.raises(ConfigError, match="something else is there"):
        build(plan([database]), tmp_path, without=NO_F_Q)
    assert (tmp_path / "thesis").exists()


def test_another_front_end_is_refused(data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer.beats.dataset, "fingerprint", lambda: "f" * 64)
    with pytest.raises(ConfigError, match=r"another front end .*ffffffffffff\.\.\.\); build it again"):
        DataSet(data.folder)


def test_what_is_damaged_is_refused(data: DataSet, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no data set here"):
        DataSet(tmp_path)
    folder = copy_of(data, tmp_path)
    windows = folder / "windows-1.npy"
    whole = windows.read_bytes()
    windows.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"windows-1\.npy: damaged"):
        DataSet(folder).beats(1)
    windows.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ConfigError, match="not what was written"):
        DataSet(folder).check()
    shutil.copy(folder / "windows-2.npy", windows)
    with pytest.raises(ConfigError, match="do not belong together"):
        DataSet(folder).beats(1)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(ConfigError, match="manifest is damaged"):
        DataSet(folder)


def test_beats_of_leads_it_has_not(database: Path, tmp_path: Path) -> None:
    one = build(plan([database], lead_sets=["first"]), tmp_path / "one", without=NO_F_Q)
    with pytest.raises(ConfigError, match=r"no beats of 2 leads.*--leads both"):
        one.beats(2)


def rename(database: Path, folder: Path, name: str) -> Path:
    """A copy of record 101 under another name."""
    folder.mkdir(exist_ok=True)
    for suffix in ("dat", "hea", "atr"):
        data = (database / f"101.{suffix}").read_bytes()
        (folder / f"{name}.{suffix}").write_bytes(data.replace(b"101", name.encode()) if suffix == "hea" else data)
    return folder


def test_test_records_are_refused_everywhere(database: Path, tmp_path: Path) -> None:
    folder = rename(database, tmp_path / "db", "100")
    with pytest.raises(ConfigError, match="100 are test records"):
        plan([folder], records=["100"])
    with pytest.raises(RecordError, match="no record"):
        plan([folder])  # without being named it is not taken
    smuggled = [Source("db", "100", folder / "100", "first", (0,))]
    with pytest.raises(ConfigError, match="100 are test records"):
        build(smuggled, tmp_path / "set", without=NO_F_Q)
    made = build(plan([folder], test=True), tmp_path / "test", test=True, without=NO_F_Q)
    assert set(made.beats(1).records) == {"100"}
    with pytest.raises(ConfigError, match="for scores, not for training"):
        made.for_training()
    manifest = made.folder / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"purpose": "training"}))
    with pytest.raises(ConfigError, match="100 are test records"):
        DataSet(made.folder).for_training()


def test_records_of_one_patient_have_one_name(database: Path, tmp_path: Path) -> None:
    folder = rename(database, tmp_path / "db", "201")
    rename(database, folder, "202")
    made = build(plan([folder], records=["201", "202"], test=True), tmp_path / "set", test=True, without=NO_F_Q)
    assert set(made.beats(1).patients) == {"db/201"}


def test_noise_goes_where_it_may(database: Path, tmp_path: Path) -> None:
    sources = plan([database], lead_sets=["first"], noises=[("motion", 6.0), ("motion", 12.0)], nstdb=database, seed=3)
    assert [(s.record, s.noise and s.noise.snr) for s in sources] == [
        *(("101", None), ("101", 6.0), ("101", 12.0)),
        *(("106", None), ("106", 6.0), ("106", 12.0)),
        ("119", None),
    ]
    beats = build(sources, tmp_path / "set", without=NO_F_Q, seed=3).beats(1)
    assert set(beats.records[beats.noisy]) == {"101", "106"}
    clean = beats.taken_from(["first"], noisy=False)
    assert clean.sum() == (~beats.noisy).sum() < len(beats)
    with pytest.raises(ConfigError, match="the noise that training hears"):
        plan([database], noises=[("ma", 6.0)], nstdb=database, test=True)


def test_leads_by_name(database: Path) -> None:
    assert [(s.lead_set, s.columns) for s in plan([database], records=["101"], lead_sets=["V1", "V1+MLII", "V5"])] == [
        ("V1", (1,)),
        ("V1+MLII", (1, 0)),
    ]
    with pytest.raises(RecordError, match="no record has such leads"):
        plan([database], lead_sets=["V9"])


def test_records_that_are_not_there(database: Path) -> None:
    with pytest.raises(RecordError, match="no annotated record 999"):
        plan([database], records=["101", "999"])


@pytest.mark.database
def test_the_records_of_the_databases() -> None:
    try:
        find_database("mitdb")
    except RecordError as error:
        pytest.skip(f"RECORDS NOT COUNTED: {error}")
    assert sorted({s.record for s in plan(["mitdb"])}) == sorted(DS1)
    assert sorted({s.record for s in plan(["mitdb"], test=True)}) == sorted(DS2)
