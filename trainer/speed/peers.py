"""QRS detectors of other packages, called as their own documentation has it; their R peaks are taken as they come.

Each gets the first lead of a whole record: (n,) float64, mV. All of them look ahead.

- sleepecg: ``detect_heartbeats(ecg, fs, backend="c")``.
- NeuroKit2 pantompkins1985: ``ecg_clean(ecg, sampling_rate=fs, method="pantompkins1985")``, then
  ``ecg_findpeaks(cleaned, sampling_rate=fs, method="pantompkins1985")["ECG_R_Peaks"]``. ``ecg_peaks`` returns the same
  beats and takes longer: it makes a table of them too.
- NeuroKit2 khamis2016 (UNSW): ``ecg_findpeaks(ecg, sampling_rate=fs, method="khamis2016")["ECG_R_Peaks"]``.
  ``ecg_clean`` knows no such method: this detector does its own cleaning.
- wfdb XQRS: ``XQRS(ecg, fs)``, ``.detect(verbose=False)``, ``.qrs_inds``.
- wfdb gqrs: ``gqrs_detect(d_sig=..., fs=fs, adc_gain=200, adc_zero=0)`` with the signal rounded to 1/200 mV, which is
  how MIT-BIH was digitised: by its documentation, that is the exact output of the original.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.exceptions import ConfigError

Signal = NDArray[np.float64]
Detect = Callable[[Signal, float], Any]
"""From a signal, (n,) mV, and its rate, Hz, to R peaks: (k,) whole numbers, samples."""

_UNITS_PER_MV: Final = 200


class Peer(NamedTuple):
    """A detector of another package.

    Attributes:
        name: of the detector.
        package: that it comes in, as it is installed.
        modules: what must be importable for it to run as it should.
        detect: the detector.
    """

    name: str
    package: str
    modules: tuple[str, ...]
    detect: Detect


def _sleepecg(signal: Signal, fs: float) -> Any:
    from sleepecg import detect_heartbeats  # type: ignore[attr-defined]  # the package has no __all__

    return detect_heartbeats(signal, fs, backend="c")


def _pan_tompkins(signal: Signal, fs: float) -> Any:
    from neurokit2 import ecg_clean, ecg_findpeaks

    method = "pantompkins1985"
    cleaned = ecg_clean(signal, sampling_rate=fs, method=method)
    return ecg_findpeaks(cleaned, sampling_rate=fs, method=method)["ECG_R_Peaks"]


def _khamis(signal: Signal, fs: float) -> Any:
    from neurokit2 import ecg_findpeaks

    return ecg_findpeaks(signal, sampling_rate=fs, method="khamis2016")["ECG_R_Peaks"]


def _xqrs(signal: Signal, fs: float) -> Any:
    from wfdb.processing import XQRS

    detector = XQRS(signal, fs)
    detector.detect(verbose=False)
    return detector.qrs_inds


def _gqrs(signal: Signal, fs: float) -> Any:
    from wfdb.processing import gqrs_detect

    digital = np.rint(signal * _UNITS_PER_MV).astype(np.int64)
    return gqrs_detect(d_sig=digital, fs=fs, adc_gain=_UNITS_PER_MV, adc_zero=0)


PEERS: Final = (
    # Without its compiled module sleepecg would run something slower and only warn.
    Peer("sleepecg", "sleepecg", ("sleepecg", "sleepecg._heartbeat_detection"), _sleepecg),
    Peer("NeuroKit2 pantompkins1985", "neurokit2", ("neurokit2",), _pan_tompkins),
    Peer("NeuroKit2 khamis2016", "neurokit2", ("neurokit2",), _khamis),
    Peer("wfdb XQRS", "wfdb", ("wfdb.processing",), _xqrs),
    Peer("wfdb gqrs", "wfdb", ("wfdb.processing",), _gqrs),
)
"""All of them; the first is the one that the others' speed is compared with."""


def check(peers: Sequence[Peer]) -> None:
    """Import everything that the peers need.

    Raises:
        ConfigError: some of it is not installed, or does not import; all that is missing is named.
    """
    missing = {}
    for module in dict.fromkeys(module for peer in peers for module in peer.modules):
        try:
            import_module(module)
        except ImportError as error:
            missing[module] = error
    if missing:
        raise ConfigError(
            "cannot be imported: " + ", ".join(f"{module} ({error})" for module, error in missing.items()),
            where="bench kernel",
            remedy='every detector is measured or none: pip install "wardbeat[bench]", '
            'or in a checkout pip install -e ".[bench]"',
        )
