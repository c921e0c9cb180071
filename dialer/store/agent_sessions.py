"""What agents do at their desks: sessions from log-in to log-out, and how long each state lasted.

Written by the engine alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, case, insert, literal, or_, select, update

from dialer.domain.agents import CODE_LOGGED_IN
from dialer.domain.model import AgentState
from dialer.store.tables import agent, agent_session, agent_state_log

REPLACED = "replaced"
"""``end_reason`` of a session that ended because its agent logged in anew."""

AgentSeconds = dict[AgentState, float]


@dataclass(frozen=True, slots=True)
class Session:
    """A row. ``id`` names the conference; ``since`` is of the state."""

    id: str
    agent_id: int
    node: str
    leg_token: str
    state: AgentState
    pause_code: str | None
    since: datetime
    started_at: datetime
    heartbeat_at: datetime
    ended_at: datetime | None
    end_reason: str | None


def open_session(
    connection: Connection,
    *,
    session_id: str,
    agent_id: int,
    node: str,
    leg_token: str,
    now: datetime,
) -> list[str]:
    """Log an agent in, paused (``logged_in``); the sessions that ended for it.

    An agent has one desk: whoever logs in anew (a page that died, another machine) takes the place
    of the session before, on whatever node. A repeat changes nothing.
    """
    # Of two log-ins at once the second waits here, and then ends the first one's session.
    connection.execute(select(agent.c.id).where(agent.c.id == agent_id).with_for_update()).one()
    there = connection.execute(select(agent_session.c.id).where(agent_session.c.id == session_id))
    if there.first() is not None:
        return []
    before = list(
        connection.execute(
            select(agent_session.c.id).where(
                agent_session.c.agent_id == agent_id, agent_session.c.ended_at.is_(None)
            )
        ).scalars()
    )
    for one in before:
        end_session(connection, one, REPLACED, now)
    connection.execute(
        insert(agent_session).values(
            id=session_id,
            agent_id=agent_id,
            node=node,
            leg_token=leg_token,
            state=AgentState.PAUSED.value,
            pause_code=CODE_LOGGED_IN,
            since=now,
            started_at=now,
            heartbeat_at=now,
        )
    )
    _log(connection, session_id, AgentState.PAUSED, CODE_LOGGED_IN, now, None)
    return before


def save_state(
    connection: Connection,
    session_id: str,
    state: AgentState,
    since: datetime,
    *,
    pause_code: str | None = None,
    attempt_id: str | None = None,
) -> bool:
    """Write the state that began at ``since``, and log it; False where it is written already, is
    older than what is written, or the session has ended: nothing changes then."""
    known = and_(
        agent_session.c.since == since,
        agent_session.c.state == state.value,
        agent_session.c.pause_code.is_not_distinct_from(pause_code),
    )
    changed = connection.execute(
        update(agent_session)
        .where(_open(session_id), agent_session.c.since <= since, ~known)
        .values(state=state.value, pause_code=pause_code, since=since)
    )
    if changed.rowcount != 1:
        return False
    _log(connection, session_id, state, pause_code, since, attempt_id)
    return True


def end_session(connection: Connection, session_id: str, reason: str, at: datetime) -> bool:
    """Log out; False where it had ended. After a crash ``at`` is the last moment that the agent
    was seen (``heartbeat_at``): no state lasts through an outage."""
    changed = connection.execute(
        update(agent_session)
        .where(_open(session_id))
        .values(
            state=AgentState.LOGGED_OUT.value,
            pause_code=None,
            since=at,
            ended_at=at,
            end_reason=reason[:40],
        )
    )
    if changed.rowcount != 1:
        return False
    _log(connection, session_id, AgentState.LOGGED_OUT, None, at, None)
    return True


def open_sessions(connection: Connection, node: str | None = None) -> list[Session]:
    """Sessions that have not ended, of one node or of all, oldest first."""
    query = select(agent_session).where(agent_session.c.ended_at.is_(None))
    if node is not None:
        query = query.where(agent_session.c.node == node)
    return [
        _session(row)
        for row in connection.execute(
            query.order_by(agent_session.c.started_at, agent_session.c.id)
        )
    ]


def load_session(connection: Connection, session_id: str) -> Session | None:
    """The session, also one that has ended."""
    row = connection.execute(select(agent_session).where(agent_session.c.id == session_id)).first()
    return None if row is None else _session(row)


def session_by_leg_token(connection: Connection, token: str) -> Session | None:
    """The open session of an active agent that a browser's leg belongs to."""
    row = connection.execute(
        select(agent_session)
        .join(agent, agent.c.id == agent_session.c.agent_id)
        .where(
            agent_session.c.leg_token == token, agent_session.c.ended_at.is_(None), agent.c.active
        )
    ).first()
    return None if row is None else _session(row)


