"""The life of a payment and of a refund, as pure rules.

News of a payment comes late, twice, out of order and from three sides: the answer to our request,
look-ups and webhooks. A state only moves forward, and money is real: once the acquirer says
approved it is approved, whatever was believed before. What cannot both be true is reported as a
value, for a person to look at, never smoothed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dialer.domain.payment import PaymentOutcome, PaymentState


class News(StrEnum):
    """Something that is known now about a payment."""

    SENT = "sent"  # the card is about to leave
    LOST = "lost"  # whoever sent it is gone without an answer
    NEVER_SENT = "never_sent"  # certain: it was given up before the card left
    APPROVED = "approved"
    DECLINED = "declined"
    NEEDS_ACTION = "needs_action"
    UNKNOWN = "unknown"
    MISCONFIGURED = "misconfigured"
    NOT_CHARGED = "not_charged"  # the acquirer: not charged, and it cannot be any more


@dataclass(frozen=True, slots=True)
class Step:
    """Where the news leads. ``contradiction``: it cannot be true together with what was believed;
    a person has to look at it."""

    state: PaymentState
    contradiction: bool = False


_S = PaymentState
_OF_NEWS = {
    News.APPROVED: _S.APPROVED,
    News.DECLINED: _S.DECLINED,
    News.NEEDS_ACTION: _S.NEEDS_ACTION,
    News.MISCONFIGURED: _S.MISCONFIGURED,
    News.NOT_CHARGED: _S.NOT_CHARGED,
    News.NEVER_SENT: _S.NOT_CHARGED,
    News.UNKNOWN: _S.UNKNOWN,
    News.LOST: _S.UNKNOWN,
    News.SENT: _S.SENDING,
}
_SETTLED_UNPAID = frozenset({_S.DECLINED, _S.NOT_CHARGED, _S.MISCONFIGURED})

_REPLIES = {
    PaymentOutcome.APPROVED: News.APPROVED,
    PaymentOutcome.DECLINED_SOFT: News.DECLINED,
    PaymentOutcome.DECLINED_HARD: News.DECLINED,
    PaymentOutcome.NEEDS_ACTION: News.NEEDS_ACTION,
    PaymentOutcome.UNKNOWN: News.UNKNOWN,
    PaymentOutcome.CONFIGURATION_ERROR: News.MISCONFIGURED,
}


def news_of(outcome: PaymentOutcome) -> News:
    """What a gateway's answer means for the state."""
    return _REPLIES[outcome]


def advance(state: PaymentState, news: News) -> Step:
    """The next state; the same one where the news is old."""
    if state is _S.APPROVED:
        # What the acquirer said to have taken stays taken until it is refunded.
        return Step(state, news in (News.DECLINED, News.NOT_CHARGED, News.MISCONFIGURED))
    if news is News.APPROVED:
        return Step(_S.APPROVED, state in _SETTLED_UNPAID)
    if state in _SETTLED_UNPAID:
        return Step(state)
    if state is _S.NEEDS_ACTION:
        moves = news in (News.DECLINED, News.NOT_CHARGED)
        return Step(_OF_NEWS[news] if moves else state)
    if news is News.SENT:
        return Step(_S.SENDING if state is _S.CREATED else state)
    if news is News.NEVER_SENT and state is not _S.CREATED:
        return Step(state)  # it may have left by now: only the acquirer knows
    return Step(_OF_NEWS[news])


# --- looking up --------------------------------------------------------------------------

LOOK_UP_WAITS = tuple(timedelta(seconds=s) for s in (5, 15, 60, 300, 900))
LATER_WAIT = timedelta(hours=1)


def look_up_wait(look_ups: int) -> timedelta:
    """How long after ``look_ups`` look-ups without result the next one is made: 5 s, 15 s, 1, 5
    and 15 minutes, then each hour, for ever."""
    return LOOK_UP_WAITS[look_ups] if look_ups < len(LOOK_UP_WAITS) else LATER_WAIT


def lost_after(
    send_before: datetime, sending_at: datetime | None, gateway_seconds: float
) -> datetime:
    """From when a payment that is still ``sending`` has lost its sender: its last moment to send,
    and the longest wait for an answer, have passed."""
    last = max(send_before, sending_at or send_before)
    return last + timedelta(seconds=gateway_seconds)


def absence_believed(
    asked_at: datetime,
    send_before: datetime,
    sending_at: datetime | None,
    gateway_seconds: float,
    settle_seconds: float,
) -> bool:
    """Whether "never heard of it" means that no money has moved and none will.

    Only where the gateway was *asked* (``asked_at``) later than the last moment at which the card
    could leave, the longest wait for an answer, and the time that a request may be under way
    within the gateway's own house (``Settings.payment_settle_seconds``).
    """
    last = lost_after(send_before, sending_at, gateway_seconds)
    return asked_at > last + timedelta(seconds=settle_seconds)


# --- refunds -----------------------------------------------------------------------------


class RefundLife(StrEnum):
    """The states of a refund or void; the last four are a gateway's words."""

    CREATED = "created"
    SENDING = "sending"
    DONE = "done"
    PENDING = "pending"
    REFUSED = "refused"
    UNKNOWN = "unknown"

    @property
    def open(self) -> bool:
        """Given back or not is not known yet: it holds its part of the payment."""
        return self not in (RefundLife.DONE, RefundLife.REFUSED)


def advance_refund(state: RefundLife, said: RefundLife) -> RefundLife:
    """The next state of a refund after the gateway said ``said``.

    Done stays done but for a refusal that comes later (the cardholder's bank sent it back), and a
    refusal that turns out done is done: in both the gateway's last word on money counts.
    """
    if said in (RefundLife.DONE, RefundLife.REFUSED):
        return said
    if not state.open:
        return state
    order = (RefundLife.CREATED, RefundLife.SENDING, RefundLife.UNKNOWN, RefundLife.PENDING)
    return max(state, said, key=order.index)
