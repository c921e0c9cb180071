"""What the API reads of a desk: its open session and the debtor at it. Nothing here writes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from dialer.domain.model import AgentCallResult
from dialer.store.tables import agent, agent_call, agent_session, attempt, campaign


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that has not ended. ``token_hash``: of the agent, as it is now; None where they
    may not log in any more."""

    id: str
    agent_id: int
    company_id: int
    node: str
    leg_token: str
    state: str
    pause_code: str | None
    since: datetime
    started_at: datetime
    token_hash: str | None


@dataclass(frozen=True, slots=True)
class CallAtDesk:
    """The debtor at a desk, until the wrap-up after them is done."""

    attempt_id: str
    kind: str
    reason: str
    skill: str
    queued_at: datetime
    offered_at: datetime | None
    joined_at: datetime | None
    left_at: datetime | None
    disposition: str | None
    notes: str


_OPEN = (
    select(
        agent_session.c.id,
        agent_session.c.agent_id,
        agent_session.c.node,
        agent_session.c.leg_token,
        agent_session.c.state,
        agent_session.c.pause_code,
        agent_session.c.since,
        agent_session.c.started_at,
        agent.c.company_id,
        agent.c.token_hash,
        agent.c.active,
    )
    .join(agent, agent.c.id == agent_session.c.agent_id)
    .where(agent_session.c.ended_at.is_(None))
)


def session_of(connection: Connection, agent_id: int) -> OpenSession | None:
    """The open session of an agent."""
    return _session(connection, agent_session.c.agent_id == agent_id)


def open_session(connection: Connection, session_id: str) -> OpenSession | None:
    """The session, if it is open."""
    return _session(connection, agent_session.c.id == session_id)


def call_at_desk(connection: Connection, session_id: str) -> CallAtDesk | None:
    """The newest debtor who was offered to this session and is not wrapped up."""
    row = connection.execute(
        select(agent_call)
        .where(
            agent_call.c.session_id == session_id,
            agent_call.c.wrapped_at.is_(None),
            # Offered and lost before anybody spoke: it was never this desk's to wrap up.
            agent_call.c.result.is_(None) | (agent_call.c.result == AgentCallResult.SERVED.value),
        )
        .order_by(agent_call.c.id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return CallAtDesk(
        attempt_id=row.attempt_id,
        kind=row.kind,
        reason=row.reason,
        skill=row.skill,
        queued_at=row.queued_at,
        offered_at=row.offered_at,
        joined_at=row.joined_at,
        left_at=row.left_at,
        disposition=row.disposition,
        notes=row.notes or "",
    )


def agents_of(connection: Connection, company_id: int) -> frozenset[int]:
    """The agents of a company, whether they still work there or not."""
    return frozenset(connection.scalars(select(agent.c.id).where(agent.c.company_id == company_id)))


def attempts_of(
    connection: Connection, company_id: int, attempt_ids: Collection[str]
) -> frozenset[str]:
    """Those of the attempts that are a company's."""
    return frozenset(
        connection.scalars(
            select(attempt.c.id)
            .join(campaign, campaign.c.id == attempt.c.campaign_id)
            .where(attempt.c.id.in_(attempt_ids), campaign.c.company_id == company_id)
        )
    )


def _session(connection: Connection, which: object) -> OpenSession | None:
    row = connection.execute(_OPEN.where(which)).first()  # type: ignore[arg-type]
    if row is None:
        return None
    return OpenSession(
        id=row.id,
        agent_id=row.agent_id,
        company_id=row.company_id,
        node=row.node,
        leg_token=row.leg_token,
        state=row.state,
        pause_code=row.pause_code,
        since=row.since,
        started_at=row.started_at,
        token_hash=row.token_hash if row.active else None,
    )
