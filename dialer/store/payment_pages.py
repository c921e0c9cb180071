"""Payments for the page that lists them: masked, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from dialer.domain.payment_states import RefundLife
from dialer.store.tables import account, attempt, campaign, company, payment, refund

PAGE = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which payments; None does not narrow. ``until`` is not included. ``before``: older than the
    payment of that id."""

    company_id: int | None = None
    campaign_id: int | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: str | None = None


# Only what a list may show: nothing of the telephone, of the card the brand and the last digits.
_ROWS: Select[Any] = (
    select(
        payment.c.id, payment.c.order_ref, payment.c.company_id, payment.c.account_id,
        payment.c.created_at, payment.c.amount_minor, payment.c.currency, payment.c.state,
        payment.c.source, payment.c.brand, payment.c.last_four, payment.c.gateway,
        payment.c.mode, payment.c.reason, payment.c.settled_at, payment.c.captured_at,
        payment.c.disputed_at, account.c.reference, account.c.debtor_id,
        company.c.name.label("company"), campaign.c.name.label("campaign"),
    )
    .join(account, account.c.id == payment.c.account_id)
    .join(company, company.c.id == payment.c.company_id)
    .outerjoin(attempt, attempt.c.id == payment.c.attempt_id)
    .outerjoin(campaign, campaign.c.id == attempt.c.campaign_id)
)  # fmt: skip


def page(connection: Connection, wanted: Wanted, limit: int = PAGE) -> list[Row[Any]]:
    """The newest first; one more than ``limit`` where there are more."""
    newest = (payment.c.created_at.desc(), payment.c.id.desc())
    query = select(payment.c.id).order_by(*newest).limit(limit + 1)
    for condition in _conditions(connection, wanted):
        query = query.where(condition)
    # What they are of is looked up afterwards, for these alone.
    ids = list(connection.scalars(query))
    return list(connection.execute(_ROWS.where(payment.c.id.in_(ids)).order_by(*newest)))


def _conditions(connection: Connection, wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.company_id is not None:
        yield payment.c.company_id == wanted.company_id
    if wanted.campaign_id is not None:
        of_call = select(attempt.c.campaign_id).where(attempt.c.id == payment.c.attempt_id)
        yield of_call.scalar_subquery() == wanted.campaign_id
    if wanted.state is not None:
        yield payment.c.state == wanted.state
    if wanted.since is not None:
        yield payment.c.created_at >= wanted.since
    if wanted.until is not None:
        yield payment.c.created_at < wanted.until
    if wanted.before is not None:
        at = connection.scalar(select(payment.c.created_at).where(payment.c.id == wanted.before))
        if at is not None:
            same = and_(payment.c.created_at == at, payment.c.id < wanted.before)
            yield or_(payment.c.created_at < at, same)


def one(connection: Connection, payment_id: str) -> Row[Any] | None:
    """A payment as the list has it."""
    return connection.execute(_ROWS.where(payment.c.id == payment_id)).first()


def given_back(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Payment -> minor units given back, or on their way."""
    rows = connection.execute(
        select(refund.c.payment_id, func.sum(refund.c.amount_minor))
        .where(refund.c.payment_id.in_(ids), refund.c.state != RefundLife.REFUSED.value)
        .group_by(refund.c.payment_id)
    )
    return {key: int(minor) for key, minor in rows}


def refunds_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Refunds as they stand."""
    wanted = list(ids)
    if not wanted:
        return {}
    rows = connection.execute(select(refund).where(refund.c.id.in_(wanted)))
    return {row.id: row for row in rows}
