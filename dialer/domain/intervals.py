"""Intervals of shares and sums: how far chance alone may be from what was counted.

Shares: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
Journal of the American Statistical Association 22 (1927) 209-212, as recommended by Brown, Cai and
DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16 (2001) 101-133:
it holds also where few of few said yes. Differences of shares: R. G. Newcombe, "Interval
estimation for the difference between independent proportions", Statistics in Medicine 17 (1998)
873-890, method 10, which is made of two of Wilson's.

Money: the central limit theorem on what each debtor paid, nothing included. Payments are skewed
(most pay nothing), so that with few who paid such an interval is too narrow and none is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

Z95 = 1.959963984540054
"""Of the normal distribution: 95 % lie within so many deviations."""
FEWEST_PAID = 10
"""With fewer who paid there is no interval of money: its normal limit is far away."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From ``low`` to ``high``, both included."""

    low: float
    high: float


def wilson(part: int, whole: int, z: float = Z95) -> Interval | None:
    """Of the share ``part`` of ``whole``; None where there is nothing to take a share of."""
    if whole == 0:
        return None
    if not 0 <= part <= whole:
        raise ValueError(f"{part} is no part of {whole}")
    share, square = part / whole, z * z
    middle = (share + square / (2 * whole)) / (1 + square / whole)
    half = z * sqrt(share * (1 - share) / whole + square / (4 * whole * whole))
    half /= 1 + square / whole
    # Exact at the ends, where rounding would leave a little more or less.
    low = 0.0 if part == 0 else middle - half
    high = 1.0 if part == whole else middle + half
    return Interval(max(0.0, low), min(1.0, high))


def difference(
    part: int, whole: int, other_part: int, other_whole: int, z: float = Z95
) -> Interval | None:
    """Of the difference of two shares, the first less the other; None where one of them is of
    nothing. An interval without 0 is a difference that chance alone would rarely make."""
    one, other = wilson(part, whole, z), wilson(other_part, other_whole, z)
    if one is None or other is None:
        return None
    here, there = part / whole, other_part / other_whole
    between = here - there
    low = between - sqrt((here - one.low) ** 2 + (other.high - there) ** 2)
    high = between + sqrt((one.high - here) ** 2 + (there - other.low) ** 2)
    return Interval(max(-1.0, low), min(1.0, high))


def mean_paid(
    whole: int, paid: int, total: float, squares: float, z: float = Z95
) -> Interval | None:
    """Of the mean that each of ``whole`` debtors paid, ``paid`` of whom paid something:
    ``total`` together, ``squares`` the sum of the squares. None with too few who paid."""
    if whole < 2 or paid < FEWEST_PAID:
        return None
    mean = total / whole
    variance = max(0.0, squares - whole * mean * mean) / (whole - 1)
    half = z * sqrt(variance / whole)
    return Interval(max(0.0, mean - half), mean + half)
