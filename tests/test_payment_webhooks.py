"""What gateways tell by themselves: early, late, twice, of payments and refunds unknown here."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from payment_support import APPROVED, OWED, SOFT, UNKNOWN, Till
from sqlalchemy import Engine
from world import World

from dialer.config import load_settings
from dialer.domain.model import Money
from dialer.domain.payment import PaymentMode, PaymentState
from dialer.domain.payment_states import RefundLife
from dialer.payments import service
from dialer.payments.gateway import EventKind, WebhookEvent
from dialer.payments.service import Settled
from dialer.store import refunds
from dialer.store import tables as t
from dialer.store.payments import events_of
from dialer.store.refunds import Refund

S, K = PaymentState, EventKind
NAMES = itertools.count()


@pytest.fixture
def till(database: Engine, tmp_path: Path) -> Till:
    return Till(World(database), load_settings(home=tmp_path))


def event(kind: EventKind, till: Till, **changes: Any) -> WebhookEvent:
    values: dict[str, Any] = {"event_id": f"evt_{next(NAMES)}", "kind": kind, "at": till.now}
    return WebhookEvent(**values | changes)


def hear(till: Till, what: WebhookEvent, gateway: str = "test") -> Settled | None:
    with till.engine.begin() as c:
        return service.settle_webhook(c, what, gateway, till.now, till.settings)


def refunds_of(till: Till, key: str) -> list[Refund]:
    with till.engine.connect() as c:
        return refunds.refunds_of(c, key)


def contradictions(till: Till, key: str) -> int:
    with till.engine.connect() as c:
        return sum(row.kind == "contradiction" for row in events_of(c, key))


def test_before_our_own_answer(till: Till) -> None:
    key = till.send()
    told = hear(till, event(K.APPROVED, till, payment_id=key, reply=APPROVED))
    assert told is not None and told.changed and told.message_id is not None
    assert till.settle(key, APPROVED) == Settled(S.APPROVED, False)
    assert till.stands() == (0, 0, OWED)
    assert till.messages() == ["payment_receipt"]


def test_the_same_one_again_and_again(till: Till) -> None:
    key = till.send()
    once = event(K.APPROVED, till, payment_id=key, reply=APPROVED)
    assert [bool(told and told.changed) for told in [hear(till, once) for _ in range(3)]] == [
        True, False, False,
    ]  # fmt: skip
    assert till.stands() == (0, 0, OWED)
    assert till.audit() == []


def test_in_the_wrong_order(till: Till) -> None:
    """The decline of a first try, told after the approval of the same payment."""
    key = till.send()
    hear(till, event(K.APPROVED, till, payment_id=key))
    told = hear(till, event(K.DECLINED, till, payment_id=key, reply=SOFT))
    assert told == Settled(S.APPROVED, False, None, True)
    assert till.stands() == (0, 0, OWED)
    assert contradictions(till, key) == 1


def test_an_approval_of_what_was_believed_declined(till: Till) -> None:
    key = till.send()
    hear(till, event(K.DECLINED, till, payment_id=key, reply=SOFT))
    assert till.stands() == (OWED, 0, 0)
    told = hear(till, event(K.APPROVED, till, payment_id=key))
    assert told is not None and told.contradiction and told.state is S.APPROVED
    assert till.stands() == (0, 0, OWED)
    assert till.audit() == []


@pytest.mark.parametrize("by", ["payment_id", "order_ref", "provider_ref"])
def test_each_reference_finds_the_payment(till: Till, by: str) -> None:
    key = till.send()
    with till.engine.begin() as c:
        service.note_reference(c, key, "pi_77")
    refs = {"payment_id": key, "order_ref": till.payment(key).order_ref, "provider_ref": "pi_77"}
    told = hear(till, event(K.APPROVED, till, **{by: refs[by]}))
    assert told is not None and told.changed


def test_another_gateways_reference_is_not_ours(till: Till) -> None:
    key = till.send()
    assert hear(till, event(K.APPROVED, till, payment_id=key), gateway="stripe") is None
    assert till.payment(key).state is S.SENDING


def test_kept_until_its_payment_is_known(till: Till) -> None:
    early = event(K.APPROVED, till, provider_ref="pi_88", reply=APPROVED)
    assert hear(till, early) is None
    assert hear(till, early) is None
    key = till.send()
    done = service.reconcile(till.engine, till.now, till.settings)
    assert (done.adopted, done.message_ids) == (0, ())
    with till.engine.begin() as c:
        service.note_reference(c, key, "pi_88")
    done = service.reconcile(till.engine, till.now, till.settings)
    assert done.adopted == 1 and len(done.message_ids) == 1
    assert service.reconcile(till.engine, till.now, till.settings).adopted == 0
    assert till.payment(key).state is S.APPROVED
    assert till.payment(key).auth_code == "A1B2C3"
    assert till.audit() == []


def test_another_amount_is_for_people(till: Till) -> None:
    key = till.send()
    hear(till, event(K.APPROVED, till, payment_id=key, amount=Money(1, "EUR")))
    assert contradictions(till, key) == 1
    assert till.stands() == (0, 0, OWED)


def test_a_dispute_marks_and_moves_nothing(till: Till) -> None:
    key = till.pay()
    hear(till, event(K.DISPUTED, till, payment_id=key))
    assert till.payment(key).disputed_at == till.now
    assert till.stands() == (0, 0, OWED)
    till.wait(60)
    hear(till, event(K.REFUNDED, till, payment_id=key, amount=Money(OWED, "EUR")))
    assert till.stands() == (OWED, 0, 0)
    assert till.audit() == []


def test_refunded_elsewhere(till: Till) -> None:
    key = till.pay()
    named = event(K.REFUNDED, till, payment_id=key, refund_id="re_1", amount=Money(345, "EUR"))
    for _ in range(2):
        hear(till, named)
        hear(till, replace(named, event_id=f"evt_{next(NAMES)}"))  # told in two manners
    assert till.stands() == (345, 0, 12_000)
    (one,) = refunds_of(till, key)
    assert (one.actor, one.state, one.amount.minor) == ("gateway", RefundLife.DONE, 345)
    assert till.audit() == []


def test_two_refunds_elsewhere_without_names(till: Till) -> None:
    key = till.pay()
    for _ in range(2):
        hear(till, event(K.REFUNDED, till, payment_id=key, amount=Money(345, "EUR")))
    assert till.stands() == (690, 0, OWED - 690)
    assert till.audit() == []


def test_news_of_our_own_refund_is_not_a_second_one(till: Till) -> None:
    key = till.pay()
    with till.engine.begin() as c:
        refunds.insert_refund(
            c,
            Refund(
                "a" * 32, key, refunds.REFUND, Money(345, "EUR"), RefundLife.SENDING, False,
                "x", "ana", till.now,
            ),
        )  # fmt: skip
    hear(till, event(K.REFUNDED, till, payment_id=key, amount=Money(345, "EUR")))
    assert [one.state for one in refunds_of(till, key)] == [RefundLife.DONE]
    assert till.stands() == (345, 0, 12_000)


def test_one_event_told_twice_does_not_speak_for_two_refunds(till: Till) -> None:
    key = till.pay()
    with till.engine.begin() as c:
        for name in "ab":
            refunds.insert_refund(
                c,
                Refund(
                    name * 32, key, refunds.REFUND, Money(345, "EUR"), RefundLife.SENDING, False,
                    "x", "ana", till.now,
                ),
            )  # fmt: skip
    told = event(K.REFUNDED, till, payment_id=key, amount=Money(345, "EUR"))
    for _ in range(2):
        hear(till, told)
    states = sorted(one.state for one in refunds_of(till, key))
    assert states == sorted([RefundLife.DONE, RefundLife.SENDING])
    assert till.stands() == (345, 0, 12_000)


def test_a_refund_that_came_back(till: Till) -> None:
    key = till.pay()
    refund = {"payment_id": key, "refund_id": "re_1", "amount": Money(OWED, "EUR")}
    hear(till, event(K.REFUNDED, till, **refund))
    assert till.stands() == (OWED, 0, 0)
    hear(till, event(K.REFUND_FAILED, till, **refund))
    assert till.stands() == (0, 0, OWED)
    assert till.balance().refunded == 0
    assert till.audit() == []
    hear(till, event(K.REFUNDED, till, **refund))  # an old one, late: people look at it
    assert till.stands() == (0, 0, OWED)
    assert till.audit() == []


def test_a_refund_that_nobody_made_cannot_fail(till: Till) -> None:
    key = till.pay()
    hear(till, event(K.REFUND_FAILED, till, payment_id=key, refund_id="re_9"))
    assert refunds_of(till, key) == []
    assert contradictions(till, key) == 1


@pytest.mark.parametrize("minor", [OWED + 1, 10 * OWED])
def test_no_more_is_given_back_than_was_taken(till: Till, minor: int) -> None:
    key = till.pay()
    hear(till, event(K.REFUNDED, till, payment_id=key, amount=Money(minor, "EUR")))
    assert till.stands() == (OWED, 0, 0)
    assert contradictions(till, key) == 1
    hear(till, event(K.REFUNDED, till, payment_id=key, amount=Money(minor, "EUR")))
    assert till.stands() == (OWED, 0, 0)
    assert till.audit() == []


def test_what_was_given_back_had_been_taken(till: Till) -> None:
    key = till.send()
    till.settle(key, UNKNOWN)
    hear(till, event(K.REFUNDED, till, payment_id=key, amount=Money(OWED, "EUR")))
    assert till.payment(key).state is S.APPROVED
    assert till.stands() == (OWED, 0, 0)
    assert till.messages() == []
    assert till.audit() == []


def test_an_authorisation_undone_elsewhere(till: Till) -> None:
    key = till.send(mode=PaymentMode.AUTHORISE)
    till.settle(key, APPROVED)
    hear(till, event(K.REFUNDED, till, payment_id=key))
    assert till.stands() == (OWED, 0, 0)
    assert [one.kind for one in refunds_of(till, key)] == [refunds.VOID]
    assert till.audit() == []


def test_every_event_is_kept(till: Till) -> None:
    key = till.send()
    hear(till, event(K.OTHER, till, payment_id=key))
    hear(till, event(K.APPROVED, till, order_ref="nobody"))
    hear(till, event(K.APPROVED, till, payment_id=key, event_id="e" * 500))
    kept = [row for row in till.world.rows(t.payment_event) if row.kind == "webhook"]
    assert [row.payment_id for row in kept] == [key, None, key]
