"""What can be set: flags, then ``WARDBEAT_*`` variables, then a TOML file, then defaults.

The file is ``wardbeat.toml`` in the user's configuration folder (``~/.config/wardbeat`` on Linux), or the one that
``--config`` or ``WARDBEAT_CONFIG`` names::

    broker_host = "10.0.0.7"
    tick = 0.05

    [beds.bed-01]
    profile = "neonatal"
    low = 90
    paced = true
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from monitor.commands import Command, SetLimits, SetPaced, SetProfile
from monitor.ecg import check_bed
from monitor.exceptions import ConfigError, MessageError
from monitor.profiles import ADULT, PROFILES, RANGES, with_changes

CONFIG_VARIABLE: Final = "WARDBEAT_CONFIG"
PREFIX: Final = "WARDBEAT_"
_REMEDY: Final = "see wardbeat serve --help"


class BedSettings(BaseModel):
    """What one bed is set to: a preset, and single limits that differ from it (:class:`monitor.profiles.Limits`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Literal["adult", "paediatric", "neonatal"] | None = None
    low: float | None = None
    high: float | None = None
    extreme_low: float | None = None
    extreme_high: float | None = None
    asystole_s: float | None = None
    pause_s: float | None = None
    vt_rate: float | None = None
    vt_count: int | None = None
    pvc_limit: int | None = None
    paced: bool | None = None

    @model_validator(mode="after")
    def _limits_make_sense(self) -> Self:
        with_changes(PROFILES[self.profile or ADULT], **self.limits)
        return self

    @property
    def limits(self) -> dict[str, float]:
        """The limits given, by name."""
        return {name: value for name in RANGES if (value := getattr(self, name)) is not None}

    def commands(self, bed: str) -> list[Command]:
        """What the ward is told of the bed."""
        told: list[Command] = []
        if self.profile is not None:
            told.append(SetProfile(bed, self.profile, by="settings"))
        if self.limits:
            told.append(SetLimits(bed, by="settings", **self.limits))  # type: ignore[arg-type]  # whole ones are whole
        if self.paced is not None:
            told.append(SetPaced(bed, self.paced, by="settings"))
        return told


class Settings(BaseSettings):
    """Everything that can be set.

    Attributes:
        host: address the page and the feed are served at.
        port: port they are served at; if it is busy the next free one is taken.
        broker_host, broker_port: the MQTT broker.
        broker_in_flight: messages it sends ahead of acknowledgements; counts with MQTT 3.1.1 only, see
            :class:`monitor.mqtt.Ingest`.
        broker_user: user of the monitor at the broker; None: none is named.
        broker_password_file: file whose first line is the user's password; a secret is never a setting itself.
        client_id: names the monitor's session at the broker; two monitors must not share one.
        tick: seconds between two steps of the ward.
        max_beds: a bed beyond this number is refused.
        model: TorchScript file of a classifier, for one lead or for two as its card says; those that come with
            wardbeat if not given.
        model_sha256: its digest.
        other_model: a second one, for the other number of leads.
        other_model_sha256: its digest.
        store: folder of the journal and of the snapshots that outlive the process (:mod:`monitor.store`); None: none.
        snapshot_every: seconds between two snapshots.
        alarm_log: file to which every alarm is appended (:mod:`monitor.alarm_log`); None: none.
        publish: whether alarms and beats are published at the broker (:mod:`monitor.publisher`).
        record: record signals and events below `store` (:mod:`monitor.recorder`).
        record_hours: hours of signal in a record.
        keep_days: age at which a recording is deleted; None: at none.
        keep_gb: size of all recordings, GB, beyond which the oldest go; None: any.
        beds: settings of single beds.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    broker_host: str = "127.0.0.1"
    broker_port: int = Field(default=1883, ge=1, le=65535)
    broker_in_flight: int = Field(default=20, ge=1, le=65535)
    broker_user: str | None = None
    broker_password_file: Path | None = None
    client_id: str = Field(default="wardbeat", pattern=r"^[A-Za-z0-9_-]{1,23}$")
    tick: float = Field(default=0.05, ge=0.005, le=0.5)
    max_beds: int = Field(default=1024, ge=1, le=100_000)
    model: Path | None = None
    model_sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$")
    other_model: Path | None = None
    other_model_sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$")
    store: Path | None = None
    snapshot_every: float = Field(default=30.0, ge=1.0, le=600.0)
    alarm_log: Path | None = None
    publish: bool = True
    record: bool = True
    record_hours: float = Field(default=1.0, gt=0.0, le=24.0)
    keep_days: float | None = Field(default=7.0, gt=0.0)
    keep_gb: float | None = Field(default=50.0, gt=0.0)
    beds: dict[str, BedSettings] = {}

    @field_validator("beds")
    @classmethod
    def _beds_have_ids(cls, beds: dict[str, BedSettings]) -> dict[str, BedSettings]:
        for bed in beds:
            try:
                check_bed(bed)
            except MessageError as error:
                raise ValueError(error.what) from None
        return beds

    @model_validator(mode="after")
    def _model_is_pinned(self) -> Self:
        for name in ("model", "other_model"):
            if (getattr(self, name) is None) != (getattr(self, f"{name}_sha256") is None):
                why = "a model is a program, run only if it is pinned"
                raise ValueError(f"{name} and {name}_sha256 go together: {why}")
        if self.model is None and self.other_model is not None:
            raise ValueError("other_model is a second one: give model first")
        return self

    def broker_login(self) -> tuple[str, str | None] | None:
        """User and password at the broker; None: it is not told who comes.

        Raises:
            ConfigError: the password cannot be read.
        """
        if self.broker_user is None:
            return None
        if self.broker_password_file is None:
            return self.broker_user, None
        try:
            return self.broker_user, self.broker_password_file.read_text(encoding="utf-8").split("\n")[0]
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not text"
            raise ConfigError(f"cannot be read ({why})", where=str(self.broker_password_file)) from None

    @property
    def models(self) -> list[tuple[Path, str | None]]:
        """The models given, each with its digest."""
        given = ((self.model, self.model_sha256), (self.other_model, self.other_model_sha256))
        return [(path, digest) for path, digest in given if path is not None]


def state_folder() -> Path:
    """Where `wardbeat serve` keeps what it is not told to keep elsewhere, there or not."""
    return platformdirs.user_state_path("wardbeat")


def default_store() -> Path:
    """The store of `wardbeat serve` if none is given."""
    return state_folder() / "store"


def default_alarm_log() -> Path:
    """The alarm log of `wardbeat serve` if none is given."""
    return state_folder() / "alarms.jsonl"


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Read the settings.

    Args:
        config: TOML file; None looks at ``WARDBEAT_CONFIG``, then in the user's configuration folder.
        flags: by field; None was not given.

    Raises:
        ConfigError: a setting is wrong, unknown, or the file cannot be read.
    """
    path, contents = _read(config)

    class Source(Settings):
        """Settings that know this file."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, contents)

    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Source(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise ConfigError(what[0].lower() + what[1:], where=_origin(name, given, path), remedy=_REMEDY) from None


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it counts.

    Attributes:
        name: as in the file; of a bed's, with the bed: ``beds.bed-01.low``.
        value: a JSON value.
        origin: where it came from, as its author knows it.
    """

    name: str
    value: Any
    origin: str


def explain(config: Path | None = None) -> tuple[Path, list[Setting]]:
    """Every setting as `wardbeat serve` takes it, with the place it comes from.

    Args:
        config: as of :func:`load_settings`.

    Returns:
        The file that is looked at, there or not, and the settings in the order of :class:`Settings`.

    Raises:
        ConfigError: a setting is wrong, unknown, or the file cannot be read.
    """
    values = load_settings(config).model_dump(mode="json")
    path, contents = _read(config)
    values["store"] = values["store"] or str(default_store())
    values["alarm_log"] = values["alarm_log"] or str(default_alarm_log())
    beds = values.pop("beds")
    values |= {
        f"beds.{bed}.{name}": value for bed, given in beds.items() for name, value in given.items() if value is not None
    }
    return path, [
        Setting(name, value, _variable(name) or (str(path) if _is_in(name, contents) else "default"))
        for name, value in values.items()
    ]


def _is_in(name: str, contents: Any) -> bool:
    for part in name.split("."):
        if not isinstance(contents, dict) or part not in contents:
            return False
        contents = contents[part]
    return True


def _variable(name: str) -> str | None:
    """The environment variable that gives a setting: its own, or that of what it is a part of, as JSON."""
    parts = name.split(".")
    given = {key.upper(): key for key in os.environ}
    for count in range(len(parts), 0, -1):
        variable = given.get(PREFIX + "__".join(parts[:count]).upper())
        if variable is not None and (count == len(parts) or _is_in(".".join(parts[count:]), _json(variable))):
            return variable
    return None


def _json(variable: str) -> Any:
    try:
        return json.loads(os.environ[variable])
    except ValueError:
        return None


def _read(config: Path | None) -> tuple[Path, dict[str, Any]]:
    named = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    path = named or platformdirs.user_config_path("wardbeat") / "wardbeat.toml"
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named is None:
            return path, {}
        raise ConfigError("there is no such file", where=str(path), remedy="give the path of a TOML file") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not TOML: {error}", where=str(path)) from None


def _origin(name: str, flags: dict[str, Any], path: Path) -> str:
    """Where a setting came from, as its author knows it."""
    if not name:  # about several together
        return " ".join(f"--{flag.replace('_', '-')}" for flag in flags) or str(path)
    field = name.split(".")[0]
    if field in flags:
        return f"--{field.replace('_', '-')}"
    return _variable(name) or f"{path}: {name}"
