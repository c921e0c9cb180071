"""Whose a row of the audit trail is, and what people call the things it names.

It is the company of what the row is about; where that is gone, or belongs to nobody, the company
that the row itself names, or that of who did it. A row that names another company than its
target's (a user who moved) is of neither, not even in part: only those who see all read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, String, cast, literal, select

from dialer.store import tables as t


@dataclass(frozen=True, slots=True)
class Thing:
    """What a row names. ``company_id``: None where it is no company's, or every one's."""

    company_id: int | None
    name: str | None


_AGENT_OF = t.agent_session.join(t.agent, t.agent.c.id == t.agent_session.c.agent_id)
_LEAD_OF = t.lead.join(t.campaign, t.campaign.c.id == t.lead.c.campaign_id)
_ATTEMPT_OF = t.attempt.join(t.campaign, t.campaign.c.id == t.attempt.c.campaign_id)
_NO_NAME = literal(None, String)

KINDS: dict[str, tuple[Any, Any, Any, Any]] = {
    "campaign": (t.campaign, t.campaign.c.id, t.campaign.c.company_id, t.campaign.c.name),
    "company": (t.company, t.company.c.id, t.company.c.id, t.company.c.name),
    "pool": (
        t.caller_id_pool, t.caller_id_pool.c.id, t.caller_id_pool.c.company_id,
        t.caller_id_pool.c.name,
    ),
    "agent": (t.agent, t.agent.c.id, t.agent.c.company_id, t.agent.c.login),
    "agent_session": (_AGENT_OF, t.agent_session.c.id, t.agent.c.company_id, t.agent.c.login),
    "user": (t.app_user, t.app_user.c.id, t.app_user.c.company_id, t.app_user.c.name),
    "callback": (t.callback, t.callback.c.id, t.callback.c.company_id, _NO_NAME),
    "import_batch": (
        t.import_batch, t.import_batch.c.id, t.import_batch.c.company_id,
        t.import_batch.c.file_name,
    ),
    "payment": (t.payment, t.payment.c.id, t.payment.c.company_id, t.payment.c.order_ref),
    "api_key": (t.api_token, t.api_token.c.id, t.api_token.c.company_id, t.api_token.c.name),
    "webhook": (
        t.webhook_endpoint, t.webhook_endpoint.c.id, t.webhook_endpoint.c.company_id, _NO_NAME,
    ),
    "report_mail": (t.report_mail, t.report_mail.c.id, t.report_mail.c.company_id, _NO_NAME),
    "approval": (t.approval, t.approval.c.id, t.approval.c.company_id, _NO_NAME),
    "suppression": (t.suppression, t.suppression.c.id, t.suppression.c.company_id, _NO_NAME),
    "debtor": (t.debtor, t.debtor.c.id, t.debtor.c.company_id, _NO_NAME),
    "account": (t.account, t.account.c.id, t.account.c.company_id, t.account.c.reference),
    "message": (t.message, t.message.c.id, t.message.c.company_id, _NO_NAME),
    "lead": (_LEAD_OF, t.lead.c.id, t.campaign.c.company_id, _NO_NAME),
    "attempt": (_ATTEMPT_OF, t.attempt.c.id, t.campaign.c.company_id, _NO_NAME),
}  # fmt: skip
"""Kind of target -> what to read it from: table, id, company, name."""
MOST_DIGITS = 18
"""Of the number of a row; what is longer is a text that somebody wrote."""


def owner(
    connection: Connection,
    actor: str,
    target: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> int | None:
    """The company of a row that says this; None where it is provably nobody's."""
    named = set(_named_companies(before, after))
    found = things(connection, {actor, target})
    of = found.get(target)
    if of is not None:
        return of.company_id if named <= {of.company_id} else None
    if named:
        return named.pop() if len(named) == 1 else None
    who = found.get(actor)
    return None if who is None else who.company_id


def _named_companies(*changes: Mapping[str, Any] | None) -> Iterator[int]:
    for values in changes:
        if isinstance(values, Mapping):
            for key in ("company", "company_id"):
                if isinstance(values.get(key), int):
                    yield values[key]


def things(connection: Connection, names: Iterable[str]) -> dict[str, Thing]:
    """Company and name of each ``kind:id`` that is there; one query for each kind."""
    by_kind: dict[str, set[str]] = {}
    for name in names:
        kind, sign, key = name.partition(":")
        number = key.isdecimal() and len(key) <= MOST_DIGITS
        if sign and kind in KINDS and (number or _text_id(kind)):
            by_kind.setdefault(kind, set()).add(key)
    found: dict[str, Thing] = {}
    for kind, keys in by_kind.items():
        table, key_column, company_column, name_column = KINDS[kind]
        wanted = sorted(keys) if _text_id(kind) else sorted({int(key) for key in keys})
        query = select(
            cast(key_column, String).label("key"),
            company_column.label("company_id"),
            name_column.label("name"),
        ).select_from(table)
        for row in connection.execute(query.where(key_column.in_(wanted))):
            found[f"{kind}:{row.key}"] = Thing(row.company_id, row.name)
    return found


def _text_id(kind: str) -> bool:
    return isinstance(KINDS[kind][1].type, String)
