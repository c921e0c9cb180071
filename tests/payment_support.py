"""What tests of payments share: a debt with a call in which it is paid."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, update
from world import NOW, POOL, World

from dialer.config import Settings
from dialer.domain.ledger import Balance
from dialer.domain.model import LineType, Money
from dialer.domain.payment import (
    Brand,
    PaymentMode,
    PaymentOutcome,
    PaymentSource,
    PaymentState,
    PaySpec,
)
from dialer.payments import service
from dialer.payments.gateway import Found, LookUp, Reply
from dialer.payments.service import Begun, NotBegun, PaymentRequest, Settled
from dialer.store import ledger, pay_sessions
from dialer.store import payments as rows
from dialer.store import tables as t

OWED = 12345
APPROVED = Reply(PaymentOutcome.APPROVED, provider_ref="pi_1", auth_code="A1B2C3")
SOFT = Reply(PaymentOutcome.DECLINED_SOFT, reason="insufficient_funds")
HARD = Reply(PaymentOutcome.DECLINED_HARD, reason="stolen_card")
UNKNOWN = Reply(PaymentOutcome.UNKNOWN)
FOUND = LookUp(Found.APPROVED, APPROVED)
CLOSED = LookUp(Found.CLOSED)
ABSENT = LookUp(Found.ABSENT)


class Till:
    """One debt of 123.45 EUR, its call and its pay session, and the service in front of it.

    Every method is a transaction of its own, at ``now``.
    """

    def __init__(
        self,
        world: World,
        settings: Settings,
        line_type: LineType = LineType.MOBILE,
        **lead: Any,
    ) -> None:
        self.world = world
        self.engine = world.engine
        self.settings = settings
        self.now = NOW
        self.lead_id = world.lead(line_type=line_type, **lead)
        (one,) = world.rows(t.lead, id=self.lead_id)
        self.account_id = int(one.account_id)
        (phone,) = world.rows(t.phone, debtor_id=one.debtor_id)
        self.number = str(phone.number)
        self.attempt_id = uuid.uuid4().hex
        self.session_id = uuid.uuid4().hex
        with self.engine.begin() as c:
            c.execute(
                insert(t.attempt).values(
                    id=self.attempt_id,
                    campaign_id=world.campaign_id,
                    lead_id=self.lead_id,
                    debtor_id=one.debtor_id,
                    phone_id=phone.id,
                    number=self.number,
                    caller_id=POOL[0],
                    trunk="carrier",
                    node="node1",
                    flow="reminder",
                    state="answered",
                    placed_at=NOW,
                    answered_at=NOW,
                )  # fmt: skip
            )
            pay_sessions.open_session(
                c,
                pay_sessions.PaySession(
                    id=self.session_id, attempt_id=self.attempt_id, account_id=self.account_id,
                    node="card", language="es", spec=PaySpec(), started_at=NOW,
                ),
            )  # fmt: skip

    def wait(self, seconds: float) -> datetime:
        """Time passes."""
        self.now += timedelta(seconds=seconds)
        return self.now

    def hang_up(self) -> None:
        """The call is over."""
        with self.engine.begin() as c:
            ended = update(t.attempt).where(t.attempt.c.id == self.attempt_id)
            c.execute(ended.values(state="ended", ended_at=self.now))

    def request(self, minor: int = OWED, **changes: Any) -> PaymentRequest:
        """To pay by the call."""
        values: dict[str, Any] = {
            "account_id": self.account_id,
            "amount": Money(minor, "EUR"),
            "mode": PaymentMode.CHARGE,
            "gateway": "test",
            "source": PaymentSource.CALL,
            "session_id": self.session_id,
            "attempt_id": self.attempt_id,
            "number": self.number,
            "brand": Brand.VISA,
            "last_four": "4242",
            "fingerprint": "f" * 64,
        }
        return PaymentRequest(**values | changes)

    def try_begin(self, minor: int = OWED, **changes: Any) -> Begun | NotBegun:
        """Whatever comes of it."""
        with self.engine.begin() as c:
            return service.begin(c, self.request(minor, **changes), self.now)

    def begin(self, minor: int = OWED, **changes: Any) -> str:
        """The payment's id."""
        begun = self.try_begin(minor, **changes)
        assert isinstance(begun, Begun), begun
        return begun.payment_id

    def send(self, minor: int = OWED, **changes: Any) -> str:
        """A payment whose card is on its way."""
        key = self.begin(minor, **changes)
        assert self.mark_sending(key)
        return key

    def mark_sending(self, key: str) -> bool:
        """See ``service``."""
        with self.engine.begin() as c:
            return service.mark_sending(c, key, self.now)

    def settle(self, key: str, reply: Reply) -> Settled:
        """See ``service``."""
        with self.engine.begin() as c:
            return service.settle(c, key, reply, self.now, self.settings)

    def look_up(self, key: str, said: LookUp) -> Settled:
        """See ``service.settle_look_up``."""
        with self.engine.begin() as c:
            return service.settle_look_up(c, key, said, self.now, self.settings)

    def pay(self, minor: int = OWED, **changes: Any) -> str:
        """A payment that was charged."""
        key = self.send(minor, **changes)
        assert self.settle(key, replace(APPROVED, provider_ref=key)).state is PaymentState.APPROVED
        return key

    def payment(self, key: str) -> rows.Payment:
        """As it stands."""
        with self.engine.connect() as c:
            found = rows.load_payment(c, key)
        assert found is not None
        return found

    def balance(self) -> Balance:
        """Where the money stands; it always adds up."""
        with self.engine.connect() as c:
            stands = ledger.balance_of(c, self.account_id)
        assert stands.adds_up, stands
        return stands

    def stands(self) -> tuple[int, int, int]:
        """Open, pending, paid."""
        now = self.balance()
        return now.open, now.pending, now.paid

    def audit(self) -> list[str]:
        """What is wrong with the books."""
        with self.engine.connect() as c:
            return ledger.audit_books(c)

    def messages(self) -> list[str]:
        """Templates of the texts of this debt, in order."""
        return [row.template for row in self.world.rows(t.message, account_id=self.account_id)]
