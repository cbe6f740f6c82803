"""What people and devices may tell the ward: values, as :meth:`monitor.ward.Ward.feed` takes them.

`by` is who says so, as far as is known.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.alarm_states import PAUSE
from monitor.profiles import RANGES


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person has seen an alarm: it is silent for two minutes, and a latched one whose condition is over goes."""

    bed: str
    alarm_id: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class AcknowledgeAll:
    """A person has seen all the alarms of a bed."""

    bed: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A screen has shown an alarm."""

    bed: str
    alarm_id: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class PauseAudio:
    """Pause the sound of a bed's alarms, or begin the pause anew; or end it.

    Attributes:
        bed: None: of every bed, those that come meanwhile included.
        on: whether to pause.
        seconds: how long.
    """

    bed: str | None
    on: bool = True
    seconds: float = PAUSE
    by: str = ""


@dataclass(frozen=True, slots=True)
class SetLimits:
    """New limits of a bed (:class:`monitor.profiles.Limits`); None leaves one as it is."""

    bed: str
    low: float | None = None
    high: float | None = None
    by: str = ""
    extreme_low: float | None = None
    extreme_high: float | None = None
    asystole_s: float | None = None
    pause_s: float | None = None
    vt_rate: float | None = None
    vt_count: int | None = None
    pvc_limit: int | None = None

    @property
    def changes(self) -> dict[str, float | None]:
        """Limits by name."""
        return {name: getattr(self, name) for name in RANGES}


@dataclass(frozen=True, slots=True)
class SetProfile:
    """All limits of a bed as they are in one of :data:`monitor.profiles.PROFILES`; `paced` is left alone."""

    bed: str
    profile: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class SetPaced:
    """Whether a bed's patient has a pacemaker."""

    bed: str
    paced: bool
    by: str = ""


@dataclass(frozen=True, slots=True)
class Relearn:
    """Begin a bed's analysis anew with its next sample, the patient's own normal beat included.

    Alarms that stand end, but for the latched ones and those that no sample raises; limits stay.
    """

    bed: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Describe:
    """What a device says of itself: names of its leads, an alias for people, whether it is simulated."""

    bed: str
    leads: tuple[str, ...] = ()
    alias: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class RecorderState:
    """Whether what is kept of the ward can be written; the monitor itself says so.

    Attributes:
        ok: it can.
        reason: why it cannot.
    """

    ok: bool
    reason: str = ""


FromPerson = Acknowledge | AcknowledgeAll | Shown | PauseAudio | SetLimits | SetProfile | SetPaced | Relearn
"""What may come over the feed."""

Command = FromPerson | Describe | RecorderState
