"""Decisions about a message: which state is further on, when it is tried again, when it is too
late for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from dialer.domain.model import Channel, MessageState

RANK: Mapping[MessageState, int] = MappingProxyType(
    {
        MessageState.PENDING: 0,
        MessageState.SENDING: 1,
        MessageState.SENT: 2,
        MessageState.FAILED: 3,
        MessageState.UNDELIVERED: 3,
        MessageState.DELIVERED: 4,  # a handset has it, whatever was said before
    }
)
"""News about a message comes late, twice and out of order: a state moves up this order only."""

MAX_TRIES = 6
FIRST_DELAY = timedelta(seconds=5)
DELAY_GROWTH = 3.0
MAX_DELAY = timedelta(minutes=5)

MAX_AGE = timedelta(hours=1)
"""A message that could not leave for so long does not leave any more: what it says about a call
"just now" is no longer true, and the hour may have become one at which nobody may be texted."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message as a transport is given it.

    ``number`` in E.164; ``tries`` counts this one; ``created_at`` is the earliest moment at which
    a provider can have taken it.
    """

    id: int
    channel: Channel
    number: str
    body: str
    tries: int
    created_at: datetime


def moves_forward(old: MessageState, new: MessageState) -> bool:
    """Whether news of ``new`` changes a message that is ``old``."""
    return RANK[new] > RANK[old]


def behind(state: MessageState) -> tuple[MessageState, ...]:
    """The states from which a message moves forward to ``state``."""
    return tuple(old for old in MessageState if moves_forward(old, state))


def retry_delay(tries: int, asked: float | None = None) -> timedelta | None:
    """How long to wait after the ``tries``-th passing failure; None: no more tries.

    ``asked`` is what the provider wants, in seconds (Retry-After); it is obeyed up to the longest
    delay of our own.
    """
    if tries >= MAX_TRIES:
        return None
    delay = FIRST_DELAY * DELAY_GROWTH ** (tries - 1)
    if asked is not None:
        delay = max(delay, timedelta(seconds=asked))
    return min(delay, MAX_DELAY)


def is_too_old(created_at: datetime, now: datetime) -> bool:
    """Whether a message that has not left yet must not leave any more."""
    return now - created_at > MAX_AGE
