"""Percentiles by the nearest-rank method, as every report has them."""

from __future__ import annotations

import math
from collections.abc import Sequence

PERCENTILES = (50, 90, 99)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """By the nearest-rank method: the smallest value that ``percent`` of all are not above.

    None of nothing. 0 < percent <= 100.
    """
    if not values:
        return None
    ordered = sorted(values)
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1]


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """``{"p50": ..., "p90": ..., "p99": ...}``, to a hundredth."""
    found = {f"p{percent}": percentile(values, percent) for percent in PERCENTILES}
    return {key: None if value is None else round(value, 2) for key, value in found.items()}
