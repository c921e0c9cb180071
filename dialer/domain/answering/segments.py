"""Which calls a pacer may take to answer alike: buckets of the model's own forecast.

The pacer learns the true rate of each bucket by itself, and the true time to an answer: a second
calibration, which holds also where the model is wrong about a whole bucket.
"""

from __future__ import annotations

import math

WIDTH = 0.75
"""Of a bucket, in log-odds: about a factor of two in the odds."""
LOWEST, HIGHEST = -4, 2
TIMES = ("quick", "usual", "slow")


def log_odds(p: float) -> float:
    """ln(p / (1 - p))."""
    return math.log(p / (1.0 - p))


def segment(probability: float, time_class: str = "usual") -> str:
    """The bucket's name, such as ``"p-1"`` or ``"p0 quick"``: seven by chance (centres at 5, 10,
    18, 32, 50, 68 and 82 %), split where calls are answered unusually soon or late.

    Raises ValueError for a probability not between 0 and 1 and for an unknown class.
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"not a probability: {probability}")
    if time_class not in TIMES:
        raise ValueError(f"classes are {', '.join(TIMES)}")
    bucket = min(max(round(log_odds(probability) / WIDTH), LOWEST), HIGHEST)
    return f"p{bucket}" if time_class == "usual" else f"p{bucket} {time_class}"
