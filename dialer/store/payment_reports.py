"""Payments as people look at them: nothing of a card but brand and last four, of a telephone only
its last digits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select

from dialer.domain.payment import PaymentState
from dialer.store import payments as rows
from dialer.store.ledger import balance_of
from dialer.store.refunds import refunds_of
from dialer.store.tables import (
    account,
    attempt,
    audit,
    campaign,
    company,
    ledger_entry,
    payment,
    refund,
)
from dialer.store.unresolved import not_captured

_OPEN = [state.value for state in PaymentState if state.open]
_REFUND_SETTLED = ("done", "refused")
SHORTEST_PREFIX = 6


class NoSuchPayment(Exception):
    """No payment, or more than one, goes by what was asked for; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which payments to list; what is None or False does not narrow. ``unresolved``: in doubt, or
    with a refund in doubt. ``limit``: the newest so many."""

    campaign_id: int | None = None
    company_id: int | None = None
    since: datetime | None = None
    state: PaymentState | None = None
    unresolved: bool = False
    uncaptured: bool = False
    limit: int | None = None


_ROWS = (
    select(
        payment,
        account.c.reference,
        company.c.name.label("company"),
        campaign.c.name.label("campaign"),
    )
    .join(account, account.c.id == payment.c.account_id)
    .join(company, company.c.id == payment.c.company_id)
    .outerjoin(attempt, attempt.c.id == payment.c.attempt_id)
    .outerjoin(campaign, campaign.c.id == attempt.c.campaign_id)
)


def payment_list(connection: Connection, wanted: Wanted) -> list[dict[str, Any]]:
    """The payments, oldest first, as ``masked`` has them."""
    query = _ROWS.order_by(payment.c.created_at.desc(), payment.c.id.desc())
    if wanted.campaign_id is not None:
        query = query.where(attempt.c.campaign_id == wanted.campaign_id)
    if wanted.company_id is not None:
        query = query.where(payment.c.company_id == wanted.company_id)
    if wanted.since is not None:
        query = query.where(payment.c.created_at >= wanted.since)
    if wanted.state is not None:
        query = query.where(payment.c.state == wanted.state.value)
    if wanted.unresolved:
        refund_open = (
            select(refund.c.id)
            .where(
                and_(refund.c.payment_id == payment.c.id, refund.c.state.not_in(_REFUND_SETTLED))
            )
            .exists()
        )
        query = query.where(or_(payment.c.state.in_(_OPEN), refund_open))
    if wanted.uncaptured:
        query = query.where(not_captured())
    found = connection.execute(query.limit(wanted.limit)).all()
    back = _given_back(connection, [row.id for row in found])
    return [masked(row, back.get(row.id, [])) for row in reversed(found)]


def masked(row: Row[Any], given_back: list[dict[str, Any]]) -> dict[str, Any]:
    """A payment for people and programs. ``amount_minor`` in minor units; times aware UTC."""
    return {
        "id": row.id,
        "order_ref": row.order_ref,
        "company": row.company,
        "campaign": row.campaign,
        "account": row.reference,
        "attempt_id": row.attempt_id,
        "source": row.source,
        "gateway": row.gateway,
        "mode": row.mode,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "state": row.state,
        "outcome": row.outcome,
        "reason": row.reason,
        "brand": row.brand,
        "last_four": row.last_four,
        "phone": f"...{row.number[-3:]}" if row.number else None,
        "provider_ref": row.provider_ref,
        "auth_code": row.auth_code,
        "created_at": row.created_at,
        "sending_at": row.sending_at,
        "settled_at": row.settled_at,
        "captured_at": row.captured_at,
        "disputed_at": row.disputed_at,
        "look_ups": row.look_ups,
        "next_look_up_at": row.next_look_up_at,
        "refunds": given_back,
    }


def _given_back(connection: Connection, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for at in range(0, len(ids), 500):
        part = refund.c.payment_id.in_(ids[at : at + 500])
        for row in connection.execute(
            select(refund).where(part).order_by(refund.c.created_at, refund.c.id)
        ):
            found.setdefault(row.payment_id, []).append(
                {
                    "id": row.id,
                    "kind": row.kind,
                    "amount_minor": row.amount_minor,
                    "state": row.state,
                    "forgive": row.forgive,
                    "reason": row.reason,
                    "actor": row.actor,
                    "provider_reason": row.provider_reason,
                    "created_at": row.created_at,
                    "settled_at": row.settled_at,
                }
            )
    return found


def find(connection: Connection, name: str) -> rows.Payment:
    """By its id, the beginning of it, or its order reference. Raises NoSuchPayment."""
    wanted = [payment.c.order_ref == name.upper()]
    if len(name) >= SHORTEST_PREFIX and all(one in "0123456789abcdef" for one in name.lower()):
        wanted.append(payment.c.id.startswith(name.lower(), autoescape=True))
    ids = connection.scalars(select(payment.c.id).where(or_(*wanted)).limit(2)).all()
    if not ids:
        raise NoSuchPayment(
            f"there is no payment {name!r}: give its id, the first {SHORTEST_PREFIX} digits of it"
            " or more, or its order reference; `dialer payments` lists them"
        )
    if len(ids) > 1:
        raise NoSuchPayment(f"several payments begin with {name!r}: give more of the id")
    found = rows.load_payment(connection, ids[0])
    assert found is not None
    return found


def timeline(connection: Connection, payment_id: str) -> dict[str, Any]:
    """Everything known of one payment: itself, its events, its entries, the account's balance and
    what people did to it."""
    row = connection.execute(_ROWS.where(payment.c.id == payment_id)).one()
    entries = connection.execute(
        select(ledger_entry)
        .where(ledger_entry.c.payment_id == payment_id)
        .order_by(ledger_entry.c.id)
    )
    people = connection.execute(
        select(audit).where(audit.c.target == f"payment:{payment_id}").order_by(audit.c.id)
    )
    stands = balance_of(connection, row.account_id)
    return {
        **masked(row, _given_back(connection, [payment_id]).get(payment_id, [])),
        "events": [
            {"at": one.at, "kind": one.kind, "detail": one.detail}
            for one in rows.events_of(connection, payment_id)
        ],
        "ledger": [
            {"at": one.at, "transaction": one.transaction, "book": one.book, "minor": one.minor}
            for one in entries
        ],
        "balance": {
            "claim": stands.claim,
            "open": stands.open,
            "pending": stands.pending,
            "paid": stands.paid,
            "refunded": stands.refunded,
            "forgiven": stands.forgiven,
            "overpaid": stands.overpaid,
            "currency": stands.currency,
        },
        "audit": [
            {"at": one.at, "actor": one.actor, "action": one.action, "after": one.after}
            for one in people
        ],
    }


def open_ids(connection: Connection, payment_id: str | None) -> tuple[list[str], list[str]]:
    """Payments and refunds in doubt: all, or those of one payment."""
    payments = select(payment.c.id).where(payment.c.state.in_(_OPEN))
    if payment_id is not None:
        payments = payments.where(payment.c.id == payment_id)
        refunds = [one.id for one in refunds_of(connection, payment_id) if one.state.open]
    else:
        refunds = list(
            connection.scalars(select(refund.c.id).where(refund.c.state.not_in(_REFUND_SETTLED)))
        )
    return list(connection.scalars(payments.order_by(payment.c.created_at))), refunds
