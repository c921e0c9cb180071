"""What the address of a page asks for: days in the viewer's zone, and links that keep it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from flask import request, url_for

from web.ui.formats import zone


def day(name: str) -> date | None:
    """A day of the address, ``2026-11-29``; None where there is none, or it is no day."""
    try:
        return date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None


def begins(one: date | None) -> datetime | None:
    """The first moment of a day, in the viewer's zone."""
    return None if one is None else datetime(one.year, one.month, one.day, tzinfo=zone())


def ends(one: date | None) -> datetime | None:
    """The first moment after a day."""
    if one is None or one == date.max:
        return None
    return begins(one + timedelta(days=1))


def text(name: str, longest: int = 120) -> str | None:
    """A text of the address without what surrounds it; None where it is empty."""
    return request.args.get(name, "").strip()[:longest] or None


def again(endpoint: str, **changes: Any) -> str:
    """The same question at ``endpoint``, but for ``changes``; None takes a part away."""
    kept: dict[str, Any] = {**request.args.to_dict(), **changes}
    return url_for(endpoint, **{key: value for key, value in kept.items() if value})
