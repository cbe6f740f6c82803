"""What a beat looks like: P, Q, R, S and T as Gaussian waves on two leads.

After McSharry PE et al., IEEE Trans Biomed Eng 50(3):289-294 (2003), doi:10.1109/TBME.2003.808805, who let
each wave be a Gaussian around its own angle of the cardiac cycle. Departures: the waves are summed in time
rather than integrated as a differential equation, so the R peak lies exactly where it was asked for; a wave
may be wider on one side (T rises slowly and falls fast); and ventricular, paced and aberrant beats have shapes of their
own.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.heart import LEADS, Heart
from simulators.rhythms import PR_S, Beat

__all__ = ["LEADS", "Heart", "Morphology", "Waves"]

BEFORE_S: Final = 0.40
AFTER_S: Final = 0.80
"""The support of a beat around its R peak, s."""

_ST_AT_S: Final = 0.080  # after the J point, where a level of ST is measured

EDGE: Final = 0.05
"""A QRS lasts from the first to the last time its first lead is beyond this fraction of its peak."""


class Waves(NamedTuple):
    """Gaussian waves around an R peak at 0.

    Attributes:
        centre: (w,) s.
        left, right: (w,) standard deviation of the rising and the falling side, s.
        mv: (w, leads) height, mV.
        follows_rate: (w,) bool, whether place and width stretch with the heart's cycle.
    """

    centre: NDArray[np.float64]
    left: NDArray[np.float64]
    right: NDArray[np.float64]
    mv: NDArray[np.float64]
    follows_rate: NDArray[np.bool_]

    def at(self, t: NDArray[np.float64], stretch: float = 1.0) -> NDArray[np.float64]:
        """Draw the waves at times `t` (n,), s from the R peak; returns (n, leads) mV."""
        scale = np.where(self.follows_rate, stretch, 1.0)
        distance = t[:, None] - self.centre * scale
        width = np.where(distance < 0.0, self.left, self.right) * scale
        drawn: NDArray[np.float64] = np.exp(-0.5 * (distance / width) ** 2) @ self.mv
        return drawn

    def scaled(self, factor: float) -> Waves:
        return self._replace(mv=self.mv * factor)


def _waves(*rows: tuple[float, float, float, float, float], follows_rate: bool = False) -> Waves:
    """Build waves from rows of centre, left, right, height in MLII, height in V1."""
    table = np.array(rows, np.float64)
    return Waves(table[:, 0], table[:, 1], table[:, 2], table[:, 3:], np.full(len(rows), follows_rate))


def _join(*groups: Waves) -> Waves:
    return Waves(*(np.concatenate(column) for column in zip(*groups, strict=True)))


# QRS complexes in units of their own width; :func:`_fitted` makes height and width exact.
_NORMAL: Final = _waves(
    (-0.30, 0.070, 0.070, -0.10, 0.00),
    (0.00, 0.105, 0.105, 1.00, 0.24),
    (0.31, 0.085, 0.085, -0.20, -0.80),
)
_VENTRICULAR: Final = (
    # From the right ventricle, as in left bundle branch block: up in MLII, down in V1.
    _waves(
        (-0.27, 0.130, 0.130, 0.38, -0.22),
        (0.00, 0.140, 0.140, 1.00, -0.85),
        (0.30, 0.090, 0.110, -0.22, 0.12),
    ),
    # From the left ventricle, as in right bundle branch block: down in MLII, up and notched in V1.
    _waves(
        (-0.34, 0.070, 0.070, 0.20, 0.25),
        (0.00, 0.160, 0.160, -1.00, 0.55),
        (0.26, 0.100, 0.120, -0.30, 0.75),
    ),
    # From near the conduction system: both ways in MLII, up in V1.
    _waves(
        (-0.30, 0.060, 0.060, -0.22, 0.20),
        (0.00, 0.095, 0.095, 1.00, 0.45),
        (0.28, 0.110, 0.130, -0.80, 0.50),
    ),
    # Broad and notched: up in MLII, down in V1.
    _waves(
        (-0.20, 0.110, 0.110, 0.72, -0.50),
        (0.16, 0.120, 0.150, 1.00, -0.90),
        (0.42, 0.080, 0.080, -0.10, 0.06),
    ),
)
_VENTRICULAR_SIGNS: Final = (1.0, -1.0, 0.6, 1.0)  # of the main deflection in MLII; T points the other way
_PACED: Final = _waves(  # from the apex of the right ventricle: down in both leads
    (-0.32, 0.090, 0.090, 0.14, 0.10),
    (0.00, 0.170, 0.170, -1.00, -0.80),
    (0.34, 0.090, 0.110, 0.10, 0.12),
)
_ABERRANT: Final = _waves(  # the right bundle branch answers late: a broad S in MLII, a second R in V1
    (-0.33, 0.050, 0.050, -0.10, 0.14),
    (-0.10, 0.085, 0.085, 1.00, -0.40),
    (0.24, 0.120, 0.140, -0.38, 0.90),
)
_ABERRANT_WIDER: Final = 1.5  # than a normal QRS


def _fitted(qrs: Waves, mv: float, seconds: float) -> Waves:
    """Place, scale and stretch a QRS: its extremum in the first lead at 0, `mv` high, `seconds` wide."""
    t = np.linspace(-1.0, 1.0, 20_001)
    size = np.abs(qrs.at(t)[:, 0])
    peak = int(size.argmax())
    wide = np.flatnonzero(size > EDGE * size[peak])
    stretch = seconds / (t[wide[-1]] - t[wide[0]])
    return Waves(
        (qrs.centre - t[peak]) * stretch,
        qrs.left * stretch,
        qrs.right * stretch,
        qrs.mv * (mv / size[peak]),
        qrs.follows_rate,
    )


class Morphology:
    """Draws the beats and P waves of one :class:`Heart` at one rate of sampling."""

    def __init__(self, heart: Heart, fs: float) -> None:
        self.before = round(BEFORE_S * fs)
        self.length = self.before + round(AFTER_S * fs)
        self._t = (np.arange(self.length) - self.before) / fs
        p, t = heart.p_mv, heart.t_mv
        sinus_p = _waves(
            (-0.168, 0.020, 0.020, 0.7 * p, 0.6 * p),
            (-0.140, 0.020, 0.020, 0.7 * p, -0.4 * p),
            follows_rate=True,
        )
        atrial_p = _waves((-0.135, 0.015, 0.018, -0.8 * p, 0.7 * p), follows_rate=True)
        end = heart.qtc_s - 0.5e-3 * heart.qrs_ms  # of T, s after R at 60 bpm
        t_normal = _waves((end - 0.080, 0.058, 0.036, t, 0.3 * t), follows_rate=True)
        j_point = 0.5e-3 * heart.qrs_ms
        st = () if heart.st_mv == 0.0 else (_st_segment(j_point, heart.st_mv),)
        normal = _join(_fitted(_NORMAL, heart.qrs_mv, 1e-3 * heart.qrs_ms), t_normal, *st)
        wide = _fitted(_ABERRANT, heart.qrs_mv, 1e-3 * _ABERRANT_WIDER * heart.qrs_ms)
        # Repolarisation is discordant: T points away from the main deflection, in each lead.
        end = heart.qtc_s + 0.04 - 0.5e-3 * heart.pvc_ms
        ventricular = [
            _join(_fitted(shape, heart.pvc_mv, 1e-3 * heart.pvc_ms), _discordant(end, sign * heart.pvc_mv))
            for shape, sign in zip(_VENTRICULAR, _VENTRICULAR_SIGNS, strict=True)
        ]
        # Both leads of a paced beat point down, so both of its T waves up.
        paced_t = _waves((end - 0.095, 0.070, 0.045, 0.30 * heart.pvc_mv, 0.25 * heart.pvc_mv), follows_rate=True)
        self._p_wave = sinus_p._replace(centre=sinus_p.centre + PR_S)
        self._waves: dict[tuple[str, int, bool], Waves] = {
            **{("V", shape, False): waves for shape, waves in enumerate(ventricular)},
            **{("E", shape, False): waves for shape, waves in enumerate(ventricular)},
            ("/", 0, False): _join(_fitted(_PACED, heart.pvc_mv, 1e-3 * heart.pvc_ms), paced_t),
            ("N", 0, False): normal,
            ("j", 0, False): normal,
            ("N", 0, True): _join(sinus_p, normal),
            ("S", 0, True): _join(atrial_p, normal),
            ("S", 0, False): _join(atrial_p, wide, t_normal),
            ("F", 0, True): _join(sinus_p, normal.scaled(0.5), ventricular[0].scaled(0.5)),
        }

    def draw(self, beat: Beat, rr: float) -> NDArray[np.float64]:
        """Draw one beat.

        Args:
            beat: its `time` is of no concern.
            rr: the cycle length that the PR and QT intervals have adapted to, s.

        Returns:
            (length, leads) mV; the R peak is row `before`.
        """
        kind: tuple[str, int, bool]
        match beat.symbol:
            case "V" | "E":
                kind = (beat.symbol, beat.shape, False)
            case "S":
                kind = ("S", 0, not beat.wide)
            case "N":
                kind = ("N", 0, beat.p_wave)
            case symbol:
                kind = (symbol, 0, symbol == "F")
        return self._waves[kind].at(self._t, stretch=rr ** (1.0 / 3.0))

    def draw_p_wave(self, rr: float) -> NDArray[np.float64]:
        """Draw a P wave by itself, its peak at row `before`; otherwise as :meth:`draw`."""
        return self._p_wave.at(self._t, stretch=rr ** (1.0 / 3.0))


def _discordant(end: float, mv: float) -> Waves:
    """The T wave, over at `end` s, of a ventricular QRS of `mv` in MLII: it points away from it in each lead."""
    return _waves((end - 0.095, 0.070, 0.045, -0.30 * mv, 0.25 * mv), follows_rate=True)


def _st_segment(j_point: float, mv: float) -> Waves:
    """A level of `mv` from the J point (s after R) on, which T takes over."""
    shape = ((0.045, 0.025, 0.040), (0.110, 0.045, 0.060))  # s after J; standard deviations
    bare = _waves(*((j_point + at, left, right, 1.0, -0.5) for at, left, right in shape))
    return bare.scaled(mv / float(bare.at(np.array([j_point + _ST_AT_S]))[0, 0]))
