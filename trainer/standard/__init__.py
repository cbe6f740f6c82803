"""The standard waveforms put to the monitor, as the tables that bedside monitors publish in their manuals.

Modelled on the tests of IEC 60601-2-27 and ANSI/AAMI EC13; the waveforms are drawn in :mod:`simulators.standard`. No
conformity is claimed.
"""
