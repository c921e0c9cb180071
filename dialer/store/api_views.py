"""What programs read through the API: lists by key, each as fast at its end as at its beginning.

``company_id``: None reads every company's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from dialer.domain.model import AttemptState, LeadState
from dialer.store.tables import (
    account,
    agent,
    agent_session,
    attempt,
    campaign,
    company,
    debtor,
    lead,
    message,
    payment,
    promise,
    refund,
)

Rows = Sequence[Row[Any]]

_CAMPAIGNS = select(campaign, company.c.name.label("company")).join(
    company, company.c.id == campaign.c.company_id
)


def campaigns(
    connection: Connection,
    company_id: int | None,
    below: int | None,
    limit: int,
    state: str | None = None,
) -> Rows:
    """The newest first, of ids below ``below``."""
    query = _CAMPAIGNS.order_by(campaign.c.id.desc()).limit(limit)
    if company_id is not None:
        query = query.where(campaign.c.company_id == company_id)
    if below is not None:
        query = query.where(campaign.c.id < below)
    if state is not None:
        query = query.where(campaign.c.state == state)
    return connection.execute(query).all()


def campaign_row(connection: Connection, campaign_id: int) -> Row[Any] | None:
    """With its company's name."""
    return connection.execute(_CAMPAIGNS.where(campaign.c.id == campaign_id)).first()


def lead_counts(connection: Connection, campaign_id: int) -> dict[str, int]:
    """How many leads of each state."""
    found = {state.value: 0 for state in LeadState}
    for state, count in connection.execute(
        select(lead.c.state, func.count())
        .where(lead.c.campaign_id == campaign_id)
        .group_by(lead.c.state)
    ):
        found[state] = count
    return found


def call_counts(connection: Connection, campaign_id: int) -> dict[str, int]:
    """How many calls go on, by how far they are."""
    found = {state.value: 0 for state in AttemptState if state is not AttemptState.ENDED}
    # A call that has not ended keeps its lead claimed: leads are found by index.
    for state, count in connection.execute(
        select(attempt.c.state, func.count())
        .join(lead, lead.c.id == attempt.c.lead_id)
        .where(
            lead.c.campaign_id == campaign_id,
            lead.c.state == LeadState.CLAIMED.value,
            attempt.c.state != AttemptState.ENDED.value,
        )
        .group_by(attempt.c.state)
    ):
        found[state] = count
    return found


def leads(
    connection: Connection, campaign_id: int, after: int | None, limit: int, state: str | None
) -> Rows:
    """In the order of their accounts (``account_id``), which never changes."""
    query = (
        select(lead, account.c.reference)
        .join(account, account.c.id == lead.c.account_id)
        .where(lead.c.campaign_id == campaign_id)
        .order_by(lead.c.account_id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(lead.c.account_id > after)
    if state is not None:
        query = query.where(lead.c.state == state)
    return connection.execute(query).all()


def references_of(connection: Connection, lead_ids: Collection[int]) -> dict[int, str]:
    """The account of each lead, as the company calls it."""
    rows = connection.execute(
        select(lead.c.id, account.c.reference)
        .join(account, account.c.id == lead.c.account_id)
        .where(lead.c.id.in_(list(lead_ids)))
    )
    return {row.id: row.reference for row in rows}


def messages(connection: Connection, company_id: int | None, after: int, limit: int) -> Rows:
    """In the order they were made; without their texts, whose links let pay."""
    query = (
        select(
            message.c.id, message.c.company_id, message.c.debtor_id, message.c.campaign_id,
            message.c.attempt_id, message.c.channel, message.c.template, message.c.state,
            message.c.tries, message.c.error, message.c.created_at, message.c.updated_at,
            account.c.reference,
        )
        .outerjoin(account, account.c.id == message.c.account_id)
        .where(message.c.id > after)
        .order_by(message.c.id)
        .limit(limit)
    )  # fmt: skip
    return connection.execute(_of(query, message.c.company_id, company_id)).all()


def promises(connection: Connection, company_id: int | None, after: int, limit: int) -> Rows:
    """In the order they were made."""
    query = (
        select(
            promise.c.id, promise.c.attempt_id, promise.c.due, promise.c.amount_minor,
            promise.c.currency, promise.c.made_at, account.c.reference, account.c.company_id,
            account.c.debtor_id, attempt.c.campaign_id,
        )
        .join(account, account.c.id == promise.c.account_id)
        .join(attempt, attempt.c.id == promise.c.attempt_id)
        .where(promise.c.id > after)
        .order_by(promise.c.id)
        .limit(limit)
    )  # fmt: skip
    return connection.execute(_of(query, account.c.company_id, company_id)).all()


def payments(
    connection: Connection,
    company_id: int | None,
    after: tuple[datetime, str] | None,
    limit: int,
    state: str | None = None,
    only: str | None = None,
) -> Rows:
    """The oldest first; ``refunded_minor``: what was given back. ``only``: the one of that id."""
    back = (
        select(func.coalesce(func.sum(refund.c.amount_minor), 0))
        .where(refund.c.payment_id == payment.c.id, refund.c.state == "done")
        .scalar_subquery()
    )
    query = (
        select(
            payment.c.id, payment.c.order_ref, payment.c.company_id, payment.c.attempt_id,
            payment.c.source, payment.c.gateway, payment.c.mode, payment.c.amount_minor,
            payment.c.currency, payment.c.state, payment.c.outcome, payment.c.brand,
            payment.c.last_four, payment.c.created_at, payment.c.settled_at,
            payment.c.captured_at, account.c.reference, account.c.debtor_id,
            attempt.c.campaign_id, back.label("refunded_minor"),
        )
        .join(account, account.c.id == payment.c.account_id)
        .outerjoin(attempt, attempt.c.id == payment.c.attempt_id)
        .order_by(payment.c.created_at, payment.c.id)
        .limit(limit)
    )  # fmt: skip
    if state is not None:
        query = query.where(payment.c.state == state)
    if only is not None:
        query = query.where(payment.c.id == only)
    if after is not None:
        same = and_(payment.c.created_at == after[0], payment.c.id > after[1])
        query = query.where(or_(payment.c.created_at > after[0], same))
    return connection.execute(_of(query, payment.c.company_id, company_id)).all()


def agents(connection: Connection, company_id: int | None, after: int | None, limit: int) -> Rows:
    """By id; ``state``: of the desk that is open, None where there is none."""
    query = (
        select(
            agent.c.id, agent.c.company_id, agent.c.login, agent.c.name, agent.c.skills,
            agent.c.languages, agent.c.active, agent_session.c.state, agent_session.c.since,
        )
        .outerjoin(
            agent_session,
            and_(agent_session.c.agent_id == agent.c.id, agent_session.c.ended_at.is_(None)),
        )
        .order_by(agent.c.id)
        .limit(limit)
    )  # fmt: skip
    if after is not None:
        query = query.where(agent.c.id > after)
    return connection.execute(_of(query, agent.c.company_id, company_id)).all()


def debtor_row(connection: Connection, debtor_id: int) -> Any:
    """Whose they are: id and company_id; None where there is none."""
    return connection.execute(
        select(debtor.c.id, debtor.c.company_id).where(debtor.c.id == debtor_id)
    ).first()


def _of(query: Select[Any], column: Any, company_id: int | None) -> Select[Any]:
    return query if company_id is None else query.where(column == company_id)
