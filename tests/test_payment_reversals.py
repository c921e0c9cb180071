"""Refunds, voids and captures, against the simulated acquirer as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest
from payment_support import OWED, SOFT, Till
from sqlalchemy import Engine
from world import World

from dialer.config import ROOT, Settings, load_settings
from dialer.domain.payment import Brand, PaymentMode, PaymentOutcome, PaymentState
from dialer.domain.payment_states import RefundLife
from dialer.payments import reversals, service
from dialer.payments.gateway import Card, GatewayError
from dialer.payments.gateways.test_acquirer import TestAcquirer, from_settings
from dialer.payments.reversals import ReversalError, Reversed
from dialer.payments.secret import SecretDigits
from dialer.simulation.cards import card_number, security_code
from dialer.store import audit, refunds
from dialer.store import tables as t
from dialer.store.payments import payments_of_session
from dialer.tls import trusted

S, R = PaymentState, RefundLife
UNIQUE = iter(range(1, 10_000))


class Acquirer:
    """The double, and what a test tells it."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-m", "dialer.commands.acquirer_double", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--latency", "0", "--silent", "2", "--pause", "0"],
            cwd=ROOT,
            env={**os.environ, "DIALER_HOME": str(home), "DIALER_WEB_PORT": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def tell(self, behaviour: str, operation: str, times: int = 1) -> None:
        """Behave so at the next operations."""
        asked = {"behaviour": behaviour, "operation": operation, "times": times}
        httpx.post(f"{self.url}/_bank/behaviour", json=asked, verify=trusted()).raise_for_status()

    def outage(self, how: str | None) -> None:
        """Be out of order, or well again."""
        httpx.post(
            f"{self.url}/_bank/outage", json={"how": how}, verify=trusted()
        ).raise_for_status()

    def given_back(self, payment_id: str) -> int:
        """What the acquirer gave back of a payment, by its own ledger."""
        told = httpx.get(f"{self.url}/_bank/ledger", verify=trusted()).json()["refunds"]
        return sum(int(one["minor"]) for one in told if one["charge_key"] == payment_id)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def _acquirer(home: Path) -> Iterator[Acquirer]:
    double = Acquirer(home)
    yield double
    double.stop()


@pytest.fixture
def acquirer(_acquirer: Acquirer) -> Iterator[Acquirer]:
    yield _acquirer
    httpx.post(f"{_acquirer.url}/_bank/reset", verify=trusted()).raise_for_status()


@pytest.fixture
def settings(home: Path, acquirer: Acquirer) -> Settings:
    return load_settings(home=home, test_acquirer_api_base=acquirer.url, gateway_seconds=1)


@pytest.fixture
def gateway(settings: Settings) -> TestAcquirer:
    return from_settings(settings)


@pytest.fixture
def till(database: Engine, settings: Settings) -> Till:
    return Till(World(database), settings)


def charge(till: Till, gateway: TestAcquirer, minor: int = OWED, **changes: Any) -> str:
    """A payment that the acquirer really has."""
    number = next(UNIQUE)
    key = till.send(minor, fingerprint=str(number), **changes)
    with till.engine.connect() as c:
        order = service.order_of(c, key)
    card = Card(
        SecretDigits(card_number(Brand.VISA, "approve", number).encode()),
        12,
        2039,
        SecretDigits(security_code(number).encode()),
    )
    assert till.settle(key, gateway.submit(order, None, card)).state is S.APPROVED
    return key


def refund(
    till: Till, gateway: TestAcquirer, key: str, minor: int | None = None, forgive: bool = False
) -> Reversed:
    return reversals.refund(
        till.engine, gateway, key, minor,
        reason="called by mistake", actor="ana", clock=lambda: till.now, forgive=forgive,
    )  # fmt: skip


def void(till: Till, gateway: TestAcquirer, key: str) -> Reversed:
    return reversals.void(
        till.engine, gateway, key, reason="wrong debt", actor="ana", clock=lambda: till.now
    )


def test_a_refund_reopens_the_debt(till: Till, gateway: TestAcquirer, acquirer: Acquirer) -> None:
    key = charge(till, gateway)
    done = refund(till, gateway, key, 2345)
    assert (done.state, done.reason) == (R.DONE, None)
    assert till.stands() == (2345, 0, 10_000)
    assert till.balance().refunded == 2345
    assert acquirer.given_back(key) == 2345
    assert refund(till, gateway, key).state is R.DONE
    assert till.stands() == (OWED, 0, 0)
    assert acquirer.given_back(key) == OWED
    with pytest.raises(ReversalError, match="nothing is left"):
        refund(till, gateway, key)
    assert till.audit() == []
    charge(till, gateway)
    assert till.stands() == (0, 0, OWED)


def test_what_is_forgiven_is_not_owed_again(till: Till, gateway: TestAcquirer) -> None:
    key = charge(till, gateway)
    refund(till, gateway, key, 345, forgive=True)
    stands = till.balance()
    assert (stands.open, stands.paid, stands.refunded, stands.forgiven) == (0, 12_000, 345, 345)
    assert till.audit() == []


def test_who_asked_and_why_is_kept(till: Till, gateway: TestAcquirer) -> None:
    key = charge(till, gateway)
    done = refund(till, gateway, key, 100)
    with till.engine.connect() as c:
        (trail,) = audit.of_target(c, f"payment:{key}")
        one = refunds.load_refund(c, done.refund_id)
    assert (trail.actor, trail.action) == ("ana", "payment.refund")
    assert trail.after["reason"] == "called by mistake" and trail.after["minor"] == 100
    assert one is not None and (one.actor, one.reason) == ("ana", "called by mistake")


@pytest.mark.parametrize("minor", [0, -1, OWED + 1])
def test_never_more_than_was_paid(till: Till, gateway: TestAcquirer, minor: int) -> None:
    key = charge(till, gateway)
    with pytest.raises(ReversalError, match=f"ask for 1 to {OWED}"):
        refund(till, gateway, key, minor)
    with pytest.raises(ReversalError, match="give a reason"):
        reversals.refund(
            till.engine, gateway, key, 1, reason=" ", actor="ana", clock=lambda: till.now
        )
    assert till.world.rows(t.refund) == [] and till.world.rows(t.audit) == []


def test_what_was_not_taken_is_not_given_back(till: Till, gateway: TestAcquirer) -> None:
    key = till.send()
    with pytest.raises(ReversalError, match="not known yet"):
        refund(till, gateway, key)
    till.settle(key, SOFT)
    with pytest.raises(ReversalError, match="no money was taken"):
        void(till, gateway, key)
    other = till.pay(gateway="stripe", fingerprint="x")
    with pytest.raises(ReversalError, match="was made with stripe"):
        refund(till, gateway, other)


def test_two_refunds_at_once(till: Till, gateway: TestAcquirer, acquirer: Acquirer) -> None:
    for _ in range(6):
        one = Till(till.world, till.settings)
        key = charge(one, gateway)
        ready = Barrier(3)

        def ask(one: Till = one, key: str = key, ready: Barrier = ready) -> Reversed | None:
            ready.wait(30)
            try:
                return refund(one, gateway, key, 5000)
            except ReversalError:
                return None

        with ThreadPoolExecutor(3) as pool:
            results = [found.result() for found in [pool.submit(ask) for _ in range(3)]]
        assert sum(found is not None and found.state is R.DONE for found in results) == 2
        assert one.stands() == (10_000, 0, 2345)
        assert acquirer.given_back(key) == 10_000
    assert till.audit() == []


def test_a_refund_without_an_answer_is_looked_up(
    till: Till, gateway: TestAcquirer, acquirer: Acquirer
) -> None:
    key = charge(till, gateway)
    acquirer.tell("dropped_after", "refund")
    left = refund(till, gateway, key, 5000)
    assert left.state is R.UNKNOWN
    assert till.stands() == (0, 0, OWED)
    with pytest.raises(ReversalError, match="ask for 1 to 7345"):
        refund(till, gateway, key, 7346)
    with till.engine.connect() as c:
        assert refunds.due_refunds(c, till.now) == []
        assert [one.id for one in refunds.due_refunds(c, till.wait(6))] == [left.refund_id]
    found = reversals.look_up(till.engine, gateway, left.refund_id, lambda: till.now, till.settings)
    assert found.state is R.DONE
    assert till.stands() == (5000, 0, 7345)
    assert acquirer.given_back(key) == 5000
    assert till.audit() == []


def test_a_refund_that_never_arrived_is_given_up_in_time(
    till: Till, gateway: TestAcquirer, acquirer: Acquirer
) -> None:
    key = charge(till, gateway)
    acquirer.tell("dropped_before", "refund")
    left = refund(till, gateway, key)

    def look() -> Reversed:
        return reversals.look_up(
            till.engine, gateway, left.refund_id, lambda: till.now, till.settings
        )

    assert look().state is R.UNKNOWN
    till.wait(till.settings.payment_settle_seconds + till.settings.gateway_seconds + 1)
    assert look() == Reversed(left.refund_id, R.REFUSED, reversals.NOT_RECEIVED)
    assert till.stands() == (0, 0, OWED)
    assert refund(till, gateway, key).state is R.DONE
    assert acquirer.given_back(key) == OWED


def test_an_acquirer_that_is_away_loses_nothing(
    till: Till, gateway: TestAcquirer, acquirer: Acquirer
) -> None:
    key = charge(till, gateway)
    acquirer.outage("drop")
    left = refund(till, gateway, key)
    assert left.state is R.UNKNOWN
    for _ in range(3):
        till.wait(3600)
        found = reversals.look_up(
            till.engine, gateway, left.refund_id, lambda: till.now, till.settings
        )
        assert found.state is R.UNKNOWN
    acquirer.outage(None)
    with pytest.raises(ReversalError, match="nothing is left"):
        refund(till, gateway, key)


def test_written_down_and_then_the_process_died(
    till: Till, gateway: TestAcquirer, acquirer: Acquirer
) -> None:
    key = charge(till, gateway)
    with till.engine.begin() as c:
        left = reversals.ask_refund(c, gateway, key, 5000, reason="x", actor="ana", now=till.now)
    with till.engine.connect() as c:
        assert refunds.due_refunds(c, till.now) == []
        due = refunds.due_refunds(c, till.now + timedelta(minutes=2))
    assert [one.id for one in due] == [left]
    for _ in range(2):
        found = reversals.look_up(till.engine, gateway, left, lambda: till.now, till.settings)
        assert found.state is R.DONE
    assert acquirer.given_back(key) == 5000
    assert till.stands() == (5000, 0, 7345)


def test_a_void_undoes_the_whole(till: Till, gateway: TestAcquirer, acquirer: Acquirer) -> None:
    key = charge(till, gateway)
    assert void(till, gateway, key).state is R.DONE
    assert till.stands() == (OWED, 0, 0)
    other = charge(till, gateway)
    refund(till, gateway, other, 1)
    with pytest.raises(ReversalError, match="refund the rest"):
        void(till, gateway, other)
    assert till.audit() == []


def test_an_authorisation_is_captured_in_part(till: Till, gateway: TestAcquirer) -> None:
    key = charge(till, gateway, mode=PaymentMode.AUTHORISE)
    with pytest.raises(ReversalError, match="only authorised"):
        refund(till, gateway, key)
    with pytest.raises(ReversalError, match=f"capture 1 to {OWED}"):
        _capture(till, gateway, key, OWED + 1)
    assert _capture(till, gateway, key, 10_000) is PaymentOutcome.APPROVED
    assert till.stands() == (2345, 0, 10_000)
    with pytest.raises(ReversalError, match="taken already"):
        _capture(till, gateway, key, 1)
    assert refund(till, gateway, key).state is R.DONE
    assert till.stands() == (OWED, 0, 0)
    assert till.audit() == []


def test_an_authorisation_is_voided(till: Till, gateway: TestAcquirer) -> None:
    key = charge(till, gateway, mode=PaymentMode.AUTHORISE)
    assert till.stands() == (0, OWED, 0)
    assert void(till, gateway, key).state is R.DONE
    assert till.stands() == (OWED, 0, 0)
    assert till.balance().refunded == 0
    with pytest.raises(ReversalError, match="voided"):
        _capture(till, gateway, key, None)
    assert till.audit() == []


def test_a_capture_without_an_answer_is_asked_again(
    till: Till, gateway: TestAcquirer, acquirer: Acquirer
) -> None:
    key = charge(till, gateway, mode=PaymentMode.AUTHORISE)
    acquirer.tell("dropped_after", "capture")
    assert _capture(till, gateway, key, 10_000) is PaymentOutcome.UNKNOWN
    assert till.stands() == (0, OWED, 0)
    with pytest.raises(ReversalError, match="may have been captured"):
        void(till, gateway, key)
    with pytest.raises(ReversalError, match="a capture of 10000 had no answer"):
        _capture(till, gateway, key, OWED)
    till.wait(1)
    assert _capture(till, gateway, key, 10_000) is PaymentOutcome.APPROVED
    assert till.stands() == (2345, 0, 10_000)
    with till.engine.connect() as c:
        (one,) = payments_of_session(c, till.session_id)
    assert one.captured_at == till.now
    assert till.audit() == []


def test_a_refund_that_certainly_did_not_happen(
    till: Till, settings: Settings, gateway: TestAcquirer
) -> None:
    key = charge(till, gateway)
    nobody = from_settings(
        settings.model_copy(update={"test_acquirer_api_base": "http://127.0.0.1:1"})
    )
    with pytest.raises(GatewayError), till.engine.connect() as c:
        nobody.look_up_refund(service.order_of(c, key), key, "0" * 32)
    assert refund(till, nobody, key).state is R.REFUSED
    assert refund(till, gateway, key).state is R.DONE
    assert till.stands() == (OWED, 0, 0)


def _capture(till: Till, gateway: TestAcquirer, key: str, minor: int | None) -> PaymentOutcome:
    return reversals.capture(
        till.engine, gateway, key, minor, reason="goods sent", actor="ana", clock=lambda: till.now
    ).outcome
