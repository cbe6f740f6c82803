"""A patient's story as a TOML file: what the heart does, how its beats look, what else the electrodes pick up.

::

    alias = "VT episodes"         # what the page calls the bed
    paced = false                 # the patient has a pacemaker
    repeat = true                 # start over at the end; otherwise the line stays flat
    resting = true                # the faint noise of any patient at rest, beside the disturbances below

    [heart]                       # as for simulators.heart.Heart
    qrs_mv = 0.9

    [[story]]                     # parts in order; `rhythm` is one of PARTS, the rest its parameters
    rhythm = "sinus"
    seconds = 14
    rate = 82
    ectopy = { V = 8 }            # beats per minute

    [[story]]
    rhythm = "run"
    count = 10
    rate = 170

    [[disturbance]]               # `kind` is one of DISTURBANCES; times in s since the patient's start
    kind = "muscle"
    mv = 0.18
    at = 20
    seconds = 14
    every = 80

What is wrong is answered with the part and the key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError

from monitor.ecg import FS
from monitor.exceptions import ConfigError
from simulators import noise
from simulators.atrial import AtrialFibrillation, AtrialFlutter
from simulators.conduction import Block, Paced
from simulators.heart import Heart
from simulators.noise import Baseline, Disturbance, Mains, Muscle, When
from simulators.rhythms import Part, Run, Silence, Sinus
from simulators.synthetic import Patient
from simulators.ventricular import Torsades, VentricularFibrillation, VentricularFlutter

PARTS: Final[Mapping[str, type[Part]]] = {
    "sinus": Sinus,
    "run": Run,
    "silence": Silence,
    "atrial_fibrillation": AtrialFibrillation,
    "atrial_flutter": AtrialFlutter,
    "block": Block,
    "paced": Paced,
    "torsades": Torsades,
    "ventricular_flutter": VentricularFlutter,
    "ventricular_fibrillation": VentricularFibrillation,
}
"""What a part of a story may be, by the name of its `rhythm`."""

DISTURBANCES: Final[Mapping[str, type[Disturbance]]] = {
    "baseline": noise.Baseline,
    "wander": noise.Wander,
    "mains": noise.Mains,
    "muscle": noise.Muscle,
    "motion": noise.Motion,
    "step": noise.Step,
    "saturation": noise.Saturation,
    "flat": noise.Flat,
    "lead_off": noise.LeadOff,
}
"""What a disturbance may be, by its `kind`."""

RESTING: Final = (Baseline(0.05), Baseline(0.04, hz=0.07), Muscle(0.008), Mains(0.004))
"""What any electrode picks up from a patient at rest."""

FOLDER: Final = Path(__file__).parent / "scenarios"
"""Where the scenarios that come along are."""

_BREATHING: Final = 0.05  # unless the file says otherwise
_HEART: Final = Heart(breathing=_BREATHING)


@dataclass(frozen=True)
class Scenario:
    """One patient.

    Attributes:
        alias: what the page calls the bed.
        story: parts in order.
        heart: the look of the beats.
        disturbances: what else the electrodes pick up.
        paced: the patient has a pacemaker.
        repeat: the story starts over at its end; otherwise the line stays flat.
    """

    alias: str
    story: Sequence[Part]
    heart: Heart = _HEART
    disturbances: Sequence[Disturbance] = RESTING
    paced: bool = False
    repeat: bool = True

    def patient(self, *, fs: float = FS, seed: int = 0) -> Patient:
        """Bring the scenario to life; the same seed, the same patient."""
        return Patient(
            self.story, fs=fs, heart=self.heart, disturbances=self.disturbances, seed=seed, repeat=self.repeat
        )


def scenario_names() -> list[str]:
    """Names of the scenarios that come along."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find_scenario(name_or_file: str | Path) -> Scenario:
    """A scenario that comes along, by its name, or one's own, by the path of its file.

    Raises:
        ConfigError: there is none, or the file is wrong.
    """
    path = Path(name_or_file)
    if path.suffix == ".toml" or path.name != str(name_or_file):
        return load_scenario(path)
    if str(name_or_file) not in scenario_names():
        remedy = f"choose one of {', '.join(scenario_names())}, or name a .toml file"
        raise ConfigError("no such scenario", where=str(name_or_file), remedy=remedy)
    return load_scenario(FOLDER / f"{name_or_file}.toml")


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file.

    Raises:
        ConfigError: it cannot be read, is not TOML, or says something that cannot be played; the text names the part
            and the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"cannot be read ({reason})", where=str(path), remedy="name a scenario file") from None
    return parse_scenario(text, str(path), path.stem)


