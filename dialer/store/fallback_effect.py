"""What the steps after an answered-abandoned call bring, counted.

Of each lead the first such call of the span counts, once, so that no payment is counted twice and
one debtor weighs as much as another. What follows it within ``FOLLOW_UP`` is its fruit: a later
call that came to a conversation, money that was paid for the account. The steps are chosen by the
contact policy and by what telephone it is, not by lot: a difference is a hint and no proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, and_, case, cast, func, select, text

from dialer.domain.model import Disposition, StepKind
from dialer.domain.payment import PaymentMode, PaymentState
from dialer.store.console_reports import Span, hour_of
from dialer.store.tables import account, attempt, fallback, lead, payment

FOLLOW_UP = timedelta(days=3)
NOTHING = ""
"""As a kind of step: none was taken."""
_CONVERSATIONS = [one.value for one in Disposition if one.conversation]


@dataclass(frozen=True, slots=True)
class Fruit:
    """Debtors who answered and hung up in an hour of the zone, and what came of them. ``kind``: of
    the step taken (StepKind, or ``NOTHING``); ``then``: of the one after it, where a redial came
    to nothing. ``minor`` and ``squares``: sums of what each paid."""

    hour: datetime
    kind: str
    then: str
    currency: str
    debtors: int
    contacted: int
    paid: int
    minor: int
    squares: float


def effect(connection: Connection, span: Span, campaign_ids: Sequence[int]) -> list[Fruit]:
    """By hour, steps and currency."""
    first = _first_calls(connection, span, campaign_ids)
    after = fallback.alias("after")
    contacted, paid = _contacted(connection, first), _paid(connection, first)
    each = (
        select(
            first.c.hour,
            func.coalesce(fallback.c.kind, NOTHING).label("kind"),
            func.coalesce(after.c.kind, NOTHING).label("then"),
            account.c.currency,
            case((contacted, 1), else_=0).label("contacted"),
            paid.label("paid"),
        )
        .select_from(
            first.join(lead, lead.c.id == first.c.lead_id)
            .join(account, account.c.id == lead.c.account_id)
            .outerjoin(
                fallback,
                and_(fallback.c.attempt_id == first.c.id, fallback.c.refused.is_(None)),
            )
            .outerjoin(
                after,
                and_(
                    after.c.attempt_id == fallback.c.made_attempt_id,
                    after.c.refused.is_(None),
                    after.c.kind != StepKind.RETRY.value,
                ),
            )
        )
        .where(first.c.place == 1)
        .subquery("each")
    )
    by = (each.c.hour, each.c.kind, each.c.then, each.c.currency)
    minor = cast(each.c.paid, Float)
    rows = connection.execute(
        select(
            *by,
            func.count().label("debtors"),
            func.sum(each.c.contacted).label("contacted"),
            func.sum(case((each.c.paid > 0, 1), else_=0)).label("paid"),
            func.sum(each.c.paid).label("minor"),
            func.sum(minor * minor).label("squares"),
        ).group_by(*by)
    )
    return [
        Fruit(
            there, row.kind, row.then, row.currency, row.debtors, int(row.contacted),
            int(row.paid), int(row.minor), float(row.squares),
        )
        for row in rows
        if (there := span.local(row.hour)) is not None
    ]  # fmt: skip


def _first_calls(connection: Connection, span: Span, campaign_ids: Sequence[int]) -> Any:
    """The calls that were answered and hung up, numbered within each lead."""
    order = func.row_number().over(
        partition_by=attempt.c.lead_id, order_by=(attempt.c.placed_at, attempt.c.id)
    )
    return (
        select(
            attempt.c.id,
            attempt.c.lead_id,
            attempt.c.ended_at,
            hour_of(connection, attempt.c.placed_at).label("hour"),
            order.label("place"),
        )
        .where(
            attempt.c.campaign_id.in_(campaign_ids),
            attempt.c.placed_at >= span.since,
            attempt.c.placed_at < span.until,
            attempt.c.disposition == Disposition.ANSWERED_ABANDONED.value,
            attempt.c.fallback_index < 0,
            attempt.c.ended_at.is_not(None),
        )
        .subquery("first")
    )


def _contacted(connection: Connection, first: Any) -> ColumnElement[bool]:
    later = attempt.alias("later")
    return (
        select(later.c.id)
        .where(
            later.c.lead_id == first.c.lead_id,
            later.c.placed_at > first.c.ended_at,
            later.c.placed_at <= _followed_until(connection, first.c.ended_at),
            later.c.disposition.in_(_CONVERSATIONS),
        )
        .exists()
    )


def _paid(connection: Connection, first: Any) -> Any:
    return (
        select(func.coalesce(func.sum(payment.c.amount_minor), 0))
        .where(
            payment.c.account_id == account.c.id,
            payment.c.currency == account.c.currency,
            payment.c.state == PaymentState.APPROVED.value,
            payment.c.mode != PaymentMode.TOKENISE.value,
            payment.c.created_at > first.c.ended_at,
            payment.c.created_at <= _followed_until(connection, first.c.ended_at),
        )
        .correlate(first, account)
        .scalar_subquery()
    )


def _followed_until(connection: Connection, ended_at: Any) -> Any:
    days = FOLLOW_UP.days
    if connection.dialect.name == "postgresql":
        return ended_at + text(f"interval '{days} days'")
    return func.datetime(ended_at, f"+{days} days")  # text, like the column on SQLite
