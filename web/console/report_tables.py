"""What a report says, table by table. The figures are of ``dialer.store``; here they get words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime

from sqlalchemy import Connection

from dialer.domain.intervals import wilson
from dialer.domain.keeping import Kept
from dialer.domain.model import Disposition, Money
from dialer.store import console_reports as figures
from dialer.store.console_reports import Abandoned, AgentFigures, Calls, Span, Sum, Taken
from dialer.store.fallback_effect import effect
from web.console.report_effect import between, effect_tables, hour_name
from web.console.report_model import Bar, Cell, Seconds, Share, Table
from web.ui import formats
from web.ui.names import disposition_name
from web.ui.words import gettext as _

CALLS = ("outcomes", "days", "hours")
MONEY = ("promises", "money", "agents", "abandoned")
EFFECT = ("effect", "effect-money", "effect-hours")
KEYS = CALLS + MONEY + EFFECT
"""The tables, in the order of the page."""
PARTS = {"calls": CALLS, "money": MONEY, "effect": EFFECT}
"""What the page asks for at one time: each part takes its own time."""


def tables(
    connection: Connection, span: Span, now: datetime, keys: Sequence[str] = KEYS
) -> list[Table]:
    """Those of ``keys``, in the order of the page; nothing else is counted."""
    campaigns = figures.campaigns_of(connection, span)
    ids = [row.id for row in campaigns]
    makers: dict[str, Callable[[], Table]] = {
        "promises": lambda: _promises(figures.promises(connection, span, campaigns, now)),
        "money": lambda: _money(figures.money(connection, span)),
        "agents": lambda: _agents(figures.agents(connection, span)),
        "abandoned": lambda: _abandoned(figures.abandoned(connection, span, campaigns)),
    }
    if set(keys) & set(CALLS):
        calls = figures.calls(connection, span, ids)
        makers |= {
            "outcomes": lambda: _outcomes(calls),
            "days": lambda: _days(calls),
            "hours": lambda: _hours(calls),
        }
    if set(keys) & set(EFFECT):
        made = effect_tables(effect(connection, span, ids))
        makers |= {table.key: lambda table=table: table for table in made}  # type: ignore[misc]
    return [makers[key]() for key in KEYS if key in keys]


def _outcomes(calls: list[Calls]) -> Table:
    counts: Counter[str] = Counter()
    for one in calls:
        counts[one.disposition] += one.count
    total = sum(counts.values())
    rows: list[tuple[Cell, ...]] = [
        (disposition_name(kind), count, Share(count / total))
        for kind, count in counts.most_common()
    ]
    if rows:
        rows.append((_("All calls"), total, Share(1.0)))
    return Table(
        "outcomes", _("How calls ended"), (_("Result"), _("Calls"), _("Share")), rows,
        empty=_("No call ended in these days."),
    )  # fmt: skip


class _Reached:
    """Calls, those that somebody picked up, those that came to a conversation."""

    def __init__(self) -> None:
        self.calls = self.answered = self.talked = 0

    def add(self, one: Calls) -> None:
        """More of them."""
        kind = Disposition(one.disposition)
        self.calls += one.count
        self.answered += one.count if kind.answered else 0
        self.talked += one.count if kind.conversation else 0

    def cells(self) -> tuple[Cell, ...]:
        """Counts and shares."""
        return (
            self.calls, self.answered, Share(self.answered / self.calls), self.talked,
            Share(self.talked / self.calls),
        )  # fmt: skip


def _reached_columns(first: str) -> tuple[str, ...]:
    return (
        first, _("Calls"), _("Calls answered"), _("Share answered"), _("Conversations"),
        _("Share with a conversation"),
    )  # fmt: skip


def _days(calls: list[Calls]) -> Table:
    found: dict[date, _Reached] = {}
    for one in calls:
        found.setdefault(one.hour.date(), _Reached()).add(one)
    return Table(
        "days", _("Calls by day"), _reached_columns(_("Day")),
        [(formats.date_of(day), *found[day].cells()) for day in sorted(found)],
        empty=_("No call ended in these days."),
    )  # fmt: skip


def _hours(calls: list[Calls]) -> Table:
    found: dict[int, _Reached] = {}
    for one in calls:
        found.setdefault(one.hour.hour, _Reached()).add(one)
    return Table(
        "hours", _("Calls by hour"), _reached_columns(_("Hour")),
        [(hour_name(hour), *found[hour].cells()) for hour in sorted(found)],
        empty=_("No call ended in these days."),
        chart=[Bar(hour_name(h), found[h].calls, found[h].answered) for h in sorted(found)],
    )  # fmt: skip


def _promises(found: dict[str, dict[Kept, Sum]]) -> Table:
    names = {
        Kept.KEPT: _("Kept"),
        Kept.PARTLY: _("Kept in part"),
        Kept.BROKEN: _("Broken"),
        Kept.OPEN: _("Its day is not over"),
    }
    rows: list[tuple[Cell, ...]] = []
    for currency in sorted(found):
        over = sum(found[currency][one].count for one in Kept if one is not Kept.OPEN)
        for state, name in names.items():
            one = found[currency][state]
            of = between(wilson(one.count, over)) if state is not Kept.OPEN else None
            share = one.count / over if over and state is not Kept.OPEN else None
            rows.append(
                (name, currency, one.count, Money(one.minor, currency), Share(share), of)
            )  # fmt: skip
    return Table(
        "promises", _("Promises"),
        (_("What became of it"), _("Currency"), _("Promises"), _("Amount promised"),
         _("Share of those whose day is over"), _("95% interval")),
        rows,
        note=_(
            "Of promises made in these days. Kept: paid in time by card or link and not given"
            " back; what was paid elsewhere is not known here."
        ),
        empty=_("Nobody promised to pay in these days."),
    )  # fmt: skip


def _money(found: dict[str, Taken]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for currency in sorted(found):
        one = found[currency]
        kept = one.call.minor + one.link.minor - one.refunds.minor
        rows.append(
            (
                currency, one.call.count, Money(one.call.minor, currency), one.link.count,
                Money(one.link.minor, currency), one.refunds.count,
                Money(one.refunds.minor, currency), Money(kept, currency),
            )
        )  # fmt: skip
    return Table(
        "money", _("Money"),
        (_("Currency"), _("Payments in calls"), _("Taken in calls"), _("Payments by link"),
         _("Taken by link"), _("Refunds"), _("Given back"), _("What stays")),
        rows,
        empty=_("Nobody paid in these days."),
    )  # fmt: skip


def _agents(found: list[AgentFigures]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            one.name, one.calls, one.agreed, Share(one.agreed / one.calls),
            Seconds(one.talk), Seconds(one.talk / one.calls), Seconds(one.wait / one.calls),
            Seconds(one.wrap / one.calls),
        )
        for one in found
    ]  # fmt: skip
    return Table(
        "agents", _("Agents"),
        (_("Agent"), _("Conversations"), _("Agreed to pay"), _("Share agreed"),
         _("Time talked"), _("Mean talk"), _("Mean wait"), _("Mean time after a call")),
        rows,
        note=_("Agreed to pay: a promise, a payment or a link."),
        empty=_("No agent talked with a debtor in these days."),
    )  # fmt: skip


def _abandoned(found: list[Abandoned]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        share = one.abandoned / one.answered if one.answered else None
        said = (
            "–"
            if share is None
            else (_("Over the limit") if share > one.limit else _("Within the limit"))
        )
        rows.append(
            (
                one.campaign, one.answered, one.abandoned, Share(share),
                between(wilson(one.abandoned, one.answered)), Share(one.limit), said,
            )
        )  # fmt: skip
    return Table(
        "abandoned", _("Abandoned calls"),
        (_("Campaign"), _("Answered by a person"), _("Abandoned"), _("Share"), _("95% interval"),
         _("Limit"), _("How it stands")),
        rows,
        note=_("Over all hours of these days: the limit does not know hours."),
        empty=_("No campaign dials for agents, so no call can be abandoned for want of one."),
    )  # fmt: skip
