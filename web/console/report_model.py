"""A report as tables: one content for the page, CSV, XLSX and PDF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from dialer.domain.currency import minor_digits
from dialer.domain.model import Money
from web.ui import formats
from web.ui.words import gettext as _


@dataclass(frozen=True, slots=True)
class Share:
    """0 to 1; None where there is nothing to take a share of. ``points``: a difference of two."""

    value: float | None
    points: bool = False


@dataclass(frozen=True, slots=True)
class Seconds:
    """A length of time; None: none was measured."""

    value: float | None


@dataclass(frozen=True, slots=True)
class Between:
    """From one to another of the same kind: 95 % of intervals made so hold the truth. None: there
    are too few."""

    low: Share | Money | None
    high: Share | Money | None


Cell = str | int | Share | Seconds | Money | Between | None


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart: ``whole`` high, ``part`` of it filled."""

    label: str
    whole: int
    part: int


@dataclass(frozen=True, slots=True)
class Whisker:
    """A share and how far chance may be from it, for a drawing."""

    label: str
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Table:
    """``key``: its name in addresses. ``columns``: headings; the first is of the rows. ``empty``:
    what is said in place of no rows. ``chart`` and ``whiskers``: drawn above it."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    note: str = ""
    empty: str = ""
    chart: list[Bar] = field(default_factory=list)
    whiskers: list[Whisker] = field(default_factory=list)

    def flat(self) -> Iterator[tuple[Cell, ...]]:
        """Headings and rows with each interval in two columns, for programs."""
        wide = {
            place
            for row in self.rows
            for place, cell in enumerate(row)
            if isinstance(cell, Between)
        }
        yield tuple(
            text
            for place, name in enumerate(self.columns)
            for text in (
                (_("%(name)s, from", name=name), _("%(name)s, to", name=name))
                if place in wide
                else (name,)
            )
        )
        for row in self.rows:
            yield tuple(_split(row, wide))


def _split(row: Sequence[Cell], wide: set[int]) -> Iterator[Cell]:
    for place, cell in enumerate(row):
        if isinstance(cell, Between):
            yield from (cell.low, cell.high)
        elif place in wide:
            yield from (cell, None)
        else:
            yield cell


def is_number(cell: Cell) -> bool:
    """It stands at the right of its column."""
    return not isinstance(cell, str)


def shown(cell: Cell) -> str:
    """As people read it, in the language of the request."""
    match cell:
        case None | Between(low=None):
            return "–"
        case str():
            return cell
        case int():
            return formats.number(cell)
        case Share(value=value, points=True):
            return _points(value)
        case Share(value=value):
            return formats.percent(value)
        case Seconds(value=value):
            return formats.duration(value)
        case Money(minor=minor, currency=currency):
            return formats.money(minor, currency)
        case Between(low=low, high=high):
            return f"{shown(low)} – {shown(high)}"


def _points(value: float | None) -> str:
    if value is None:
        return "–"
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    return sign + formats.percent(abs(value))


def plain(cell: Cell) -> str | int | float | Decimal | None:
    """As programs read it: shares of one, seconds, major units of a currency."""
    match cell:
        case Share(value=value):
            return None if value is None else round(value, 6)
        case Seconds(value=value):
            return None if value is None else round(value, 1)
        case Money(minor=minor, currency=currency):
            digits = minor_digits(currency)
            return Decimal(minor).scaleb(-digits) if digits else minor
        case Between():
            raise TypeError("take flat() first")
        case _:
            return cell
