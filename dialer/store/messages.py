"""Messages in the database: made once, claimed by one worker, moved forward only.

Every function works in the caller's transaction. ``tries`` is the fence of a claim: a worker
that was overtaken (its claim given back, another try begun) changes nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, Row, and_, or_, select, update

from dialer.domain import policy
from dialer.domain.message import OutgoingMessage, is_too_old, moves_forward
from dialer.domain.model import CampaignState, Channel, MessageState, Refusal
from dialer.store import contacts, paid
from dialer.store.campaign_file import PlanError
from dialer.store.plans import plan_of
from dialer.store.tables import campaign, debtor, fallback, message, message_event, suppression
from dialer.store.upsert import insert_ignore

EXPIRED = "expired"
DO_NOT_CALL = "do_not_call"
OPTED_OUT = "opted_out"
ASKED_FOR = "link:"
"""How the key of a message begins that the debtor asked for in the call: it leaves at any hour."""
RECEIPT = "receipt:"
"""Of the receipt of a payment (``receipt:<payment>``): an answer to what the debtor did, too."""
LINK_AFTER = "paylink:"
"""Of the link instead of a payment that could not be taken (``paylink:<payment>``): so is this."""
ANSWERS = (ASKED_FOR, RECEIPT, LINK_AFTER)

ENQUEUE_GRACE = timedelta(seconds=3)
"""A fresh message is left to the job that was enqueued for it so long."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be made. ``key`` is its idempotency key (``fallback:<attempt>:<step>``)."""

    key: str
    company_id: int
    debtor_id: int
    number: str
    template: str
    body: str
    account_id: int | None = None
    campaign_id: int | None = None
    attempt_id: str | None = None
    channel: Channel = Channel.SMS


