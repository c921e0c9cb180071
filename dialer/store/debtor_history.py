"""Everything that was between us and a debtor, newest first, page by page: for the supervisor, who
may see more of it than an agent in a call (``dialer.store.timeline``).

No texts of messages, whose links let pay, and nothing of a card but its last four digits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select

from dialer.store.story import masked
from dialer.store.tables import (
    account,
    agent,
    agent_call,
    attempt,
    callback,
    campaign,
    debtor,
    fallback,
    message,
    pay_session,
    payment,
    phone,
    promise,
    refund,
    suppression,
)
from dialer.store.timeline import EntryKind
from dialer.store.types import UtcDateTime

PAGE = 30
AT_ONCE = 20
"""Entries of one kind that may be of the very same moment."""


@dataclass(slots=True)
class Happening:
    """One entry. ``row``: of the query of its kind, below. Of a call, ``fallbacks``: what was
    considered after it; ``talks``: with agents; ``payments``: visits of the payment node.
    ``number``: masked."""

    at: datetime
    kind: EntryKind
    row: Row[Any]
    number: str = ""
    fallbacks: list[Row[Any]] = field(default_factory=list)
    talks: list[Row[Any]] = field(default_factory=list)
    payments: list[Row[Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """``older``: give it as ``before`` for what came before; None: there is nothing."""

    entries: list[Happening]
    older: datetime | None


def history(
    connection: Connection, debtor_id: int, before: datetime | None = None, limit: int = PAGE
) -> HistoryPage:
    """``limit`` entries that are older than ``before``, and those of the very moment of the last
    one, so that none is lost between two pages."""
    most = limit + AT_ONCE
    values = {"debtor": debtor_id, "before": before or _NEVER, "limit": most}
    found: list[Happening] = []
    more = False
    for kind, query in _QUERIES.items():
        rows = connection.execute(query, values).all()
        more = more or len(rows) == most
        found += [_happening(kind, row) for row in rows]
    found.sort(key=lambda one: one.at, reverse=True)
    end = limit
    while limit <= end < len(found) and found[end].at == found[limit - 1].at:
        end += 1
    entries = found[:end]
    _complete(connection, entries)
    return HistoryPage(entries, entries[-1].at if len(found) > end or more else None)


def _happening(kind: EntryKind, row: Row[Any]) -> Happening:
    return Happening(row.at, kind, row, masked(row.number) if "number" in row._mapping else "")


def _complete(connection: Connection, entries: list[Happening]) -> None:
    """What belongs to the calls, in a query for each kind of it."""
    calls = {one.row.id: one for one in entries if one.kind is EntryKind.CALL}
    if not calls:
        return
    ids = {"calls": list(calls)}
    for row in connection.execute(_FALLBACKS, ids):
        calls[row.attempt_id].fallbacks.append(row)
    for row in connection.execute(_TALKS, ids):
        calls[row.attempt_id].talks.append(row)
    for row in connection.execute(_VISITS, ids):
        calls[row.attempt_id].payments.append(row)


# --- the queries: built once ----------------------------------------------------------------

_NEVER = datetime(9000, 1, 1, tzinfo=UTC)
_DEBTOR: Any = bindparam("debtor")
_ACCOUNTS = select(account.c.id).where(account.c.debtor_id == _DEBTOR)


def _older(query: Select[Any], at: Any) -> Select[Any]:
    return (
        query.add_columns(at.label("at"))
        .where(at < bindparam("before", type_=UtcDateTime()))
        .order_by(at.desc())
        .limit(bindparam("limit"))
    )


_QUERIES: dict[EntryKind, Select[Any]] = {
    EntryKind.CALL: _older(
        select(
            attempt.c.id, attempt.c.number, attempt.c.caller_id, attempt.c.inbound,
            attempt.c.mode, attempt.c.flow, attempt.c.follows, attempt.c.state,
            attempt.c.ringing_at, attempt.c.answered_at, attempt.c.ended_at,
            attempt.c.hung_up_by_debtor, attempt.c.detection, attempt.c.last_node,
            attempt.c.last_prompt, attempt.c["keys"].label("pressed"),
            attempt.c.identity_confirmed, attempt.c.disposition, attempt.c.failure,
            attempt.c.agent_joined_at, attempt.c.abandoned_at,
            campaign.c.name.label("campaign"),
        )
        .join(campaign, campaign.c.id == attempt.c.campaign_id)
        .where(attempt.c.debtor_id == _DEBTOR),
        attempt.c.placed_at,
    ),
    EntryKind.MESSAGE: _older(
        select(
            message.c.number, message.c.channel, message.c.template, message.c.state,
            message.c.error, message.c.tries, message.c.updated_at,
            campaign.c.name.label("campaign"),
        )
        .outerjoin(campaign, campaign.c.id == message.c.campaign_id)
        .where(message.c.debtor_id == _DEBTOR),
        message.c.created_at,
    ),
    EntryKind.PROMISE: _older(
        select(
            promise.c.due, promise.c.amount_minor, promise.c.currency, account.c.reference
        )
        .join(account, account.c.id == promise.c.account_id)
        .where(promise.c.account_id.in_(_ACCOUNTS)),
        promise.c.made_at,
    ),
    EntryKind.PAYMENT: _older(
        select(
            payment.c.id, payment.c.state, payment.c.outcome, payment.c.amount_minor,
            payment.c.currency, payment.c.brand, payment.c.last_four, payment.c.source,
            account.c.reference,
        )
        .join(account, account.c.id == payment.c.account_id)
        .where(payment.c.account_id.in_(_ACCOUNTS)),
        payment.c.created_at,
    ),
    EntryKind.REFUND: _older(
        select(
            refund.c.state, refund.c.kind, refund.c.amount_minor, refund.c.currency,
            account.c.reference,
        )
        .join(payment, payment.c.id == refund.c.payment_id)
        .join(account, account.c.id == payment.c.account_id)
        .where(payment.c.account_id.in_(_ACCOUNTS)),
        refund.c.created_at,
    ),
    EntryKind.OPT_OUT: _older(
        select(suppression.c.number, suppression.c.reason)
        .join(debtor, debtor.c.company_id == suppression.c.company_id)
        .where(
            debtor.c.id == _DEBTOR,
            suppression.c.number.in_(
                select(phone.c.number).where(phone.c.debtor_id == _DEBTOR)
            ),
        ),
        suppression.c.at,
    ),
    EntryKind.CALLBACK: _older(
        select(
            callback.c.due_at, callback.c.state, callback.c.note, agent.c.name.label("agent")
        )
        .outerjoin(agent, agent.c.id == callback.c.agent_id)
        .where(callback.c.debtor_id == _DEBTOR),
        callback.c.created_at,
    ),
}  # fmt: skip
_CALLS: Any = bindparam("calls", expanding=True)
_FALLBACKS: Any = (
    select(
        fallback.c.attempt_id, fallback.c.kind, fallback.c.refused, fallback.c.latency_ms,
        fallback.c.made_attempt_id, fallback.c.made_message_id,
    )
    .where(fallback.c.attempt_id.in_(_CALLS))
    .order_by(fallback.c.attempt_id, fallback.c.step)
)  # fmt: skip
_TALKS: Any = (
    select(
        agent_call.c.attempt_id, agent_call.c.kind, agent_call.c.result, agent_call.c.queued_at,
        agent_call.c.joined_at, agent_call.c.left_at, agent_call.c.disposition,
        agent_call.c.notes, agent.c.name.label("agent"),
    )
    .outerjoin(agent, agent.c.id == agent_call.c.agent_id)
    .where(agent_call.c.attempt_id.in_(_CALLS))
    .order_by(agent_call.c.id)
)  # fmt: skip
_VISITS: Any = (
    select(pay_session.c.attempt_id, pay_session.c.result, pay_session.c.step)
    .where(pay_session.c.attempt_id.in_(_CALLS))
    .order_by(pay_session.c.started_at)
)
