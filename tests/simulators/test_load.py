"""Prepared beds: their messages are those of a device, and their phases are spread."""

import itertools

import numpy as np
import pytest

from monitor.messages import decode
from monitor.records import toy_record
from simulators.faults import parse_fault
from simulators.load import LOOP_S, Loop, _schedule, load_of
from simulators.numbered import LEAD, check, in_units
from simulators.player import Bed, Device
from simulators.scenario import find_scenario
from simulators.sources import RecordSource


def patient(fs=360.0, scenario="sinus"):
    story = find_scenario(scenario)
    return Bed("bed-01", story.patient(fs=fs, seed=1), story.alias, story.paced)


def decoded(bed, seconds, began_us=0):
    return [decode(bed.id, message.payload) for message in bed.messages(seconds, began_us)]


@pytest.mark.parametrize(("fs", "rate"), [(360.0, 10.0), (250.0, 4.0), (360.0, 7.0)])
def test_messages_are_those_of_a_device(fs, rate):
    [bed] = load_of([patient(fs)], 1, rate=rate)
    device = Device(patient(fs), rate=rate, stream=bed.stream)
    device.resume(0.0, 5_000_000)
    for message, chunk in zip(bed.messages(20.0, 5_000_000), decoded(bed, 20.0, 5_000_000), strict=True):
        theirs = device.next_chunk()
        assert theirs is not None
        for name in ("stream", "seq", "first", "fs", "time_us", "lead_off"):
            assert getattr(chunk, name) == getattr(theirs, name), name
        np.testing.assert_allclose(chunk.samples, theirs.samples, atol=0.0026)
        assert message.due == pytest.approx((message.number + 1) / rate)


def test_beds_that_share_a_patient_start_apart_and_leave_the_other_alone():
    one, two = load_of([patient()], 2, rate=10.0)
    pairs = list(zip(one.messages(3.0), two.messages(3.0), strict=True))  # drawn in turns from the same templates
    for a, b in pairs:
        assert decode("a", a.payload).stream != decode("b", b.payload).stream
    assert decoded(two, 3.0)[0].first == 0
    half = decoded(one, LOOP_S / 2 + 3.0)[-30:]
    for other, chunk in zip(decoded(two, 3.0), half, strict=True):
        np.testing.assert_array_equal(other.samples, chunk.samples)


def test_numbers_run_on_over_the_end_of_the_loop():
    [bed] = load_of([patient()], 1, rate=4.0, numbered=True)
    chunks = decoded(bed, LOOP_S + 10.0)
    assert bed.loop.leads[-1] == LEAD
    lead = np.concatenate([in_units(chunk.samples[:, 2]) for chunk in chunks])
    assert len(lead) == 70 * 360
    assert check(lead, 0) == []
    np.testing.assert_array_equal(chunks[0].samples[:, :2], chunks[4 * LOOP_S].samples[:, :2])


def test_a_record_of_one_lead_gets_a_second_before_the_number():
    bed = Bed("bed-01", RecordSource(toy_record()))
    loop = Loop(bed, rate=10.0, numbered=True)
    assert loop.leads == ("MLII", "half", LEAD)


def test_phases_are_spread_over_the_interval_and_the_schedule_is_in_order():
    beds = load_of([patient()], 50, rate=10.0)
    schedule = list(_schedule(beds, 1.0, [], 0, lambda truth: None))
    dues = [due for due, *_ in schedule]
    assert len(schedule) == 500
    np.testing.assert_allclose(np.diff(dues), 0.002, atol=1e-9)


def test_faults_of_the_beds_differ_and_their_truth_names_the_bed():
    beds = load_of([patient()], 3, rate=10.0)
    truth = []
    schedule = list(_schedule(beds, 30.0, [parse_fault("drop:p=0.2")], 0, truth.append))
    assert len(schedule) + len(truth) == 900
    lost = {bed.id: [entry["number"] for entry in truth if entry["bed"] == bed.id] for bed in beds}
    assert all(a != b for a, b in itertools.combinations(lost.values(), 2))


def test_the_message_of_a_sample_is_found():
    for bed in load_of([patient()], 2, rate=7.0):
        for message, chunk in zip(bed.messages(5.0), decoded(bed, 5.0), strict=True):
            assert {bed.message_of(chunk.first), bed.message_of(chunk.end - 1)} == {message.number}


def test_what_does_not_come_out_even_is_refused():
    with pytest.raises(ValueError, match="come out even"):
        Loop(patient(), rate=7.01)
