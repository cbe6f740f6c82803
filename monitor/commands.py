"""What people and devices may tell the ward: values, as :meth:`monitor.ward.Ward.feed` takes them.

`by` is who says so, as far as is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, cast, get_args

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
class Resumed:
    """The monitor was away and goes on: silence, and what is awaited, count from now."""

    bed: None = None


@dataclass(frozen=True, slots=True)
class RecorderState:
    """Whether the monitor can keep what it hears and says; every bed has the alarm RECORDER while it cannot.

    Attributes:
        ok: it can.
        reason: why it cannot.
    """

    ok: bool
    reason: str = ""
    bed: None = None


FromPerson = Acknowledge | AcknowledgeAll | Shown | PauseAudio | SetLimits | SetProfile | SetPaced | Relearn
"""What may come over the feed."""

Command = FromPerson | Describe | Resumed | RecorderState

_KINDS: Final = {kind.__name__: kind for kind in get_args(Command)}


def as_dict(command: Command) -> dict[str, Any]:
    """A command as JSON values."""
    return {"command": type(command).__name__, **asdict(command)}


def command_of(values: Mapping[str, Any]) -> Command:
    """The command that :func:`as_dict` wrote.

    Raises:
        ValueError: there is no such command, or it has other fields.
    """
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    kind = _KINDS.get(str(fields.pop("command", None)))
    if kind is None:
        raise ValueError(f"no command {values.get('command')!r}")
    try:
        return cast("Command", kind(**fields))
    except TypeError as error:
        raise ValueError(str(error)) from None
