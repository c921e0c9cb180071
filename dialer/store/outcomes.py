"""What a call's flow reads and writes: one query at its start, then its conclusions.

Every write is idempotent by the attempt's id and leaves the ``flow_outcome`` row behind in the
same transaction, so that an engine that was away finds what it did not hear.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, func, select, update

from dialer.domain.ledger import Book
from dialer.domain.model import LineType, Money, Outcome, PaymentTerms
from dialer.store import messages
from dialer.store.plans import terms_of
from dialer.store.tables import (
    account,
    attempt,
    campaign,
    company,
    debtor,
    flow_outcome,
    lead,
    ledger_entry,
    phone,
    promise,
    suppression,
)
from dialer.store.upsert import insert_ignore

REASON_KEYPAD = "keypad"
LINK_TEMPLATE = "payment_link"


@dataclass(frozen=True, slots=True)
class Call:
    """What the flow of an attempt needs to know.

    ``language`` is the debtor's own, None where the debtor has none; ``campaign_language`` and
    ``timezone`` (the debtor's, else the campaign's) always are. ``callback_number`` is E.164: the
    company's, else the caller ID shown, which is the company's too. ``amount``: what may be paid
    now, what was claimed where that is nothing; ``owes`` is False then, and nobody asks for it.
    ``country``: the company's, ISO 3166. ``payment``: as it holds in the currency of the debt.
    ``identified``: the debtor has proven, earlier in this call, who they are. ``inbound``: they
    called us.
    """

    attempt_id: str
    company_id: int
    campaign_id: int
    debtor_id: int
    account_id: int
    number: str
    flow: str
    company: str
    callback_number: str
    document: str
    name: str
    language: str | None
    campaign_language: str
    timezone: str
    amount: Money
    due_date: date
    line_type: LineType
    country: str
    payment: PaymentTerms
    recorded: bool
    owes: bool = True
    lead_id: int = 0
    phone_id: int = 0
    identified: bool = False
    inbound: bool = False


_OPEN = (
    select(func.coalesce(func.sum(ledger_entry.c.minor), 0))
    .where(ledger_entry.c.account_id == account.c.id, ledger_entry.c.book == Book.OPEN.value)
    .scalar_subquery()
    .label("open_minor")
)
_CALL = (
    select(
        attempt.c.id, attempt.c.campaign_id, attempt.c.debtor_id, attempt.c.number,
        attempt.c.flow, attempt.c.caller_id, attempt.c.lead_id, attempt.c.phone_id,
        attempt.c.identity_confirmed, attempt.c.inbound, lead.c.account_id, debtor.c.company_id,
        debtor.c.document, debtor.c.name, debtor.c.language, debtor.c.timezone,
        company.c.spoken_name, company.c.callback_number, company.c.country, campaign.c.plan,
        account.c.amount_minor, account.c.currency, account.c.due_date, phone.c.line_type,
        _OPEN,
    )
    .join(lead, lead.c.id == attempt.c.lead_id)
    .join(debtor, debtor.c.id == attempt.c.debtor_id)
    .join(account, account.c.id == lead.c.account_id)
    .join(company, company.c.id == debtor.c.company_id)
    .join(campaign, campaign.c.id == attempt.c.campaign_id)
    .join(phone, phone.c.id == attempt.c.phone_id)
)  # fmt: skip


def load_call(connection: Connection, attempt_id: str) -> Call | None:
    """The call of an attempt, in one query; None where nobody committed such an attempt."""
    row = connection.execute(_CALL.where(attempt.c.id == attempt_id)).first()
    if row is None:
        return None
    payable = row.amount_minor + int(row.open_minor)
    return Call(
        attempt_id=row.id,
        company_id=row.company_id,
        campaign_id=row.campaign_id,
        debtor_id=row.debtor_id,
        account_id=row.account_id,
        number=row.number,
        flow=row.flow,
        company=row.spoken_name,
        callback_number=row.callback_number or row.caller_id,
        document=row.document,
        name=row.name,
        language=row.language,
        campaign_language=row.plan["language"],
        timezone=row.timezone or row.plan["default_timezone"],
        amount=Money(payable if payable > 0 else row.amount_minor, row.currency),
        due_date=row.due_date,
        line_type=LineType(row.line_type),
        country=row.country,
        payment=terms_of(row.plan).in_currency(row.currency),
        recorded=bool(row.plan.get("record", False)),
        owes=payable > 0,
        lead_id=row.lead_id,
        phone_id=row.phone_id,
        identified=row.identity_confirmed,
        inbound=row.inbound,
    )


def record_outcome(
    connection: Connection, attempt_id: str, outcome: Outcome, node: str, at: datetime
) -> bool:
    """Write what a flow concluded at ``node``; False where this attempt has concluded already."""
    row = {"attempt_id": attempt_id, "outcome": outcome.value, "at": at, "node": node[:64]}
    return insert_ignore(connection, flow_outcome, [row]) > 0


def record_promise(connection: Connection, call: Call, due: date, node: str, at: datetime) -> None:
    """Write a promise to pay the whole amount by ``due``; a second one of the call is ignored."""
    insert_ignore(
        connection,
        promise,
        [
            {
                "account_id": call.account_id,
                "attempt_id": call.attempt_id,
                "due": due,
                "amount_minor": call.amount.minor,
                "currency": call.amount.currency,
                "made_at": at,
            }
        ],
    )
    record_outcome(connection, call.attempt_id, Outcome.PROMISE, node, at)


def record_opt_out(connection: Connection, call: Call, node: str, at: datetime) -> None:
    """No more calls and messages: the number goes on the do-not-call list, the debtor is marked.

    Where they are already, their first row and moment stay.
    """
    insert_ignore(
        connection,
        suppression,
        [
            {
                "company_id": call.company_id,
                "number": call.number,
                "reason": REASON_KEYPAD,
                "source": f"attempt:{call.attempt_id}",
                "at": at,
            }
        ],
    )
    connection.execute(
        update(debtor)
        .where(debtor.c.id == call.debtor_id, debtor.c.opted_out_at.is_(None))
        .values(opted_out_at=at)
    )
    record_outcome(connection, call.attempt_id, Outcome.OPTED_OUT, node, at)


def record_link(connection: Connection, call: Call, body: str, node: str, at: datetime) -> int:
    """Make the message with the link (``pending``, key ``link:<attempt>``); its id, the same one
    when it was made before."""
    message_id = messages.create_message(
        connection,
        messages.NewMessage(
            key=f"{messages.ASKED_FOR}{call.attempt_id}",
            company_id=call.company_id,
            debtor_id=call.debtor_id,
            account_id=call.account_id,
            campaign_id=call.campaign_id,
            attempt_id=call.attempt_id,
            number=call.number,
            template=LINK_TEMPLATE,
            body=body,
        ),
        at,
    )
    record_outcome(connection, call.attempt_id, Outcome.LINK_SENT, node, at)
    return message_id
