"""The card of a charge that is not begun is wiped all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from payment_support import OWED, Till
from sqlalchemy import Engine
from world import World

from agi_scripts.charging import Cashier
from dialer.config import load_settings
from dialer.domain.payment import PayResult
from dialer.payments.conversation import Refused, Submitted
from dialer.payments.gateway import Card
from dialer.payments.secret import SecretDigits
from dialer.payments.submission import Submitter
from dialer.store import tables as t


@pytest.fixture
def till(database: Engine, tmp_path: Path) -> Till:
    return Till(World(database), load_settings(home=tmp_path, gateway_seconds=1.0))


def a_card() -> Card:
    return Card(SecretDigits("4000000012345674"), 12, 2031, SecretDigits("123"))


def charge(till: Till, minor: int, card: Card, factory: str) -> Refused | Submitted:
    submitter = Submitter(till.settings, factory=factory)
    try:
        cashier = Cashier(till.engine, till.settings, submitter, lambda: till.now)
        ended = cashier.charge(till.request(minor), card).wait(30)
        assert ended is not None
        return ended
    finally:
        submitter.close()


def test_nothing_is_owed(till: Till) -> None:
    card = a_card()
    ended = charge(till, OWED + 1, card, "nowhere:nothing")
    assert ended == Refused(PayResult.NOTHING_OWED)
    assert (len(card.number), len(card.security_code or "")) == (0, 0)
    assert till.world.rows(t.payment) == []


def test_the_gateway_cannot_be_prepared(till: Till) -> None:
    card = a_card()
    ended = charge(till, OWED, card, "nowhere:nothing")
    assert ended == Refused(PayResult.PAYMENT_CONNECTOR_ERROR)
    assert (len(card.number), len(card.security_code or "")) == (0, 0)
    (one,) = till.world.rows(t.payment)
    assert one.state == "not_charged", "given up: the debt is free again"
    assert till.stands() == (OWED, 0, 0)
