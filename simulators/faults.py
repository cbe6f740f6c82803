"""Faults on demand: what a network does to a bed's messages, and the exact truth of what was done.

Pure: messages in, messages out, no clock and no network. A fault is written as ``KIND[:KEY=VALUE,...]``::

    drop:p=0.01            a hundredth of the messages is lost
    drop:every=20,for=2    2 s in every 20 s lose everything
    duplicate:p=0.1,times=3   a tenth of them comes four times
    reorder:p=0.05,by=4    a twentieth comes after the 4 that follow it
    jitter:p=1,max=0.2     each is up to 0.2 s late; their order stays, as in one connection
    corrupt:p=0.01,bits=2  a hundredth of them has 2 bits flipped
    stop:every=60,for=5    the device is off for the last 5 s of each minute

A fault strikes a message with probability `p` (1 where `every` is given) in the last `for` seconds of every `every`
seconds (always, where it is not). Faults apply in the order in which they are given.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from monitor.exceptions import ConfigError

KINDS: Final = ("drop", "duplicate", "reorder", "jitter", "corrupt", "stop")
_KEYS: Final = {
    "p": "p",
    "every": "every",
    "for": "seconds",
    "times": "times",
    "by": "by",
    "max": "longest",
    "bits": "bits",
}
_OWN: Final = {"duplicate": "times", "reorder": "by", "jitter": "max", "corrupt": "bits"}


class Message(NamedTuple):
    """One message on its way.

    Attributes:
        due: s since the start at which it is sent.
        number: counts the messages of the bed from 0.
        payload: its bytes.
    """

    due: float
    number: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault; the module says what the figures mean.

    Raises:
        ConfigError: a figure is out of range.
    """

    kind: str
    p: float = 1.0
    every: float = 0.0
    seconds: float = 0.0
    times: int = 1
    by: int = 1
    longest: float = 0.1
    bits: int = 1

    def __post_init__(self) -> None:
        whole = all(type(value) is int and 1 <= value <= 100 for value in (self.times, self.by, self.bits))
        period = self.every == self.seconds == 0.0 or 0.0 < self.seconds <= self.every < float("inf")
        if self.kind not in KINDS or not (0.0 <= self.p <= 1.0 and 0.0 <= self.longest <= 60.0 and whole and period):
            raise ConfigError("no such fault", where=str(self), remedy=f"{_EXAMPLES}")

    def strikes(self, due: float, chance: random.Random) -> bool:
        """Whether it befalls a message that is due then."""
        if self.every and due % self.every < self.every - self.seconds:
            return False
        return self.p >= 1.0 or chance.random() < self.p


_EXAMPLES: Final = "for instance drop:p=0.01, duplicate:p=0.1,times=3 or stop:every=60,for=5"

Truth = dict[str, Any]
"""What was done to one message: kind, number, due, and for some kinds a figure of its own."""


def parse_fault(text: str) -> Fault:
    """Read one fault.

    >>> parse_fault("drop:p=0.01").p, parse_fault("stop:every=60,for=5").seconds
    (0.01, 5.0)

    Raises:
        ConfigError: it is none.
    """
    kind, _, rest = text.partition(":")
    given: dict[str, Any] = {}
    try:
        for word in rest.split(",") if rest else ():
            key, _, value = word.partition("=")
            if key in _OWN.values() and _OWN.get(kind) != key:
                raise KeyError(key)
            given[_KEYS[key]] = int(value) if key in ("times", "by", "bits") else float(value)
    except (KeyError, ValueError):
        raise ConfigError(f"{text!r} is no fault", where="--fault", remedy=_EXAMPLES) from None
    return Fault(kind, **given)


def with_faults(
    messages: Iterable[Message],
    faults: Sequence[Fault],
    seed: int | str,
    note: Callable[[Truth], None] = lambda _: None,
) -> Iterator[Message]:
    """Put faults on a bed's messages.

    Args:
        messages: in order of `due`.
        faults: in the order in which they apply.
        seed: the same seed, the same faults.
        note: told what is done, as it is done.

    Yields:
        Messages in the order of sending; `due` never decreases.
    """
    for place, fault in enumerate(faults):
        messages = _APPLY[fault.kind](messages, fault, random.Random(f"{seed}/{place}/{fault.kind}"), note)
    return iter(messages)


_Apply = Callable[[Iterable[Message], Fault, random.Random, Callable[[Truth], None]], Iterator[Message]]


def _truth(fault: Fault, message: Message, **more: Any) -> Truth:
    return {"kind": fault.kind, "number": message.number, "due": round(message.due, 6), **more}


def _drop(
    messages: Iterable[Message], fault: Fault, chance: random.Random, note: Callable[[Truth], None]
) -> Iterator[Message]:
    for message in messages:
        if fault.strikes(message.due, chance):
            note(_truth(fault, message))
        else:
            yield message


def _duplicate(
    messages: Iterable[Message], fault: Fault, chance: random.Random, note: Callable[[Truth], None]
) -> Iterator[Message]:
    for message in messages:
        yield message
        if fault.strikes(message.due, chance):
            note(_truth(fault, message, times=fault.times))
            for _ in range(fault.times):
                yield message


def _reorder(
    messages: Iterable[Message], fault: Fault, chance: random.Random, note: Callable[[Truth], None]
) -> Iterator[Message]:
    held: list[list[Any]] = []  # messages that wait, and for how many more others
    due = 0.0
    for message in messages:
        due = message.due
        if fault.strikes(due, chance):
            note(_truth(fault, message, by=fault.by))
            held.append([fault.by, message])
            continue
        yield message
        for entry in held:
            entry[0] -= 1
        for late in [entry[1] for entry in held if entry[0] == 0]:
            yield late._replace(due=due)
        held = [entry for entry in held if entry[0]]
    for _, late in held:
        yield late._replace(due=due)


def _jitter(
    messages: Iterable[Message], fault: Fault, chance: random.Random, note: Callable[[Truth], None]
) -> Iterator[Message]:
    latest = 0.0
    for message in messages:
        due = message.due
        if fault.strikes(due, chance):
            due += chance.uniform(0.0, fault.longest)
        latest = max(latest, due)  # what follows a late one waits behind it
        if latest > message.due:
            note(_truth(fault, message, by_s=round(latest - message.due, 6)))
        yield message._replace(due=latest)


def _corrupt(
    messages: Iterable[Message], fault: Fault, chance: random.Random, note: Callable[[Truth], None]
) -> Iterator[Message]:
    for message in messages:
        if not fault.strikes(message.due, chance):
            yield message
            continue
        payload = bytearray(message.payload)
        flipped = sorted(chance.sample(range(8 * len(payload)), min(fault.bits, 8 * len(payload))))
        for bit in flipped:
            payload[bit // 8] ^= 1 << bit % 8
        note(_truth(fault, message, bits=flipped))
        yield message._replace(payload=bytes(payload))


_APPLY: Final[dict[str, _Apply]] = {
    "drop": _drop,
    "duplicate": _duplicate,
    "reorder": _reorder,
    "jitter": _jitter,
    "corrupt": _corrupt,
    "stop": _drop,  # nothing leaves the device; its samples go on being counted
}
