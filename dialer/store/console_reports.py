"""Figures of a time and some campaigns, for the pages with reports.

Everything comes by the hour in UTC, so that a page can show days and hours of its viewer's zone
and take some hours alone. Nothing here is in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, select

from dialer.domain.keeping import Kept, kept
from dialer.domain.model import Disposition
from dialer.domain.payment import PaymentMode, PaymentState
from dialer.domain.payment_states import RefundLife
from dialer.store.abandonment import ABANDONED, LIVE
from dialer.store.plans import agent_terms_of
from dialer.store.tables import (
    agent,
    agent_call,
    attempt,
    campaign,
    company,
    payment,
    promise,
    refund,
)


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked about. ``since`` and ``until``: aware, ``until`` not included. ``zone``: of the
    days and hours. ``hours``: only those that begin within [first, last). ``company_id``: whose
    campaigns; None: all. ``campaign_id``: one alone."""

    since: datetime
    until: datetime
    zone: ZoneInfo
    company_id: int | None = None
    campaign_id: int | None = None
    hours: tuple[int, int] = (0, 24)

    def local(self, hour: str) -> datetime | None:
        """An hour of the database in the zone; None where it is not asked for."""
        first, last = self.hours
        there = _local(hour, self.zone)
        return there if first <= there.hour < last else None


@lru_cache(maxsize=4096)
def _local(hour: str, zone: ZoneInfo) -> datetime:
    return datetime.strptime(hour, "%Y-%m-%d %H").replace(tzinfo=UTC).astimezone(zone)


