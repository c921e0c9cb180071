"""Whatever happens, in whatever order: the books add up, and nothing is charged twice.

The acquirer of these histories is a few lines of truth (who was charged, what was given back);
replies, look-ups and webhooks tell of it late, twice, or never. Hypothesis draws each history; a
weighted choice of steps keeps them from standing still before one payment in doubt.
"""

from __future__ import annotations

import itertools
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from payment_support import APPROVED, OWED, SOFT, UNKNOWN, Till
from sqlalchemy import Engine
from world import World

from dialer.config import load_settings
from dialer.domain.model import Money
from dialer.domain.payment import PaymentState
from dialer.domain.payment_states import RefundLife
from dialer.domain.velocity import VelocityLimits
from dialer.payments import service
from dialer.payments.booking import hold
from dialer.payments.gateway import (
    EventKind,
    Found,
    LookUp,
    RefundReply,
    RefundState,
    Reply,
    WebhookEvent,
)
from dialer.payments.reversals import refundable, settle_refund
from dialer.payments.service import Begun
from dialer.store import refunds
from dialer.store.db import open_database
from dialer.store.ledger import audit_books, balance_of
from dialer.store.payments import Payment, payments_of_session
from dialer.store.refunds import Refund

S, K = PaymentState, EventKind
STEPS = 100
WAITS: dict[str, Any] = {"gateway_seconds": 15.0, "payment_settle_seconds": 60.0}
FREE = VelocityLimits(10**6, 10**6, 10**6, 10**6, 10**6)


