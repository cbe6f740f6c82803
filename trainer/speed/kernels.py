"""wardbeat's kernels called by themselves, to be timed. No other module here knows what arguments they take.

:class:`WholeRecord` gives each kernel a record in one call; :class:`BedsOfAWard` goes the way of a live ward.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt

from monitor import align, filters, frontend, qrs
from monitor.ecg import FS, MAX_LEADS
from monitor.events import Beat
from monitor.fibrillation_weights import shipped
from monitor.kernel import kernel
from monitor.records import Record
from monitor.replay import analyse
from monitor.ward import BED_STATE

LEADS: Final = (1, 2)
"""Numbers of leads that the detector can look at."""

BEDS: Final = 64
CHUNK: Final = 36
"""Samples a message: 100 ms."""

LEAD_IN: Final = 100
"""Messages of every bed before time is kept: 10 s, past what the detector learns from."""


class WholeRecord:
    """The filters and the detector over a whole record, each in one call.

    Args:
        signal: (n, leads) mV at 360 Hz, no NaN.
    """

    def __init__(self, signal: NDArray[np.floating]) -> None:
        self._count, self._leads = signal.shape
        # Written here, so that the first touch of fresh memory is not timed.
        self._samples = np.full((MAX_LEADS, self._count), 0.0)
        self._samples[: self._leads] = signal.T
        self._usable = np.full((MAX_LEADS, self._count), 0)
        self._usable[: self._leads] = 1
        self._display = np.full((MAX_LEADS, self._count), 0.0)
        self._band = np.full((MAX_LEADS, self._count), 0.0)
        self._found = np.zeros(2 * (self._count // qrs.REFRACTORY) + 80, qrs.DETECTION)

    def filters(self) -> None:
        """Filter each lead for display and for the detector."""
        state = np.zeros(1, filters.STATE)[0]
        filters.step(state, self._samples, self._count, self._leads, self._display, self._band)

    def detector(self) -> None:
        """Look for beats in what :meth:`filters` left."""
        state = np.zeros(1, qrs.STATE)[0]
        qrs.start(state)
        qrs.step(
            state,
            self._samples,
            self._band,
            self._display,
            self._usable,
            self._leads,
            self._count,
            self._found,
        )

    def both(self) -> None:
        """Filter, then look for beats."""
        self.filters()
        self.detector()

    def sosfilt(self) -> None:
        """What :meth:`filters` does, by scipy: the same coefficients, float64."""
        for lead in range(self._leads):
            sosfilt(filters.DISPLAY_SOS, self._samples[lead])
            sosfilt(filters.DETECTOR_SOS, self._samples[lead])


@kernel
def _detect(states, samples, first, leads, settled, display, band, usable, found):  # type: ignore[no-untyped-def]
    """What :func:`monitor.frontend.tick` does with a message of each bed, but for all beside filters and detector."""
    for bed in range(states.size):
        for lead in range(leads):
            for i in range(CHUNK):
                settled[lead, i] = np.float64(samples[bed * CHUNK + i, lead]) - np.float64(first[bed, lead])
        filters.step(states[bed]["filters"], settled, CHUNK, leads, display, band)
        qrs.step(states[bed]["qrs"], settled, band, display, usable, leads, CHUNK, found)


class BedsOfAWard:
    """:func:`monitor.frontend.tick` with a message of each bed a call, as :class:`monitor.ward.Ward` calls it.

    Beside it, on beds of their own, the filters and the detector alone with the same messages.

    Each of :data:`BEDS` beds plays another part of one record; together they play it once.

    Args:
        signal: (n, leads) mV at 360 Hz, at least one message a bed.

    Attributes:
        samples: that :meth:`play` takes, all beds together; a sample of two leads counts once.
    """

    def __init__(self, signal: NDArray[np.floating]) -> None:
        count, leads = signal.shape
        messages = count // BEDS // CHUNK
        self.samples = messages * BEDS * CHUNK
        first = np.arange(BEDS)[:, np.newaxis] * (count // BEDS) - LEAD_IN * CHUNK
        played = signal.take(first + np.arange((LEAD_IN + messages) * CHUNK), axis=0, mode="wrap")
        self._messages = np.zeros((LEAD_IN + messages, BEDS * CHUNK, MAX_LEADS), np.float32)
        by_message = played.reshape(BEDS, LEAD_IN + messages, CHUNK, leads).swapaxes(0, 1)
        self._messages[:, :, :leads] = by_message.reshape(LEAD_IN + messages, BEDS * CHUNK, leads)

        self._beds = np.zeros(BEDS, BED_STATE)
        table, half = align.design(FS)
        self._tables = table[np.newaxis]
        for bed in self._beds:
            frontend.start(bed["front"], leads, FS * 1000, half)
        wave = CHUNK + 2
        rows = [(bed, bed * CHUNK, CHUNK, 0, 0, 0, bed * wave, 0) for bed in range(BEDS)]
        self._segments = np.array(rows, frontend.SEGMENT)
        self._room = frontend.room(BEDS * wave, BEDS)
        self._fibrillation = shipped().final
        self._leads = leads
        self._block = [np.zeros((MAX_LEADS, CHUNK)) for _ in range(3)]
        self._usable = np.zeros((MAX_LEADS, CHUNK), np.int64)
        self._usable[:leads] = 1
        self._detections = np.zeros(2 * (CHUNK // qrs.REFRACTORY) + 80, qrs.DETECTION)
        self._others = self._beds["front"].copy()
        self._feed(self._messages[:LEAD_IN])
        self._feed_detector(self._messages[:LEAD_IN])

    def play(self) -> None:
        """Take every message; once, for the beds keep what they have heard."""
        self._feed(self._messages[LEAD_IN:])

    def detect(self) -> None:
        """Take every message with the filters and the detector alone; once, as :meth:`play`."""
        self._feed_detector(self._messages[LEAD_IN:])

    def _feed_detector(self, messages: NDArray[np.float32]) -> None:
        for samples in messages:
            _detect(
                self._others,
                samples,
                self._messages[0, ::CHUNK],
                self._leads,
                *self._block,
                self._usable,
                self._detections,
            )

    def _feed(self, messages: NDArray[np.float32]) -> None:
        for samples in messages:
            frontend.tick(self._beds["front"], self._segments, samples, self._tables, *self._room, self._fibrillation)


def r_peaks(record: Record) -> NDArray[np.int64]:
    """R peaks of the beats that a ward finds in a record, increasing."""
    events = (event for batch in analyse(record) for event in batch)
    return np.array(sorted({event.sample for event in events if isinstance(event, Beat)}), np.int64)
