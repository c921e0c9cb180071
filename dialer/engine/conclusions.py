"""What an agent concludes with a debtor, written down as a flow's conclusions are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TypeVar

from sqlalchemy import Connection, select, update

from dialer.config import Settings
from dialer.desk.wire import Refused
from dialer.domain.model import AttemptState, Disposition, Outcome
from dialer.engine.database import Database
from dialer.messaging.links import make_link
from dialer.messaging.templates import render_message
from dialer.store import attempts, callbacks, outcomes
from dialer.store.callbacks import NewCallback
from dialer.store.companies import NotPossible
from dialer.store.outcomes import Call
from dialer.store.tables import attempt, flow_outcome, phone

T = TypeVar("T")

OPEN_ENDED = (Disposition.SPOKE, Disposition.WANTS_AGENT)
"""Dispositions that what an agent says afterwards replaces."""
NODE = "agent"
"""Where a conclusion of an agent was come to, in place of a node of a flow."""
NOT_AN_AGENTS = (Outcome.PAID, Outcome.NO_INPUT, Outcome.WANTS_AGENT)
"""What only money, or a flow, decides."""


class Conclusions:
    """Each method is one transaction; safe to repeat. ``enqueue`` hands a message to workers."""

    def __init__(
        self, settings: Settings, database: Database, enqueue: Callable[[int], None]
    ) -> None:
        self._settings = settings
        self._database = database
        self._enqueue = enqueue

    async def outcome_of(self, code: str, attempt_id: str) -> Outcome:
        """The outcome an agent's word stands for; ``paid`` where it was. Raises Refused."""
        known = [one for one in Outcome if one not in NOT_AN_AGENTS]
        if code == Outcome.PAID.value and await self._is_paid(attempt_id):
            return Outcome.PAID
        found = next((one for one in known if one.value == code), None)
        if found is None:
            raise Refused("unknown_disposition", f"one of {', '.join(one.value for one in known)}")
        return found

    async def _is_paid(self, attempt_id: str) -> bool:
        written = await self._database.once(
            lambda connection: attempts.written_outcomes(connection, [attempt_id])
        )
        return written.get(attempt_id) is Outcome.PAID

    async def conclude(self, attempt_id: str, outcome: Outcome, now: datetime) -> None:
        """How the talk ended. A debtor who wants no more contact gets none from here on; a number
        that is another person's is never called again."""

        def work(connection: Connection, call: Call) -> None:
            if outcome is Outcome.OPTED_OUT:
                outcomes.record_opt_out(connection, call, NODE, now)
            if outcome is Outcome.WRONG_PERSON:
                _retire(connection, attempt_id, now)
            _write(connection, attempt_id, outcome, now)

        await self._with_call(attempt_id, work)

    async def promise(self, attempt_id: str, due: date, now: datetime) -> None:
        """The debtor promises to pay by ``due``. Raises Refused for a day that is past."""
        if due < now.date():
            raise Refused("past", "the day of the promise is past")

        def work(connection: Connection, call: Call) -> None:
            outcomes.record_promise(connection, call, due, NODE, now)
            _write(connection, attempt_id, Outcome.PROMISE, now)

        await self._with_call(attempt_id, work)

    async def link(self, attempt_id: str, now: datetime) -> None:
        """The link by SMS, to a mobile. Raises Refused."""

        def work(connection: Connection, call: Call) -> int:
            if not call.line_type.takes_sms:
                raise Refused("not_mobile", "this number is not known to take SMS")
            if not call.owes:
                raise Refused("nothing_owed", "nothing is owed any more")
            language = (call.language or call.campaign_language)[:2]
            body = render_message(
                outcomes.LINK_TEMPLATE,
                language,
                {
                    "company": call.company,
                    "callback": call.callback_number,
                    "link": make_link(self._settings, call.account_id),
                },
                self._settings.flows_dir / "messages",
            )
            made = outcomes.record_link(connection, call, body, NODE, now)
            _write(connection, attempt_id, Outcome.LINK_SENT, now)
            return made

        message_id = await self._with_call(attempt_id, work)
        await self._database.aside(lambda: self._enqueue(message_id))

    async def callback(
        self,
        attempt_id: str,
        due_at: datetime,
        *,
        agent_id: int | None,
        note: str,
        made_by: str,
        now: datetime,
    ) -> int:
        """A call at an agreed time; its id. ``agent_id``: by this agent and nobody else."""
        if due_at <= now:
            raise Refused("past", "the time of the callback is past")

        def work(connection: Connection, call: Call) -> int:
            row = connection.execute(
                select(attempt.c.lead_id, attempt.c.phone_id).where(attempt.c.id == attempt_id)
            ).one()
            booked = callbacks.book(
                connection,
                NewCallback(
                    company_id=call.company_id,
                    debtor_id=call.debtor_id,
                    account_id=call.account_id,
                    due_at=due_at,
                    made_by=made_by,
                    lead_id=row.lead_id,
                    phone_id=row.phone_id,
                    attempt_id=attempt_id,
                    agent_id=agent_id,
                    note=note,
                ),
                now,
            )
            _write(connection, attempt_id, Outcome.CALLBACK, now)
            return booked

        return await self._with_call(attempt_id, work)

    async def _with_call(self, attempt_id: str, work: Callable[[Connection, Call], T]) -> T:
        def transaction(connection: Connection) -> T:
            call = outcomes.load_call(connection, attempt_id)
            if call is None:
                raise Refused("no_call", "that call is not known")
            return work(connection, call)

        try:
            return await self._database.once(transaction)
        except NotPossible as error:
            raise Refused("not_possible", str(error)) from error


def _write(connection: Connection, attempt_id: str, outcome: Outcome, now: datetime) -> None:
    """The flow's conclusion gives way to the agent's, but for money that was paid; a call that is
    concluded already is corrected."""
    if not outcomes.record_outcome(connection, attempt_id, outcome, NODE, now):
        connection.execute(
            update(flow_outcome)
            .where(
                flow_outcome.c.attempt_id == attempt_id,
                flow_outcome.c.outcome != Outcome.PAID.value,
            )
            .values(outcome=outcome.value, at=now, node=NODE)
        )
    connection.execute(
        update(attempt)
        .where(
            attempt.c.id == attempt_id,
            attempt.c.state == AttemptState.ENDED.value,
            attempt.c.disposition.in_([one.value for one in OPEN_ENDED]),
        )
        .values(outcome=outcome.value, disposition=outcome.value)
    )


def _retire(connection: Connection, attempt_id: str, now: datetime) -> None:
    connection.execute(
        update(phone)
        .where(
            phone.c.id
            == attempt.select()
            .with_only_columns(attempt.c.phone_id)
            .where(attempt.c.id == attempt_id)
            .scalar_subquery()
        )
        .values(invalid_at=now, invalid_reason=Disposition.WRONG_PERSON.value)
    )
