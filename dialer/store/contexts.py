"""What must be known of a lead to decide about it: read for many leads in a few queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from dialer.domain.disposition import CHOSEN
from dialer.domain.model import Disposition, LineType, Outcome
from dialer.domain.policy import WEEK, Standing
from dialer.store import abandonment, paid
from dialer.store.tables import (
    attempt,
    contact,
    debtor,
    flow_outcome,
    lead,
    phone,
    suppression,
)

CALLER_ID_MEMORY = timedelta(days=60)
"""How far back it is looked which numbers a phone has seen."""


@dataclass(frozen=True, slots=True)
class PhoneFacts:
    """A usable phone; ``shown``: caller ID -> when it last saw it."""

    id: int
    number: str
    line_type: LineType
    do_not_call: bool
    shown: dict[str, datetime]


@dataclass(frozen=True, slots=True)
class LeadContext:
    """One lead with all that policy, caller ID and retry ask for.

    ``phones``: usable ones in order of position. ``by_disposition``: how many attempts of this
    lead ended so. ``contacts``: of the debtor, any channel, last 7 days. ``recent_attempts``:
    when this lead was called in the last 7 days. ``chosen``: what the debtor settled by a key in a
    call that was concluded without it. ``paid``: nothing is owed any more; ``payment_pending``:
    money may have been taken. ``abandoned_at``: when the debtor last answered and found no agent,
    within 7 days. ``last_called``: when this lead was last called, ever, and ``last_ended`` how
    that, or the last call before that has ended, did.
    """

    lead_id: int
    campaign_id: int
    company_id: int
    debtor_id: int
    account_id: int
    timezone: str | None
    language: str | None
    opted_out: bool
    attempts: int
    next_phone: int
    recent_attempts: tuple[datetime, ...] = ()
    phones: tuple[PhoneFacts, ...] = ()
    contacts: tuple[datetime, ...] = ()
    by_disposition: dict[str, int] = field(default_factory=dict)
    chosen: Outcome | None = None
    paid: bool = False
    payment_pending: bool = False
    abandoned_at: datetime | None = None
    last_called: datetime | None = None
    last_ended: Disposition | None = None

    def phone_to_call(self) -> PhoneFacts | None:
        """The next phone of the rotation, or None when none is usable."""
        return self.phones[self.next_phone % len(self.phones)] if self.phones else None

    def standing(self, number: PhoneFacts, default_timezone: str) -> Standing:
        """What the contact policy is asked with."""
        return Standing(
            timezone=self.timezone or default_timezone,
            contacts=self.contacts,
            do_not_call=number.do_not_call,
            opted_out=self.opted_out,
            abandoned_at=self.abandoned_at,
        )


def load_contexts(
    connection: Connection, lead_ids: Sequence[int], now: datetime
) -> dict[int, LeadContext]:
    """The contexts of these leads, by lead id; a constant number of queries."""
    if not lead_ids:
        return {}
    heads = connection.execute(_HEADS, {"leads": list(lead_ids)}).all()
    debtors = list({row.debtor_id for row in heads})
    phones = _phones(connection, debtors, now)
    contacts = _contacts(connection, debtors, now)
    past = _attempts(connection, [row.id for row in heads], now)
    abandoned = abandonment.last_abandoned(connection, debtors, now - WEEK)
    money = paid.debts(connection, list({row.account_id for row in heads}))
    return {
        row.id: LeadContext(
            lead_id=row.id,
            campaign_id=row.campaign_id,
            company_id=row.company_id,
            debtor_id=row.debtor_id,
            account_id=row.account_id,
            timezone=row.timezone,
            language=row.language,
            opted_out=row.opted_out_at is not None,
            attempts=row.attempts,
            next_phone=row.next_phone,
            phones=tuple(
                one
                for one in phones.get(row.debtor_id, ())
                if one.id not in past[row.id].wrong_phones
            ),
            contacts=tuple(contacts.get(row.debtor_id, ())),
            by_disposition=past[row.id].ended,
            recent_attempts=tuple(past[row.id].called),
            chosen=past[row.id].chosen,
            paid=row.account_id in money and money[row.account_id].paid,
            payment_pending=row.account_id in money and money[row.account_id].in_doubt,
            abandoned_at=abandoned.get(row.debtor_id),
            last_called=past[row.id].last_called,
            last_ended=past[row.id].last_ended,
        )
        for row in heads
    }


def _phones(
    connection: Connection, debtors: Sequence[int], now: datetime
) -> dict[int, list[PhoneFacts]]:
    rows = connection.execute(_PHONES, {"debtors": debtors}).all()
    shown: dict[int, dict[str, datetime]] = {}
    for phone_id, number, last in connection.execute(
        _SHOWN, {"phones": [row.id for row in rows], "since": now - CALLER_ID_MEMORY}
    ):
        shown.setdefault(phone_id, {})[number] = last
    found: dict[int, list[PhoneFacts]] = {}
    for row in rows:
        found.setdefault(row.debtor_id, []).append(
            PhoneFacts(
                row.id, row.number, LineType(row.line_type), row.listed, shown.get(row.id, {})
            )
        )
    return found


def _contacts(
    connection: Connection, debtors: Sequence[int], now: datetime
) -> dict[int, list[datetime]]:
    found: dict[int, list[datetime]] = {}
    for debtor_id, at in connection.execute(_CONTACTS, {"debtors": debtors, "since": now - WEEK}):
        found.setdefault(debtor_id, []).append(at)
    return found


@dataclass(slots=True)
class _Past:
    """Of one lead: how many attempts ended with which disposition, when it was called within the
    week, what the debtor chose, the phones that somebody else answered, and the last call."""

    ended: dict[str, int] = field(default_factory=dict)
    called: list[datetime] = field(default_factory=list)
    chosen: Outcome | None = None
    wrong_phones: set[int] = field(default_factory=set)
    last_called: datetime | None = None
    last_ended: Disposition | None = None


def _attempts(connection: Connection, leads: Sequence[int], now: datetime) -> dict[int, _Past]:
    past = {lead_id: _Past() for lead_id in leads}
    for row in connection.execute(_ATTEMPTS, {"leads": leads}):
        one = past[row.lead_id]
        one.last_called = row.placed_at
        if row.disposition is not None:
            one.ended[row.disposition] = one.ended.get(row.disposition, 0) + 1
            one.last_ended = Disposition(row.disposition)
        if row.placed_at > now - WEEK:
            one.called.append(row.placed_at)
        if row.outcome == Outcome.PAID:
            one.chosen = Outcome.PAID  # also where a payment settled late has corrected the call
        if row.outcome is None or row.outcome == row.disposition:
            continue
        # The IVR wrote it after the engine had concluded the call.
        if row.outcome in CHOSEN and one.chosen is not Outcome.PAID:
            one.chosen = Outcome(row.outcome)
        elif row.outcome == Outcome.WRONG_PERSON and row.disposition != Disposition.MACHINE:
            one.wrong_phones.add(row.phone_id)
    return past


# --- the queries: built once, since building one costs more than asking it ------------------


def _several(name: str) -> Any:
    return bindparam(name, expanding=True)


_HEADS = (
    select(
        lead.c.id, lead.c.campaign_id, lead.c.debtor_id, lead.c.account_id, lead.c.attempts,
        lead.c.next_phone, debtor.c.company_id, debtor.c.timezone, debtor.c.language,
        debtor.c.opted_out_at,
    )
    .join(debtor, debtor.c.id == lead.c.debtor_id)
    .where(lead.c.id.in_(_several("leads")))
)  # fmt: skip
_LISTED = (
    select(suppression.c.id)
    .where(
        suppression.c.company_id == debtor.c.company_id,
        suppression.c.number == phone.c.number,
    )
    .exists()
    .label("listed")
)
_PHONES = (
    select(phone.c.id, phone.c.debtor_id, phone.c.number, phone.c.line_type, _LISTED)
    .join(debtor, debtor.c.id == phone.c.debtor_id)
    .where(phone.c.debtor_id.in_(_several("debtors")), phone.c.invalid_at.is_(None))
    .order_by(phone.c.position, phone.c.id)
)
_SHOWN = (
    select(attempt.c.phone_id, attempt.c.caller_id, func.max(attempt.c.placed_at))
    .where(
        attempt.c.phone_id.in_(_several("phones")),
        attempt.c.placed_at > bindparam("since", type_=attempt.c.placed_at.type),
    )
    .group_by(attempt.c.phone_id, attempt.c.caller_id)
)
_CONTACTS = select(contact.c.debtor_id, contact.c.at).where(
    contact.c.debtor_id.in_(_several("debtors")),
    contact.c.at > bindparam("since", type_=contact.c.at.type),
)
_ATTEMPTS = (
    select(
        attempt.c.lead_id, attempt.c.disposition, attempt.c.placed_at, attempt.c.phone_id,
        flow_outcome.c.outcome,
    )
    .outerjoin(flow_outcome, flow_outcome.c.attempt_id == attempt.c.id)
    .where(attempt.c.lead_id.in_(_several("leads")))
    .order_by(attempt.c.placed_at)
)  # fmt: skip
