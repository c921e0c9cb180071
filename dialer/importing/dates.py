"""Due dates: ISO, day first, and what spreadsheets make of them."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Literal

from dialer.importing.errors import CellError

Order = Literal["dmy", "mdy"]

EARLIEST, LATEST = 1970, 2100
_LONGEST = 40
_ISO = re.compile(
    r"([0-9]{4})([-/.]?)([0-9]{1,2})\2([0-9]{1,2})(?:[T ][0-9:.,]+(?:Z|[+-][0-9:]+)?)?"
)
_NUMBERS = re.compile(
    r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})(?:[T ][0-9:.,]+(?: ?[AP]\.?M\.?)?)?"
)
_NAMED = re.compile(r"([0-9]{1,2})[-/. ](?:DE )?([A-Z]{3,10})\.?[-/. ](?:DEL? )?([0-9]{4})")
_SHORT_YEAR = re.compile(r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2}")
_MONTHS = {
    name: number
    for number, names in enumerate(
        """ENE JAN|FEB|MAR|ABR APR|MAY|JUN|JUL|AGO AUG|SEP SET|OCT|NOV|DIC DEC""".split("|"), 1
    )
    for name in names.split()
}


def parse_date(text: str, order: Order = "dmy") -> date:
    """The date of a cell. Raises CellError; a year of two digits is refused, not completed."""
    clean = text.strip().upper()
    if len(clean) > _LONGEST:
        raise CellError("the due date is no date")
    if match := _ISO.fullmatch(clean):
        return _date(int(match[1]), int(match[3]), int(match[4]))
    if match := _NUMBERS.fullmatch(clean):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        day, month = (first, second) if order == "dmy" else (second, first)
        if month > 12 >= day:
            other = "mdy" if order == "dmy" else "dmy"
            raise CellError(
                f"the due date has no such month: if the file is, say --date-order {other}"
            )
        return _date(year, month, day)
    if (match := _NAMED.fullmatch(clean)) and match[2][:3] in _MONTHS:
        return _date(int(match[3]), _MONTHS[match[2][:3]], int(match[1]))
    if _SHORT_YEAR.fullmatch(clean):
        raise CellError("the due date's year has two digits: write four")
    raise CellError("the due date is no date: write it like 2026-01-31 or 31/01/2026")


def date_of_cell(value: date | datetime) -> date:
    """The date of a spreadsheet's date cell. Raises CellError where it cannot be a due date."""
    day = value.date() if isinstance(value, datetime) else value
    return _date(day.year, day.month, day.day)


def order_proven(text: str) -> Order | Literal["open"] | None:
    """The order that a date proves: 31/01/2026 is day first, 01/31/2026 month first, 03/04/2026
    may be either; None for a text that is written in another way."""
    match = _NUMBERS.fullmatch(text.strip().upper()) if len(text) <= _LONGEST else None
    if match is None:
        return None
    first, second = int(match[1]), int(match[3])
    if first > 12 >= second:
        return "dmy"
    return "mdy" if second > 12 >= first else "open"


def _date(year: int, month: int, day: int) -> date:
    if not EARLIEST <= year <= LATEST:
        raise CellError(f"the due date's year is not between {EARLIEST} and {LATEST}")
    try:
        return date(year, month, day)
    except ValueError:
        raise CellError("the due date is not in the calendar") from None
