"""When a field that is keyed in is complete, and whether it is right: pure rules.

A ``Rule`` is asked after every key. `*` is ``AGAIN`` in every field and question; `**`, a second
`*` right behind the first (``agi_scripts.digits.SECOND_STAR``), is told by the loop that hears the
keys, for only it knows the time: it makes ``LEAVE`` of the ``AGAIN``. `#` ends every field.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from enum import StrEnum

from dialer.domain import card
from dialer.domain.card import Digits, Expiry
from dialer.domain.payment import Brand, PayStep
from dialer.payments.conversation_values import AskField, FieldKeyed


class Verdict(StrEnum):
    """What the last key means for the field."""

    MORE = "more"
    DONE = "done"
    AGAIN = "again"  # `*`: the debtor wants to key the field anew
    LEAVE = "leave"  # `**`: the debtor wants out


Rule = Callable[[bytes | bytearray, int], Verdict]
"""(digits so far, the last key included where it was a digit; the last key as its ASCII code)."""

STAR, HASH = ord("*"), ord("#")

AMOUNT_LONGEST = 9
"""Digits of an amount in whole major units; nobody pays a thousand million by telephone."""


def _until(complete: Callable[[Digits], bool]) -> Rule:
    """A field that ends at `#`, or by itself where ``complete``."""

    def rule(digits: bytes | bytearray, key: int) -> Verdict:
        if key == STAR:
            return Verdict.AGAIN
        return Verdict.DONE if key == HASH or complete(digits) else Verdict.MORE

    return rule


def card_number() -> Rule:
    """The length comes from the first digits (see ``dialer.domain.card.number_complete``)."""
    return _until(card.number_complete)


def expiry() -> Rule:
    """Four digits; three with `#` or the time-out."""
    return _until(lambda digits: len(digits) >= 4)


def security_code(brand: Brand | None) -> Rule:
    """Three or four digits by brand."""
    return _until(lambda digits: len(digits) >= card.security_code_length(brand))


def postal_code() -> Rule:
    """Until `#` or the time-out: lengths differ by country."""
    return _until(lambda digits: len(digits) >= card.POSTAL_LONGEST)


def amount() -> Rule:
    """Whole major units until `#`, or the time-out."""
    return _until(lambda digits: len(digits) > AMOUNT_LONGEST)


def one_key() -> Rule:
    """Any key but `*` is an answer; whether it is one that was asked for is told afterwards."""
    return _until(lambda digits: len(digits) >= 1)


def rule_for(step: PayStep, brand: Brand | None = None) -> Rule:
    """The rule of what is asked at a step: ``brand`` is that of the number keyed in before."""
    match step:
        case PayStep.CARD_NUMBER:
            return card_number()
        case PayStep.EXPIRATION_DATE:
            return expiry()
        case PayStep.SECURITY_CODE:
            return security_code(brand)
        case PayStep.POSTAL_CODE:
            return postal_code()
        case PayStep.AMOUNT:
            return amount()
    return one_key()


def amount_of(digits: bytes | bytearray) -> int | None:
    """The amount in whole major units; None where nothing, or far too much, was keyed in."""
    return int(bytes(digits)) if 1 <= len(digits) <= AMOUNT_LONGEST else None


def same(step: PayStep, first: bytes | bytearray, second: bytes | bytearray, today: date) -> bool:
    """Whether two entries of a field say the same; 914 is the month that 0914 is."""
    if step is PayStep.EXPIRATION_DATE:
        found = card.expiry_of(first, today)
        return isinstance(found, Expiry) and found == card.expiry_of(second, today)
    return first == second


def judge(
    asked: AskField, digits: bytes | bytearray, accepted: Collection[Brand], today: date
) -> FieldKeyed:
    """The verdict on a field of the card that was keyed in to its end.

    ``accepted``: the brands that may be used; ``today``: the debtor's own calendar day. The
    expiry itself is had from ``dialer.domain.card.expiry_of``. Raises ValueError for a step that
    is no field of the card.
    """
    match asked.step:
        case PayStep.CARD_NUMBER:
            problem = card.number_problem(digits, accepted)
            if problem is None:
                return FieldKeyed(
                    asked.step, brand=card.brand_of(digits), last_four=card.last_four(digits)
                )
        case PayStep.EXPIRATION_DATE:
            found = card.expiry_of(digits, today)
            problem = None if isinstance(found, Expiry) else found
        case PayStep.SECURITY_CODE:
            problem = card.security_code_problem(digits, asked.brand, asked.use)
        case PayStep.POSTAL_CODE:
            problem = card.postal_code_problem(digits, asked.use)
        case _:
            raise ValueError(f"{asked.step} is no field of a card")
    return FieldKeyed(asked.step, problem, left_out=problem is None and not digits)


__all__ = [
    "Rule", "Verdict", "amount", "amount_of", "card_number", "expiry", "judge",
    "one_key", "postal_code", "rule_for", "same", "security_code",
]  # fmt: skip
