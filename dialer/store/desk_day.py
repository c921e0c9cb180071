"""What an agent's page shows beside the call: their day in figures, who else is at work, and how
long the wrap-up of a call may take. Nothing here writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, ScalarSelect, Select, exists, func, select

from dialer.domain.model import AgentState
from dialer.domain.payment import PaymentState
from dialer.store.plans import agent_terms_of
from dialer.store.tables import (
    agent,
    agent_call,
    agent_session,
    attempt,
    campaign,
    company,
    debtor,
    payment,
    promise,
)

LONGEST_WAIT = timedelta(hours=12)
"""Nobody who talks to an agent today came into the queue before that."""


@dataclass(frozen=True, slots=True)
class Day:
    """``money``: paid by card in this agent's calls, minor units by currency."""

    calls: int
    talk_seconds: float
    promises: int
    money: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody at their desk."""

    id: int
    name: str
    state: AgentState
    skills: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallTerms:
    """What a page needs of a call beside its story. ``language``: the debtor's. ``paid``: minor
    units, by card in this call."""

    company: str
    debtor: str
    language: str
    identified: bool
    last_prompt: str | None
    wrap: float
    paid: int


def day_of(connection: Connection, agent_id: int, since: datetime, now: datetime) -> Day:
    """The agent's day so far."""
    talks = connection.execute(
        select(agent_call.c.attempt_id, agent_call.c.joined_at, agent_call.c.left_at).where(
            agent_call.c.agent_id == agent_id,
            agent_call.c.queued_at >= since - LONGEST_WAIT,
            agent_call.c.joined_at >= since,
        )
    ).all()
    seconds = sum(((row.left_at or now) - row.joined_at).total_seconds() for row in talks)
    return Day(
        calls=len(talks),
        talk_seconds=seconds,
        promises=_promises(connection, agent_id, since),
        money=_money(connection, agent_id, since),
    )


def _promises(connection: Connection, agent_id: int, since: datetime) -> int:
    found: int = connection.scalar(
        select(func.count())
        .select_from(promise)
        .where(promise.c.attempt_id.in_(_attempts(agent_id, since)), promise.c.made_at >= since)
    )  # type: ignore[assignment]
    return found


def _money(connection: Connection, agent_id: int, since: datetime) -> dict[str, int]:
    rows = connection.execute(
        select(payment.c.currency, func.sum(payment.c.amount_minor))
        .where(
            payment.c.attempt_id.in_(_attempts(agent_id, since)),
            payment.c.state == PaymentState.APPROVED.value,
            payment.c.created_at >= since,
        )
        .group_by(payment.c.currency)
        .order_by(payment.c.currency)
    )
    return {currency: int(minor) for currency, minor in rows}


def _attempts(agent_id: int, since: datetime) -> Select[tuple[str]]:
    return select(agent_call.c.attempt_id).where(
        agent_call.c.agent_id == agent_id,
        agent_call.c.queued_at >= since - LONGEST_WAIT,
        agent_call.c.joined_at.is_not(None),
    )


def colleagues(connection: Connection, company_id: int, but: int) -> list[Colleague]:
    """Who else of a company is at their desk, by name; ``but``: without this agent."""
    rows = connection.execute(
        select(agent.c.id, agent.c.name, agent_session.c.state, agent.c.skills)
        .join(agent_session, agent_session.c.agent_id == agent.c.id)
        .where(
            agent.c.company_id == company_id,
            agent.c.active,
            agent.c.id != but,
            agent_session.c.ended_at.is_(None),
        )
        .order_by(agent.c.name, agent.c.id)
    )
    return [Colleague(row.id, row.name, AgentState(row.state), tuple(row.skills)) for row in rows]


def call_terms(connection: Connection, agent_id: int, attempt_id: str) -> CallTerms | None:
    """Of a call that came to this agent; None where it did not."""
    row = connection.execute(
        select(
            attempt.c.identity_confirmed, attempt.c.last_prompt, campaign.c.plan,
            company.c.spoken_name, debtor.c.name, debtor.c.language, agent.c.wrap_seconds,
            _paid_in(attempt_id).label("paid"),
        )
        .join(campaign, campaign.c.id == attempt.c.campaign_id)
        .join(company, company.c.id == campaign.c.company_id)
        .join(debtor, debtor.c.id == attempt.c.debtor_id)
        .join(agent, agent.c.id == agent_id)
        .where(
            attempt.c.id == attempt_id,
            exists().where(
                agent_call.c.attempt_id == attempt.c.id, agent_call.c.agent_id == agent_id
            ),
        )
    ).first()  # fmt: skip
    if row is None:
        return None
    wrap = agent_terms_of(row.plan).wrap if row.wrap_seconds is None else row.wrap_seconds
    return CallTerms(
        company=row.spoken_name,
        debtor=row.name,
        language=(row.language or row.plan["language"])[:2],
        identified=row.identity_confirmed,
        last_prompt=row.last_prompt,
        wrap=wrap,
        paid=int(row.paid),
    )


def _paid_in(attempt_id: str) -> ScalarSelect[int]:
    return (
        select(func.coalesce(func.sum(payment.c.amount_minor), 0))
        .where(payment.c.attempt_id == attempt_id, payment.c.state == PaymentState.APPROVED.value)
        .scalar_subquery()
    )
