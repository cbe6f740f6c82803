"""What every bed's device sent and what the ward said of it, on disk.

    <store>/recordings/<bed>/<begun>.dat    samples in the device's own units at its own rate, WFDB format 16
                             <begun>.hea    their header; wfdb.rdrecord reads it at any time
                             <begun>_2.dat  samples after a long gap, which is in the header
                             <begun>.atr    beats and rhythms, when the record is whole
    <store>/recordings/recordings.sqlite    beats, rhythms, alarms, gaps, signal quality, electrodes off

Modules: :mod:`~monitor.recorder.recorder` is the sink of ticks, :mod:`~monitor.recorder.track` a bed's way through
its records, :mod:`~monitor.recorder.growing` a record's files and :mod:`~monitor.recorder.headers` their headers,
:mod:`~monitor.recorder.database` the database, :mod:`~monitor.recorder.mending` what is found at start,
:mod:`~monitor.recorder.retention` what goes, and :mod:`~monitor.recorder.catalogue` and
:mod:`~monitor.recorder.export` are for those who read.
"""
