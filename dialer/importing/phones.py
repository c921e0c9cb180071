"""Phone numbers to E.164, by the numbering plans that ``phonenumbers`` carries."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

from dialer.domain.debtor_row import PhoneEntry
from dialer.domain.model import LineType
from dialer.importing.errors import CellError
from dialer.importing.numbering import plain_number

MOST = 10  # numbers of one cell
_LONGEST = 60
_IGNORED = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_BETWEEN = re.compile(r"[/;,|\n\r\t]| y | o | and | or ", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?:tel[.:]?\s*)?\+?[0-9\s().\u00a0\u2010-\u2015-]+(?:(?:ext|x)[.:]?\s*[0-9]{1,6})?",
    re.IGNORECASE,
)
_SCIENTIFIC = re.compile(r"[0-9][.,][0-9]+E\+?[0-9]+", re.IGNORECASE)
_NOT_DIGITS = re.compile(r"[^0-9+]")
# Since August 2019 Mexican numbers have ten digits, and nothing is dialled before them (IFT,
# Plan Técnico Fundamental de Numeración); lists still have the 1 after 52, and 01, 044 and 045.
_OLD_MEXICAN = re.compile(r"(?:(?:\+|00)?521|01|044|045)([0-9]{10})")

_TYPES = {
    PhoneNumberType.MOBILE: LineType.MOBILE,
    PhoneNumberType.FIXED_LINE: LineType.FIXED,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: LineType.FIXED_OR_MOBILE,
}
# Where mobile numbers belong to a place: Mexico, Argentina, Brazil, Indonesia, China.
_GEO_MOBILE = frozenset({"52", "54", "55", "62", "86"})
_COSTLY = (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST)


def split_phones(cell: str) -> list[str]:
    """The numbers of a cell that may hold several, as written."""
    return [part for part in (p.strip() for p in _BETWEEN.split(_IGNORED.sub("", cell))) if part]


def parse_phone(text: str, country: str) -> PhoneEntry:
    """The number in E.164; one without ``+`` is read as dialled inside ``country`` (ISO 3166).

    Raises CellError where it is none of any numbering plan, or costs the caller more than a call.
    """
    text = _IGNORED.sub("", text).strip()
    if _SCIENTIFIC.fullmatch(text):
        raise CellError(
            "a spreadsheet has shortened the phone number (6,00E+08): format it as text"
        )
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        raise CellError("a phone number has characters that are none of a number")
    if country == "MX" or text.startswith(("+52", "0052")):
        text = _OLD_MEXICAN.sub(r"+52\1", _NOT_DIGITS.sub("", text))
    if plain := plain_number(text, country):
        return plain
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException:
        raise CellError(f"a phone number is none of {country}") from None
    kind = phonenumbers.number_type(number)  # unknown for every number that is not valid
    if kind == PhoneNumberType.UNKNOWN:
        raise CellError(f"a phone number is in no numbering plan (read as of {country})")
    if kind in _COSTLY:
        raise CellError("a phone number is of premium rate")
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return PhoneEntry(e164, _TYPES.get(kind, LineType.OTHER))


def zone_of_phone(entry: PhoneEntry) -> str | None:
    """The one time zone that a number can be in, None where it can be in several."""
    code = _country_code(entry.number[1:4])
    if entry.line_type in (LineType.FIXED, LineType.FIXED_OR_MOBILE) or code in _GEO_MOBILE:
        return _only_zone(entry.number[1 : 1 + TIMEZONE_LONGEST_PREFIX])
    return _only_zone(code)


@lru_cache(maxsize=1024)
def _country_code(digits: str) -> str:
    """Of the first three digits of a valid number in E.164."""
    for length in (1, 2, 3):
        if int(digits[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return digits[:length]
    return digits


def _only_zone(digits: str) -> str | None:
    for length in range(len(digits), 0, -1):
        zones = TIMEZONE_DATA.get(digits[:length])
        if zones is not None:
            return zones[0] if len(zones) == 1 else None
    return None