def parse_scenario(text: str, where: str = "scenario", name: str = "scenario") -> Scenario:
    """Read a scenario from the text of its file.

    Args:
        text: TOML.
        where: named in errors.
        name: the alias of a file that gives none.

    Raises:
        ConfigError: as for :func:`load_scenario`.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}", where=where) from None
    reader = _Reader(where)
    keys = {"alias": str, "paced": bool, "repeat": bool, "resting": bool, "heart": dict, "story": list}
    reader.check_keys("the file", document, [*keys, "disturbance"])
    for key, kind in {**keys, "disturbance": list}.items():
        if not isinstance(document.get(key, kind()), kind):
            raise reader.error(key, f"should be {_KINDS[kind]}")
    heart = reader.build("heart", Heart, {"breathing": _BREATHING, **document.get("heart", {})})
    story = [
        cast(Part, reader.build_named("story part", number, "rhythm", PARTS, table))
        for number, table in enumerate(document.get("story", []), 1)
    ]
    disturbances = [
        cast(Disturbance, reader.build_named("disturbance", number, "kind", DISTURBANCES, table))
        for number, table in enumerate(document.get("disturbance", []), 1)
    ]
    repeat = document.get("repeat", True)
    if not story:
        raise reader.error("story", "there is no [[story]] part")
    if repeat and all(isinstance(part, Silence) for part in story):
        raise reader.error("story", "silences alone cannot repeat")
    resting = RESTING if document.get("resting", True) else ()
    alias = document.get("alias", name)
    return Scenario(alias, story, heart, (*resting, *disturbances), document.get("paced", False), repeat)


_KINDS: Final = {str: "a string", bool: "true or false", dict: "a table", list: "tables of their own: [[...]]"}
_TIMES: Final = tuple(field.name for field in fields(When))


class _Reader:
    """Turns tables into what they describe; `where` is named in errors."""

    def __init__(self, where: str) -> None:
        self._where = where

    def error(self, place: str, what: str) -> ConfigError:
        return ConfigError(f"{place}: {what}", where=self._where)

    def check_keys(self, place: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for key in table:
            if key not in known:
                near = get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                raise self.error(place, f"no key {key}; {hint}")

    def build_named(self, what: str, number: int, key: str, kinds: Mapping[str, type], table: Any) -> object:
        """Build what `key` of a table names."""
        place = f"{what} {number}"
        if not isinstance(table, dict):
            raise self.error(place, "should be a table")
        name = table.get(key)
        if not isinstance(name, str) or name not in kinds:
            known = ", ".join(kinds)
            raise self.error(place, f"{key} is missing; there are {known}" if name is None else
                             f"no {key} {name!r}; there are {known}")  # fmt: skip
        values = {k: value for k, value in table.items() if k != key}
        place = f"{place} ({name})"
        names = [field.name for field in fields(cast(Any, kinds[name]))]
        if "when" not in names:
            return self.build(place, kinds[name], values)
        names = [*(n for n in names if n != "when"), *_TIMES]
        self.check_keys(place, values, names)
        when = self.build(place, When, {k: values.pop(k) for k in _TIMES if k in values})
        return self.build(place, kinds[name], {**values, "when": when})

    def build(self, place: str, kind: type, values: Mapping[str, Any]) -> Any:
        """Build a dataclass from its fields' values, checked against their types."""
        self.check_keys(place, values, [field.name for field in fields(cast(Any, kind))])
        try:
            return TypeAdapter(kind).validate_python(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(step) for step in first["loc"])
            said = first["msg"].removeprefix("Value error, ")
            given = "" if first["type"] in ("missing", "value_error") else f", not {first['input']!r}"
            raise self.error(f"{place}, {key}" if key else place, f"{said}{given}") from None
