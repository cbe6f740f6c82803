"""``wardbeat data``, with a PhysioNet made of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import wfdb
from typer.testing import CliRunner
from wfdb.io import _url
from wfdb_records import write_record

from monitor import records
from monitor.cli.data import KNOWN, app
from monitor.exceptions import RecordError
from monitor.records import find_database

RAMP = np.stack([np.arange(400) / 200] * 2, 1)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without databases."""
    folder = tmp_path / "cache"
    monkeypatch.delenv("WARDBEAT_DATA", raising=False)
    monkeypatch.setattr(records, "cache_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


class PhysioNet:
    """Holds records a and b; what is asked of it is noted."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails_at: str | None = None
        self.error: Exception = requests.ConnectionError("HTTPSConnectionPool: Max retries exceeded")

    def get_record_list(self, database: str) -> list[str]:
        self.asked.append(database)
        if self.fails_at == database:
            raise self.error
        return ["a", "b"]

    def dl_database(self, database: str, folder: str, **options: Any) -> None:
        [record] = options["records"]
        self.asked.append(record)
        if self.fails_at == record:
            raise self.error
        print("Downloading files...")  # as wfdb does
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_record(Path(folder), record, RAMP, leads=["noise", "noise2"])


@pytest.fixture
def physionet(monkeypatch: pytest.MonkeyPatch) -> PhysioNet:
    fake = PhysioNet()
    monkeypatch.setattr(wfdb, "get_record_list", fake.get_record_list)
    monkeypatch.setattr(wfdb, "dl_database", fake.dl_database)
    return fake


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def failure(*arguments: str) -> RecordError:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, RecordError), result.output
    assert result.output == ""
    assert "\n" not in str(result.exception)
    return result.exception


def test_list_says_what_is_there_and_where_it_is_looked_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = run("list")
    assert output.count("not found") == len(KNOWN)
    assert "$WARDBEAT_DATA: not set" in output
    (cache.parent / "data" / "mitdb").mkdir(parents=True)
    (cache / "vfdb").mkdir(parents=True)
    monkeypatch.setenv("WARDBEAT_DATA", str(cache.parent / "data"))
    rows = {line.split()[0]: "".join(line.split()) for line in run("list").splitlines() if line.strip()}
    assert "notfound" not in rows["mitdb"]
    assert "notfound" not in rows["vfdb"]
    assert "notfound" in rows["nstdb"]


def test_get_downloads_into_the_cache(cache: Path, physionet: PhysioNet) -> None:
    assert run("get", "nstdb") == f"nstdb: 2 records in {cache / 'nstdb'}\n"
    assert physionet.asked == ["nstdb", "a", "b"]
    assert find_database("nstdb") == cache / "nstdb"
    assert records.record_names(cache / "nstdb") == ["a", "b"]
    assert [path.name for path in cache.iterdir()] == ["nstdb"]


def test_get_asks_for_nothing_that_is_there(cache: Path, physionet: PhysioNet) -> None:
    run("get", "nstdb")
    physionet.asked.clear()
    assert run("get", "nstdb") == f"nstdb is there already: {cache / 'nstdb'}\n"
    assert physionet.asked == []


def test_an_interrupted_download_is_not_found_and_goes_on_later(cache: Path, physionet: PhysioNet) -> None:
    physionet.fails_at = "b"
    failure("get", "nstdb")
    with pytest.raises(RecordError):
        find_database("nstdb")
    assert (cache / "nstdb.part" / "a.dat").is_file()
    physionet.fails_at = None
    run("get", "nstdb")
    assert records.record_names(find_database("nstdb")) == ["a", "b"]


def test_a_truncated_download_is_refused(cache: Path, physionet: PhysioNet, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(database: str, folder: str, **options: Any) -> None:
        physionet.dl_database(database, folder, **options)
        (Path(folder) / "a.dat").write_bytes(b"half")

    monkeypatch.setattr(wfdb, "dl_database", half)
    assert failure("get", "nstdb").what == "truncated: 4 of 1600 bytes"
    assert not (cache / "nstdb").exists()


@pytest.mark.parametrize("place", ["nstdb", "b"])
def test_without_a_network(cache: Path, physionet: PhysioNet, place: str) -> None:
    physionet.fails_at = place
    assert str(failure("get", "nstdb")) == (
        "https://physionet.org/content/nstdb: cannot be downloaded (ConnectionError); "
        "check the network and try again, or name the folder above it in $WARDBEAT_DATA"
    )


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (_url.NetFileNotFoundError("404 Error", url="x", status_code=404), "not found at PhysioNet"),
        (_url.NetFilePermissionError("403 Error"), "cannot be downloaded (NetFilePermissionError)"),
        (IndexError("list index out of range"), "cannot be downloaded (IndexError)"),
        (requests.Timeout("slow"), "cannot be downloaded (Timeout)"),
        (OSError(28, "No space left on device"), "cannot be written (No space left on device)"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_other_ways_to_fail(physionet: PhysioNet, error: Exception, what: str) -> None:
    physionet.fails_at, physionet.error = "nstdb", error
    assert failure("get", "nstdb").what == what


@pytest.mark.usefixtures("cache")
def test_a_database_without_records(physionet: PhysioNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wfdb, "get_record_list", lambda database: [])
    assert failure("get", "nstdb").what == "has no WFDB records"
    assert physionet.asked == []


@pytest.mark.parametrize("name", ["../x", "/etc", "mit db", "MITDB", "", "mitdb/1.0.0"])
def test_names_that_are_none(cache: Path, physionet: PhysioNet, name: str) -> None:
    assert failure("get", name).what == "not the name of a PhysioNet database"
    assert physionet.asked == []
    assert not cache.exists()
