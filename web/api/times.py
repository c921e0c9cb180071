"""Times of requests as the database has them."""

from __future__ import annotations

from datetime import UTC, datetime

from web.problems import invalid_fields

FIRST, LAST = 1970, 2200
"""Years; a time out of them is a mistake, and a calendar ends somewhere."""


def utc(at: datetime, field: str) -> datetime:
    """In UTC. Raises Problem (422)."""
    try:
        found = at.astimezone(UTC)
    except OverflowError:
        raise _too_far(field) from None
    if not FIRST <= found.year <= LAST:
        raise _too_far(field)
    return found


def _too_far(field: str) -> Exception:
    return invalid_fields([(field, f"a time between {FIRST} and {LAST}")])
