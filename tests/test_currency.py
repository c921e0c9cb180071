"""Amounts as people write them, and that none is ever guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.currency import MINOR_DIGITS, minor_digits, parse_written, written
from dialer.domain.model import Money
from dialer.payments.texting import plain_amount


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123450, "EUR", "1234.50 EUR"),
        (5, "EUR", "0.05 EUR"),
        (12500, "CLP", "12500 CLP"),
        (12500, "PYG", "12500 PYG"),
        (12500, "KWD", "12.500 KWD"),
    ],
)
def test_written(minor: int, currency: str, text: str) -> None:
    assert written(Money(minor, currency)) == text
    assert parse_written(text) == Money(minor, currency)
    assert plain_amount(Money(minor, currency), "es") == text.replace(".", ",")


@given(st.integers(0, 10**12), st.sampled_from(sorted(MINOR_DIGITS)))
def test_what_is_written_is_read(minor: int, currency: str) -> None:
    assert parse_written(written(Money(minor, currency))) == Money(minor, currency)


@pytest.mark.parametrize(
    "text", ["", "10", "EUR", "-1 EUR", "1,5 EUR", "1.005 EUR", "1.0 CLP", "٢ EUR"]
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        parse_written(text)


def test_no_digits_are_made_up_for_an_unknown_currency() -> None:
    for ask in (lambda: minor_digits("ZZZ"), lambda: written(Money(1, "ZZZ")),
                lambda: parse_written("1 ZZZ")):  # fmt: skip
        with pytest.raises(ValueError, match="ZZZ is no currency"):
            ask()
