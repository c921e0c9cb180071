"""News of a payment becomes state, entries, events and messages, in one transaction.

The account is locked before the payment, always: what is read of a debt holds until the commit,
and no two of these wait for each other in a circle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from dialer.config import Settings
from dialer.domain import ledger as books
from dialer.domain.ledger import Book
from dialer.domain.payment import PaymentMode, PaymentOutcome, PaymentState
from dialer.domain.payment_states import News, Step, advance, look_up_wait, news_of
from dialer.logs import get_logger, mask_text
from dialer.payments import texting
from dialer.payments.gateway import Reply
from dialer.store import ledger, paid
from dialer.store import payments as rows
from dialer.store.tables import pay_session, payment

log = get_logger(__name__)

PAY_NODE = "pay"
"""Where a payment was concluded, if its session is not known."""


class UnknownPaymentError(LookupError):
    """There is no payment of that id; the message names it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a piece of news.

    ``changed``: the state is another one than before. ``message_id``: a text was made, to be handed
    to the workers after the commit (a sweep finds it otherwise). ``contradiction``: what was said
    cannot be true together with what was said before; it is written down for people.
    """

    state: PaymentState
    changed: bool
    message_id: int | None = None
    contradiction: bool = False


def unpaid_news(reply: Reply | None) -> News:
    """What "declined" means in detail: it may be one that needs action, or our own fault."""
    if reply is None or reply.outcome in (PaymentOutcome.APPROVED, PaymentOutcome.UNKNOWN):
        return News.DECLINED
    return news_of(reply.outcome)


def hold(connection: Connection, payment_id: str) -> rows.Payment:
    """The payment, locked after its account. Raises UnknownPaymentError."""
    account_id = connection.execute(
        select(payment.c.account_id).where(payment.c.id == payment_id)
    ).scalar_one_or_none()
    if account_id is None:
        raise UnknownPaymentError(f"there is no payment {payment_id}")
    ledger.lock_account(connection, account_id)
    found = rows.load_payment(connection, payment_id, lock=True)
    assert found is not None  # payments are never deleted
    return found


def apply(
    connection: Connection,
    one: rows.Payment,
    news: News,
    now: datetime,
    settings: Settings | None,
    *,
    source: str,
    reply: Reply | None = None,
) -> Settled:
    """Move a payment that is held (``hold``) by what is known now.

    ``source`` (reply, look_up, webhook, crash, given_up) goes into the event. ``settings`` None:
    no text is written. A repeat changes nothing but details that were missing.
    """
    step = advance(one.state, news)
    over = False
    changed = step.state is not one.state
    after = replace(one, state=step.state, **_details(one, reply, source, changed))
    if changed:
        after = replace(after, **_consequences(one, after, news, reply, now))
        transaction = books.settlement(one.state, step.state, one.mode, one.id, one.amount.minor)
        if transaction is not None:
            _post(connection, one, transaction, now)
            over = _too_much(connection, one, transaction, now)
    _save(connection, one, after)
    _note(connection, one, step, news, source, after, now)
    if not changed:
        return Settled(step.state, False, None, step.contradiction)
    message_id = _follow_up(connection, one, after, now, settings)
    return Settled(step.state, True, message_id, step.contradiction or over)


def _post(
    connection: Connection, one: rows.Payment, transaction: books.Transaction, now: datetime
) -> bool:
    return ledger.post(
        connection,
        transaction,
        account_id=one.account_id,
        currency=one.amount.currency,
        payment_id=one.id,
        now=now,
    )


def _too_much(
    connection: Connection, one: rows.Payment, transaction: books.Transaction, now: datetime
) -> bool:
    """Whether money that came late was not owed any more: booked, and said aloud."""
    late = any(entry.book is Book.OPEN and entry.minor < 0 for entry in transaction.entries)
    over = ledger.balance_of(connection, one.account_id).overpaid if late else 0
    if over:
        rows.note_event(
            connection, "contradiction", f"contradiction:{one.id}:overpaid", now,
            payment_id=one.id, detail={"overpaid": over, "currency": one.amount.currency},
        )  # fmt: skip
        log.error("a debt is overpaid: refund it", payment=one.id, account_id=one.account_id)
    return over > 0


def _details(one: rows.Payment, reply: Reply | None, source: str, changed: bool) -> dict[str, Any]:
    """What a reply adds. References are cut to what the table holds rather than lose the news; the
    reference of an answer to our own request replaces that of the preparation."""
    if reply is None:
        return {}
    ours = source != "webhook"
    given = {
        "provider_ref": (reply.provider_ref, 120),
        "auth_code": (reply.auth_code, 40),
        "token": (reply.token, 120),
        # A code by the protocol; masked all the same, should a gateway repeat what it was sent.
        "reason": (mask_text(reply.reason) if reply.reason else None, 60),
    }
    values: dict[str, Any] = {}
    for name, (value, longest) in given.items():
        known = getattr(one, name)
        newer = changed or (name == "provider_ref" and ours)
        if value and (known is None or (newer and (ours or name != "provider_ref"))):
            values[name] = value[:longest]
    return values


def _consequences(
    one: rows.Payment, after: rows.Payment, news: News, reply: Reply | None, now: datetime
) -> dict[str, Any]:
    if after.state is PaymentState.UNKNOWN:
        wait = look_up_wait(one.look_ups)
        outcome = PaymentOutcome.UNKNOWN
        return {"outcome": outcome, "next_look_up_at": now + wait}
    if after.state is PaymentState.SENDING:
        return {"sending_at": now}
    return {
        "outcome": reply.outcome if reply is not None else _OUTCOMES.get(news),
        "settled_at": now,
        "next_look_up_at": None,
    }


_OUTCOMES = {
    News.APPROVED: PaymentOutcome.APPROVED,
    News.DECLINED: PaymentOutcome.DECLINED_SOFT,
    News.NEEDS_ACTION: PaymentOutcome.NEEDS_ACTION,
    News.MISCONFIGURED: PaymentOutcome.CONFIGURATION_ERROR,
}


def _save(connection: Connection, one: rows.Payment, after: rows.Payment) -> None:
    names = (
        "state", "outcome", "provider_ref", "auth_code", "token", "reason", "sending_at",
        "settled_at", "next_look_up_at",
    )  # fmt: skip
    changes = {
        name: getattr(after, name) for name in names if getattr(after, name) != getattr(one, name)
    }
    if changes:
        rows.update_payment(connection, one.id, **changes)


def _note(
    connection: Connection,
    one: rows.Payment,
    step: Step,
    news: News,
    source: str,
    after: rows.Payment,
    now: datetime,
) -> None:
    detail: dict[str, Any] = {"from": one.state.value, "news": news.value, "source": source}
    if step.state is not one.state:
        detail |= {"outcome": after.outcome.value if after.outcome else None}
        rows.note_event(
            connection, "state", f"state:{one.id}:{step.state.value}", now,
            payment_id=one.id, detail=detail,
        )  # fmt: skip
    if step.contradiction:
        fresh = rows.note_event(
            connection, "contradiction", f"contradiction:{one.id}:{one.state.value}:{news.value}",
            now, payment_id=one.id, detail=detail,
        )  # fmt: skip
        if fresh:
            log.error(
                "the acquirer contradicts what was known of a payment",
                payment=one.id, was=one.state.value, said=news.value, source=source,
            )  # fmt: skip


def _follow_up(
    connection: Connection,
    one: rows.Payment,
    after: rows.Payment,
    now: datetime,
    settings: Settings | None,
) -> int | None:
    if after.mode is PaymentMode.TOKENISE:
        return None
    if after.state is PaymentState.APPROVED:
        node = select(pay_session.c.node).where(pay_session.c.id == after.session_id)
        paid.record_paid(
            connection,
            account_id=after.account_id,
            attempt_id=after.attempt_id,
            node=connection.execute(node).scalar_one_or_none() or PAY_NODE,
            at=now,
        )
        return None if settings is None else texting.write_receipt(connection, after, settings, now)
    left = one.state in (PaymentState.SENDING, PaymentState.UNKNOWN)
    if settings is not None and left and not after.state.open:
        return texting.write_link(connection, after, settings, now)
    return None
