"""Values kept in order as they come and go: what medians and quantiles of the last few are read from."""

from __future__ import annotations

from monitor.kernel import kernel


@kernel
def insert(values, count, value):  # type: ignore[no-untyped-def]
    """Add a value to the first `count` of `values`, which are in order and stay so."""
    at = count
    while at > 0 and values[at - 1] > value:
        values[at] = values[at - 1]
        at -= 1
    values[at] = value


@kernel
def remove(values, count, value):  # type: ignore[no-untyped-def]
    """Take a value that is there out of the first `count` of `values`, which are in order and stay so."""
    at = 0
    while values[at] < value:
        at += 1
    for i in range(at, count - 1):
        values[i] = values[i + 1]


@kernel
def median(values, count):  # type: ignore[no-untyped-def]
    """Of the first `count` of `values`, which are in order."""
    return 0.5 * (values[(count - 1) // 2] + values[count // 2])