def new_leg_token(connection: Connection, session_id: str, token: str) -> bool:
    """Another leg token for an open session: the one before lets nobody in any more."""
    changed = connection.execute(
        update(agent_session).where(_open(session_id)).values(leg_token=token)
    )
    return changed.rowcount == 1


def beat(connection: Connection, session_id: str, at: datetime) -> bool:
    """The desk was there at ``at``; False where the session has ended (also by another log-in)."""
    last = agent_session.c.heartbeat_at
    later = case((last < at, literal(at, last.type)), else_=last)
    changed = connection.execute(
        update(agent_session).where(_open(session_id)).values(heartbeat_at=later)
    )
    return changed.rowcount == 1


def _open(session_id: str) -> Any:
    return and_(agent_session.c.id == session_id, agent_session.c.ended_at.is_(None))


def _log(
    connection: Connection,
    session_id: str,
    state: AgentState,
    pause_code: str | None,
    at: datetime,
    attempt_id: str | None,
) -> None:
    connection.execute(
        insert(agent_state_log).values(
            session_id=session_id,
            state=state.value,
            pause_code=pause_code,
            at=at,
            attempt_id=attempt_id,
        )
    )


def _session(row: Row[Any]) -> Session:
    values = dict(row._mapping)
    values["state"] = AgentState(values["state"])
    return Session(**values)


# --- how long -------------------------------------------------------------------------------


def seconds_by_state(
    connection: Connection,
    since: datetime,
    until: datetime,
    *,
    company_id: int | None = None,
    agent_id: int | None = None,
) -> dict[int, AgentSeconds]:
    """Agent -> state -> seconds between the two moments (aware), of all agents, those of a
    company, or one. A session that has not ended lasts to ``until``: ask for no future."""
    query = (
        select(
            agent_session.c.agent_id,
            agent_state_log.c.session_id,
            agent_state_log.c.state,
            agent_state_log.c.at,
        )
        .join(agent_state_log, agent_state_log.c.session_id == agent_session.c.id)
        .where(
            agent_session.c.started_at < until,
            or_(agent_session.c.ended_at.is_(None), agent_session.c.ended_at > since),
        )
        .order_by(agent_state_log.c.session_id, agent_state_log.c.at, agent_state_log.c.id)
    )
    if agent_id is not None:
        query = query.where(agent_session.c.agent_id == agent_id)
    if company_id is not None:
        query = query.join(agent, agent.c.id == agent_session.c.agent_id).where(
            agent.c.company_id == company_id
        )
    rows = connection.execute(query).all()
    found: dict[int, AgentSeconds] = {}
    for row, after in zip(rows, [*rows, None][1:], strict=True):
        same = after is not None and after.session_id == row.session_id
        ends = after.at if after is not None and same else until
        lasted = (min(ends, until) - max(row.at, since)).total_seconds()
        if lasted > 0 and row.state != AgentState.LOGGED_OUT:
            states = found.setdefault(row.agent_id, {})
            state = AgentState(row.state)
            states[state] = states.get(state, 0.0) + lasted
    return found


def occupancy(seconds: Mapping[AgentState, float]) -> float | None:
    """The share of the time at work (not paused) that was talk or wrap-up; None without any."""
    busy = seconds.get(AgentState.TALKING, 0.0) + seconds.get(AgentState.WRAP_UP, 0.0)
    idle = seconds.get(AgentState.AVAILABLE, 0.0) + seconds.get(AgentState.RESERVED, 0.0)
    return busy / (busy + idle) if busy + idle > 0 else None
