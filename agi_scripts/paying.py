"""The flow's side of a payment: the call is lent to the process that hears cards, and comes back.

Nothing of a card is ever here. What was paid is read from the database, never guessed from how
the other process ended: it may have been killed between two lines.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from agi_scripts.wire import Agi, Gone
from dialer.config import Settings
from dialer.domain.payment import PayResult
from dialer.flow.values import HungUp, Input, PaymentDone, TakePayment
from dialer.logs import get_logger
from dialer.store.outcomes import Call
from dialer.store.pay_sessions import PaySession, SessionEnd, open_session, session_end
from dialer.switch import names

log = get_logger(__name__)

PAY_SECONDS = 900.0
"""The longest that a payment may take: every attempt of every field, twice, in no hurry."""
LAST_WORD_SECONDS = 2.0
"""How long the other process may take, after a hang-up, to write down how it ended."""
GRACE_SECONDS = 5.0
"""How much longer than the gateway may take a payment on its way is waited for."""
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Till:
    """Takes the payments of one call."""

    agi: Agi
    engine: Engine
    settings: Settings
    call: Call
    language: str
    clock: Callable[[], datetime]

    def take(self, command: TakePayment) -> Input:
        """Have a payment taken. Raises SQLAlchemyError; nothing is asked for then."""
        session_id = uuid.uuid4().hex
        session = PaySession(
            id=session_id,
            attempt_id=self.call.attempt_id,
            account_id=self.call.account_id,
            node=command.node,
            language=self.language,
            spec=command.spec,
            started_at=self.clock(),
        )
        with self.engine.begin() as connection:
            open_session(connection, session)
        try:
            self.agi.appexec("AGI", self._address(session_id), within=PAY_SECONDS)
        except Gone:
            return self._after_hang_up(session_id)
        end = self._end(session_id)
        if end.result is None:
            log.error("payment session without an end", session=session_id, result=end.verdict)
        return PaymentDone(end.verdict)

    def _address(self, session_id: str) -> str:
        host, port = self.settings.agi_host, self.settings.payments_agi_port
        return f"agi://{host}:{port}/{names.AGI_PAY},{session_id}"

    def _end(self, session_id: str) -> SessionEnd:
        with self.engine.connect().execution_options(dialer_readonly=True) as connection:
            return session_end(connection, session_id)

    def _after_hang_up(self, session_id: str) -> Input:
        """A card that was on its way to the gateway is settled without the debtor: whoever has
        paid has not left without an outcome."""
        began = time.monotonic()
        while True:
            end = self._end(session_id)
            waited = time.monotonic() - began
            most = self.settings.gateway_seconds + GRACE_SECONDS if end.open else LAST_WORD_SECONDS
            if end.paid or waited > most or (end.result is not None and not _on_its_way(end)):
                break
            time.sleep(LOOK_SECONDS)
        return PaymentDone(PayResult.SUCCESS) if end.paid else HungUp()


def _on_its_way(end: SessionEnd) -> bool:
    """A payment whose outcome somebody still waits for."""
    return end.open and end.result is not PayResult.GATEWAY_TIMEOUT_UNKNOWN
