"""The one place where the engine reads the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """This moment, aware UTC."""
    return datetime.now(UTC)
