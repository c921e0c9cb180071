"""What comes again every day, week or month at an hour of a zone, and the days each is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Every(StrEnum):
    """How often."""

    DAY = "day"
    WEEK = "week"  # on Mondays
    MONTH = "month"  # on the first


@dataclass(frozen=True, slots=True)
class Run:
    """One time of it: when it is due (UTC), and the first and the last day that it is about."""

    at: datetime
    first: date
    last: date


def next_run(every: Every, hour: int, zone: ZoneInfo, after: datetime) -> Run:
    """The first time after ``after`` (aware). An hour that summer time skips is the next one that
    there is; one that comes twice is the earlier of the two."""
    day = after.astimezone(zone).date()
    while True:
        if _is_of(every, day):
            at = datetime.combine(day, time(hour), zone).astimezone(UTC)
            if at > after:
                return Run(at, *_about(every, day))
        day += timedelta(days=1)


def run_on(every: Every, day: date, at: datetime) -> Run:
    """As if that day were one of them: of the days before it."""
    return Run(at, *_about(every, day))


def _is_of(every: Every, day: date) -> bool:
    if every is Every.WEEK:
        return day.weekday() == 0
    return every is Every.DAY or day.day == 1


def _about(every: Every, day: date) -> tuple[date, date]:
    last = day - timedelta(days=1)
    if every is Every.WEEK:
        return day - timedelta(days=7), last
    if every is Every.DAY:
        return last, last
    last = day.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last
