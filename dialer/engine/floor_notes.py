"""What the floor decides is written down, behind the decision and in its order.

One transaction after the other, each tried until the database takes it. What was not written
when the engine died is made good from the rows of the IVR and the channels that are alive.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from dialer.domain.agents import Seat
from dialer.domain.model import AgentCallKind, AgentCallResult, Attempt
from dialer.domain.queueing import ASKED, Caller
from dialer.engine.database import Database
from dialer.logs import get_logger
from dialer.store import agent_calls, agent_sessions
from dialer.store.agent_calls import NewCall
from dialer.store.story import as_json, story
from dialer.switch.talking import Action

log = get_logger(__name__)

MOST_REMEMBERED = 20_000
"""Calls of which the row is remembered: more than a day of a large floor."""

Write = Callable[[Connection], Callable[[], None] | None]
"""What is written, and what is to be done then."""


class Notes:
    """The writer of one floor. ``run`` is its loop; every other method returns at once."""

    def __init__(
        self,
        database: Database,
        tell: Callable[[str, dict[str, Any]], None],
        leg_action: Callable[[Seat], Action | None],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._tell = tell
        self.leg_action = leg_action
        self._now = now
        self._left: asyncio.Queue[tuple[str, Write]] = asyncio.Queue()
        self.calls: dict[str, int] = {}
        """Attempt -> its latest row in ``agent_call``; only known once that is written."""

    async def run(self) -> None:
        """For ever: write what was noted, in order."""
        while True:
            what, write = await self._left.get()
            try:
                after = await self._database.until_done(write)
                if after is not None:
                    after()  # on the loop's own thread
            except Exception:
                log.exception("floor_note_lost", what=what)  # this one alone
            finally:
                self._left.task_done()

    async def write_rest(self) -> None:
        """What is left when the loop has ended. Raises what the database raises."""
        while not self._left.empty():
            _, write = self._left.get_nowait()
            await self._database.once(write)
            self._left.task_done()

    def write(self, what: str, work: Write) -> None:
        """Have it written."""
        self._left.put_nowait((what, work))

    # --- sessions ------------------------------------------------------------------------

    def state(self, seat: Seat) -> None:
        """The seat is in another state."""

        def work(connection: Connection) -> None:
            agent_sessions.save_state(
                connection,
                seat.session,
                seat.state,
                seat.since,
                pause_code=seat.pause_code,
                attempt_id=seat.call,
            )

        self.write("state", work)

    def end_session(self, seat: Seat, reason: str, at: datetime) -> None:
        """The agent has left."""

        def work(connection: Connection) -> None:
            agent_sessions.end_session(connection, seat.session, reason, at)

        self.write("end_session", work)

    def beat(self, session: str, at: datetime) -> None:
        """The desk was there."""

        def work(connection: Connection) -> None:
            agent_sessions.beat(connection, session, at)

        self.write("beat", work)

    def leg_token_used(self, session: str) -> None:
        """A token lets one leg in, once: the next one is asked for (``new_leg``)."""
        fresh = uuid.uuid4().hex

        def work(connection: Connection) -> None:
            agent_sessions.new_leg_token(connection, session, fresh)

        self.write("leg_token", work)

    # --- calls ---------------------------------------------------------------------------

    def queued(self, caller: Caller, attempt: Attempt, reason: str) -> None:
        """Somebody waits for an agent. Of an escalation the IVR has written the row already."""
        new = NewCall(
            attempt_id=attempt.id,
            company_id=caller.company_id,
            debtor_id=attempt.debtor_id,
            kind=caller.kind,
            campaign_id=caller.campaign_id,
            reason=reason,
            skill=caller.skill,
            priority=caller.priority,
        )

        def work(connection: Connection) -> None:
            before = self.calls.get(attempt.id) if caller.kind is AgentCallKind.TRANSFER else None
            while len(self.calls) > MOST_REMEMBERED:
                self.calls.pop(next(iter(self.calls)))
            self.calls[attempt.id] = agent_calls.queue_call(
                connection,
                replace(new, transferred_from=before),
                caller.since,
            )

        self.write("queued", work)

    def offered(self, attempt_id: str, seat: Seat, at: datetime) -> asyncio.Event:
        """An agent is reserved for them; their desk is told the story: set once it was."""
        known = asyncio.Event()

        def work(connection: Connection) -> Callable[[], None]:
            call_id = self.calls.get(attempt_id)
            if call_id is not None:
                agent_calls.offer(connection, call_id, seat.session, seat.agent_id, at)
            told = as_json(story(connection, attempt_id, at))
            event = {"type": "story", "attempt": attempt_id, "story": told}

            def tell() -> None:
                self._tell(seat.session, event)
                known.set()

            return tell

        self.write("offered", work)
        return known

    def joined(self, attempt_id: str, seat: Seat, at: datetime) -> None:
        """They hear each other."""
        self._of(
            attempt_id,
            "joined",
            lambda c, n: agent_calls.joined(c, n, seat.session, seat.agent_id, at),
        )

    def adopted(self, attempt_id: str) -> None:
        """The row of a talk that a dead engine left behind."""

        def work(connection: Connection) -> None:
            for one in agent_calls.open_calls(connection, attempt_id=attempt_id):
                self.calls[attempt_id] = one.id

        self.write("adopted", work)

    def left(self, attempt_id: str, at: datetime) -> None:
        """The talk is over."""
        self._of(attempt_id, "left", lambda c, n: agent_calls.left(c, n, at))

    def close(self, attempt_id: str, at: datetime) -> None:
        """The call is over: nothing of it stays open, whatever was missed."""

        def work(connection: Connection) -> None:
            for one in agent_calls.open_calls(connection, attempt_id=attempt_id):
                agent_calls.left(connection, one.id, at)

        self.write("close", work)

    def result(self, attempt_id: str, how: AgentCallResult, at: datetime) -> None:
        """The wait ended without an agent."""
        self._of(attempt_id, "result", lambda c, n: agent_calls.result(c, n, how, at))

    def taken_back(self, attempt_id: str) -> None:
        """The agent did not come: they wait as before."""
        self._of(attempt_id, "taken_back", lambda c, n: agent_calls.take_back(c, n))

    def never_served(self, attempt: Attempt, company_id: int, at: datetime) -> None:
        """They answered while no engine was there, and heard the message."""
        new = NewCall(
            attempt_id=attempt.id,
            company_id=company_id,
            debtor_id=attempt.debtor_id,
            kind=AgentCallKind.PREDICTIVE,
            campaign_id=attempt.campaign_id,
            priority=ASKED,
        )

        def work(connection: Connection) -> None:
            call_id = agent_calls.queue_call(connection, new, attempt.answered_at or at)
            agent_calls.result(connection, call_id, AgentCallResult.ABANDONED, at)

        self.write("never_served", work)

    def said(self, attempt_id: str, disposition: str, notes: str) -> None:
        """What the agent says of a talk, while it goes on or after it."""
        self._of(
            attempt_id, "said", lambda c, n: agent_calls.note(c, n, disposition, notes or None)
        )

    def wrapped(self, attempt_id: str, at: datetime) -> None:
        """The wrap-up is over."""
        self._of(attempt_id, "wrapped", lambda c, n: agent_calls.wrap(c, n, at))

    def _of(self, attempt_id: str, what: str, work: Callable[[Connection, int], Any]) -> None:
        def write(connection: Connection) -> None:
            call_id = self.calls.get(attempt_id)
            if call_id is not None:
                work(connection, call_id)

        self.write(what, write)
