"""What goes on at this moment: calls that have not ended, desks that are open, debtors who wait.

What the engine knows comes over its own wire; this is what the database has of it, and says whose
each call is. Every query goes by an index of what is open, so that the past costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from dialer.domain.model import AttemptState
from dialer.store.tables import (
    agent,
    agent_call,
    agent_session,
    attempt,
    campaign,
    company,
    debtor,
)

OPEN_STATES = [state.value for state in AttemptState if state is not AttemptState.ENDED]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A debtor who waits for an agent."""

    attempt_id: str
    kind: str
    skill: str
    since: datetime


def calls_in_air(
    connection: Connection, node: str, company_id: int | None, most: int
) -> list[Row[Any]]:
    """Calls of an engine that have not ended, those on the line first, then the newest."""
    return list(
        connection.execute(
            _whose(_CALLS.where(*_open_at(node)), campaign.c.company_id, company_id)
            .order_by(attempt.c.answered_at.is_(None), attempt.c.placed_at.desc(), attempt.c.id)
            .limit(most)
        )
    )


def count_in_air(connection: Connection, node: str, company_id: int | None) -> int:
    """How many of them there are."""
    query = (
        select(func.count())
        .select_from(attempt)
        .join(campaign, campaign.c.id == attempt.c.campaign_id)
        .where(*_open_at(node))
    )
    return int(connection.execute(_whose(query, campaign.c.company_id, company_id)).scalar_one())


def calls_by_id(
    connection: Connection, company_id: int | None, attempt_ids: Collection[str]
) -> dict[str, Row[Any]]:
    """Those of these calls that are a company's (None: any), as ``calls_in_air`` has them."""
    if not attempt_ids:
        return {}
    query = _CALLS.where(attempt.c.id.in_(list(attempt_ids)))
    rows = connection.execute(_whose(query, campaign.c.company_id, company_id))
    return {row.id: row for row in rows}


def open_desks(connection: Connection, company_id: int | None) -> list[Row[Any]]:
    """Sessions of agents who are logged in, by name; ``attempt_id``: who is with them, as far as
    the database knows."""
    with_them = (
        select(agent_call.c.session_id, func.max(agent_call.c.attempt_id).label("attempt_id"))
        .join(agent_session, agent_session.c.id == agent_call.c.session_id)
        .where(agent_session.c.ended_at.is_(None), agent_call.c.left_at.is_(None))
        .group_by(agent_call.c.session_id)
        .subquery()
    )
    query = (
        select(
            agent_session.c.id,
            agent_session.c.node,
            agent_session.c.agent_id,
            agent_session.c.state,
            agent_session.c.pause_code,
            agent_session.c.since,
            agent.c.name,
            company.c.name.label("company"),
            with_them.c.attempt_id,
        )
        .join(agent, agent.c.id == agent_session.c.agent_id)
        .join(company, company.c.id == agent.c.company_id)
        .outerjoin(with_them, with_them.c.session_id == agent_session.c.id)
        .where(agent_session.c.ended_at.is_(None))
        .order_by(agent.c.name, agent_session.c.id)
    )
    return list(connection.execute(_whose(query, agent.c.company_id, company_id)))


def waiting(connection: Connection, node: str, company_id: int | None) -> list[Waiting]:
    """Debtors who wait for an agent, longest first, as far as the database knows."""
    query = (
        select(
            agent_call.c.attempt_id,
            agent_call.c.kind,
            agent_call.c.skill,
            agent_call.c.queued_at,
        )
        .join(attempt, attempt.c.id == agent_call.c.attempt_id)
        .where(
            *_open_at(node),
            agent_call.c.session_id.is_(None),
            agent_call.c.left_at.is_(None),
            agent_call.c.result.is_(None),
        )
        .order_by(agent_call.c.queued_at)
    )
    rows = connection.execute(_whose(query, agent_call.c.company_id, company_id))
    return [Waiting(row.attempt_id, row.kind, row.skill, row.queued_at) for row in rows]


_CALLS = (
    select(
        attempt.c.id,
        attempt.c.campaign_id,
        attempt.c.debtor_id,
        attempt.c.number,
        attempt.c.state,
        attempt.c.placed_at,
        attempt.c.answered_at,
        attempt.c.last_prompt,
        attempt.c.inbound,
        attempt.c.follows,
        campaign.c.name.label("campaign"),
        debtor.c.name.label("debtor"),
    )
    .join(campaign, campaign.c.id == attempt.c.campaign_id)
    .join(debtor, debtor.c.id == attempt.c.debtor_id)
)


def _open_at(node: str) -> tuple[Any, Any]:
    return attempt.c.node == node, attempt.c.state.in_(OPEN_STATES)


def _whose(query: Select[Any], column: Any, company_id: int | None) -> Select[Any]:
    return query if company_id is None else query.where(column == company_id)
