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

from dialer.store.plan_says import PlanSays, PlanWarns

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class CountryRules:
    """``window`` as a campaign file writes it; caps count calls and messages together.

    For calls to which an agent comes: ``max_abandoned``, the share (0 to 1) of live answers within
    ``abandoned_days`` that may be left without one; ``hold``, how long who answered may wait for
    one, and ``ring_min``, how long it rings at least, in seconds.
    """

    window: tuple[str, ...]
    source: str
    max_per_day: int = 4
    max_per_week: int = 7
    max_abandoned: float = 0.03
    abandoned_days: float = 1.0
    hold: float = 2.0
    ring_min: float = 15.0
    abandoned_source: str = "no rule known: the British practice as a cautious default"


CAUTIOUS = CountryRules(("mon-fri 09:00-19:00",), "no rule known: the cautious default")

COUNTRIES: dict[str, CountryRules] = {
    "US": CountryRules(
        ("mon-sun 08:00-21:00",),
        "Regulation F, 12 CFR 1006.6 and 1006.14",
        # Of telemarketing, and "per 30 days of a campaign"; for collections a choice, not a duty.
        abandoned_days=30.0,
        abandoned_source="TSR safe harbour, 16 CFR 310.4(b)(4): 3 % a campaign in 30 days",
    ),
    "GB": CountryRules(
        ("mon-fri 09:00-19:00",),
        "FCA CONC 7; no fixed hours: cautious",
        abandoned_source="Ofcom, persistent misuse: 3 % in 24 hours, 2 s, 15 s, 72 hours",
    ),
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
        raise ValueError(PlanSays.NO_PHONE_NUMBER.say(text=text)) from error
    if not phonenumbers.is_valid_number(number):
        raise ValueError(PlanSays.NO_PLAN_HAS.say(text=text))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def refused_caller_ids(numbers: Iterable[str], country: str, on: date) -> list[str]:
    """Why some of these caller IDs (E.164) may not be shown in a campaign of that country."""
    if country != "ES" or on < SPAIN_NO_MOBILE_FROM:
        return []
    return [
        PlanSays.SPAIN_NO_MOBILE.say(number=number, since=str(SPAIN_NO_MOBILE_FROM))
        for number in numbers
        if _type(number) == PhoneNumberType.MOBILE
    ]


def doubtful_caller_ids(numbers: Iterable[str], country: str, on: date) -> list[str]:
    """What to look at before using them, in words."""
    numbers = tuple(numbers)
    doubts: list[str] = []
    if country == "CL" and on >= CHILE_PREFIX_FROM:
        doubts += [
            PlanWarns.CHILE_600.say(number=number, since=str(CHILE_PREFIX_FROM))
            for number in numbers
            if not number.startswith("+56600")
        ]
    abroad = [n for n in numbers if phonenumbers.region_code_for_number(_parsed(n)) != country]
    if abroad:
        doubts.append(PlanWarns.ABROAD.say(country=country, numbers=", ".join(abroad)))
    return doubts


def _parsed(number: str) -> phonenumbers.PhoneNumber:
    return phonenumbers.parse(number, None)


def _type(number: str) -> int:
    kind: int = phonenumbers.number_type(_parsed(number))
    return kind
