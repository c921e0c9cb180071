"""The debtor's story: what an agent sees from before the first word on.

Documents and telephones are masked; of a card there is nothing but its last four digits. Whether
the debt may be spoken of at all is part of it: only with whom the call has confirmed to be the
debtor (12 CFR 1006.6(d), and the like elsewhere: nothing to third parties).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, bindparam, select

from dialer.domain.model import AgentCallKind, DialMode, Money
from dialer.domain.payment import PayResult
from dialer.store import paid
from dialer.store.tables import (
    account,
    agent_call,
    attempt,
    campaign,
    company,
    debtor,
    lead,
    pay_session,
    suppression,
)
from dialer.store.timeline import Entry, timeline

SHOWN = 3
"""How many of the last characters of a document or a telephone are shown."""
_MOST_ACCOUNTS = 10


@dataclass(frozen=True, slots=True)
class AccountView:
    """A debt. ``owed``: what may be paid now; ``pending``: money that may have been taken, and is
    not settled, in minor units."""

    reference: str
    claim: Money
    owed: Money
    pending: int
    due: date
    called_about: bool


@dataclass(frozen=True, slots=True)
class PayView:
    """The last visit of the payment node in this call; ``errors``: code -> how often."""

    step: str | None
    agreed_minor: int | None
    errors: Mapping[str, int]
    result: str | None
    last_four: str | None


@dataclass(frozen=True, slots=True)
class CallView:
    """This call. ``number``: masked. ``keys``: menu choices, never of a card. ``failed``: codes of
    what went wrong in it, oldest first. ``reason``, ``skill``, ``waited_since``: of its way to the
    agent."""

    number: str
    inbound: bool
    mode: DialMode
    caller_id: str
    flow: str
    answered_at: datetime | None
    last_node: str | None
    last_prompt: str | None
    keys: str
    identity_confirmed: bool
    outcome: str | None
    kind: AgentCallKind | None
    reason: str
    skill: str
    waited_since: datetime | None
    failed: tuple[str, ...]
    pay: PayView | None


@dataclass(frozen=True, slots=True)
class Story:
    """``timezone``: the debtor's, else the campaign's; ``local_time``: there, at the moment of the
    story. ``document``: masked. ``do_not_call``: the number of this call is on the list.
    ``may_speak_of_debt``: the call has confirmed that this is the debtor."""

    attempt_id: str
    company: str
    campaign: str
    debtor_id: int
    account_id: int
    name: str
    document: str
    language: str
    timezone: str
    local_time: datetime
    accounts: tuple[AccountView, ...]
    call: CallView
    timeline: tuple[Entry, ...]
    do_not_call: bool
    opted_out_at: datetime | None
    may_speak_of_debt: bool

    @property
    def account(self) -> AccountView:
        """The debt that this call is about."""
        return next(one for one in self.accounts if one.called_about)


def story(connection: Connection, attempt_id: str, now: datetime) -> Story | None:
    """The story of a call; None where nobody committed such an attempt. ``now`` is aware."""
    row = connection.execute(_HEAD, {"attempt": attempt_id}).first()
    if row is None:
        return None
    zone = row.timezone or row.plan["default_timezone"]
    return Story(
        attempt_id=row.id,
        company=row.company,
        campaign=row.campaign,
        debtor_id=row.debtor_id,
        account_id=row.account_id,
        name=row.name,
        document=masked(row.document),
        language=row.language or row.plan["language"],
        timezone=zone,
        local_time=now.astimezone(ZoneInfo(zone)),
        accounts=accounts_of(connection, row.debtor_id, row.account_id),
        call=_call(connection, row),
        timeline=timeline(connection, row.debtor_id, but=attempt_id),
        do_not_call=row.listed,
        opted_out_at=row.opted_out_at,
        may_speak_of_debt=row.identity_confirmed,
    )


def masked(text: str) -> str:
    """The last ``SHOWN`` characters; none of a text so short that they would be most of it."""
    return f"***{text[-SHOWN:]}" if len(text) >= 2 * SHOWN else "***"


def as_json(value: Any) -> Any:
    """A story, or what it is made of, in JSON values; times in ISO 8601."""
    if isinstance(value, Story):
        value = {**asdict(value), "account": asdict(value.account)}
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    if isinstance(value, StrEnum):
        return value.value
    return value.isoformat() if isinstance(value, date | datetime) else value


def accounts_of(connection: Connection, debtor_id: int, called: int) -> tuple[AccountView, ...]:
    """The debt of this call first, then the debtor's others of the same company, newest first."""
    rows = connection.execute(_ACCOUNTS, {"debtor": debtor_id, "called": called}).all()
    money = paid.debts(connection, [row.id for row in rows])
    found = []
    for row in rows:
        debt = money.get(row.id, paid.Debt(row.amount_minor, 0))
        found.append(
            AccountView(
                reference=row.reference,
                claim=Money(row.amount_minor, row.currency),
                owed=Money(max(0, debt.payable), row.currency),
                pending=debt.pending,
                due=row.due_date,
                called_about=row.id == called,
            )
        )
    return tuple(found)


