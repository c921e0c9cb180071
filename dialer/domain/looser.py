"""Where a campaign is looser with debtors than what its country's rules make of it.

Such a campaign is not started by one person alone (``dialer.store.policy_approvals``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from itertools import groupby

from dialer.domain.model import CampaignPlan, DayWindow

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES = 24 * 60


class Rule(StrEnum):
    """What may be loosened, as a campaign file calls it."""

    WINDOW = "window"
    HOLIDAYS = "holidays"
    MAX_PER_DAY = "max_per_day"
    MAX_PER_WEEK = "max_per_week"
    HOLD = "agents.hold"
    MAX_ABANDONED = "agents.max_abandoned"
    RING_MIN = "agents.ring_min"
    LOCK_OUT = "agents.lock_out_hours"


@dataclass(frozen=True, slots=True)
class Preset:
    """What a campaign of a country has where its file says nothing; units as in the plan."""

    window: tuple[DayWindow, ...]
    days_off: frozenset[date]
    max_per_day: int
    max_per_week: int
    hold: float
    max_abandoned: float
    ring_min: float
    lock_out_hours: float


@dataclass(frozen=True, slots=True)
class Looser:
    """A rule that was loosened: what the campaign has and what is usual, as people write it. Of
    holidays: on how many it calls, and none."""

    rule: Rule
    mine: str
    usual: str


def looser(plan: CampaignPlan, preset: Preset) -> tuple[Looser, ...]:
    """Every rule of the plan that is looser than the preset; none where nothing is."""
    return tuple(_found(plan, preset))


def _found(plan: CampaignPlan, preset: Preset) -> Iterator[Looser]:
    rules, terms = plan.rules, plan.agents
    if open_minutes(rules.window) - open_minutes(preset.window):
        yield Looser(Rule.WINDOW, window_text(rules.window), window_text(preset.window))
    called = preset.days_off - rules.holidays
    if called:
        yield Looser(Rule.HOLIDAYS, str(len(called)), "0")
    for rule, mine, usual in (
        (Rule.MAX_PER_DAY, rules.max_per_day, preset.max_per_day),
        (Rule.MAX_PER_WEEK, rules.max_per_week, preset.max_per_week),
        (Rule.HOLD, terms.hold, preset.hold),
        (Rule.MAX_ABANDONED, terms.max_abandoned, preset.max_abandoned),
    ):
        if mine > usual:
            yield Looser(rule, f"{mine:g}", f"{usual:g}")
    for rule, mine, usual in (
        (Rule.RING_MIN, terms.ring_min, preset.ring_min),
        (Rule.LOCK_OUT, terms.lock_out_hours, preset.lock_out_hours),
    ):
        if mine < usual:
            yield Looser(rule, f"{mine:g}", f"{usual:g}")


def open_minutes(window: Iterable[DayWindow]) -> set[tuple[int, int]]:
    """Every open minute of the week: the plainest way to tell whether one window holds another."""
    return {
        (day.weekday, minute)
        for day in window
        for minute in range(
            day.start.hour * 60 + day.start.minute,
            day.end.hour * 60 + day.end.minute or _MINUTES,
        )
    }


def window_text(window: Iterable[DayWindow]) -> str:
    """As a campaign file writes it: ``mon-fri 09:00-21:00, sat 10:00-14:00``."""
    by_hours: dict[tuple[time, time], list[int]] = {}
    for one in sorted(window, key=lambda one: (one.weekday, one.start)):
        by_hours.setdefault((one.start, one.end), []).append(one.weekday)
    return ", ".join(
        f"{days} {start:%H:%M}-{'24:00' if end == time() else f'{end:%H:%M}'}"
        for (start, end), weekdays in by_hours.items()
        for days in _runs(weekdays)
    )


def _runs(weekdays: list[int]) -> Iterator[str]:
    """Days that follow each other, as one."""
    for _, run in groupby(enumerate(weekdays), key=lambda pair: pair[1] - pair[0]):
        days = [day for _, day in run]
        yield _DAYS[days[0]] if len(days) == 1 else f"{_DAYS[days[0]]}-{_DAYS[days[-1]]}"
