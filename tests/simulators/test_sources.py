"""Records as sources: found, played to the end or over and over."""

import numpy as np
import pytest

from monitor.exceptions import RecordError
from monitor.records import Record
from simulators.sources import RecordSource, open_record

RECORD = Record("r", 250.0, ("II",), np.arange(10, dtype=np.float32)[:, None])


def test_source_plays_to_the_end_and_then_nothing():
    source = RecordSource(RECORD, repeat=False)
    assert source.take(7)[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert source.take(7)[:, 0].tolist() == [7, 8, 9]
    assert source.take(7).shape == (0, 1)


def test_source_repeats_even_within_one_take():
    source = RecordSource(RECORD)
    assert source.take(4)[:, 0].tolist() == [0, 1, 2, 3]
    assert source.take(23)[:, 0].tolist() == [4, 5, 6, 7, 8, 9, *range(10), *range(7)]


def test_source_starts_later():
    assert RecordSource(RECORD, start_s=0.02).take(2)[:, 0].tolist() == [5, 6]


def test_source_refuses_a_record_without_samples():
    with pytest.raises(RecordError, match="r: no samples"):
        RecordSource(Record("r", 250.0, ("II",), np.empty((0, 1), np.float32)))


@pytest.fixture
def no_database(monkeypatch, tmp_path):
    monkeypatch.setenv("WARDBEAT_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("no_database")
def test_record_208_needs_no_database():
    assert len(open_record("208").signal) == 108_000
    assert open_record("208", ["MLII"]).leads == ("MLII",)


@pytest.mark.usefixtures("no_database")
def test_excerpt_has_one_lead_only():
    with pytest.raises(RecordError, match="no lead V1; its only lead is MLII"):
        open_record("208", ["V1"])


@pytest.mark.usefixtures("no_database")
def test_unknown_record_is_refused():
    with pytest.raises(RecordError, match="no such record"):
        open_record("999")


def test_bare_name_is_found_in_the_database(tmp_path, monkeypatch):
    import wfdb

    folder = tmp_path / "mitdb"
    folder.mkdir()
    signal = np.linspace(-1, 1, 720).reshape(360, 2)
    wfdb.wrsamp("208", 360, ["mV", "mV"], ["MLII", "V1"], signal, fmt=["16", "16"], write_dir=str(folder))
    monkeypatch.setenv("WARDBEAT_DATA", str(tmp_path))
    record = open_record("208")
    assert record.leads == ("MLII", "V1")
    np.testing.assert_allclose(record.signal, signal, atol=1e-3)
    assert open_record("208", ["V1"]).leads == ("V1",)
