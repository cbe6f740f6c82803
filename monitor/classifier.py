"""The network that names beats: a pinned TorchScript file whose card is a contract.

A TorchScript file is a program, so nothing of it is read before its SHA-256 has been compared with the pinned one.
Then its card must describe exactly this front end, and its golden vectors must come out as they did where it was made.

A row's result must not depend on how many neighbours it has. The card names a batch size that was checked where the
model was made: there it depends on neither its place nor its neighbours, to the last bit. When the model is loaded it
is seen whether other sizes, padded with zeros to a multiple of STEP, give the golden vectors the same bits. Where they
do, beats are classified so; otherwise all batches have the card's size.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.beats import FEATURES, channels_of, features_of
from monitor.ecg import AAMI_CLASSES, FS, MAX_LEADS
from monitor.exceptions import ConfigError, ModelError
from monitor.window import AFTER, BEFORE, STRIDE, WIDTH

log = logging.getLogger(__name__)

MODELS: Final = Path(__file__).with_name("models")
PINS: Final = MODELS / "pins.toml"
TOLERANCE: Final = 1e-4
"""How far the golden vectors' probabilities may differ from the card's, across machines."""
MAX_BYTES: Final = 64 * 1024 * 1024

CARD_FILE: Final = "card.json"

STEP: Final = 4
"""Batches are padded to a multiple of so many beats: matrix products of fewer rows add in another order."""
LARGEST: Final = 64
"""Beats in a batch at most: more cost no less each."""


def front_end(leads: int) -> dict[str, Any]:
    """What the card of a model for so many leads must say about its inputs and outputs, word by word.

    A model need not take all the features: its card may list fewer of them, in its own order.
    """
    return {
        "fs": FS,
        "before": BEFORE,
        "after": AFTER,
        "stride": STRIDE,
        "width": WIDTH,
        "leads": leads,
        "channels": list(channels_of(leads)),
        "features": list(features_of(leads)),
        "classes": list(AAMI_CLASSES),
    }


class Names(Protocol):
    """Anything that can name beats."""

    def classify(self, windows: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Name beats.

        Args:
            windows: (n, channels, WIDTH) float32; a model reads the first ones, those of its own leads.
            features: (n, len(FEATURES)) float32; a model reads those that its card names.

        Returns:
            (n, len(AAMI_CLASSES)) float32 probabilities.
        """


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        ModelError: it cannot be read, or is far too long for a model.
    """
    return hashlib.sha256(_read(path)).hexdigest()


def default_model() -> tuple[Path, str]:
    """The model for one lead that comes with wardbeat: its path and its pinned SHA-256."""
    listed = _pins()
    name = listed["default"]
    return MODELS / f"{name}.pt", str(listed["sha256"][name])


def default_two_lead_model() -> tuple[Path, str] | None:
    """The model for two leads that comes with wardbeat, if there is one: its path and its pinned SHA-256."""
    listed = _pins()
    name = listed.get("two_leads")
    return None if name is None else (MODELS / f"{name}.pt", str(listed["sha256"][name]))


def _pins() -> dict[str, Any]:
    try:
        listed = tomllib.loads(PINS.read_text())
        for key in ("default", "two_leads"):
            if key == "default" or key in listed:
                str(listed["sha256"][listed[key]])
        return listed
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ModelError(
            f"the list of pinned models is damaged ({error})",
            where=str(PINS),
            remedy="install wardbeat again",
        ) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="give the path of a model file"
        ) from None
    if len(data) > MAX_BYTES:
        raise ModelError(f"longer than {MAX_BYTES} bytes", where=str(path), remedy="this is not a wardbeat model")
    return data


def encode_array(array: NDArray[np.float32]) -> dict[str, Any]:
    """An array as an entry of the card."""
    data = base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()
    return {"shape": list(array.shape), "float32": data}


def decode_array(entry: dict[str, Any]) -> NDArray[np.float32]:
    """The array of an entry that :func:`encode_array` made."""
    return np.frombuffer(base64.b64decode(entry["float32"]), "<f4").reshape(entry["shape"]).astype(np.float32)


def check_card(card: dict[str, Any], where: str) -> int:
    """See that a card describes this front end; return for how many leads.

    Raises:
        ModelError: it describes another one.
    """
    leads: int = card["leads"] if card.get("leads") in range(1, MAX_LEADS + 1) else 1
    for key, value in front_end(leads).items():
        if not (_are_features(card.get(key), value) if key == "features" else card.get(key) == value):
            raise ModelError(
                f"made for another front end: {key} differs",
                where=where,
                remedy="train a model with this version of wardbeat",
            )
    return leads


def _are_features(named: Any, known: list[str]) -> bool:
    """Whether a card's list names some of the known features, each once."""
    if not isinstance(named, list) or not named or not all(name in known for name in named):
        return False
    return len(set(named)) == len(named)


