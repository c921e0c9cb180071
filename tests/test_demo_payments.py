"""What a demo makes of its payments: two ledgers held against each other, cards, personas."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import pytest

from dialer.local.demo_payments import as_keyed, cast, disagreements, held_against
from dialer.simulation.debtor_cards import card_of
from dialer.simulation.payers import PAYERS

TODAY = date(2026, 6, 1)
PAYS, TWO_CARDS = "+34600000170", "+34600000176"
KEYS = {1: "a" * 32, 2: "b" * 32}


def ours(lead: int = 1, state: str = "approved", minor: int = 5000) -> dict[str, Any]:
    return {"id": KEYS[lead], "order_ref": f"0001ABCDEFG{lead}", "lead_id": lead, "state": state,
            "amount_minor": minor, "currency": "EUR"}  # fmt: skip


def theirs(lead: int = 1, **changes: Any) -> dict[str, Any]:
    return {"key": KEYS[lead], "order_ref": f"0001ABCDEFG{lead}", "state": "approved",
            "minor": 5000, "currency": "EUR", "number_sha256": None} | changes  # fmt: skip


def ledger(*charges: dict[str, Any]) -> dict[str, Any]:
    return {"charges": list(charges)}


@pytest.mark.parametrize(
    ("mine", "bank"),
    [
        ([ours()], [theirs()]),
        ([ours()], [theirs(key="pi_1/1")]),  # known by its order reference
        ([ours()], [theirs(order_ref="")]),  # known by its key
        ([ours(state="declined")], [theirs(state="declined")]),
        ([ours(state="not_charged")], []),
        ([ours(), ours(2)], [theirs(), theirs(2, state="captured")]),
    ],
)
def test_ledgers_that_agree(mine: list[dict[str, Any]], bank: list[dict[str, Any]]) -> None:
    assert disagreements(mine, ledger(*bank)) == []


@pytest.mark.parametrize(
    ("mine", "bank", "says"),
    [
        ([ours()], [theirs(), theirs(key="x")], "charged 2"),
        ([ours()], [], "the bank charged 0"),
        ([ours(state="unknown")], [theirs()], "is unknown, the bank charged 1"),
        ([ours(minor=4999)], [theirs()], "another amount"),
        ([ours()], [theirs(currency="USD")], "another amount"),
        ([ours()], [theirs(), theirs(2)], "no payment of ours"),
    ],
)
def test_ledgers_that_do_not(
    mine: list[dict[str, Any]], bank: list[dict[str, Any]], says: str
) -> None:
    found = disagreements(mine, ledger(*bank))
    assert len(found) == 1
    assert says in found[0]


def test_payments_are_those_of_the_persona_in_order() -> None:
    called = {1: PAYS, 2: TWO_CARDS}
    right = [ours(), ours(2, "declined"), ours(2)]
    expected, observed, differences = held_against(called, right)
    assert differences == []
    assert expected == observed == {"approved": 2, "declined": 1}
    _, _, differences = held_against(called, [ours(), ours(2), ours(2, "declined")])
    assert [(one["lead"], one["persona"]) for one in differences] == [(2, "second_card_pays")]
    _, _, differences = held_against(called, right[1:])
    assert [(one["lead"], one["observed"]) for one in differences] == [(1, [])]


def test_a_card_that_reached_the_bank_is_one_that_its_debtor_keyed() -> None:
    keyed = card_of(PAYS, PAYERS["70"].cards[0], TODAY).number
    sha = hashlib.sha256(keyed.encode()).hexdigest()
    other = hashlib.sha256(keyed[:-1].encode()).hexdigest()
    assert as_keyed({1: PAYS}, [ours()], ledger(theirs(number_sha256=sha)), TODAY)
    assert not as_keyed({1: PAYS}, [ours()], ledger(theirs(number_sha256=other)), TODAY)
    assert not as_keyed({1: TWO_CARDS}, [ours()], ledger(theirs(number_sha256=sha)), TODAY)


def test_whoever_pressed_the_key_for_paying_to_get_a_link_is_not_cast() -> None:
    names = {one.name for one in cast()}
    assert "payer" not in names and "hasty_promiser" in names
    assert {one.name for one in PAYERS.values()} <= names
