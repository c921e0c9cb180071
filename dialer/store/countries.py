"""What a country's rules say about calls: defaults of a campaign, and what is warned about.

Not legal advice; each row names its source. Where no rule was found the default is cautious. A
campaign file may say otherwise: what is wider than the table is warned about, what a rule forbids
outright is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import phonenumbers
from phonenumbers import PhoneNumberType

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class CountryRules:
    """``window`` as a campaign file writes it; caps count calls and messages together."""

    window: tuple[str, ...]
    source: str
    max_per_day: int = 4
    max_per_week: int = 7


CAUTIOUS = CountryRules(("mon-fri 09:00-19:00",), "no rule known: the cautious default")

COUNTRIES: dict[str, CountryRules] = {
    "US": CountryRules(("mon-sun 08:00-21:00",), "Regulation F, 12 CFR 1006.6 and 1006.14"),
    "GB": CountryRules(("mon-fri 09:00-19:00",), "FCA CONC 7; no fixed hours: cautious"),
    "ES": CountryRules(("mon-fri 09:00-21:00",), "TRLGDCU art. 96, by analogy"),
    "CO": CountryRules(
        ("mon-fri 07:00-19:00", "sat 08:00-15:00"), "Ley 2300 de 2023 art. 3", max_per_day=1
    ),
    "CL": CountryRules(
        ("mon-fri 08:00-20:00",), "Ley 19.496 art. 37 (Ley 21.320)", max_per_day=1, max_per_week=1
    ),
    "MX": CountryRules(("mon-fri 07:00-22:00",), "CONDUSEF, DOF 2014-10-07, stricter reading"),
    "PE": CountryRules(("mon-fri 07:00-20:00",), "Ley 29571 arts. 61-62"),
    "AR": CountryRules(("mon-fri 09:00-19:00",), "Ley 24.240 art. 8 bis; no national hours"),
    "BR": CountryRules(
        ("mon-fri 08:00-19:00", "sat 08:00-14:00"), "CDC art. 42; the strictest states"
    ),
}

SPAIN_NO_MOBILE_FROM = date(2025, 6, 7)
CHILE_PREFIX_FROM = date(2025, 8, 13)


def rules_of(country: str) -> CountryRules:
    """The country's row (ISO 3166), or the cautious default."""
    return COUNTRIES.get(country, CAUTIOUS)


def parse_caller_id(text: str, country: str) -> str:
    """The number in E.164; national writing is read as the company's country.

    Raises ValueError saying what is wrong with it: a caller ID must be one that can be called.
    """
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"{text} is no phone number; write it like +34910123456") from error
    if not phonenumbers.is_valid_number(number):
        raise ValueError(
            f"{text} is not a number of any numbering plan; a caller ID must be the company's own"
            " and one that can be called back"
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def refused_caller_ids(numbers: Iterable[str], country: str, on: date) -> list[str]:
    """Why some of these caller IDs (E.164) may not be shown in a campaign of that country."""
    if country != "ES" or on < SPAIN_NO_MOBILE_FROM:
        return []
    return [
        f"{number} is a mobile number: in Spain it may not be the caller ID of such calls since"
        f" {SPAIN_NO_MOBILE_FROM} (Orden TDF/149/2025); use a fixed or 800/900 number"
        for number in numbers
        if _type(number) == PhoneNumberType.MOBILE
    ]


def doubtful_caller_ids(numbers: Iterable[str], country: str, on: date) -> list[str]:
    """What to look at before using them, in words."""
    numbers = tuple(numbers)
    doubts = []
    if country == "CL" and on >= CHILE_PREFIX_FROM:
        doubts += [
            f"{number} does not begin with 600: Chile asks it of mass calls since"
            f" {CHILE_PREFIX_FROM} (SUBTEL Res. 286/2025), said to include collections"
            for number in numbers
            if not number.startswith("+56600")
        ]
    abroad = [n for n in numbers if phonenumbers.region_code_for_number(_parsed(n)) != country]
    if abroad:
        doubts.append(f"not numbers of {country}: {', '.join(abroad)}; many debtors do not answer")
    return doubts


def _parsed(number: str) -> phonenumbers.PhoneNumber:
    return phonenumbers.parse(number, None)


def _type(number: str) -> int:
    kind: int = phonenumbers.number_type(_parsed(number))
    return kind
