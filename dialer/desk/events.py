"""What a desk, or a supervisor's page, is told.

An event is a JSON object with ``type`` (an ``EventType``) and ``at`` (UTC). One of a payment goes
through a sieve here: whatever is put into it, nothing but the masked progress gets out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeGuard

MAX_EVENT = 128 * 1024
"""Bytes: a story of a debtor with a long past, and then some."""

_TYPE = re.compile(r"[a-z][a-z_]{0,29}")


class EventType(StrEnum):
    """What an event is about; docs/agents_api.md has the fields of each. A page passes over what
    it does not know, so that one that is new breaks none."""

    STATE = "state"  # of the agent
    CALL = "call"  # a debtor comes: before their voice does
    STORY = "story"  # who that is, a moment later
    JOINED = "joined"  # they hear each other
    LEFT = "left"  # the debtor is gone from the conference
    QUEUE = "queue"
    PAYMENT = "payment"  # masked progress of a card
    PREVIEW = "preview"  # a lead to look at
    LEG = "leg"  # the agent's own line
    TRANSFER = "transfer"
    ERROR = "error"  # what failed after it was accepted
    GAP = "gap"  # events are missing here: ask for the state of things anew
    AGENT = "agent"  # supervisors: an agent changed
    FLOOR = "floor"  # supervisors: sums


PAYMENT_FIELDS = frozenset(
    {"type", "at", "attempt", "step", "digits", "error", "result", "payment", "session"}
)
_PAYMENT_WORDS = ("step", "error", "result")
_SEVERAL_DIGITS = re.compile(r"\d\D?\d\D?\d")
MOST_DIGITS = 19
"""Of a card's number; a count cannot be more."""


class EventError(ValueError):
    """No event: the message says what is wrong with it, without its values."""


def encode_event(event: Mapping[str, Any], now: datetime) -> tuple[bytes, frozenset[str]]:
    """The event as it travels, with ``at`` where it had none; and the names of the fields of a
    payment that were left out. Raises EventError."""
    kind = event.get("type")
    if not is_type(kind):
        raise EventError("an event without a type")
    kept = {"at": now, **event}
    dropped: frozenset[str] = frozenset()
    if kind == EventType.PAYMENT:
        dropped = frozenset(kept) - PAYMENT_FIELDS
        kept = {key: value for key, value in kept.items() if key in PAYMENT_FIELDS}
        if not isinstance(digits := kept.get("digits"), int | None) or (digits or 0) > MOST_DIGITS:
            raise EventError("digits of a payment are counted, never told")
        if any(_SEVERAL_DIGITS.search(str(kept.get(name, ""))) for name in _PAYMENT_WORDS):
            raise EventError("a payment's step, error and result are words")
    try:
        text = json.dumps(kept, ensure_ascii=False, allow_nan=False, default=_plain)
        data = text.encode()
    except (TypeError, ValueError) as error:
        raise EventError(f"a {kind} event that is no JSON") from error
    if len(data) > MAX_EVENT:
        raise EventError(f"a {kind} event of {len(data)} bytes")
    return data, dropped


def is_type(given: object) -> TypeGuard[str]:
    """A word that can name a kind of event."""
    return isinstance(given, str) and _TYPE.fullmatch(given) is not None


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, frozenset | set | tuple):
        return sorted(value) if isinstance(value, frozenset | set) else list(value)
    raise TypeError(type(value).__name__)
