"""Payments in doubt: looked up until they are settled, whatever hangs, breaks or dies."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
from fixtures_bank import BankProcess, gateway_at, make_card
from fixtures_messaging import wait_until
from payment_support import OWED, Till
from prometheus_client import REGISTRY
from sqlalchemy import Engine
from world import World

from dialer.config import Settings
from dialer.domain.payment import PaymentMode, PaymentState
from dialer.domain.payment_states import RefundLife
from dialer.payments import reversals
from dialer.payments.orders import order_of
from dialer.payments.resolving import AWAY, NOT_SET_UP, Resolver
from dialer.simulation.cards import Behaviour
from dialer.store import refunds, unresolved
from dialer.store import tables as t


class Desk:
    """A till, the bank behind it, and the resolver that asks there at the till's time."""

    def __init__(self, database: Engine, bank: BankProcess, **settings: Any) -> None:
        self.bank = bank
        self.settings: Settings = bank.settings(**settings)
        self.world = World(database)
        self.till = Till(self.world, self.settings)
        self.tills = [self.till]
        self.sent: list[int] = []
        self.resolver = Resolver(
            self.settings, database, enqueue=self.sent.append, clock=lambda: self.till.now
        )

    def submit(self, behaviour: Behaviour, till: Till | None = None, gateway: str = "test") -> str:
        """A card that is treated so, sent and answered; the payment's id."""
        till = till or self.till
        key = till.send(gateway=gateway, fingerprint=behaviour.value)
        with till.engine.connect() as c:
            order = order_of(c, key)
        at = gateway_at(self.bank, gateway, gateway_seconds=5.0)
        card = make_card(behaviour)
        try:
            till.settle(key, at.submit(order, at.prepare(order), card))
        finally:
            card.wipe()
        return key

    def other(self) -> Till:
        """Another debt of the same world."""
        return Till(self.world, self.settings)

    def sweep(self) -> None:
        """One pass, to its end."""
        for thread in self.resolver.sweep():
            thread.join(60)
            assert not thread.is_alive()

    def charged(self, key: str) -> int:
        """How often the bank took the money."""
        with self.till.engine.connect() as c:
            return len(self.bank.charged(order_of(c, key)))

    def events(self, key: str, kind: str) -> list[dict[str, Any]]:
        return [row.detail for row in self.world.rows(t.payment_event, payment_id=key, kind=kind)]


@pytest.fixture
def desk(database: Engine, bank: BankProcess) -> Desk:
    return Desk(database, bank)


def gauge(name: str, **labels: str) -> float:
    value = REGISTRY.get_sample_value(name, labels)
    assert value is not None
    return value


def test_charged_and_never_heard_of_again_is_found_out(desk: Desk) -> None:
    key = desk.submit(Behaviour.DROPPED_AFTER)
    assert desk.till.payment(key).state is PaymentState.UNKNOWN
    assert desk.till.stands() == (0, OWED, 0)
    desk.sweep()  # too early
    assert desk.till.payment(key).look_ups == 0
    desk.till.hang_up()
    desk.till.wait(5)
    desk.sweep()
    assert desk.till.payment(key).state is PaymentState.APPROVED
    assert (desk.till.stands(), desk.charged(key)) == ((0, 0, OWED), 1)
    assert desk.till.messages() == ["payment_receipt"]
    assert desk.sent == [desk.world.rows(t.message)[0].id]
    (attempt,) = desk.world.rows(t.attempt)
    assert attempt.disposition == "paid"
    desk.till.wait(3600)
    desk.sweep()  # nothing is due any more
    assert (len(desk.sent), desk.till.payment(key).look_ups) == (1, 1)
    assert desk.till.audit() == []


def test_not_charged_frees_the_money_and_sends_the_link(desk: Desk) -> None:
    key = desk.submit(Behaviour.DROPPED_BEFORE)
    desk.till.hang_up()
    desk.till.wait(5)
    desk.sweep()
    assert desk.till.payment(key).state is PaymentState.NOT_CHARGED
    assert desk.till.stands() == (OWED, 0, 0)
    assert len(desk.sent) == 1
    (text,) = desk.till.messages()
    assert text == "payment_link_after"
    assert desk.till.audit() == []


