"""Campaigns at a glance: what happened since some moment, and what goes on now.

Made for pages that ask again and again: every query goes by an index of the campaign and the time,
so that its cost grows with the day and not with the past.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from dialer.domain.model import AttemptState, DialMode, Disposition, LeadState
from dialer.domain.payment import PaymentState
from dialer.store.percentiles import percentiles
from dialer.store.tables import (
    account,
    agent,
    agent_session,
    attempt,
    campaign,
    company,
    fallback,
    lead,
    payment,
    promise,
)

LONGEST_CALL = timedelta(hours=4)
"""Nothing that was placed before that is still in the air."""
MINUTES = 60
_WITH_AGENTS = [mode.value for mode in DialMode if mode.needs_agents]


@dataclass(frozen=True, slots=True)
class Glance:
    """What is told of some campaigns. Counts since the moment that was asked for.

    ``in_air``: calls that go on, by state. ``minutes``: (calls, answers) of each of the last
    ``MINUTES``, the present one last. ``money``: currency -> minor units approved.
    ``followed``: step kind -> how often it was taken; ``refused``: why none was, by reason.
    """

    in_air: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    answered: int = 0
    dispositions: dict[str, int] = field(default_factory=dict)
    live_answers: int = 0
    abandoned: int = 0
    followed: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    latency_ms: dict[str, float | None] = field(default_factory=dict)
    promises: int = 0
    promised: dict[str, int] = field(default_factory=dict)
    payments: int = 0
    money: dict[str, int] = field(default_factory=dict)
    minutes: tuple[tuple[int, int], ...] = ()

    @property
    def abandoned_share(self) -> float | None:
        """Of the live answers to calls that were placed for agents."""
        return self.abandoned / self.live_answers if self.live_answers else None


def campaigns_of(connection: Connection, company_id: int | None) -> list[Row[Any]]:
    """The campaigns of a company (None: of all), newest first: the row, and ``company``."""
    query = (
        select(campaign, company.c.name.label("company"), company.c.timezone)
        .join(company, company.c.id == campaign.c.company_id)
        .order_by(campaign.c.id.desc())
    )
    if company_id is not None:
        query = query.where(campaign.c.company_id == company_id)
    return list(connection.execute(query))


def leads_by_state(
    connection: Connection, campaign_ids: Collection[int]
) -> dict[int, dict[str, int]]:
    """Campaign -> state of a lead -> how many."""
    found: dict[int, dict[str, int]] = {
        one: {state.value: 0 for state in LeadState} for one in campaign_ids
    }
    rows = connection.execute(
        select(lead.c.campaign_id, lead.c.state, func.count())
        .where(lead.c.campaign_id.in_(campaign_ids))
        .group_by(lead.c.campaign_id, lead.c.state)
    )
    for campaign_id, state, count in rows:
        found[campaign_id][state] = count
    return found


def glance(
    connection: Connection, campaign_ids: Collection[int], since: datetime, now: datetime
) -> Glance:
    """These campaigns since a moment."""
    if not campaign_ids:
        return Glance(minutes=((0, 0),) * MINUTES)
    ours = attempt.c.campaign_id.in_(campaign_ids)
    ended: Counter[str] = Counter()
    live = abandoned = answered = calls = 0
    for mode, disposition, was_answered, count in connection.execute(
        select(
            attempt.c.mode, attempt.c.disposition, attempt.c.answered_at.is_not(None), func.count()
        )
        .where(ours, attempt.c.placed_at >= since)
        .group_by(attempt.c.mode, attempt.c.disposition, attempt.c.answered_at.is_not(None))
    ):
        calls += count
        answered += count if was_answered else 0
        ended[disposition or ""] += count
        if mode in _WITH_AGENTS and was_answered and disposition != Disposition.MACHINE.value:
            live += count
            abandoned += count if disposition == Disposition.ABANDONED.value else 0
    del ended[""]
    followed, refused, latency = _followed(connection, ours, since)
    promises, promised = _promises(connection, ours, since)
    payments, money = _money(connection, campaign_ids, since)
    return Glance(
        in_air=_in_air(connection, ours, now),
        calls=calls,
        answered=answered,
        dispositions=dict(ended.most_common()),
        live_answers=live,
        abandoned=abandoned,
        followed=followed,
        refused=refused,
        latency_ms=latency,
        promises=promises,
        promised=promised,
        payments=payments,
        money=money,
        minutes=_minutes(connection, ours, now),
    )


def _in_air(connection: Connection, ours: Any, now: datetime) -> dict[str, int]:
    rows = connection.execute(
        select(attempt.c.state, func.count())
        .where(
            ours,
            attempt.c.placed_at >= now - LONGEST_CALL,
            attempt.c.state != AttemptState.ENDED.value,
        )
        .group_by(attempt.c.state)
    )
    return {row[0]: row[1] for row in rows}


def _followed(
    connection: Connection, ours: Any, since: datetime
) -> tuple[dict[str, int], dict[str, int], dict[str, float | None]]:
    """Of those who answered and hung up: steps taken by kind, why none was, latency."""
    rows = connection.execute(
        select(fallback.c.attempt_id, fallback.c.kind, fallback.c.refused, fallback.c.latency_ms)
        .join(attempt, attempt.c.id == fallback.c.attempt_id)
        .where(
            ours,
            attempt.c.placed_at >= since,
            attempt.c.disposition == Disposition.ANSWERED_ABANDONED.value,
        )
        .order_by(fallback.c.attempt_id, fallback.c.step)
    )
    taken: dict[str, str] = {}
    why: dict[str, str] = {}
    waits: list[float] = []
    for attempt_id, kind, refused, latency in rows:
        if refused is None:
            taken.setdefault(attempt_id, kind)
        else:
            why.setdefault(attempt_id, refused)
        if latency is not None:
            waits.append(latency)
    left = Counter(reason for attempt_id, reason in why.items() if attempt_id not in taken)
    return dict(Counter(taken.values())), dict(left), percentiles(waits) if waits else {}


def _promises(connection: Connection, ours: Any, since: datetime) -> tuple[int, dict[str, int]]:
    rows = connection.execute(
        select(promise.c.currency, func.count(), func.sum(promise.c.amount_minor))
        .join(attempt, attempt.c.id == promise.c.attempt_id)
        .where(ours, attempt.c.placed_at >= since)
        .group_by(promise.c.currency)
    ).all()
    return sum(row[1] for row in rows), {row[0]: int(row[2]) for row in rows}


def _money(
    connection: Connection, campaign_ids: Collection[int], since: datetime
) -> tuple[int, dict[str, int]]:
    """Approved payments of those whom these campaigns call, wherever they paid."""
    rows = connection.execute(
        select(payment.c.currency, func.count(), func.sum(payment.c.amount_minor))
        .where(
            payment.c.state == PaymentState.APPROVED.value,
            payment.c.created_at >= since,
            payment.c.company_id.in_(
                select(campaign.c.company_id).where(campaign.c.id.in_(campaign_ids))
            ),
            payment.c.account_id.in_(
                select(account.c.id)
                .join(lead, lead.c.account_id == account.c.id)
                .where(lead.c.campaign_id.in_(campaign_ids))
            ),
        )
        .group_by(payment.c.currency)
    ).all()
    return sum(row[1] for row in rows), {row[0]: int(row[2]) for row in rows}


def _minutes(connection: Connection, ours: Any, now: datetime) -> tuple[tuple[int, int], ...]:
    first = now.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES - 1)
    made, heard = [0] * MINUTES, [0] * MINUTES
    for placed, answered in connection.execute(
        select(attempt.c.placed_at, attempt.c.answered_at).where(ours, attempt.c.placed_at >= first)
    ):
        made[min(MINUTES - 1, int((placed - first).total_seconds() // 60))] += 1
        if answered is not None:
            heard[min(MINUTES - 1, int((answered - first).total_seconds() // 60))] += 1
    return tuple(zip(made, heard, strict=True))


def agents_by_state(connection: Connection, company_id: int | None) -> dict[str, int]:
    """State -> how many agents who are logged in."""
    query = (
        select(agent_session.c.state, func.count())
        .join(agent, agent.c.id == agent_session.c.agent_id)
        .where(agent_session.c.ended_at.is_(None))
        .group_by(agent_session.c.state)
    )
    if company_id is not None:
        query = query.where(agent.c.company_id == company_id)
    return {row[0]: row[1] for row in connection.execute(query)}