def _call(connection: Connection, row: Row[Any]) -> CallView:
    waits = connection.execute(_WAIT, {"attempt": row.id}).first()
    pays = connection.execute(_PAYS, {"attempt": row.id}).all()
    failed = [code for one in pays for code in (one.errors or {})]
    failed += [one.result for one in pays if one.result not in (None, PayResult.SUCCESS)]
    return CallView(
        number=masked(row.number),
        inbound=row.inbound,
        mode=DialMode(row.mode),
        caller_id=row.caller_id,
        flow=row.flow,
        answered_at=row.answered_at,
        last_node=row.last_node,
        last_prompt=row.last_prompt,
        keys=row.keys,
        identity_confirmed=row.identity_confirmed,
        outcome=row.outcome,
        kind=AgentCallKind(waits.kind) if waits else None,
        reason=waits.reason if waits else "",
        skill=waits.skill if waits else "",
        waited_since=waits.queued_at if waits else None,
        failed=tuple(dict.fromkeys(failed)),
        pay=_pay(pays[-1]) if pays else None,
    )


def _pay(row: Row[Any]) -> PayView:
    return PayView(
        step=row.step,
        agreed_minor=row.agreed_minor,
        errors=dict(row.errors or {}),
        result=row.result,
        last_four=row.last_four,
    )


# --- the queries: built once, since this is asked while the debtor is on the line -----------

_LISTED = (
    select(suppression.c.id)
    .where(suppression.c.company_id == debtor.c.company_id)
    .where(suppression.c.number == attempt.c.number)
    .exists()
    .label("listed")
)
_HEAD = (
    select(
        attempt, lead.c.account_id, debtor.c.name, debtor.c.document, debtor.c.language,
        debtor.c.timezone, debtor.c.opted_out_at, company.c.name.label("company"),
        campaign.c.name.label("campaign"), campaign.c.plan, _LISTED,
    )
    .join(lead, lead.c.id == attempt.c.lead_id)
    .join(debtor, debtor.c.id == attempt.c.debtor_id)
    .join(company, company.c.id == debtor.c.company_id)
    .join(campaign, campaign.c.id == attempt.c.campaign_id)
    .where(attempt.c.id == bindparam("attempt"))
)  # fmt: skip
_ACCOUNTS = (
    select(account)
    .where(account.c.debtor_id == bindparam("debtor"))
    .order_by((account.c.id == bindparam("called")).desc(), account.c.id.desc())
    .limit(_MOST_ACCOUNTS)
)
_WAIT = (
    select(agent_call)
    .where(agent_call.c.attempt_id == bindparam("attempt"))
    .order_by(agent_call.c.id.desc())
    .limit(1)
)
_PAYS = (
    select(pay_session)
    .where(pay_session.c.attempt_id == bindparam("attempt"))
    .order_by(pay_session.c.started_at, pay_session.c.id)
)