@dataclass(frozen=True, slots=True)
class Claim:
    """What came of claiming: the message to send, or why it may not leave, or neither (another
    worker has it, it is done, or it is not due)."""

    message: OutgoingMessage | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What a provider reports. ``state`` None: nothing that we follow; ``provider_key`` names
    this very piece of news, so that a repeat is known."""

    provider_id: str
    provider_key: str
    status: str
    state: MessageState | None
    message_id: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """The state a message was moved to (None: nothing changed), and the time from the debtor's
    hang-up to the request, in ms, where the message is a fallback."""

    state: MessageState | None = None
    latency_ms: float | None = None


def create_message(connection: Connection, new: NewMessage, now: datetime) -> int:
    """Make the message (``pending``) and its row in the contact ledger; its id.

    With a key that is known already nothing is made and the id of that message is returned.
    """
    made = insert_ignore(
        connection,
        message,
        [
            {
                "company_id": new.company_id,
                "debtor_id": new.debtor_id,
                "account_id": new.account_id,
                "campaign_id": new.campaign_id,
                "attempt_id": new.attempt_id,
                "key": new.key,
                "channel": new.channel.value,
                "number": new.number,
                "template": new.template,
                "body": new.body,
                "state": MessageState.PENDING.value,
                "created_at": now,
                "updated_at": now,
            }
        ],
    )
    if made:
        contacts.record(
            connection,
            [
                contacts.Entry(
                    company_id=new.company_id,
                    debtor_id=new.debtor_id,
                    account_id=new.account_id,
                    channel=new.channel,
                    at=now,
                    source=f"message:{new.key}",
                )
            ],
        )
    return int(
        connection.execute(select(message.c.id).where(message.c.key == new.key)).scalar_one()
    )


def claim_for_sending(connection: Connection, message_id: int, now: datetime) -> Claim:
    """Take a due message: ``pending`` becomes ``sending``, for one worker only.

    A message that is too old, or whose number or debtor has asked for no contact since it was
    made, becomes ``failed`` instead; so does one that nobody asked for when the debt is paid, the
    calling window has closed or its campaign was paused or stopped.
    """
    taken = connection.execute(
        update(message)
        .where(
            message.c.id == message_id,
            message.c.state == MessageState.PENDING.value,
            or_(message.c.next_at.is_(None), message.c.next_at <= now),
        )
        .values(
            state=MessageState.SENDING.value,
            tries=message.c.tries + 1,
            sending_at=now,
            next_at=None,
            updated_at=now,
        )
    ).rowcount
    if taken != 1:
        return Claim()
    row = connection.execute(select(message).where(message.c.id == message_id)).one()
    refused = _refusal(connection, row, now)
    if refused is None:
        return Claim(message=_outgoing(row))
    mark_failed(connection, _outgoing(row), refused, now, permanent=True)
    return Claim(refused=refused)


def _refusal(connection: Connection, row: Row[Any], now: datetime) -> str | None:
    if is_too_old(row.created_at, now):
        return EXPIRED
    blocked = select(suppression.c.id).where(
        suppression.c.company_id == row.company_id, suppression.c.number == row.number
    )
    if connection.execute(blocked).first() is not None:
        return DO_NOT_CALL
    left = select(debtor.c.opted_out_at).where(debtor.c.id == row.debtor_id)
    if connection.execute(left).scalar_one() is not None:
        return OPTED_OUT
    if row.key.startswith(ANSWERS):
        return None
    if row.account_id is not None and paid.is_paid(connection, row.account_id):
        return paid.PAID
    return _not_now(connection, row, now)


def _not_now(connection: Connection, row: Row[Any], now: datetime) -> str | None:
    """Why a text of a campaign that nobody asked for may not leave at ``now``: what was decided
    at the hang-up may have waited for a worker, the provider or the database since."""
    found = connection.execute(
        select(campaign.c.state, campaign.c.plan, debtor.c.timezone)
        .join(debtor, debtor.c.id == row.debtor_id)
        .where(campaign.c.id == row.campaign_id)
    ).first()
    if found is None:
        return None
    if found.state in (CampaignState.PAUSED.value, CampaignState.STOPPED.value):
        return Refusal.CAMPAIGN_NOT_RUNNING.value
    try:
        plan = plan_of(found.plan)
        zone = ZoneInfo(found.timezone or plan.default_timezone)
    except (PlanError, ZoneInfoNotFoundError, ValueError):
        return Refusal.OUTSIDE_WINDOW.value  # the hour is not known: not on a guess
    return None if policy.is_open(plan.rules, zone, now) else Refusal.OUTSIDE_WINDOW.value


def mark_sent(
    connection: Connection,
    message_id: int,
    provider_id: str,
    requested_at: datetime,
    now: datetime,
) -> Moved:
    """The provider has it; ``requested_at`` is the moment before the HTTP request left.

    The provider's own news may have come first: the state never goes back. Where the message is
    a fallback, its latency is set.
    """
    row = _locked(connection, message_id)
    moves = moves_forward(MessageState(row.state), MessageState.SENT)
    values: dict[str, Any] = {
        "provider_id": provider_id,
        "requested_at": requested_at,
        "updated_at": now,
    }
    if moves:
        values |= {"state": MessageState.SENT.value, "error": None, "next_at": None}
    connection.execute(update(message).where(message.c.id == message_id).values(**values))
    latency = _set_latency(connection, message_id, requested_at)
    return Moved(MessageState.SENT if moves else None, latency)


def mark_failed(
    connection: Connection,
    claimed: OutgoingMessage,
    error: str,
    now: datetime,
    *,
    permanent: bool = False,
    next_at: datetime | None = None,
) -> Moved:
    """This try came to nothing: back to ``pending`` until ``next_at``, without it ``failed``.

    Nothing happens where the claim is not this worker's any more.
    """
    again = next_at is not None and not permanent
    state = MessageState.PENDING if again else MessageState.FAILED
    changed = connection.execute(
        update(message)
        .where(_still_claimed(claimed))
        .values(
            state=state.value,
            error=error[:200],
            permanent=permanent,
            next_at=next_at if again else None,
            updated_at=now,
        )
    ).rowcount
    return Moved(state if changed else None)


def note_unknown(
    connection: Connection, claimed: OutgoingMessage, error: str, now: datetime
) -> None:
    """The request left and no answer came: it stays ``sending`` until it was looked up."""
    connection.execute(
        update(message).where(_still_claimed(claimed)).values(error=error[:200], updated_at=now)
    )


def apply_status(connection: Connection, report: StatusReport, now: datetime) -> Moved:
    """Write down a report and move its message forward, if it is forward.

    A repeated report changes nothing; one for a message that nobody knows is kept as well. A
    report also tells us the provider's id of a message whose request had no answer.
    """
    row = _reported(connection, report)
    fresh = insert_ignore(
        connection,
        message_event,
        [
            {
                "message_id": row.id if row is not None else None,
                "at": now,
                "kind": "status",
                "provider_key": report.provider_key,
                "status": report.status[:30],
                "error": report.error[:200] if report.error else None,
            }
        ],
    )
    if not fresh or row is None or row.provider_id not in (None, report.provider_id):
        return Moved()
    values: dict[str, Any] = {"provider_id": report.provider_id, "updated_at": now}
    moves = report.state is not None and moves_forward(MessageState(row.state), report.state)
    if moves and report.state is not None:
        values |= {"state": report.state.value, "error": report.error, "next_at": None}
        values["permanent"] = report.state is MessageState.FAILED
    latency = None
    if moves and row.requested_at is None and row.sending_at is not None:
        # The worker died before it could write its own, later moment down.
        values["requested_at"] = row.sending_at
        latency = _set_latency(connection, row.id, row.sending_at)
    connection.execute(update(message).where(message.c.id == row.id).values(**values))
    return Moved(report.state if moves else None, latency)


def due_messages(
    connection: Connection,
    now: datetime,
    *,
    grace: timedelta = ENQUEUE_GRACE,
    limit: int = 100,
) -> list[int]:
    """Messages that wait although their time has come, the oldest first.

    A new one counts from ``grace`` after it was made: until then its job has the first word.
    """
    due = or_(
        message.c.next_at <= now,
        and_(message.c.next_at.is_(None), message.c.created_at <= now - grace),
    )
    rows = connection.execute(
        select(message.c.id)
        .where(message.c.state == MessageState.PENDING.value, due)
        .order_by(message.c.created_at, message.c.id)
        .limit(limit)
    )
    return [int(row.id) for row in rows]


def hanging_messages(
    connection: Connection, claimed_before: datetime, *, limit: int = 100
) -> list[tuple[OutgoingMessage, datetime]]:
    """Messages that are ``sending`` since before that moment, each with the time of its claim."""
    rows = connection.execute(
        select(message)
        .where(
            message.c.state == MessageState.SENDING.value, message.c.sending_at <= claimed_before
        )
        .order_by(message.c.sending_at)
        .limit(limit)
    )
    return [(_outgoing(row), row.sending_at) for row in rows]


def known_provider_ids(connection: Connection, number: str, *, other_than: int) -> frozenset[str]:
    """Provider ids that belong to some other message to this number."""
    rows = connection.execute(
        select(message.c.provider_id).where(
            message.c.number == number,
            message.c.id != other_than,
            message.c.provider_id.is_not(None),
        )
    )
    return frozenset(str(row.provider_id) for row in rows)


def suppress_recipient(
    connection: Connection, message_id: int, reason: str, source: str, now: datetime
) -> None:
    """No more calls and messages of this company to the number of this message."""
    row = connection.execute(
        select(message.c.company_id, message.c.number).where(message.c.id == message_id)
    ).one()
    insert_ignore(
        connection,
        suppression,
        [
            {
                "company_id": row.company_id,
                "number": row.number,
                "reason": reason,
                "source": source,
                "at": now,
            }
        ],
    )


def _outgoing(row: Row[Any]) -> OutgoingMessage:
    return OutgoingMessage(
        id=int(row.id),
        channel=Channel(row.channel),
        number=row.number,
        body=row.body,
        tries=row.tries,
        created_at=row.created_at,
    )


def _still_claimed(claimed: OutgoingMessage) -> Any:
    return and_(
        message.c.id == claimed.id,
        message.c.state == MessageState.SENDING.value,
        message.c.tries == claimed.tries,
    )


def _locked(connection: Connection, message_id: int) -> Row[Any]:
    return connection.execute(
        select(message).where(message.c.id == message_id).with_for_update()
    ).one()


def _reported(connection: Connection, report: StatusReport) -> Row[Any] | None:
    """The message of a report: by the provider's id, else by ours from the callback's address."""
    by_provider = select(message).where(message.c.provider_id == report.provider_id)
    row = connection.execute(by_provider.with_for_update()).first()
    if row is None and report.message_id is not None:
        by_id = select(message).where(message.c.id == report.message_id)
        row = connection.execute(by_id.with_for_update()).first()
    return row


def _set_latency(connection: Connection, message_id: int, requested_at: datetime) -> float | None:
    row = connection.execute(
        select(fallback.c.id, fallback.c.hangup_at).where(fallback.c.made_message_id == message_id)
    ).first()
    if row is None or row.hangup_at is None:
        return None
    latency: float = (requested_at - row.hangup_at).total_seconds() * 1000.0
    connection.execute(update(fallback).where(fallback.c.id == row.id).values(latency_ms=latency))
    return latency
