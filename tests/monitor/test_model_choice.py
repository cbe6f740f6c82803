"""Which model names a beat: by how many leads show it, and what happens where one is not there or fails."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import stub_model
from streams import BED, cut, finals, listen, of, one_by_one, sinus

from monitor import classifier, ward
from monitor.beats import channels_of, features_of
from monitor.classifier import Classifier, Unavailable, load_models
from monitor.ecg import AAMI_CLASSES, FS
from monitor.events import Alarm, Beat, Qrs
from monitor.exceptions import ConfigError, ModelError
from monitor.ward import Ward
from monitor.window import WIDTH

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two made-up models, path and digest: of one lead and of two."""
    folder = tmp_path_factory.mktemp("models")
    return [
        (folder / f"{leads}.pt", stub_model.write_model(folder / f"{leads}.pt", leads_named_from=leads))
        for leads in (1, 2)
    ]


@pytest.fixture
def ship(monkeypatch, tmp_path, files):
    """Ship the models given by name; pins.toml says what `pins` says."""
    monkeypatch.setattr(classifier, "PINS", tmp_path / "pins.toml")
    monkeypatch.setattr(classifier, "MODELS", tmp_path)

    def ship(pins: str, **names: int) -> None:
        for name, leads in names.items():
            (tmp_path / f"{name}.pt").write_bytes(files[leads - 1][0].read_bytes())
        digests = "\n".join(f'{name} = "{files[leads - 1][1]}"' for name, leads in names.items())
        (tmp_path / "pins.toml").write_text(f"{pins}\n[sha256]\n{digests}\n")

    return ship


BOTH = 'default = "a"\ntwo_leads = "b"'


# -- what is loaded


def test_models_that_ship(ship, files):
    ship(BOTH, a=1, b=2)
    models = load_models()
    assert (models.one.leads, models.two.leads) == (1, 2)
    assert models.digests == {"model_sha256": files[0][1], "two_lead_model_sha256": files[1][1]}


def test_a_single_model_that_ships(ship, files):
    ship('default = "a"', a=1)
    models = load_models(strict=True)
    assert models.two is None
    assert models.digests == {"model_sha256": files[0][1], "two_lead_model_sha256": None}


@pytest.mark.parametrize("order", [1, -1])
def test_two_models_go_by_their_cards(files, order):
    models = load_models(files[::order])
    assert [model.sha256 for model in models] == [digest for _, digest in files]


def test_a_model_of_two_leads_goes_beside_the_one_that_ships(ship, files):
    ship(BOTH, a=1, b=2)
    models = load_models([files[1]])
    assert (models.one.path.name, models.two.path) == ("a.pt", files[1][0])


def test_a_model_of_one_lead_names_everything(ship, files):
    ship(BOTH, a=1, b=2)
    models = load_models([files[0]])
    assert (models.one.path, models.two) == (files[0][0], None)


def test_two_models_of_the_same_leads(files):
    with pytest.raises(ConfigError) as refusal:
        load_models([files[1], files[1]])
    path = files[1][0]
    assert str(refusal.value) == (
        f"{path}: both this and {path} name beats from two leads; give one for each number of leads"
    )


@pytest.mark.parametrize("damage", ["missing", "flipped", "of one lead"])
def test_a_shipped_model_of_two_leads_that_cannot_be_used(ship, tmp_path, caplog, damage):
    ship(BOTH, a=1, b=1 if damage == "of one lead" else 2)
    if damage == "missing":
        (tmp_path / "b.pt").unlink()
    elif damage == "flipped":
        (tmp_path / "b.pt").write_bytes((tmp_path / "b.pt").read_bytes()[:-1] + b"?")
    with caplog.at_level(logging.ERROR):
        models = load_models()
    assert models.one.leads == 1
    assert isinstance(models.two, Unavailable)
    assert "beats of two leads are named from one" in caplog.text
    with pytest.raises(ModelError):
        load_models(strict=True)


