"""What was between us and a debtor, newest first, over all channels: for the agent who talks to
them. No numbers, no texts with links, nothing of a card but its last four digits."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, or_, select

from dialer.store.tables import (
    account,
    agent,
    agent_call,
    attempt,
    callback,
    campaign,
    debtor,
    message,
    payment,
    phone,
    promise,
    suppression,
)

LONGEST = 30


class EntryKind(StrEnum):
    """What an entry is of."""

    CALL = "call"
    MESSAGE = "message"
    PROMISE = "promise"
    PAYMENT = "payment"
    REFUND = "refund"  # in ``dialer.store.debtor_history`` alone
    OPT_OUT = "opt_out"
    CALLBACK = "callback"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Entry:
    """One contact. ``detail`` by kind, in codes and plain values:

    call: disposition, mode, inbound, last_prompt, campaign, talked. message: channel, template,
    state, campaign. promise: due, amount_minor, currency, account. payment: state, amount_minor,
    currency, brand, last_four, account. opt_out: reason. callback: due_at, state, note, agent.
    note: agent, disposition, notes.
    """

    at: datetime
    kind: EntryKind
    detail: dict[str, Any]


def timeline(
    connection: Connection, debtor_id: int, longest: int = LONGEST, *, but: str = ""
) -> tuple[Entry, ...]:
    """The newest ``longest`` contacts of a debtor. ``but``: without this attempt."""
    found: list[Entry] = []
    values = {"debtor": debtor_id, "longest": longest, "but": but}
    for kind, query in _QUERIES.items():
        found += [_entry(kind, row._mapping) for row in connection.execute(query, values)]
    return tuple(heapq.nlargest(longest, found, key=lambda one: one.at))


def _entry(kind: EntryKind, row: Any) -> Entry:
    detail = {key: value for key, value in _details(row) if value is not None}
    return Entry(row["at"], kind, detail)


def _details(row: Any) -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if key == "joined":
            yield "talked", value is not None
        elif key != "at":
            yield key, value.isoformat() if isinstance(value, date | datetime) else value


def _newest(query: Select[Any], at: Any) -> Select[Any]:
    return query.order_by(at.desc()).limit(bindparam("longest"))


_DEBTOR: BindParameter[int] = bindparam("debtor")
_ACCOUNTS = select(account.c.id).where(account.c.debtor_id == _DEBTOR)

# Built once: this is asked in the second in which a debtor has answered.
_QUERIES: dict[EntryKind, Select[Any]] = {
    EntryKind.CALL: _newest(
        select(
            attempt.c.placed_at.label("at"), attempt.c.disposition, attempt.c.mode,
            attempt.c.inbound, attempt.c.last_prompt, campaign.c.name.label("campaign"),
            attempt.c.agent_joined_at.label("joined"),
        )
        .join(campaign, campaign.c.id == attempt.c.campaign_id)
        .where(attempt.c.debtor_id == _DEBTOR, attempt.c.id != bindparam("but")),
        attempt.c.placed_at,
    ),
    EntryKind.MESSAGE: _newest(
        select(
            message.c.created_at.label("at"), message.c.channel, message.c.template,
            message.c.state, campaign.c.name.label("campaign"),
        )
        .outerjoin(campaign, campaign.c.id == message.c.campaign_id)
        .where(message.c.debtor_id == _DEBTOR),
        message.c.created_at,
    ),
    EntryKind.PROMISE: _newest(
        select(
            promise.c.made_at.label("at"), promise.c.due, promise.c.amount_minor,
            promise.c.currency, account.c.reference.label("account"),
        )
        .join(account, account.c.id == promise.c.account_id)
        .where(promise.c.account_id.in_(_ACCOUNTS)),
        promise.c.made_at,
    ),
    EntryKind.PAYMENT: _newest(
        select(
            payment.c.created_at.label("at"), payment.c.state, payment.c.amount_minor,
            payment.c.currency, payment.c.brand, payment.c.last_four,
            account.c.reference.label("account"),
        )
        .join(account, account.c.id == payment.c.account_id)
        .where(payment.c.account_id.in_(_ACCOUNTS)),
        payment.c.created_at,
    ),
    EntryKind.OPT_OUT: _newest(
        select(suppression.c.at.label("at"), suppression.c.reason)
        .join(debtor, debtor.c.company_id == suppression.c.company_id)
        .where(
            debtor.c.id == _DEBTOR,
            suppression.c.number.in_(select(phone.c.number).where(phone.c.debtor_id == _DEBTOR)),
        ),
        suppression.c.at,
    ),
    EntryKind.CALLBACK: _newest(
        select(
            callback.c.created_at.label("at"), callback.c.due_at, callback.c.state,
            callback.c.note, agent.c.name.label("agent"),
        )
        .outerjoin(agent, agent.c.id == callback.c.agent_id)
        .where(callback.c.debtor_id == _DEBTOR),
        callback.c.created_at,
    ),
    EntryKind.NOTE: _newest(
        select(
            agent_call.c.joined_at.label("at"), agent.c.name.label("agent"),
            agent_call.c.disposition, agent_call.c.notes,
        )
        .join(agent, agent.c.id == agent_call.c.agent_id)
        .where(
            agent_call.c.debtor_id == _DEBTOR,
            agent_call.c.joined_at.is_not(None),
            or_(agent_call.c.notes.is_not(None), agent_call.c.disposition.is_not(None)),
        ),
        agent_call.c.joined_at,
    ),
}  # fmt: skip
