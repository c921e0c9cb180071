"""Money, numbers and times as the viewer reads them.

A time is shown in a zone that is named beside it wherever two zones can meet: the viewer's, or the
debtor's.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel import dates, numbers
from flask import Flask, g

from dialer.domain.currency import minor_digits
from web.ui.words import language


def zone() -> ZoneInfo:
    """The viewer's."""
    viewer = getattr(g, "viewer", None)
    return ZoneInfo(viewer.timezone if viewer else "UTC")


def money(minor: int, currency: str, locale: str | None = None) -> str:
    """``minor`` units of a currency (ISO 4217), like ``1.234,50 €``; ``locale``: not for the
    viewer."""
    digits = minor_digits(currency)
    whole = f"{'-' if minor < 0 else ''}{abs(minor) // 10**digits}"
    part = f".{abs(minor) % 10**digits:0{digits}d}" if digits else ""
    return numbers.format_currency(whole + part, currency, locale=locale or language())


def number(value: float) -> str:
    """Like ``12.345``."""
    return numbers.format_decimal(value, locale=language())


def percent(share: float | None, digits: int = 1) -> str:
    """A share of one, like ``2,4 %``; a dash where there is none."""
    if share is None:
        return "–"
    pattern = (
        "#,##0." + "0" * digits + "\N{NO-BREAK SPACE}%" if digits else "#,##0\N{NO-BREAK SPACE}%"
    )
    return numbers.format_percent(share, format=pattern, locale=language())


def time_of(moment: datetime | None, seconds: bool = True) -> str:
    """The time of day, in the viewer's zone."""
    if moment is None:
        return "–"
    return dates.format_time(
        moment.astimezone(zone()), "HH:mm:ss" if seconds else "HH:mm", locale=language()
    )


def moment_of(moment: datetime | None, name: str | None = None, seconds: bool = False) -> str:
    """Date and time, in the viewer's zone or in the one that is named, with the zone's name."""
    if moment is None:
        return "–"
    there = ZoneInfo(name) if name else zone()
    pattern = "d MMM y, HH:mm" + (":ss" if seconds else "") + " z"
    return dates.format_datetime(moment, pattern, tzinfo=there, locale=language())


def date_of(day: date | datetime | None) -> str:
    """A date; of a time, the date in the viewer's zone."""
    if day is None:
        return "–"
    if isinstance(day, datetime):
        day = day.astimezone(zone()).date()
    return dates.format_date(day, "d MMM y", locale=language())


def ago(moment: datetime | None) -> str:
    """How long ago, in words."""
    if moment is None:
        return "–"
    return dates.format_timedelta(
        moment - datetime.now(UTC), add_direction=True, locale=language(), format="short"
    )


def duration(seconds: float | None) -> str:
    """Minutes and seconds, like ``3:07``; with hours, ``1:03:07``."""
    if seconds is None:
        return "–"
    whole = timedelta(seconds=round(seconds))
    hours, rest = divmod(int(whole.total_seconds()), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def install(app: Flask) -> None:
    """These as filters of templates."""
    app.jinja_env.filters.update(
        money=money, number=number, percent=percent, time=time_of, moment=moment_of, date=date_of,
        ago=ago, duration=duration,
    )  # fmt: skip
