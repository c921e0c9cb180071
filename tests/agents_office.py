"""What the tests of the IVR with agents share: agents at their desks, debtors who wait."""

from __future__ import annotations

import uuid
from typing import Any

from fixtures_ivr import NOW, Office
from sqlalchemy import insert, update

from dialer.domain.model import AgentCallKind
from dialer.store import agent_calls, agent_sessions
from dialer.store import tables as t
from dialer.store.agent_calls import NewCall


def agent_at_desk(
    desk: Office, *, skills: tuple[str, ...] = (), state: str = "", **others: Any
) -> str:
    """An agent at the desk, paused unless told; the session. ``others``: of its row."""
    session = uuid.uuid4().hex
    with desk.engine.begin() as c:
        agent_id = c.execute(
            insert(t.agent)
            .values(
                company_id=desk.world.company_id, login=session, name="Ana", skills=list(skills),
                languages=[], station="browser", ringing=False, active=True, created_at=NOW,
            )
            .returning(t.agent.c.id)
        ).scalar_one()  # fmt: skip
        agent_sessions.open_session(
            c, session_id=session, agent_id=agent_id, node="node1",
            leg_token=uuid.uuid4().hex, now=NOW,
        )  # fmt: skip
        changes = others | ({"state": state} if state else {})
        if changes:
            c.execute(
                update(t.agent_session).where(t.agent_session.c.id == session).values(**changes)
            )
    return session


def one(desk: Office, table: Any, **where: Any) -> Any:
    (row,) = desk.world.rows(table, **where)
    return row


def outcome(desk: Office, attempt: str) -> str:
    return str(one(desk, t.flow_outcome, attempt_id=attempt).outcome)


def queued(desk: Office, *, kind: AgentCallKind = AgentCallKind.ESCALATION, **how: Any) -> str:
    """A debtor who waits; the attempt. ``priority``, ``identified``, and as ``Office.call``."""
    priority, identified = how.pop("priority", 50), how.pop("identified", True)
    attempt = desk.call(**how)
    row = one(desk, t.attempt, id=attempt)
    with desk.engine.begin() as c:
        c.execute(
            update(t.attempt).where(t.attempt.c.id == attempt).values(identity_confirmed=identified)
        )
        agent_calls.queue_call(
            c,
            NewCall(attempt, desk.world.company_id, row.debtor_id, kind, priority=priority),
            NOW,
        )
    return attempt
