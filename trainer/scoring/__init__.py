"""Scores: the monitor over annotated records, compared with the annotations."""
