"""Reports in figures: what the page of reports counts, for programs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field

from dialer.domain.api import Scope
from dialer.domain.keeping import Kept
from dialer.domain.model import Disposition
from dialer.store import console_reports as figures
from dialer.store.console_reports import Calls, Span
from dialer.store.fallback_effect import effect
from web.api.registry import Asked, operation
from web.api.scoping import campaign_of, company_of
from web.api.shapes import Answer, Given, Id, Text
from web.problems import invalid_fields

USUAL_DAYS = 7
FIRST_YEAR, LAST_YEAR = 2000, 2200


class Part(StrEnum):
    """A part of the report: each takes its own time."""

    CALLS = "calls"
    MONEY = "money"
    EFFECT = "effect"


class ReportAsked(Given):
    """The filters of the page of reports."""

    part: Part = Field(Part.CALLS, description="What is counted.")
    first: date | None = Field(None, description="Day; left out: seven days up to `last`.")
    last: date | None = Field(None, description="Day, included; left out: today.")
    hour_from: int = Field(0, ge=0, le=23, description="Hours that begin from here on.")
    hour_to: int = Field(24, ge=1, le=24, description="And before this.")
    campaign_id: Id | None = None
    company_id: Id | None = None
    timezone: Text | None = Field(
        None, description="Of days and hours; left out: the company's, else UTC."
    )


class Reached(Answer):
    """``answered``: by anybody or anything. ``talked``: it came to a conversation."""

    calls: int = 0
    answered: int = 0
    talked: int = 0


class Day(Reached):
    """Calls placed on a day."""

    day: date


class Hour(Reached):
    """Calls placed in an hour of the day, all days together."""

    hour: int


class CallFigures(Answer):
    """``outcomes``: calls by how they ended."""

    outcomes: dict[str, int]
    days: list[Day]
    hours: list[Hour]


class Promised(Answer):
    """Promises made in these days, by what became of them."""

    currency: str
    state: Kept
    count: int
    amount_minor: int


class Sum(Answer):
    """Things and money, in minor units."""

    count: int
    amount_minor: int


class Taken(Answer):
    """Payments that were approved, in calls and by links, and what was given back."""

    currency: str
    call: Sum
    link: Sum
    refunds: Sum


class AgentFigures(Answer):
    """``agreed``: a promise, a payment or a link. Times in seconds."""

    name: str
    calls: int
    agreed: int
    talk: float
    wait: float
    wrap: float


class Abandoned(Answer):
    """Of a campaign that dials for agents. ``limit``: the share allowed over ``window_days``."""

    campaign: str
    answered: int
    abandoned: int
    limit: float
    window_days: float


class MoneyFigures(Answer):
    """What was promised and paid, and by whose work."""

    promises: list[Promised]
    money: list[Taken]
    agents: list[AgentFigures]
    abandoned: list[Abandoned]


class Fruit(Answer):
    """Debtors who answered and hung up without a key, by the step that followed (`redial`, `sms`,
    ...; empty: none) and the one after it: how many talked and paid within three days. The steps
    are not chosen by lot: a difference is a hint and no proof."""

    kind: str
    then: str
    currency: str
    debtors: int
    contacted: int
    paid: int
    amount_minor: int


class ReportFigures(Answer):
    """What was asked for; the parts that were not are null."""

    first: date
    last: date
    timezone: str
    calls: CallFigures | None = None
    money: MoneyFigures | None = None
    effect: list[Fruit] | None = None


@operation(
    "GET", "/reports", Scope.RESULTS_READ, ReportFigures, "Reports in figures", query=ReportAsked
)
def report_figures(ask: Asked) -> ReportFigures:
    """One part of the report at a time, with the filters of the page. It counts calls: not more
    often than once in some minutes for long periods."""
    span, first, last = _span(ask)
    rows = figures.campaigns_of(ask.connection, span)
    ids = [row.id for row in rows]
    found: Any
    if ask.query.part is Part.CALLS:
        found = _calls(figures.calls(ask.connection, span, ids))
    elif ask.query.part is Part.MONEY:
        found = _money(ask, span, rows)
    else:
        found = _effect(ask, span, ids)
    return ReportFigures(
        first=first, last=last, timezone=span.zone.key, **{ask.query.part.value: found}
    )


def _span(ask: Asked) -> tuple[Span, date, date]:
    """Raises Problem: 404, 422."""
    asked: ReportAsked = ask.query
    company_id, zone = ask.token.company_id, asked.timezone or "UTC"
    if asked.company_id is not None or company_id is not None:
        row = company_of(ask, asked.company_id)
        company_id, zone = row.id, asked.timezone or row.timezone
    if asked.campaign_id is not None:
        campaign_of(ask, asked.campaign_id)
    if zone not in available_timezones():
        raise invalid_fields([("timezone", "there is none; write it like Europe/Madrid")])
    if asked.hour_from >= asked.hour_to:
        raise invalid_fields([("hour_to", "later than hour_from")])
    there = ZoneInfo(zone)
    last = asked.last or ask.now.astimezone(there).date()
    first = asked.first
    if not FIRST_YEAR <= last.year <= LAST_YEAR:
        raise invalid_fields([("last", "that is too far away")])
    first = last - timedelta(days=USUAL_DAYS - 1) if first is None else first
    if first > last or first.year < FIRST_YEAR:
        raise invalid_fields([("first", "not after `last`, and not too far away")])
    since = datetime.combine(first, time(), there).astimezone(UTC)
    until = datetime.combine(last + timedelta(days=1), time(), there).astimezone(UTC)
    hours = (asked.hour_from, asked.hour_to)
    return Span(since, until, there, company_id, asked.campaign_id, hours), first, last


def _calls(calls: list[Calls]) -> CallFigures:
    outcomes: Counter[str] = Counter()
    days: dict[date, Counter[str]] = {}
    hours: dict[int, Counter[str]] = {}
    for one in calls:
        outcomes[one.disposition] += one.count
        kind = Disposition(one.disposition)
        found = Counter(
            calls=one.count,
            answered=one.count * kind.answered,
            talked=one.count * kind.conversation,
        )
        days.setdefault(one.hour.date(), Counter()).update(found)
        hours.setdefault(one.hour.hour, Counter()).update(found)
    return CallFigures(
        outcomes=dict(outcomes.most_common()),
        days=[Day(day=day, **days[day]) for day in sorted(days)],
        hours=[Hour(hour=hour, **hours[hour]) for hour in sorted(hours)],
    )


def _money(ask: Asked, span: Span, rows: Any) -> MoneyFigures:
    connection = ask.connection
    promises = figures.promises(connection, span, rows, ask.now)
    money = figures.money(connection, span)
    return MoneyFigures(
        promises=[
            Promised(currency=currency, state=state, count=one.count, amount_minor=one.minor)
            for currency, states in sorted(promises.items())
            for state, one in states.items()
        ],
        money=[
            Taken(currency=currency, call=_sum(of.call), link=_sum(of.link),
                  refunds=_sum(of.refunds))
            for currency, of in sorted(money.items())
        ],
        agents=[_like(one, AgentFigures) for one in figures.agents(connection, span)],
        abandoned=[_like(one, Abandoned) for one in figures.abandoned(connection, span, rows)],
    )  # fmt: skip


def _effect(ask: Asked, span: Span, ids: list[int]) -> list[Fruit]:
    """All hours together."""
    sums: dict[tuple[str, str, str], Counter[str]] = {}
    for one in effect(ask.connection, span, ids):
        sums.setdefault((one.kind, one.then, one.currency), Counter()).update(
            debtors=one.debtors, contacted=one.contacted, paid=one.paid, amount_minor=one.minor
        )
    return [
        Fruit(kind=kind, then=then, currency=currency, **counts)
        for (kind, then, currency), counts in sorted(sums.items())
    ]


def _sum(one: figures.Sum) -> Sum:
    return Sum(count=one.count, amount_minor=one.minor)


def _like(one: Any, model: Any) -> Any:
    return model(**{name: getattr(one, name) for name in model.model_fields})
