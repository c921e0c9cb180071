"""The tables about what follows an answered-abandoned call, and what it brings."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from dialer.domain.intervals import Interval, difference, mean_paid, wilson
from dialer.domain.model import Channel, Money, StepKind
from dialer.store.fallback_effect import FOLLOW_UP, NOTHING, Fruit
from web.console.report_model import Between, Cell, Share, Table, Whisker
from web.ui.names import channel_name, step_kind_name
from web.ui.words import gettext as _

Steps = tuple[str, str]
"""The kind of the step taken, and of the one after it."""
Key = TypeVar("Key", bound=Hashable)

_ORDER = [*(kind.value for kind in StepKind), NOTHING]


@dataclass(slots=True)
class _Group:
    debtors: int = 0
    contacted: int = 0
    paid: int = 0
    minor: int = 0
    squares: float = 0.0

    def add(self, one: Fruit) -> None:
        """More of the same."""
        self.debtors += one.debtors
        self.contacted += one.contacted
        self.paid += one.paid
        self.minor += one.minor
        self.squares += one.squares


def effect_tables(fruits: list[Fruit]) -> list[Table]:
    """By step; by step and currency; by step and hour."""
    return [_by_step(fruits), _by_money(fruits), _by_hour(fruits)]


def _grouped(pairs: Iterable[tuple[Key, Fruit]]) -> dict[Key, _Group]:
    found: dict[Key, _Group] = {}
    for key, one in pairs:
        found.setdefault(key, _Group()).add(one)
    return found


def _by_step(fruits: list[Fruit]) -> Table:
    groups = _grouped(((one.kind, one.then), one) for one in fruits)
    usual = next((key for key in ((NOTHING, NOTHING), ("retry", "")) if key in groups), None)
    rows: list[tuple[Cell, ...]] = []
    whiskers = []
    for key in sorted(groups, key=_place):
        one = groups[key]
        base = groups[usual] if usual is not None and usual != key else _Group()
        rows.append(
            (
                _steps_name(key), _channels(key), one.debtors,
                *_share_cells(one.contacted, one.debtors),
                _against(one.contacted, one.debtors, base.contacted, base.debtors),
                *_share_cells(one.paid, one.debtors),
                _against(one.paid, one.debtors, base.paid, base.debtors),
            )
        )  # fmt: skip
        wide = wilson(one.contacted, one.debtors)
        if wide is not None:
            share = one.contacted / one.debtors
            whiskers.append(Whisker(_steps_name(key), share, wide.low, wide.high))
    return Table(
        "effect",
        _("What each fallback brings"),
        (
            _("What followed"), _("Channel"), _("Debtors"), _("Contacted"), _("Share contacted"),
            _("95% interval of contacted"), _("Difference in contacted, 95%"), _("Who paid"),
            _("Share paid"), _("95% interval of paid"), _("Difference in paid, 95%"),
        ),
        rows,
        note=" ".join(
            (
                _(
                    "Each debtor who answered and hung up counts once, by the first such call."
                    " Contacted: a later call within %(days)s days came to a conversation. Paid:"
                    " money was taken within the same days.", days=FOLLOW_UP.days,
                ),
                _compared(usual),
                _(
                    "The contact rules choose the step, not the lot, so a difference is a hint and"
                    " no proof; one whose interval holds 0 may be chance alone."
                ),
            )
        ),
        empty=_("Nobody answered and hung up in these days."),
        whiskers=whiskers,
    )  # fmt: skip


def _by_money(fruits: list[Fruit]) -> Table:
    groups = _grouped(((one.currency, one.kind, one.then), one) for one in fruits)
    rows: list[tuple[Cell, ...]] = []
    for currency, kind, then in sorted(groups, key=lambda key: (key[0], _place(key[1:]))):
        one = groups[currency, kind, then]
        wide = mean_paid(one.debtors, one.paid, one.minor, one.squares)
        rows.append(
            (
                _steps_name((kind, then)), _channels((kind, then)), currency, one.debtors, one.paid,
                Money(one.minor, currency), Money(round(one.minor / one.debtors), currency),
                Between(None, None) if wide is None else Between(
                    Money(round(wide.low), currency), Money(round(wide.high), currency)
                ),
            )
        )  # fmt: skip
    return Table(
        "effect-money",
        _("What each fallback brings in money"),
        (
            _("What followed"), _("Channel"), _("Currency"), _("Debtors"), _("Who paid"),
            _("Money"),
            _("For each debtor"), _("95% interval for each debtor"),
        ),
        rows,
        note=_("An interval of money is only given where ten or more have paid."),
        empty=_("Nobody answered and hung up in these days."),
    )  # fmt: skip


def _by_hour(fruits: list[Fruit]) -> Table:
    groups = _grouped(((one.hour.hour, one.kind, one.then), one) for one in fruits)
    rows: list[tuple[Cell, ...]] = []
    for hour, kind, then in sorted(groups, key=lambda key: (_place(key[1:]), key[0])):
        one = groups[hour, kind, then]
        rows.append(
            (
                _steps_name((kind, then)), _channels((kind, then)), hour_name(hour), one.debtors,
                *_share_cells(one.contacted, one.debtors), *_share_cells(one.paid, one.debtors),
            )
        )  # fmt: skip
    return Table(
        "effect-hours",
        _("What each fallback brings, by hour"),
        (
            _("What followed"), _("Channel"), _("Hour of the call"), _("Debtors"), _("Contacted"),
            _("Share contacted"), _("95% interval of contacted"), _("Who paid"), _("Share paid"),
            _("95% interval of paid"),
        ),
        rows,
        empty=_("Nobody answered and hung up in these days."),
    )  # fmt: skip


def hour_name(hour: int) -> str:
    """``09:00``."""
    return f"{hour:02d}:00"


def _share_cells(part: int, whole: int) -> tuple[Cell, Cell, Cell]:
    return part, Share(part / whole if whole else None), between(wilson(part, whole))


def between(found: Interval | None, *, points: bool = False) -> Between:
    """An interval of shares as a cell."""
    if found is None:
        return Between(None, None)
    return Between(Share(found.low, points), Share(found.high, points))


def _against(part: int, whole: int, base_part: int, base_whole: int) -> Between:
    return between(difference(part, whole, base_part, base_whole), points=True)


def _compared(usual: Steps | None) -> str:
    if usual is None:
        return ""
    if usual[0] == NOTHING:
        return _("Differences are to those after whose call nothing was done at once.")
    return _("Differences are to those who were only called again later.")


def _steps_name(key: Steps) -> str:
    kind, then = key
    if kind == NOTHING:
        return _("Nothing at once")
    if then == NOTHING:
        return step_kind_name(kind)
    return _("%(first)s; then: %(second)s", first=step_kind_name(kind), second=step_kind_name(then))


def _channels(key: Steps) -> str:
    found = []
    for kind in key:
        if kind != NOTHING:
            channel = Channel.SMS if kind == StepKind.SMS.value else Channel.VOICE
            if channel_name(channel.value) not in found:
                found.append(channel_name(channel.value))
    return " + ".join(found) or "–"


def _place(key: Iterable[str]) -> tuple[int, ...]:
    # A redial alone stands before a redial and what came after it.
    first, then = key
    return _ORDER.index(first), (-1 if then == NOTHING else _ORDER.index(then))
