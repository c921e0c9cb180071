"""What may be paid, in other modes than a charge, how often a card is tried, and the audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from payment_support import APPROVED, HARD, OWED, SOFT, Till
from sqlalchemy import Engine, func, select, update
from world import World

from dialer.config import load_settings
from dialer.domain.model import Money, PaymentTerms
from dialer.domain.payment import PaymentMode, PaymentOutcome, PaymentState, PayOffer, PayResult
from dialer.domain.velocity import Limit
from dialer.payments import service
from dialer.payments.gateway import Reply
from dialer.payments.service import NotBegun
from dialer.store import tables as t
from dialer.store.ledger import payable_sql

S = PaymentState


@pytest.fixture
def till(database: Engine, tmp_path: Path) -> Till:
    return Till(World(database), load_settings(home=tmp_path))


# --- what may be paid --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "offer"),
    [
        (PaymentTerms(), PayOffer(Money(OWED, "EUR"), 1235)),
        (PaymentTerms(minimum_percent=0), PayOffer(Money(OWED, "EUR"), 1)),
        (PaymentTerms(minimum_minor=99_999), PayOffer(Money(OWED, "EUR"), OWED)),
        (PaymentTerms(instalments=3), PayOffer(Money(OWED, "EUR"), 1235, 4115)),
        (PaymentTerms(instalments=1), PayOffer(Money(OWED, "EUR"), 1235)),
    ],
)
def test_what_is_offered(till: Till, terms: PaymentTerms, offer: PayOffer) -> None:
    with till.engine.connect() as c:
        assert service.offer(c, till.account_id, terms, till.now) == offer


def test_what_is_left_is_offered(till: Till) -> None:
    def offered() -> PayOffer | None:
        with till.engine.connect() as c:
            return service.offer(c, till.account_id, PaymentTerms(instalments=3), till.now)

    till.pay(8230)
    assert offered() == PayOffer(Money(4115, "EUR"), 412)
    key = till.send(4115)
    assert offered() is None
    till.settle(key, SOFT)
    assert offered() == PayOffer(Money(4115, "EUR"), 412)
    with till.engine.connect() as c:
        assert service.offer(c, 999, PaymentTerms(), till.now) is None


def test_the_claim_query_sees_what_is_payable(till: Till) -> None:
    other = Till(till.world, till.settings)
    till.pay(12_000)
    with till.engine.connect() as c:
        found = c.execute(select(t.account.c.id, payable_sql().label("payable")))
        assert {row.id: row.payable for row in found} == {
            till.account_id: 345,
            other.account_id: OWED,
        }


def test_a_creditor_that_lowers_its_claim(till: Till) -> None:
    till.pay(10_000)
    with till.engine.begin() as c:
        c.execute(update(t.account).values(amount_minor=9000))
    stands = till.balance()
    assert (stands.open, stands.overpaid) == (0, 1000)
    assert till.try_begin(1) == NotBegun(PayResult.NOTHING_OWED, "nothing_open")


# --- other modes -------------------------------------------------------------------------


def test_a_token_moves_no_money_and_concludes_nothing(till: Till) -> None:
    key = till.send(0, mode=PaymentMode.TOKENISE)
    assert till.settle(key, replace(APPROVED, token="tok_1")).state is S.APPROVED
    assert till.payment(key).token == "tok_1"
    assert till.stands() == (OWED, 0, 0)
    assert till.messages() == [] and till.world.rows(t.flow_outcome) == []
    assert till.audit() == []


def test_an_authorisation_holds_the_money(till: Till) -> None:
    key = till.send(mode=PaymentMode.AUTHORISE)
    till.settle(key, APPROVED)
    assert till.stands() == (0, OWED, 0)
    assert till.try_begin() == NotBegun(PayResult.NOTHING_OWED, "nothing_open")
    assert till.audit() == []


# --- velocity ----------------------------------------------------------------------------


def test_the_sixth_try_of_a_day_is_refused(till: Till) -> None:
    for n in range(5):
        till.settle(till.send(fingerprint=f"card{n % 2}"), SOFT)
    refused = till.try_begin(fingerprint="card2")
    assert refused == NotBegun(PayResult.LIMIT_REACHED, Limit.PHONE.value)
    till.wait(24 * 3600)
    till.begin()


def test_what_never_left_and_what_is_our_fault_do_not_count(till: Till) -> None:
    for _ in range(6):
        key = till.begin()
        with till.engine.begin() as c:
            service.abandon(c, key, till.now)
        till.settle(till.send(), Reply(PaymentOutcome.CONFIGURATION_ERROR))
    till.begin()


def test_a_stolen_card_is_not_tried_on_another_debt(till: Till) -> None:
    till.settle(till.send(), HARD)
    other = Till(till.world, till.settings)
    refused = other.try_begin()
    assert refused == NotBegun(PayResult.LIMIT_REACHED, Limit.HARD_DECLINE.value)
    other.begin(fingerprint="another card")


# --- the audit finds what is wrong -------------------------------------------------------

Harm = Callable[[Till, str], object]


def _entry(till: Till, **changes: object) -> object:
    first = select(func.min(t.ledger_entry.c.id)).scalar_subquery()
    return update(t.ledger_entry).where(t.ledger_entry.c.id == first).values(**changes)


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (lambda till, key: _entry(till, minor=-1), "does not add up"),
        (lambda till, key: _entry(till, currency="USD"), "does not add up"),
        (lambda till, key: _entry(till, payment_id=None), "does not belong"),
        (lambda till, key: t.ledger_entry.delete(), "approved 12345 with pending 0, paid 0"),
        (lambda till, key: update(t.payment).values(state="unknown"), "unknown with pending 0"),
        (lambda till, key: update(t.payment).values(amount_minor=1), "approved 1 with"),
        (lambda till, key: update(t.account).values(amount_minor=5), "overpaid by 12340"),
    ],
)
def test_books_that_were_tampered_with(till: Till, harm: Harm, found: str) -> None:
    key = till.pay()
    assert till.audit() == []
    with till.engine.begin() as c:
        c.execute(harm(till, key))  # type: ignore[call-overload]
    assert any(found in line for line in till.audit()), till.audit()
