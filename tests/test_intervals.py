"""Intervals: against published values, another implementation, and by chance itself."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from dialer.domain.intervals import FEWEST_PAID, Interval, difference, mean_paid, wilson


@pytest.mark.parametrize(("part", "whole"), [(0, 10), (1, 7), (81, 263), (15, 148), (29, 29)])
def test_wilson_is_scipys(part: int, whole: int) -> None:
    theirs = binomtest(part, whole).proportion_ci(method="wilson")
    ours = wilson(part, whole)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


# Newcombe (1998), table II, method 10.
@pytest.mark.parametrize(
    ("part", "whole", "other_part", "other_whole", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (10, 10, 0, 10, 0.6075, 1.0),
    ],
)
def test_a_difference_is_newcombes(
    part: int, whole: int, other_part: int, other_whole: int, low: float, high: float
) -> None:
    found = difference(part, whole, other_part, other_whole)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_a_share_lies_in_its_interval(part: int, more: int) -> None:
    whole = part + more
    found = wilson(part, whole)
    if whole == 0:
        assert found is None
        return
    assert found is not None
    assert 0 <= found.low <= part / whole <= found.high <= 1


def test_no_share_without_a_whole() -> None:
    assert wilson(0, 0) is None
    assert difference(0, 0, 1, 2) is None
    assert difference(1, 2, 0, 0) is None
    with pytest.raises(ValueError, match="no part"):
        wilson(3, 2)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    """Of shares and of money, drawn again and again from a known world."""
    dice = random.Random(7)
    rounds, debtors, chance, amount = 600, 400, 0.12, 50.0
    truth = chance * amount  # the mean of a uniform amount up to twice that
    shares = sums = 0
    for _ in range(rounds):
        drawn = [dice.uniform(0, 2 * amount) if dice.random() < chance else 0.0
                 for _ in range(debtors)]  # fmt: skip
        paid = sum(one > 0 for one in drawn)
        share = wilson(paid, debtors)
        money = mean_paid(debtors, paid, sum(drawn), sum(one * one for one in drawn))
        assert share is not None
        assert money is not None
        shares += share.low <= chance <= share.high
        sums += money.low <= truth <= money.high
    assert 0.92 <= shares / rounds <= 0.98
    assert 0.91 <= sums / rounds <= 0.98


def test_money_of_few_has_no_interval() -> None:
    assert mean_paid(500, FEWEST_PAID - 1, 9.0, 9.0) is None
    assert mean_paid(1, 1, 1.0, 1.0) is None
    same = mean_paid(FEWEST_PAID, FEWEST_PAID, 50.0, 250.0)
    assert same == Interval(5.0, 5.0)
