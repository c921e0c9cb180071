"""A country's numbering plan as one regular expression, for the plain numbers of a long list.

``phonenumbers`` tries a number against every kind of line in turn, each with checks of its own: a
third of the time of an import. Here its patterns for one country are compiled into one, in its own
order. Only numbers that need no interpretation are answered (national digits with nothing in front
of them but perhaps the country's own code, in a country that shares its code with none); all
others are left to the library. A property test holds both to the same answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import phonenumbers

from dialer.domain.debtor_row import PhoneEntry
from dialer.domain.model import LineType

_OTHERS = ("toll_free", "voip", "personal_number", "pager", "uan", "voicemail")
_LINE_TYPES = {
    "both": LineType.FIXED_OR_MOBILE,
    "fixed": LineType.FIXED,
    "mobile": LineType.MOBILE,
    **dict.fromkeys(_OTHERS, LineType.OTHER),
}
_BETWEEN_DIGITS = re.compile(r"[ .()\-]+")


@dataclass(frozen=True, slots=True)
class _Plan:
    code: str  # with the plus
    prefixes: re.Pattern[str]  # what may be dialled before national digits
    kinds: re.Pattern[str]


def plain_number(text: str, country: str) -> PhoneEntry | None:
    """The number of a text that needs no interpretation, None for all that may need it."""
    plan = _plan(country)
    if plan is None:
        return None
    digits = _BETWEEN_DIGITS.sub("", text).removeprefix(plan.code)
    if not (digits.isascii() and digits.isdigit()) or digits[0] == "0":
        return None
    if plan.prefixes.match(digits):
        return None
    match = plan.kinds.fullmatch(digits)
    kind = match.lastgroup if match is not None else None
    line_type = _LINE_TYPES.get(kind) if kind is not None else None
    return PhoneEntry(plan.code + digits, line_type) if line_type is not None else None


@cache
def _plan(country: str) -> _Plan | None:
    code = phonenumbers.country_code_for_region(country)
    if phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code) != (country,):
        return None
    plan = phonenumbers.PhoneMetadata.metadata_for_region(country, None)
    if plan is None:
        return None
    signs = filter(None, (plan.international_prefix, plan.national_prefix_for_parsing))
    return _Plan(
        f"+{code}",
        re.compile("|".join(f"(?:{sign})" for sign in signs) or "(?!)"),
        re.compile(f"(?={_pattern(plan.general_desc)}$)(?:{'|'.join(_kinds(plan))})"),
    )


def _kinds(plan: Any) -> list[str]:
    """The patterns in the order in which the library tries them, each a group of its name."""
    order = ("premium_rate", "toll_free", "shared_cost", *_OTHERS[1:])
    kinds = [f"(?P<{name}>{_pattern(getattr(plan, name))})" for name in order]
    fixed, mobile = _pattern(plan.fixed_line), _pattern(plan.mobile)
    if plan.same_mobile_and_fixed_line_pattern:
        return [*kinds, f"(?P<both>{fixed})"]
    both = f"(?P<both>(?={mobile}$){fixed})"
    return [*kinds, both, f"(?P<fixed>{fixed})", f"(?P<mobile>{mobile})"]


def _pattern(kind: Any) -> str:
    """Of one kind of line; one that nothing matches where the country has none."""
    if kind is None or not kind.national_number_pattern:
        return "(?!)"
    lengths = "|".join(f"[0-9]{{{length}}}" for length in kind.possible_length)
    held = f"(?=(?:{lengths})$)" if lengths else ""
    return f"(?:{held}(?:{kind.national_number_pattern}))"
