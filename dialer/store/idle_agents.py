"""Why a campaign that dials for agents calls nobody: no agent, or too many were abandoned."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import Connection, select

from dialer.domain.model import AgentState, AgentTerms
from dialer.store import abandonment
from dialer.store.idle_reasons import NoAgent, NoneFree, Reason, TooManyAbandoned
from dialer.store.tables import agent, agent_session


def why_no_call(
    connection: Connection, campaign_id: int, company_id: int, terms: AgentTerms, now: datetime
) -> list[Reason]:
    """The reasons, none where an agent is free and the law leaves room. ``now`` is aware."""
    if not terms.mode.needs_agents:
        return []
    reasons = _staff(connection, company_id, terms)
    if terms.mode.overdials:
        reasons += _budget(connection, campaign_id, terms, now)
    return reasons


def _staff(connection: Connection, company_id: int, terms: AgentTerms) -> list[Reason]:
    rows = connection.execute(
        select(agent_session.c.state, agent.c.skills)
        .join(agent, agent.c.id == agent_session.c.agent_id)
        .where(agent.c.company_id == company_id, agent_session.c.ended_at.is_(None))
    ).all()
    able = Counter(row.state for row in rows if not terms.skill or terms.skill in row.skills)
    if able[AgentState.AVAILABLE.value]:
        return []
    if not able:
        return [NoAgent(terms.skill, terms.mode.value)]
    return [NoneFree(terms.skill, dict(sorted(able.items())))]


def _budget(
    connection: Connection, campaign_id: int, terms: AgentTerms, now: datetime
) -> list[Reason]:
    counts = abandonment.window(connection, campaign_id, terms.window_days, now)
    share = counts.share
    if share is None or share < terms.max_abandoned:
        return []
    return [
        TooManyAbandoned(
            counts.abandoned, counts.answered, terms.window_days, share, terms.max_abandoned,
            terms.mode.value,
        )
    ]  # fmt: skip
