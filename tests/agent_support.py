"""Agents, sessions and calls in the small world of tests."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any, cast

from world import NOW, POOL, World

from dialer.domain.model import AgentCallKind, Attempt, AttemptState
from dialer.store import agent_calls, agent_sessions, agents
from dialer.store import tables as t
from dialer.store.agent_calls import NewCall
from dialer.store.attempts import insert_attempts

_serial = itertools.count(1)


def at(seconds: float) -> datetime:
    """So many seconds after the world's now."""
    return NOW + timedelta(seconds=seconds)


def an_agent(world: World, login: str = "ana", **changes: Any) -> int:
    wanted = cast(agents.AgentChanges, changes)
    with world.engine.begin() as c:
        return agents.create_agent(c, world.company_id, login, wanted, "boss", NOW)


def a_session(world: World, agent_id: int, node: str = "n1", when: datetime = NOW) -> str:
    session_id = f"{next(_serial):032x}"
    with world.engine.begin() as c:
        agent_sessions.open_session(c, session_id=session_id, agent_id=agent_id, node=node,
                                    leg_token=f"{next(_serial):032x}", now=when)  # fmt: skip
    return session_id


def an_attempt(world: World, lead_id: int | None = None, **changes: Any) -> Attempt:
    """An answered call of a new debtor, or of that lead."""
    row = world.rows(t.lead, id=lead_id or world.lead())[0]
    phone = world.rows(t.phone, debtor_id=row.debtor_id)[0]
    values: dict[str, Any] = {
        "id": f"{next(_serial):032x}", "campaign_id": world.campaign_id, "lead_id": row.id,
        "debtor_id": row.debtor_id, "phone_id": phone.id, "number": phone.number,
        "caller_id": POOL[0], "trunk": "carrier", "node": "n1", "flow": "reminder",
        "placed_at": NOW, "answered_at": at(5), "state": AttemptState.ANSWERED,
    }  # fmt: skip
    made = Attempt(**(values | changes))
    with world.engine.begin() as c:
        insert_attempts(c, [made])
    return made


def queued(
    world: World,
    attempt: Attempt,
    kind: AgentCallKind = AgentCallKind.ESCALATION,
    when: datetime = NOW,
    **changes: Any,
) -> int:
    new = NewCall(attempt.id, world.company_id, attempt.debtor_id, kind, world.campaign_id,
                  **changes)  # fmt: skip
    with world.engine.begin() as c:
        return agent_calls.queue_call(c, new, when)
