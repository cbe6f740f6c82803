"""The errors wardbeat raises on purpose.

::

    WardbeatError            what a person can act on; the command line prints it in one line
    ├── RecordError          a record, annotation or database cannot be read
    ├── MessageError         a device sent something that is not a valid message (the peer's fault)
    └── ConfigError          a setting, argument or installed file is wrong (ours)
        └── ModelError       a model file is not the one that was pinned, or does not keep its contract

Facts are attributes; the text is built from them.
"""

from __future__ import annotations

from typing import Any


class WardbeatError(Exception):
    """What was wrong, where, and what to do about it.

    Attributes:
        what: the fault itself, without a full stop.
        where: the file, option, bed or address it was found in.
        remedy: the next thing to do.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way out of a worker process, whatever a subclass's constructor asks for."""
        return _restore, (type(self), self.args), self.__dict__


def _restore(kind: type[WardbeatError], args: tuple[Any, ...]) -> WardbeatError:
    return kind.__new__(kind, *args)


class RecordError(WardbeatError):
    """A record, an annotation file or a database is missing, truncated or not WFDB."""


class MessageError(WardbeatError):
    """A device's message was refused.

    Attributes:
        reason: a short stable word to count refusals by, for instance ``"length"``.
    """

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(what)
        self.reason = reason


class ConfigError(WardbeatError):
    """A setting, an argument or an installed file is wrong."""


class ModelError(ConfigError):
    """A model is not the pinned file, or its golden vectors do not reproduce."""
