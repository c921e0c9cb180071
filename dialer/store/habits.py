"""How a company's calls went of late: what a forecast goes by."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from dialer.domain.forecast import TALK_SECONDS, Habits
from dialer.domain.model import Disposition
from dialer.store.tables import agent, attempt, campaign

BACK = timedelta(days=60)
CAMPAIGNS, CALLS = 8, 500
"""The newest campaigns that have called, and the newest calls of each, are looked at."""
FEW = 200
"""Fewer calls than that tell too little."""
FEW_TALKS = 30


def measured(connection: Connection, company_id: int, now: datetime) -> Habits | None:
    """Of the last calls of the company; None where they are too few.

    Calls that follow at once upon another one are left out, and those of debtors: a forecast
    counts them apart, or not at all.
    """
    ids = connection.execute(
        select(campaign.c.id)
        .where(campaign.c.company_id == company_id, campaign.c.started_at.is_not(None))
        .order_by(campaign.c.id.desc())
        .limit(CAMPAIGNS)
    ).scalars()
    ends: Counter[Disposition] = Counter()
    line: list[float] = []
    ring: list[float] = []
    talks: list[float] = []
    for campaign_id in ids:
        for row in connection.execute(
            select(
                attempt.c.disposition, attempt.c.placed_at, attempt.c.dialled_at,
                attempt.c.answered_at, attempt.c.ended_at, attempt.c.agent_joined_at,
            )
            .where(
                attempt.c.campaign_id == campaign_id,
                attempt.c.placed_at >= now - BACK,
                attempt.c.disposition.is_not(None),
                attempt.c.ended_at.is_not(None),
                attempt.c.follows.is_(None),
                attempt.c.inbound.is_(False),
            )
            .order_by(attempt.c.placed_at.desc())
            .limit(CALLS)
        ):  # fmt: skip
            begun = row.dialled_at or row.placed_at
            ends[Disposition(row.disposition)] += 1
            line.append((row.ended_at - begun).total_seconds())
            ring.append(((row.answered_at or row.ended_at) - begun).total_seconds())
            if row.agent_joined_at is not None:
                talks.append((row.ended_at - row.agent_joined_at).total_seconds())
    calls = sum(ends.values())
    if calls < FEW:
        return None
    return Habits(
        ends={end: count / calls for end, count in ends.items()},
        line=sum(line) / calls,
        ring=sum(ring) / calls,
        talk=sum(talks) / len(talks) if len(talks) >= FEW_TALKS else TALK_SECONDS,
        calls=calls,
    )


def agents_for(connection: Connection, company_id: int, skill: str) -> int:
    """Agents who may take calls that ask for this skill ("": for none)."""
    if not skill:
        return connection.execute(
            select(func.count()).where(agent.c.company_id == company_id, agent.c.active)
        ).scalar_one()
    rows = connection.execute(
        select(agent.c.skills).where(agent.c.company_id == company_id, agent.c.active)
    ).scalars()
    return sum(skill in skills for skills in rows)