def pins() -> dict[str, str]:
    """The models that come with wardbeat: name -> SHA-256.

    Raises:
        ModelError: their list is damaged.
    """
    return {str(name): str(digest).lower() for name, digest in _pins()["sha256"].items()}


class Classifier:
    """A verified TorchScript model.

    Attributes:
        path: where it came from.
        sha256: its pinned digest.
        card: what it says of itself: window, rate, features, classes, training records, scores.
        leads: how many leads it names beats from.
        worst: how far the golden vectors' probabilities differ from the card's.
    """

    def __init__(self, path: Path | None = None, sha256: str | None = None) -> None:
        """Load and verify a model.

        Args:
            path: a model file; None takes the one that comes with wardbeat, and its pin.
            sha256: the digest the file must have; required with `path`.

        Raises:
            ModelError: the file is missing, is not the pinned one, was made for another front end, or its golden
                vectors do not reproduce.
        """
        if path is None:
            path, sha256 = default_model()
        if not sha256:
            raise ModelError(
                "its SHA-256 is not given",
                where=str(path),
                remedy="pass --model-sha256; wardbeat train prints it",
            )
        data = _read(path)
        found = hashlib.sha256(data).hexdigest()
        if found != sha256.lower():
            raise ModelError(
                f"SHA-256 is {found[:12]}..., pinned is {sha256.lower()[:12]}...",
                where=str(path),
                remedy="do not use this file; fetch or train the model again",
            )
        self.path = path
        self.sha256 = found
        self._load(data)
        self._verify()

    def _load(self, data: bytes) -> None:
        import torch

        torch.set_num_threads(1)  # beats come a few at a time: threads cost more than they bring
        extra = {CARD_FILE: ""}
        try:
            module = torch.jit.load(io.BytesIO(data), map_location="cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
            self.card: dict[str, Any] = json.loads(extra[CARD_FILE])
            self._batch = int(self.card["batch"])
            if self._batch < 1:
                raise ValueError(f"a batch of {self._batch}")
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"not a wardbeat model ({str(error)[:100]})", where=str(self.path), remedy="train it again"
            ) from None
        self.leads = check_card(self.card, str(self.path))
        self._torch = torch
        self._channels = len(channels_of(self.leads))
        self._columns = np.array([FEATURES.index(name) for name in self.card["features"]])
        self._module = module.eval()
        self._step = self._largest = self._batch  # until other sizes are known to give the same bits

    def _verify(self) -> None:
        try:
            golden = self.card["golden"]
            windows, features = decode_array(golden["windows"]), decode_array(golden["features"])
            expected = decode_array(golden["probabilities"])
            for _ in range(3):  # TorchScript optimises during the first calls
                found = self.answer(windows, features)
            if found.shape != expected.shape:
                raise ValueError(f"{found.shape} values for {expected.shape}")
            worst = float(np.max(np.abs(found - expected)))
        except Exception as error:  # a network may raise anything
            raise ModelError(
                f"golden vectors cannot be computed ({str(error)[:100]})", where=str(self.path), remedy="train it again"
            ) from None
        self.worst = worst
        if self._sizes_agree(windows, features, found):
            self._step, self._largest = STEP, LARGEST
        if not worst <= TOLERANCE:
            raise ModelError(
                f"golden vectors differ by {worst:.2g}, allowed is {TOLERANCE:g}",
                where=str(self.path),
                remedy="this machine's torch computes something else: install the pinned version",
            )

    def classify(self, windows: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Name beats; see :meth:`Names.classify`."""
        return self.answer(windows[:, : self._channels], np.take(features, self._columns, axis=1))

    def answer(self, windows: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same from what the model takes and nothing else: its own channels, and the features its card names."""
        torch = self._torch
        count = len(windows)
        result = np.empty((count, len(AAMI_CLASSES)), np.float32)
        with torch.inference_mode():
            for first in range(0, count, self._largest):
                here = slice(first, min(first + self._largest, count))
                w, f = (torch.from_numpy(_padded(part[here], self._step)) for part in (windows, features))
                result[here] = self._module(w, f).numpy()[: here.stop - first]
        return result

    def _sizes_agree(
        self, windows: NDArray[np.float32], features: NDArray[np.float32], expected: NDArray[np.float32]
    ) -> bool:
        """Whether batches of every size that may come name beats as those of the card's size do, to the bit."""
        torch = self._torch
        with torch.inference_mode():
            for size in range(STEP, LARGEST + 1, STEP):
                rows = np.arange(size) % len(windows)
                w, f = (torch.from_numpy(np.ascontiguousarray(part[rows])) for part in (windows, features))
                if (self._module(w, f).numpy() != expected[rows]).any():
                    return False
        return True


def _padded(part: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Rows and behind them zeros, a multiple of `step` in all; no copy where there are as many already."""
    count = len(part)
    if count % step == 0:
        return np.ascontiguousarray(part)
    padded = np.zeros((-(-count // step) * step, *part.shape[1:]), np.float32)
    padded[:count] = part
    return padded


class Unavailable:
    """Stands where a model should be: beats that are given to it get no name, and their bed says so."""

    def classify(self, windows: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
        """No probabilities: NaN."""
        return np.full((len(windows), len(AAMI_CLASSES)), np.nan, np.float32)


class Models(NamedTuple):
    """Which model names a beat: by how many of its leads can be analysed.

    Attributes:
        one: for one lead, and for two where there is no other; :class:`Unavailable`: there should be one.
        two: for two leads; None: there is none, :class:`Unavailable`: there should be one.
    """

    one: Classifier | Unavailable
    two: Classifier | Unavailable | None = None

    @property
    def digests(self) -> dict[str, str | None]:
        """SHA-256 of each, for what was computed with them."""
        return {
            "model_sha256": getattr(self.one, "sha256", None),
            "two_lead_model_sha256": getattr(self.two, "sha256", None),
        }


def load_models(files: Sequence[tuple[Path, str | None]] = (), *, strict: bool = False) -> Models:
    """Load the models that name beats from one lead and from two.

    A file's card says for how many leads it is. What is not given is the model that comes with wardbeat; but a model
    for one lead that is given alone names the beats of two leads too, from the first: whoever names a model wants its
    names.

    Args:
        files: at most two, each with the digest it must have.
        strict: refuse a model that comes with wardbeat and is missing or damaged; otherwise that is logged, and
            :class:`Unavailable` takes its place: monitoring goes on with what the detector knows by itself, and every
            bed is in the technical alarm MODEL. A model that is given and cannot be used is refused in any case:
            whoever names one is there to be told.

    Raises:
        ModelError: a model that is given, or with `strict` any, is missing, not the pinned one, or does not keep its
            contract.
        ConfigError: two models are for the same number of leads.
    """
    given: dict[int, Classifier] = {}
    for path, sha256 in files:
        model = Classifier(path, sha256)
        if model.leads in given:
            what = f"both this and {given[model.leads].path} name beats from {_LEADS[model.leads]}"
            raise ConfigError(what, where=str(path), remedy="give one for each number of leads")
        given[model.leads] = model
    one = given.get(1) or _shipped(1, default_model, strict)
    return Models(one or Unavailable(), given.get(2) if given else _shipped(2, default_two_lead_model, strict))


_LEADS: Final = {1: "one lead", 2: "two leads"}
_INSTEAD: Final = {1: "by rule", 2: "from one"}


def _shipped(leads: int, find: Callable[[], tuple[Path, str] | None], strict: bool) -> Classifier | Unavailable | None:
    """The model that comes with wardbeat for so many leads; None: there is none."""
    try:
        found = find()
        if found is None:
            return None
        model = Classifier(*found)
        if model.leads != leads:
            raise ModelError(f"not for {_LEADS[leads]}", where=str(model.path), remedy="install wardbeat again")
        return model
    except ModelError as error:
        if strict:
            raise
        log.error("beats of %s are named %s: %s", _LEADS[leads], _INSTEAD[leads], error)
        return Unavailable()


def check_rows(classifier: Classifier) -> None:
    """See that the golden beats are named the same, to the bit, alone, in another order, and among strangers.

    Raises:
        ModelError: they are not.
    """
    windows, features = (decode_array(classifier.card["golden"][name]) for name in ("windows", "features"))
    together = classifier.answer(windows, features)
    turned = classifier.answer(windows[::-1].copy(), features[::-1].copy())[::-1]
    alone = [classifier.answer(windows[i : i + 1], features[i : i + 1])[0] for i in range(len(windows))]
    strange_w, strange_f = windows.copy(), features.copy()
    strange_w[1::2], strange_f[1::2] = 1e3, -1e3
    among = classifier.answer(strange_w, strange_f)[::2]
    same = (together == turned).all() and (together[::2] == among).all()
    if not same or any((one != row).any() for one, row in zip(alone, together, strict=True)):
        raise ModelError(
            "a beat's name depends on its neighbours",
            where=str(classifier.path),
            remedy="use the pinned version of torch, or another network",
        )
