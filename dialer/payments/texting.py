"""What follows a payment by SMS: the receipt, or the link where a payment in doubt was not taken.

Both are rows made in the transaction that settles the payment, with a key of their own: one of
each for a payment, however often it is settled. They go to the telephone that was called, and only
if it takes SMS.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, select

from dialer.config import Settings
from dialer.domain.currency import written
from dialer.domain.model import LineType, Money
from dialer.logs import get_logger
from dialer.messaging.links import make_link
from dialer.messaging.templates import MessageTemplateError, render_message
from dialer.store import messages
from dialer.store.ledger import balance_of
from dialer.store.payments import Payment
from dialer.store.tables import (
    account,
    attempt,
    campaign,
    company,
    debtor,
    message,
    pay_session,
    phone,
)

log = get_logger(__name__)

LINK_TEMPLATE = "payment_link_after"
RECEIPT_TEMPLATE = "payment_receipt"
"""May use company, callback, link, amount (123.45 EUR, or 123,45 EUR in Spanish), date (of the
payment where the debtor is, 16/03/2026), receipt (our order reference), auth_code and last_four
(either may be empty)."""

LINK_TEMPLATE = "payment_link_after"
"""May use company, callback, link."""
LINK_WITHIN = timedelta(hours=1)
"""A payment that turns out not taken later than this gets no link any more: the debt is open
again, and the campaign asks in its own time. (Messages older than an hour do not leave either.)"""


def plain_amount(money: Money, language: str) -> str:
    """For a text: ``1234,50 EUR`` (``1234.50 EUR`` outside Spanish)."""
    return written(money, "," if language.startswith("es") else ".")


@dataclass(frozen=True, slots=True)
class _Addressee:
    company_id: int
    debtor_id: int
    campaign_id: int | None
    company: str
    callback: str
    language: str
    zone: tzinfo
    number: str


def write_receipt(
    connection: Connection, paid: Payment, settings: Settings, now: datetime
) -> int | None:
    """The receipt's message id; None where nobody can be texted, or the text cannot be written
    (which is logged: a text never stands in the way of the books)."""
    to = _addressee(connection, paid)
    if to is None:
        return None
    values = {
        "amount": plain_amount(paid.amount, to.language),
        "date": paid.created_at.astimezone(to.zone).strftime("%d/%m/%Y"),
        "receipt": paid.order_ref,
        "auth_code": paid.auth_code or "",
        "last_four": paid.last_four or "",
    }
    key = f"{messages.RECEIPT}{paid.id}"
    return _write(connection, paid, to, RECEIPT_TEMPLATE, key, values, settings, now)


def write_link(
    connection: Connection, unpaid: Payment, settings: Settings, now: datetime
) -> int | None:
    """The link's message id; None where the debtor is still in the call, has a link already, owes
    nothing, or cannot be texted."""
    if unpaid.attempt_id is None or now - unpaid.created_at > LINK_WITHIN:
        return None
    if not _gone(connection, unpaid) or balance_of(connection, unpaid.account_id).open <= 0:
        return None
    sent = select(message.c.id).where(message.c.key == f"{messages.ASKED_FOR}{unpaid.attempt_id}")
    if connection.execute(sent).first() is not None:
        return None
    to = _addressee(connection, unpaid)
    if to is None:
        return None
    key = f"{messages.LINK_AFTER}{unpaid.id}"
    return _write(connection, unpaid, to, LINK_TEMPLATE, key, {}, settings, now)


def _write(
    connection: Connection,
    one: Payment,
    to: _Addressee,
    template: str,
    key: str,
    values: dict[str, str],
    settings: Settings,
    now: datetime,
) -> int | None:
    values = values | {
        "company": to.company,
        "callback": to.callback,
        "link": make_link(settings, one.account_id),
    }
    try:
        body = render_message(template, to.language, values, settings.flows_dir / "messages")
    except MessageTemplateError as error:
        log.error("text after a payment not written", payment=one.id, why=str(error))
        return None
    return messages.create_message(
        connection,
        messages.NewMessage(
            key=key,
            company_id=to.company_id,
            debtor_id=to.debtor_id,
            account_id=one.account_id,
            campaign_id=to.campaign_id,
            attempt_id=one.attempt_id,
            number=to.number,
            template=template,
            body=body,
        ),
        now,
    )


def _gone(connection: Connection, one: Payment) -> bool:
    """Whether nobody is left in the call who would be told by voice."""
    ended = select(attempt.c.ended_at).where(attempt.c.id == one.attempt_id)
    if connection.execute(ended).scalar_one() is not None:
        return True
    session = select(pay_session.c.ended_at).where(pay_session.c.id == one.session_id)
    return connection.execute(session).scalar_one_or_none() is not None


def _addressee(connection: Connection, one: Payment) -> _Addressee | None:
    row = connection.execute(
        select(
            company.c.id.label("company_id"),
            company.c.spoken_name,
            company.c.callback_number,
            company.c.timezone,
            debtor.c.id.label("debtor_id"),
            debtor.c.language,
            debtor.c.timezone.label("own_timezone"),
        )
        .join(debtor, debtor.c.company_id == company.c.id)
        .join(account, account.c.debtor_id == debtor.c.id)
        .where(account.c.id == one.account_id)
    ).one()
    call = _call(connection, one.attempt_id)
    number = call.number if call is not None else one.number
    if number is None or not _takes_sms(connection, row.debtor_id, number):
        return None
    callback = row.callback_number or (call.caller_id if call is not None else None)
    spoken = select(pay_session.c.language).where(pay_session.c.id == one.session_id)
    plan = call.plan if call is not None else {}
    language = connection.execute(spoken).scalar_one_or_none() or row.language
    language = language or plan.get("language", "es")
    zone = row.own_timezone or plan.get("default_timezone") or row.timezone
    return _Addressee(
        company_id=row.company_id,
        debtor_id=row.debtor_id,
        campaign_id=call.campaign_id if call is not None else None,
        company=row.spoken_name,
        callback=callback or "",
        language=language,
        zone=_zone(zone),
        number=number,
    )


def _call(connection: Connection, attempt_id: str | None) -> Any:
    if attempt_id is None:
        return None
    row: Any = connection.execute(
        select(attempt.c.number, attempt.c.caller_id, attempt.c.campaign_id, campaign.c.plan)
        .join(campaign, campaign.c.id == attempt.c.campaign_id)
        .where(attempt.c.id == attempt_id)
    ).one()
    return row


def _takes_sms(connection: Connection, debtor_id: int, number: str) -> bool:
    kinds = connection.scalars(
        select(phone.c.line_type).where(phone.c.debtor_id == debtor_id, phone.c.number == number)
    )
    return any(LineType(kind).takes_sms for kind in kinds)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC  # a day wrong on a text is better than a payment that cannot be settled