def test_an_acquirer_that_is_away_is_asked_again_for_ever_and_loudly(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    key = desk.submit(Behaviour.DROPPED_AFTER)
    desk.bank.post("outage", how="error")
    waits = []
    with caplog.at_level(logging.WARNING):
        for _ in range(8):
            due = desk.till.payment(key).next_look_up_at
            assert due is not None
            waits.append(round((due - desk.till.now).total_seconds()))
            desk.till.now = due
            desk.sweep()
    assert waits == [5, 15, 60, 300, 900, 3600, 3600, 3600]
    assert [one["found"] for one in desk.events(key, "look_up")] == [AWAY] * 8
    assert desk.till.payment(key).state is PaymentState.UNKNOWN
    # What an earlier test left running may say something, too.
    ours = [one for one in caplog.records if one.name == "dialer.payments.resolving"]
    loud = [one for one in ours if one.levelno >= logging.ERROR]
    assert len(loud) == 3, "one an hour, after the first one"
    assert gauge("dialer_payments_unresolved", kind="payment", age="hour") == 1
    assert gauge("dialer_payments_oldest_seconds") > 3600
    complaint = desk.resolver.check()
    assert complaint is not None and complaint.startswith("1 payment or refund in doubt")
    desk.bank.post("outage", how=None)
    desk.till.wait(3600)
    desk.sweep()
    assert desk.till.payment(key).state is PaymentState.APPROVED
    desk.sweep()
    assert desk.resolver.check() is None
    assert gauge("dialer_payments_unresolved", kind="payment", age="hour") == 0


@pytest.mark.database("sqlite")
def test_a_gateway_that_hangs_holds_up_no_other(database: Engine, bank: BankProcess) -> None:
    desk = Desk(database, bank, gateway_seconds=60.0)
    other = desk.other()
    hanging = desk.submit(Behaviour.DROPPED_AFTER, gateway="redsys")
    quick = desk.submit(Behaviour.DROPPED_AFTER, till=other)
    bank.post("outage", how="silent", faces=["redsys"])
    desk.till.wait(5)
    threads = desk.resolver.sweep()
    assert len(threads) == 2
    wait_until(lambda: other.payment(quick).state is PaymentState.APPROVED)
    assert desk.till.payment(hanging).state is PaymentState.UNKNOWN
    desk.till.wait(120)
    assert desk.resolver.sweep() == [], "it is still being asked"
    bank.post("outage", how=None)
    bank.post("release")
    for thread in threads:
        thread.join(60)
    desk.till.wait(120)
    desk.sweep()
    assert desk.till.payment(hanging).state is PaymentState.APPROVED
    assert desk.charged(hanging) == 1


def test_what_a_crash_left_behind_is_found(desk: Desk) -> None:
    other = desk.other()
    sending, created = desk.till.send(), other.begin()
    assert desk.till.stands() == (0, OWED, 0)
    desk.till.wait(600)
    desk.sweep()
    assert other.payment(created).state is PaymentState.NOT_CHARGED
    assert desk.till.payment(sending).state is PaymentState.UNKNOWN
    desk.till.wait(5)
    desk.sweep()  # the bank never heard of it, and closes the key
    assert desk.till.payment(sending).state is PaymentState.NOT_CHARGED
    assert (desk.till.stands(), other.stands()) == ((OWED, 0, 0), (OWED, 0, 0))


def test_a_refund_without_an_answer_is_found_out_and_made_once(desk: Desk) -> None:
    key = desk.submit(Behaviour.APPROVE)
    desk.bank.post("behaviour", behaviour="dropped_after", times=1, operation="refund")
    done = reversals.refund(
        desk.till.engine, gateway_at(desk.bank, "test"), key, 2000,
        reason="a test", actor="ana", clock=lambda: desk.till.now,
    )  # fmt: skip
    assert done.state is RefundLife.UNKNOWN
    with desk.till.engine.connect() as c:
        doubt = unresolved.unresolved(c, desk.till.now + timedelta(hours=2))
    assert (doubt.worrying, doubt.refunds["hour"]) == (1, 1)
    desk.till.wait(60)
    desk.sweep()
    with desk.till.engine.connect() as c:
        (one,) = refunds.refunds_of(c, key)
    assert one.state is RefundLife.DONE
    assert desk.till.stands() == (2000, 0, OWED - 2000)
    assert len(desk.bank.ledger()["refunds"]) == 1
    assert desk.till.audit() == []


def test_a_gateway_that_is_not_set_up_any_more_is_said(
    database: Engine, bank: BankProcess, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(database, bank)
    key = desk.submit(Behaviour.DROPPED_AFTER)
    desk.till.wait(5)
    unset = desk.settings.model_copy(update={"test_acquirer_api_base": ""})
    resolver = Resolver(unset, database, clock=lambda: desk.till.now)
    with caplog.at_level(logging.ERROR):
        assert resolver.look_up(key) is PaymentState.UNKNOWN
    assert "payment still in doubt" in caplog.text
    assert [one["found"] for one in desk.events(key, "look_up")] == [NOT_SET_UP]


def test_a_look_up_is_one_workers_at_a_time(desk: Desk) -> None:
    key = desk.submit(Behaviour.DROPPED_AFTER)
    desk.till.wait(5)
    until = desk.till.now + timedelta(minutes=1)

    def take(due: datetime | None) -> bool:
        with desk.till.engine.begin() as c:
            return unresolved.take_look_up(c, key, due, until)

    assert (take(desk.till.now), take(desk.till.now)) == (True, False)
    desk.sweep()
    assert desk.till.payment(key).state is PaymentState.UNKNOWN  # the other one has it
    assert take(None), "whoever asks by hand does not wait"
    assert desk.resolver.look_up(key, now=True) is PaymentState.APPROVED
    assert not take(None)


def test_one_that_goes_wrong_does_not_hold_up_those_behind_it(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect of ours in the first of two."""
    other = desk.other()
    first = desk.submit(Behaviour.DROPPED_AFTER)
    second = desk.submit(Behaviour.DROPPED_AFTER, till=other)
    desk.till.wait(5)
    asked = []

    def gateway(settings: Settings, name: str) -> Any:
        asked.append(name)
        if len(asked) == 1:
            raise RuntimeError("4000000000000002")
        return gateway_at(desk.bank, name)

    resolver = Resolver(
        desk.settings, desk.till.engine, gateway=gateway, clock=lambda: desk.till.now
    )
    with caplog.at_level(logging.ERROR):
        for thread in resolver.sweep():
            thread.join(60)
    states = {desk.till.payment(first).state, other.payment(second).state}
    assert states == {PaymentState.UNKNOWN, PaymentState.APPROVED}
    assert "look-up failed" in caplog.text and "400000" not in caplog.text


def test_authorised_and_forgotten_is_counted(desk: Desk) -> None:
    other = desk.other()
    for till in (desk.till, other):
        till.pay(mode=PaymentMode.AUTHORISE)
    with desk.till.engine.connect() as c:
        assert unresolved.uncaptured(c) == 2
    desk.sweep()
    assert gauge("dialer_payments_uncaptured") == 2