def hour_of(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[str]:
    """``2026-03-16 11``, in UTC."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", column), "YYYY-MM-DD HH24")
    return func.substr(column, 1, 13)


def campaigns_of(connection: Connection, span: Span) -> list[Row[Any]]:
    """id, name, plan, zone of its company; those that the span is about."""
    query = select(
        campaign.c.id, campaign.c.name, campaign.c.plan, company.c.timezone, campaign.c.company_id
    ).join(company, company.c.id == campaign.c.company_id)
    if span.company_id is not None:
        query = query.where(campaign.c.company_id == span.company_id)
    if span.campaign_id is not None:
        query = query.where(campaign.c.id == span.campaign_id)
    return list(connection.execute(query.order_by(campaign.c.id)))


@dataclass(frozen=True, slots=True)
class Calls:
    """How many calls placed in an hour of the zone ended alike."""

    hour: datetime
    disposition: str
    count: int


def calls(connection: Connection, span: Span, campaign_ids: Sequence[int]) -> list[Calls]:
    """Calls that are over."""
    hour = hour_of(connection, attempt.c.placed_at)
    rows = connection.execute(
        select(hour, attempt.c.disposition, func.count())
        .where(
            attempt.c.campaign_id.in_(campaign_ids),
            attempt.c.placed_at >= span.since,
            attempt.c.placed_at < span.until,
            # Each by its name, so that ix_attempt_ended is gone through by day within each.
            attempt.c.disposition.in_([one.value for one in Disposition]),
        )
        .group_by(hour, attempt.c.disposition)
    )
    return [
        Calls(there, disposition, count)
        for at, disposition, count in rows
        if (there := span.local(at)) is not None
    ]


@dataclass(slots=True)
class Sum:
    """Things and money."""

    count: int = 0
    minor: int = 0

    def add(self, count: int, minor: int) -> None:
        """More of it."""
        self.count += count
        self.minor += minor


# --- promises --------------------------------------------------------------------------------


def promises(
    connection: Connection, span: Span, campaign_rows: Sequence[Row[Any]], now: datetime
) -> dict[str, dict[Kept, Sum]]:
    """By currency, what became of promises that were made in the span: by what was paid with us
    and not given back. What a debtor paid elsewhere is not known here."""
    zones = {row.id: row.timezone for row in campaign_rows}
    # Asked for one by one: a join would begin with every call of the campaigns.
    campaign_id = (
        select(attempt.c.campaign_id).where(attempt.c.id == promise.c.attempt_id).scalar_subquery()
    )
    made = [
        row
        for row in connection.execute(
            select(
                promise.c.account_id, promise.c.due, promise.c.amount_minor, promise.c.currency,
                promise.c.made_at, campaign_id.label("campaign_id"),
                hour_of(connection, promise.c.made_at).label("hour"),
            ).where(promise.c.made_at >= span.since, promise.c.made_at < span.until)
        )
        if row.campaign_id in zones and span.local(row.hour) is not None
    ]  # fmt: skip
    paid = _paid_since(connection, span, {row.account_id for row in made})
    found: dict[str, dict[Kept, Sum]] = {}
    for row in made:
        money = paid.get((row.account_id, row.currency), ())
        state = kept(
            row.amount_minor, row.made_at, row.due, zones[row.campaign_id], money, now
        )  # fmt: skip
        if row.currency not in found:
            found[row.currency] = {one: Sum() for one in Kept}
        found[row.currency][state].add(1, row.amount_minor)
    return found


_TAKEN = and_(
    payment.c.state == PaymentState.APPROVED.value, payment.c.mode != PaymentMode.TOKENISE.value
)


def _paid_since(
    connection: Connection, span: Span, accounts: set[int]
) -> dict[tuple[int, str], list[tuple[datetime, int]]]:
    """Account and currency -> when, and how much of it stayed."""
    back = (
        select(func.coalesce(func.sum(refund.c.amount_minor), 0))
        .where(refund.c.payment_id == payment.c.id, refund.c.state == RefundLife.DONE.value)
        .scalar_subquery()
    )
    query = select(
        payment.c.account_id, payment.c.currency, payment.c.created_at,
        (payment.c.amount_minor - back).label("stayed"),
    ).where(_TAKEN, payment.c.created_at >= span.since)  # fmt: skip
    if span.company_id is not None:
        query = query.where(payment.c.company_id == span.company_id)
    found: dict[tuple[int, str], list[tuple[datetime, int]]] = {}
    for row in connection.execute(query):
        if row.account_id in accounts:
            key = (row.account_id, row.currency)
            found.setdefault(key, []).append((row.created_at, int(row.stayed)))
    return found


# --- money -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Taken:
    """Of one currency: in calls, by links, and what was given back."""

    call: Sum = field(default_factory=Sum)
    link: Sum = field(default_factory=Sum)
    refunds: Sum = field(default_factory=Sum)


def money(connection: Connection, span: Span) -> dict[str, Taken]:
    """Payments that were approved, and refunds that were done, by currency. One campaign: those of
    its calls alone."""
    hour = hour_of(connection, payment.c.created_at)
    found: dict[str, Taken] = {}
    for row in connection.execute(
        select(
            hour.label("hour"), payment.c.currency, payment.c.source, func.count().label("things"),
            func.sum(payment.c.amount_minor).label("minor"),
        )
        .select_from(payment.outerjoin(attempt, attempt.c.id == payment.c.attempt_id))
        .where(_TAKEN, *_within(span, payment.c.created_at))
        .group_by(hour, payment.c.currency, payment.c.source)
    ):  # fmt: skip
        if span.local(row.hour) is not None:
            of = found.setdefault(row.currency, Taken())
            (of.link if row.source == "link" else of.call).add(row.things, int(row.minor))
    hour = hour_of(connection, refund.c.created_at)
    for row in connection.execute(
        select(
            hour.label("hour"), refund.c.currency, func.count().label("things"),
            func.sum(refund.c.amount_minor).label("minor"),
        )
        .select_from(
            refund.join(payment, payment.c.id == refund.c.payment_id)
            .outerjoin(attempt, attempt.c.id == payment.c.attempt_id)
        )
        .where(refund.c.state == RefundLife.DONE.value, *_within(span, refund.c.created_at))
        .group_by(hour, refund.c.currency)
    ):  # fmt: skip
        if span.local(row.hour) is not None:
            found.setdefault(row.currency, Taken()).refunds.add(row.things, int(row.minor))
    return found


def _within(span: Span, column: ColumnElement[Any]) -> Iterator[ColumnElement[bool]]:
    yield column >= span.since
    yield column < span.until
    if span.company_id is not None:
        yield payment.c.company_id == span.company_id
    if span.campaign_id is not None:
        yield attempt.c.campaign_id == span.campaign_id


# --- agents ----------------------------------------------------------------------------------

_AGREED = ("promise", "paid", "link_sent")


@dataclass(slots=True)
class AgentFigures:
    """What one agent did. Seconds."""

    name: str
    calls: int = 0
    agreed: int = 0
    talk: float = 0.0
    wait: float = 0.0
    wrap: float = 0.0


def agents(connection: Connection, span: Span) -> list[AgentFigures]:
    """Who talked with debtors, most calls first. ``agreed``: a promise, a payment or a link."""
    query = (
        select(
            agent.c.id, agent.c.name, agent_call.c.queued_at, agent_call.c.joined_at,
            agent_call.c.left_at, agent_call.c.wrapped_at, agent_call.c.disposition,
        )
        .join(agent, agent.c.id == agent_call.c.agent_id)
        .where(
            agent_call.c.joined_at.is_not(None),
            agent_call.c.queued_at >= span.since,
            agent_call.c.queued_at < span.until,
        )
    )  # fmt: skip
    if span.company_id is not None:
        query = query.where(agent_call.c.company_id == span.company_id)
    if span.campaign_id is not None:
        query = query.where(agent_call.c.campaign_id == span.campaign_id)
    found: dict[int, AgentFigures] = {}
    first, last = span.hours
    for row in connection.execute(query):
        if not first <= row.queued_at.astimezone(span.zone).hour < last:
            continue
        one = found.setdefault(row.id, AgentFigures(row.name))
        one.calls += 1
        one.agreed += row.disposition in _AGREED
        one.wait += (row.joined_at - row.queued_at).total_seconds()
        if row.left_at is not None:
            one.talk += (row.left_at - row.joined_at).total_seconds()
            if row.wrapped_at is not None:
                one.wrap += (row.wrapped_at - row.left_at).total_seconds()
    return sorted(found.values(), key=lambda one: (-one.calls, one.name))


# --- abandoned -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Of a campaign that dials for agents: live answers, those abandoned, the share allowed over
    ``window_days``."""

    campaign: str
    answered: int
    abandoned: int
    limit: float
    window_days: float


def abandoned(
    connection: Connection, span: Span, campaign_rows: Sequence[Row[Any]]
) -> list[Abandoned]:
    """Over all hours, whatever hours are asked for: the limit knows none."""
    # A campaign that dialled for agents has calls of theirs, also where it no longer does; to look
    # at the answers of every other one takes longer than all the rest.
    asked_for = select(agent_call.c.id).where(agent_call.c.campaign_id == campaign.c.id).exists()
    dialled = set(connection.scalars(select(campaign.c.id).where(asked_for)))
    terms = {row.id: agent_terms_of(row.plan) for row in campaign_rows}
    ids = [key for key, of in terms.items() if of.mode.needs_agents or key in dialled]
    rows = connection.execute(
        select(attempt.c.campaign_id, func.count(), func.count(case((ABANDONED, 1))))
        .where(
            attempt.c.campaign_id.in_(ids),
            attempt.c.answered_at >= span.since,
            attempt.c.answered_at < span.until,
            LIVE,
        )
        .group_by(attempt.c.campaign_id)
    )
    counts = {row[0]: (row[1], row[2]) for row in rows}
    return [
        Abandoned(row.name, *counts.get(row.id, (0, 0)), of.max_abandoned, of.window_days)
        for row in campaign_rows
        if (of := terms[row.id]).mode.needs_agents or row.id in counts
    ]