class History:
    """One debt: what we did, what the acquirer did, and what it told."""

    def __init__(self, engine: Engine, home: Path, seed: int) -> None:
        self.engine = engine
        self.till = Till(World(engine), load_settings(home=home, **WAITS))
        self.chance = random.Random(seed)
        self.names = itertools.count()
        self.journal: list[str] = []
        # ours
        self.begun: list[str] = []  # committed, the card has not left
        self.in_flight: list[str] = []
        self.sent: list[str] = []  # arrived, or lost
        self.asked: list[str] = []  # refunds on their way
        # the acquirer's
        self.charged: dict[str, int] = {}
        self.declined: set[str] = set()
        self.closed: set[str] = set()
        self.given_back: Counter[str] = Counter()

    def run(self) -> None:
        """``STEPS`` of them, then everything is asked for."""
        steps: dict[Callable[[], str | None], int] = {
            self.begin: 4, self.send: 5, self.give_up: 1, self.arrives: 5, self.tell: 8,
            self.look_up_early: 2, self.time_passes: 2, self.ask_refund: 3, self.refund_answer: 3,
        }  # fmt: skip
        for step in self.chance.choices(list(steps), list(steps.values()), k=STEPS):
            done = step()
            if done is not None:
                self.journal.append(f"{step.__name__}: {done}")
                self.check()
        self.end()

    def check(self) -> None:
        """The books add up, nothing is paid twice, money counted as taken was taken, each with one
        receipt, and nobody is told "not charged" who was, or can still be."""
        with self.engine.connect() as c:
            assert audit_books(c) == [], self.journal
            assert balance_of(c, self.till.account_id).overpaid == 0, self.journal
        payments = self.payments()
        taken = {one.id for one in payments if one.state is S.APPROVED}
        assert taken <= self.charged.keys(), self.journal
        for one in payments:
            if not one.state.open and one.state is not S.APPROVED:
                assert one.id not in self.charged, self.journal
                assert not (one.id in self.in_flight and self.in_time(one)), self.journal
        assert self.till.messages().count("payment_receipt") == len(taken), self.journal

    def end(self) -> None:
        """Asked about each payment and refund, our books hold what the acquirer holds."""
        self.till.wait(3600)
        service.reconcile(self.engine, self.till.now, self.till.settings)
        for one in self.payments():
            if one.state.open:
                self.look_up(one.id, closes=False)
        while self.asked:
            self.refund_answer()
        assert not any(one.state.open for one in self.payments()), self.journal
        stands = self.till.balance()
        holds = sum(self.charged.values()) - self.given_back.total()
        assert (stands.paid, stands.pending) == (holds, 0), self.journal
        self.check()

    # --- what we do ----------------------------------------------------------------------

    def begin(self) -> str | None:
        """Never while another one is open, never more than is open."""
        minor = OWED * self.chance.choice([10, 30, 50, 100]) // 100
        before = self.till.balance()
        open_now = [one.id for one in self.payments() if one.state.open]
        with self.engine.begin() as c:
            request = self.till.request(minor, fingerprint=None)
            done = service.begin(c, request, self.till.now, FREE)
        if not isinstance(done, Begun):
            assert open_now or before.open < minor, self.journal
            return None
        assert not any(self.till.payment(key).state.open for key in open_now), self.journal
        self.begun.append(done.payment_id)
        return f"{done.payment_id} for {minor}"

    def send(self) -> str | None:
        """The card leaves only if it may."""
        key = self._take(self.begun)
        if key is None:
            return None
        leaves = self.till.mark_sending(key)
        if leaves:
            self.in_flight.append(key)
        return f"{key} {leaves}"

    def give_up(self) -> str | None:
        key = self._pick(self.begun + self.in_flight)
        if key is None:
            return None
        with self.engine.begin() as c:
            return f"{key} {service.abandon(c, key, self.till.now).state}"

    def time_passes(self) -> str:
        self.till.wait(self.chance.choice([1, 1, 20, 100, 200]))
        return str(service.reconcile(self.engine, self.till.now, self.till.settings))

    def ask_refund(self) -> str | None:
        """As ``reversals.ask_refund`` does; the acquirer has not heard of it yet."""
        one = self._pick([one for one in self.payments() if one.state is S.APPROVED])
        if one is None:
            return None
        with self.engine.begin() as c:
            left = refundable(c, hold(c, one.id))
            if left <= 0:
                return None
            key, minor = f"{next(self.names):032x}", self.chance.choice([left, max(1, left // 2)])
            new = Refund(
                key, one.id, refunds.REFUND, Money(minor, "EUR"), RefundLife.SENDING,
                self.chance.random() < 0.2, "x", "ana", self.till.now,
            )  # fmt: skip
            refunds.insert_refund(c, new)
        self.asked.append(key)
        return f"{minor} of {one.id}"

    # --- what the acquirer does and tells ------------------------------------------------

    def arrives(self) -> str | None:
        """A card that arrives in time is charged or declined, unless its key was closed."""
        key = self._take(self.in_flight)
        if key is None:
            return None
        self.sent.append(key)
        one = self.till.payment(key)
        if not self.in_time(one):
            return f"{key} too late"
        luck = self.chance.choice(["charged", "charged", "declined", "lost"])
        if luck == "charged":
            self.charged[key] = one.amount.minor
        elif luck == "declined":
            self.declined.add(key)
        return f"{key} {luck}"

    def tell(self) -> str | None:
        key = self._pick(self.sent[-3:])
        if key is None:
            return None
        how = self.chance.choice(["reply", "silence", "look_up", "close", "hook", "hooks"])
        if how in ("reply", "silence"):
            self.till.settle(key, self.reply(key) if how == "reply" else UNKNOWN)
        elif how in ("look_up", "close"):
            self.look_up(key, closes=how == "close")
        elif self.reply(key) is not UNKNOWN:
            kind = K.APPROVED if key in self.charged else K.DECLINED
            self.hear(kind, key, times=2 if how == "hooks" else 1)
        return f"{key} {how}"

    def look_up_early(self) -> str | None:
        """While the card is on its way."""
        key = self._pick(self.in_flight)
        if key is None:
            return None
        found = self.chance.choice([Found.ABSENT, Found.PENDING, Found.CLOSED])
        if found is Found.CLOSED:
            self.closed.add(key)
        return f"{key} {found} {self.till.look_up(key, LookUp(found)).state}"

    def refund_answer(self) -> str | None:
        key = self._take(self.asked)
        if key is None:
            return None
        with self.engine.connect() as c:
            one = refunds.load_refund(c, key)
        assert one is not None
        done = self.chance.random() < 0.7
        self.given_back[one.payment_id] += one.amount.minor if done else 0
        how = self.chance.choice(["reply", "hook", "both"])
        if how != "hook":
            state = RefundState.DONE if done else RefundState.REFUSED
            with self.engine.begin() as c:
                settle_refund(c, key, RefundReply(state), self.till.now)
        if how != "reply":
            kind = K.REFUNDED if done else K.REFUND_FAILED
            self.hear(kind, one.payment_id, refund_id=key, amount=one.amount)
        return f"{key} of {one.payment_id} {done} {how}"

    # --- parts ---------------------------------------------------------------------------

    def in_time(self, one: Payment) -> bool:
        """Whether its card can still be charged when it arrives now."""
        longest = timedelta(seconds=sum(WAITS.values()))
        return one.id not in self.closed and self.till.now <= one.send_before + longest

    def look_up(self, key: str, *, closes: bool) -> None:
        """Ask the acquirer, and believe what is to be believed."""
        if self.reply(key) is not UNKNOWN:
            found = Found.APPROVED if key in self.charged else Found.DECLINED
            said = LookUp(found, self.reply(key))
        else:
            said = LookUp(Found.CLOSED if closes else Found.ABSENT)
            self.closed |= {key} if closes else set()
        self.till.look_up(key, said)

    def reply(self, key: str) -> Reply:
        """What the acquirer would say."""
        if key in self.charged:
            return replace(APPROVED, provider_ref=f"ch_{key}")
        return SOFT if key in self.declined else UNKNOWN

    def hear(self, kind: EventKind, key: str, times: int = 1, **more: Any) -> None:
        """A webhook."""
        event = WebhookEvent(f"evt{next(self.names)}", kind, self.till.now, payment_id=key, **more)
        for _ in range(times):
            with self.engine.begin() as c:
                service.settle_webhook(c, event, "test", self.till.now, self.till.settings)

    def payments(self) -> list[Payment]:
        with self.engine.connect() as c:
            return payments_of_session(c, self.till.session_id)

    def _pick(self, some: list[Any]) -> Any:
        return self.chance.choice(some) if some else None

    def _take(self, some: list[str]) -> str | None:
        return some.pop(self.chance.randrange(len(some))) if some else None


@settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**32))
def _histories(template: Path, seen: Counter[str], seed: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="history"))
    shutil.copyfile(template, folder / "dialer.db")
    engine = open_database(f"sqlite:///{folder / 'dialer.db'}")
    try:
        history = History(engine, folder, seed)
        history.run()
        seen.update(one.state.value for one in history.payments())
        seen["refunds"] += len(history.given_back)
    finally:
        engine.dispose()
        shutil.rmtree(folder)


def test_histories(request: pytest.FixtureRequest) -> None:
    seen: Counter[str] = Counter()
    _histories(request.getfixturevalue("_sqlite_template"), seen)
    # Histories in which little happens would prove little.
    assert min(seen[name] for name in ("approved", "declined", "not_charged", "refunds")) > 10, seen
