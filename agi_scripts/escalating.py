"""A debtor is handed over to a person: written down, the way of the call set, then told.

In this order: who is lost between two of these steps is found in the database by the engine; and
once the engine knows, it may redirect the channel at any moment, so nothing may be set after that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from agi_scripts import events
from agi_scripts.wire import Agi, Gone
from dialer.config import Settings
from dialer.domain.agents import GRACE
from dialer.domain.model import AgentCallKind, Outcome
from dialer.domain.queueing import ASKED
from dialer.flow.values import Escalate, HandedOver, Input, NobodyThere
from dialer.logs import get_logger
from dialer.store import agent_calls, floor_views, outcomes
from dialer.store.agent_calls import NewCall
from dialer.store.outcomes import Call
from dialer.switch import names

log = get_logger(__name__)


def at_work(
    connection: Connection, settings: Settings, company_id: int, skill: str, now: datetime
) -> int:
    """How many agents work who could be waited for; none where the installation has none.

    A desk is logged out when it has said nothing for its heartbeat and ``GRACE``: nobody waits for
    one that is due to be.
    """
    if not settings.agents:
        return 0
    since = now - timedelta(seconds=settings.agent_heartbeat_seconds) - GRACE
    return floor_views.at_work(connection, settings.node, company_id, skill, since)


@dataclass(frozen=True)
class Desk:
    """Hands one call over."""

    agi: Agi
    engine: Engine
    settings: Settings
    call: Call
    clock: Callable[[], datetime]

    def hand_over(self, command: Escalate) -> Input:
        """Put the debtor into the queue, if anybody works. Raises SQLAlchemyError."""
        now = self.clock()
        with self.engine.begin() as connection:
            if not at_work(connection, self.settings, self.call.company_id, command.skill, now):
                return NobodyThere()
            # A call that has concluded (paid, say) keeps what it concluded first.
            outcomes.record_outcome(
                connection, self.call.attempt_id, Outcome.WANTS_AGENT, command.node, now
            )
            call_id = agent_calls.queue_call(connection, self._new(command), now)
        try:
            self.agi.go_on_at(names.CONTEXT_QUEUE, names.START)
            events.outcome_reported(self.agi, Outcome.WANTS_AGENT)
        except Gone:
            self._gave_up(call_id)
            return HandedOver()
        events.escalated(self.agi, command.skill, command.reason, ASKED + command.priority)
        return HandedOver()

    def _new(self, command: Escalate) -> NewCall:
        call = self.call
        return NewCall(
            attempt_id=call.attempt_id,
            company_id=call.company_id,
            debtor_id=call.debtor_id,
            campaign_id=call.campaign_id,
            kind=AgentCallKind.INBOUND if call.inbound else AgentCallKind.ESCALATION,
            reason=command.reason,
            skill=command.skill,
            priority=ASKED + command.priority,
        )

    def _gave_up(self, call_id: int) -> None:
        """Hung up before anybody was told: nobody else would close the row for some time."""
        try:
            with self.engine.begin() as connection:
                agent_calls.left(connection, call_id, self.clock())
        except SQLAlchemyError as error:
            log.warning("wait not closed", why=type(error).__name__)
