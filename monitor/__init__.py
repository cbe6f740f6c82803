"""The monitor: from a sample to an alarm on a screen. Start reading at :mod:`monitor.ward`."""
