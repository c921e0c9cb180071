"""Cursors: where a list goes on, in a form that nobody takes apart.

They hold the key of the last row, so a page costs the same wherever it is, and rows that come or
go meanwhile make none come twice.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any

from web.problems import Problem, invalid_fields


def cursor_of(*keys: Any) -> str:
    """For what follows the row of these keys."""
    values = [one.isoformat() if isinstance(one, datetime) else one for one in keys]
    text = json.dumps(values, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def keys_of(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The keys of a cursor, None where there is none. Raises Problem (422) for what is none."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded.encode("ascii"), b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(kinds):
            raise ValueError
        return tuple(_key(value, kind) for value, kind in zip(values, kinds, strict=True))
    except (ValueError, OverflowError, binascii.Error, RecursionError):
        raise _none() from None


def _key(value: Any, kind: type) -> Any:
    if kind is datetime and isinstance(value, str):
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise ValueError
        return found.astimezone(UTC)  # as the database has it; too far off it is none
    if kind is int and type(value) is int and abs(value) < 2**63:
        return value
    if kind is str and isinstance(value, str) and value.isascii() and value.isprintable():
        return value
    raise ValueError


def _none() -> Problem:
    return invalid_fields([("cursor", "give the `next` of an earlier answer, unchanged")])
