"""Detectors of other packages: they are there or the command says so, and they are called rightly."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from monitor.exceptions import ConfigError
from monitor.records import read_record
from trainer.scoring.ec57 import WINDOW, match_beats
from trainer.speed.kernels import r_peaks
from trainer.speed.peers import PEERS, Peer, check


def test_check_of_what_is_there() -> None:
    check([Peer("one", "numpy", ("numpy", "numpy.linalg"), lambda signal, fs: [])])
    check([])


def test_all_that_is_missing_is_named_once_with_what_to_type() -> None:
    def never(signal: object, fs: object) -> None:
        raise AssertionError

    peers = [
        Peer("one", "numpy", ("numpy", "no_such_package"), never),
        Peer("two", "x", ("no_such_package", "numpy.no_such_module"), never),
    ]
    with pytest.raises(ConfigError) as caught:
        check(peers)
    assert str(caught.value) == (
        "bench kernel: cannot be imported: no_such_package (No module named 'no_such_package'), "
        "numpy.no_such_module (No module named 'numpy.no_such_module'); every detector is measured or none: "
        'pip install "wardbeat[bench]", or in a checkout pip install -e ".[bench]"'
    )


def test_the_first_is_the_yardstick_in_machine_code() -> None:
    assert PEERS[0].name == "sleepecg"
    assert "sleepecg._heartbeat_detection" in PEERS[0].modules
    assert len({peer.name for peer in PEERS}) == len(PEERS)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_the_real_ones_find_the_beats(peer: Peer, database: Path) -> None:
    if find_spec(peer.modules[0].partition(".")[0]) is None:
        pytest.skip(f'{peer.name.upper()} NOT TESTED: pip install -e ".[bench]"')
    record = read_record(database / "101")
    expected = r_peaks(record)
    found = np.asarray(peer.detect(record.signal[:, 0].astype(np.float64), record.fs), np.int64)
    assert np.all(np.diff(found) > 0)
    pairing = match_beats(expected, found, WINDOW * record.fs)
    assert len(pairing.missed) + len(pairing.extra) <= 3
    assert len(pairing.reference) > 50
