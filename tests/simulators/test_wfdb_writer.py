"""Records: what is read back is what was drawn."""

import numpy as np
import pytest
import wfdb

from monitor.exceptions import RecordError
from monitor.records import read_record
from simulators.conduction import Paced
from simulators.noise import LeadOff, Saturation, When
from simulators.rhythms import Silence, Sinus
from simulators.synthetic import Patient
from simulators.ventricular import VentricularFibrillation
from simulators.wfdb_writer import write_record

STORY = (Sinus(8, ectopy={"V": 20}), VentricularFibrillation(5), Silence(5), Paced(6), Sinus(3))


@pytest.mark.parametrize("fs", [250.0, 360.0])
def test_record_is_read_back(tmp_path, fs):
    lost = LeadOff((1,), When(2, 1)), Saturation((0,), When(4, 0.5))
    strip = Patient(STORY, fs=fs, disturbances=lost, repeat=False).strip(round(30 * fs))
    record = read_record(write_record(strip, tmp_path, "one"))
    assert (record.fs, record.leads) == (fs, ("MLII", "V1"))
    np.testing.assert_array_equal(np.isnan(record.signal), np.isnan(strip.signal))
    fine = np.isfinite(strip.signal)
    np.testing.assert_allclose(record.signal[fine], strip.signal[fine], atol=0.0026)
    assert (record.signal[np.isposinf(strip.signal)] > 100.0).all()


def test_truth_is_read_back(tmp_path):
    patient = Patient(STORY, repeat=False)
    patient.take(720)
    strip = patient.strip(28 * 360)  # a strip from the middle counts from its own start
    write_record(strip, tmp_path, "one")
    truth = wfdb.rdann(str(tmp_path / "one"), "atr")
    rows = list(zip(truth.sample.tolist(), truth.symbol, truth.aux_note, strict=True))
    beats = [(at + 720, symbol) for at, symbol, _ in rows if symbol not in "+[]"]
    assert beats == list(zip(strip.r_peaks.tolist(), strip.symbols, strict=True))
    assert [(at + 720, note.strip("\0")) for at, symbol, note in rows if symbol == "+"] == [
        (span.start, f"({span.rhythm}") for span in strip.rhythms
    ]
    vf = next(span for span in strip.rhythms if span.rhythm == "VF")
    assert [(at + 720, symbol) for at, symbol, _ in rows if symbol in "[]"] == [(vf.start, "["), (vf.end, "]")]
    pulses = wfdb.rdann(str(tmp_path / "one"), "pace")
    assert (pulses.sample + 720).tolist() == strip.spikes.tolist()


def test_record_that_cannot_be_written_is_a_record_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordError, match="cannot be written"):
        write_record(Patient([Sinus(5)]).strip(720), tmp_path / "file", "one")
