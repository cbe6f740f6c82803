"""Values in order, as they come and go."""

from __future__ import annotations

import numpy as np

from monitor import ordered


def test_values_stay_in_order_and_the_median_is_theirs() -> None:
    """With ties, and with the oldest leaving as the newest comes."""
    rng = np.random.default_rng(0)
    values, window = np.zeros(20), []
    for _ in range(300):
        if len(window) == len(values):
            ordered.remove(values, len(window), window.pop(0))
        window.append(float(rng.integers(0, 12)))
        ordered.insert(values, len(window) - 1, window[-1])
        assert values[: len(window)].tolist() == sorted(window)
        assert ordered.median(values, len(window)) == np.median(window)