@pytest.mark.parametrize("damage", ["missing", "of two leads", "pins"])
def test_a_shipped_model_of_one_lead_that_cannot_be_used(ship, tmp_path, caplog, damage):
    """Monitoring goes on without names of a network, and every bed says so."""
    ship(BOTH, a=2 if damage == "of two leads" else 1, b=2)
    if damage == "missing":
        (tmp_path / "a.pt").unlink()
    elif damage == "pins":
        (tmp_path / "pins.toml").write_text("default =")
    with caplog.at_level(logging.ERROR):
        models = load_models()
    assert isinstance(models.one, Unavailable)
    assert "beats of one lead are named by rule" in caplog.text
    assert models.digests["model_sha256"] is None
    with pytest.raises(ModelError):
        load_models(strict=True)


def test_a_given_model_that_cannot_be_used_is_refused(ship, files):
    ship(BOTH, a=1, b=2)
    with pytest.raises(ModelError, match="SHA-256 is"):
        load_models([(files[0][0], "0" * 64)])


def test_a_damaged_model_is_refused_by_its_hash_whatever_the_damage(ship, tmp_path, monkeypatch, files):
    """Nothing of it is read before: it is a program."""
    monkeypatch.setattr("torch.jit.load", lambda *_, **__: pytest.fail("it was loaded"))
    whole, sha256 = files[0][0].read_bytes(), files[0][1]
    path = tmp_path / "x.pt"
    random = np.random.default_rng(38)
    damaged = [whole[:n] for n in (0, 1, len(whole) // 2, len(whole) - 1)] + [whole + b"\0"]
    for bit in random.integers(0, 8 * len(whole), 1000).tolist():
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(data))
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(ModelError, match="SHA-256 is"):
            Classifier(path, sha256)
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        Classifier(path, sha256)
    path.symlink_to("/dev/zero")
    with pytest.raises(ModelError, match="longer than"):
        Classifier(path, sha256)


def test_a_pin_without_a_digest(ship):
    ship('default = "a"\ntwo_leads = "c"', a=1)
    with pytest.raises(ModelError, match="the list of pinned models is damaged"):
        classifier.default_two_lead_model()


# -- which is asked

LOST = (8 * FS, 16 * FS)
"""The second lead is lost in between."""


class Model:
    """Gives every beat one name, and does what it is told to; keeps what it was shown."""

    def __init__(self, label, failing=None):
        self.label, self.failing = label, failing
        self.shown = 0

    def classify(self, windows, features):
        assert windows.shape[1:] == (len(channels_of(2)), WIDTH)
        assert features.shape[1:] == (len(features_of(2)),)
        self.shown += len(windows)
        if self.failing == "raises":
            raise RuntimeError("broken")
        result = np.zeros((len(windows), len(AAMI_CLASSES)), np.float32)
        result[:, AAMI_CLASSES.index(self.label)] = np.nan if self.failing == "NaN" else 1.0
        return result


@pytest.fixture(autouse=True)
def two_leads(monkeypatch):
    """Every window is usable in both leads, but for those that LOST touches."""
    tick = ward.frontend.tick

    def with_leads(states, segments, samples, tables, marks, found, *rest):
        made, count = tick(states, segments, samples, tables, marks, found, *rest)
        within = (found["sample"][:count] >= LOST[0]) & (found["sample"][:count] < LOST[1])
        found["leads"][:count] = np.where(within, 1, 2)
        return made, count

    monkeypatch.setattr(ward.frontend, "tick", with_leads)


SIGNAL = sinus(24.0)


def play(ward, signal=SIGNAL, size=36, first=0, seq=0):
    return [
        event for chunk in cut(signal, size, first=first, seq=seq) for event in ward.feed([chunk], now=chunk.end / FS)
    ]


def names_by_leads(events):
    """Names of the beats two leads show, and of those one shows."""
    return [{beat.symbol for beat in of(events, Beat) if beat.leads == leads} for leads in (2, 1)]


def model_alarms(events):
    return [(alarm.state, alarm.reason) for alarm in of(events, Alarm) if alarm.code == "MODEL"]


def test_the_leads_choose_the_model_beat_by_beat():
    one, two = Model("S"), Model("V")
    events = play(Ward(one, two_leads=two))
    assert names_by_leads(events) == [{"V"}, {"S"}]
    beats = of(events, Beat)
    assert len(finals(beats)) == len(of(events, Qrs)) - 1
    assert [beat.symbol for beat in beats] == ["S" if LOST[0] <= beat.sample < LOST[1] else "V" for beat in beats]
    assert {beats[0].symbol, beats[-1].symbol} == {"V"}  # before, and back again
    assert (one.shown, two.shown) == tuple(sum(b.leads == leads for b in beats) for leads in (1, 2))
    assert model_alarms(events) == []


def test_without_a_model_of_two_leads_one_names_all_and_is_shown_all_rows():
    one = Model("S")
    events = play(Ward(one))
    assert names_by_leads(events) == [{"S"}, {"S"}]
    assert one.shown == len(of(events, Beat))
    assert model_alarms(events) == []


@pytest.mark.parametrize("failing", ["raises", "NaN"])
def test_a_failing_model_of_two_leads_gives_way_and_it_is_said(failing, caplog):
    with caplog.at_level(logging.CRITICAL):
        events = play(Ward(Model("S"), two_leads=Model("V", failing)))
    assert names_by_leads(events) == [{"S"}, {"S"}]
    assert all(beat.p is not None for beat in of(events, Beat))
    # A beat of one lead says nothing about the model of two: the alarm stands, and is not raised again.
    assert model_alarms(events) == [("raised", "beats of two leads are named from one")]


def test_a_model_that_should_be_there_is_missed():
    events = play(Ward(Model("S"), two_leads=Unavailable()))
    assert names_by_leads(events) == [{"S"}, {"S"}]
    assert model_alarms(events) == [("raised", "beats of two leads are named from one")]


def test_without_any_model_the_detector_goes_on_and_it_is_said():
    events = play(Ward(Unavailable(), two_leads=Unavailable()))
    by_rule = play(Ward())
    assert [beat.symbol for beat in of(events, Beat)] == [beat.symbol for beat in of(by_rule, Beat)]
    assert len(of(events, Qrs)) == len(of(by_rule, Qrs)) > 20
    assert model_alarms(events) == [("raised", "beats are named by rule")]


def test_both_models_fail(caplog):
    with caplog.at_level(logging.CRITICAL):
        events = play(Ward(Model("S", "raises"), two_leads=Model("V", "raises")))
    by_rule = play(Ward())
    assert [beat.symbol for beat in of(events, Beat)] == [beat.symbol for beat in of(by_rule, Beat)]
    assert {beat.p for beat in of(events, Beat)} == {None}
    assert model_alarms(events) == [("raised", "beats are named by rule")]


def test_a_failing_model_of_one_lead_costs_only_beats_of_one_lead_their_names(caplog):
    with caplog.at_level(logging.CRITICAL):
        events = play(Ward(Model("S", "raises"), two_leads=Model("V")))
    assert names_by_leads(events)[0] == {"V"}
    assert model_alarms(events) == [("raised", "beats are named by rule")]


def test_a_model_that_recovers_ends_the_alarm_even_in_another_ward():
    broken, well = Ward(Model("S"), two_leads=Unavailable()), Ward(Model("S"), two_leads=Model("V"))
    before = play(broken, SIGNAL[: 12 * FS])
    well.restore(broken.snapshot(BED))
    after = play(well, SIGNAL[12 * FS :], first=12 * FS, seq=1000)
    assert model_alarms(before) == [("raised", "beats of two leads are named from one")]
    assert model_alarms(after) == [("cleared", "end")]
    cleared = next(alarm for alarm in of(after, Alarm) if alarm.code == "MODEL")
    assert cleared.emitted > LOST[1]  # not by the beats of one lead in between


def test_neither_cuts_nor_neighbours_show_in_names(files):
    """Bit-equal with real networks, whatever shares their batches."""
    models = load_models(files)

    def heard(feeds):
        ward = Ward(models.one, two_leads=models.two)
        return [event for feed in feeds for event in ward.feed(feed) if event.bed == BED]

    whole = heard([cut(SIGNAL, len(SIGNAL))])
    assert {beat.leads for beat in of(whole, Beat)} == {1, 2}
    assert heard(one_by_one(cut(SIGNAL, 36))) == whole
    others = [cut(-SIGNAL[: 20 * FS], 50, bed=f"other-{n}") for n in range(3)]
    assert heard([[*(c for o in others for c in o), *cut(SIGNAL, 360)]]) == whole
    two = Classifier(*files[1])
    assert play(Ward(models.one, two_leads=two)) == whole
    assert listen([cut(SIGNAL, len(SIGNAL))], classifier=models.one).events != whole
