"""Money, dates and numbers in words, in every language the product speaks.

Two views of the same sentence: ``amount_words`` for people (a transcript, a page) and
``amount_fragments`` for the line (keys of sound files rendered beforehand).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from dialer.domain.currency import minor_digits
from dialer.domain.model import Money
from dialer.domain.payment import Brand
from dialer.flow import words_en, words_es
from dialer.flow.fragments import PAUSE, Fragment, fragment, words

LANGUAGES = ("es", "en")
SPOKEN = ("EUR", "MXN", "COP", "CLP", "PEN", "ARS", "USD")
"""Currencies that can be said."""
LIMIT = 10**18
"""Numbers below this have words."""

CODE_GROUP = 3
"""Characters of a code that are said in one breath: what somebody writes down at once."""

_BRANDS = {
    Brand.VISA: "Visa",
    Brand.MASTERCARD: "Mastercard",
    Brand.AMEX: "American Express",
    Brand.MAESTRO: "Maestro",
    Brand.DISCOVER: "Discover",
    Brand.DINERS_CLUB: "Diners Club",
    Brand.UNIONPAY: "Union Pay",
}  # JCB is its letters


class WordsError(ValueError):
    """There are no words for this; the message says what there are words for."""


@dataclass(frozen=True, slots=True)
class _Grammar:
    amount: Callable[[int, int, str], list[Fragment]]
    day: Callable[[int, int], list[Fragment]]
    year: Callable[[int], list[Fragment]]
    cardinal: Callable[[int], list[Fragment]]
    letter: Callable[[str], Fragment]
    every_fragment: Callable[[], Iterator[Fragment]]


_GRAMMARS = {
    "es": _Grammar(
        words_es.amount,
        words_es.day,
        words_es.year,
        lambda n: words_es.cardinal(n, short=False),
        words_es.letter,
        words_es.every_fragment,
    ),
    "en": _Grammar(
        words_en.amount,
        words_en.day,
        words_en.year,
        words_en.cardinal,
        words_en.letter,
        words_en.every_fragment,
    ),
}


def _grammar(language: str) -> _Grammar:
    try:
        return _GRAMMARS[language]
    except KeyError:
        raise WordsError(
            f"there are no words in language {language!r}: use one of {', '.join(LANGUAGES)}"
        ) from None


def say_number(number: int, language: str) -> list[Fragment]:
    """A number counted by itself (``veintiuno``). Raises WordsError outside 0..10**18-1."""
    if not 0 <= number < LIMIT:
        raise WordsError(f"there are no words for {number}: it must be 0 or more, below 10**18")
    return _grammar(language).cardinal(number)


def say_digits(digits: str, language: str) -> list[Fragment]:
    """Digit by digit, as a telephone number is said; other characters are left out."""
    return [
        one for d in digits if d.isascii() and d.isdigit() for one in say_number(int(d), language)
    ]


def say_code(code: str, language: str) -> list[Fragment]:
    """A code of letters and digits, one by one and slowly: in threes, with a pause between.

    Other characters are left out; raises WordsError where nothing is left.
    """
    sounds: list[Fragment] = []
    for one in code.lower():
        if one.isascii() and one.isalpha():
            sounds.append(_grammar(language).letter(one))
        else:
            sounds += say_digits(one, language)
    if not sounds:
        raise WordsError("there are no words for a code without letters and digits")
    said = sounds[:CODE_GROUP]
    for start in range(CODE_GROUP, len(sounds), CODE_GROUP):
        said += [PAUSE, *sounds[start : start + CODE_GROUP]]
    return said


def say_brand(brand: Brand, language: str) -> list[Fragment]:
    """A brand of cards as people call it."""
    name = _BRANDS.get(brand)
    if name is None:
        return [_grammar(language).letter(one) for one in brand.value]
    return [fragment("brand", name)]


def say_amount(money: Money, language: str) -> list[Fragment]:
    """An amount with its currency.

    Raises WordsError for a negative amount, one of 10**18 or more, or an unknown currency.
    """
    if money.currency not in SPOKEN:
        raise WordsError(
            f"there are no words for amounts in {money.currency}: use one of {', '.join(SPOKEN)}"
        )
    major, minor = divmod(money.minor, 10 ** minor_digits(money.currency))
    if money.minor < 0 or major >= LIMIT:
        raise WordsError("an amount to be said must be 0 or more, below 10**18")
    return _grammar(language).amount(major, minor, money.currency)


def say_date(day: date, language: str, *, with_year: bool = True) -> list[Fragment]:
    """``quince de marzo de dos mil veintiséis``; without its year for a day near at hand."""
    grammar = _grammar(language)
    return grammar.day(day.day, day.month) + (grammar.year(day.year) if with_year else [])


def amount_words(money: Money, language: str) -> str:
    """An amount as a sentence; raises as ``say_amount``."""
    return words(say_amount(money, language))


def date_words(day: date, language: str, *, with_year: bool = True) -> str:
    """A date as a sentence."""
    return words(say_date(day, language, with_year=with_year))


def number_words(number: int, language: str) -> str:
    """A number as a sentence; raises as ``say_number``."""
    return words(say_number(number, language))


def amount_fragments(money: Money, language: str) -> list[str]:
    """Keys of the sound files that say an amount; raises as ``say_amount``."""
    return [one.key for one in say_amount(money, language)]


def date_fragments(day: date, language: str, *, with_year: bool = True) -> list[str]:
    """Keys of the sound files that say a date."""
    return [one.key for one in say_date(day, language, with_year=with_year)]


def all_fragments(language: str) -> dict[str, str]:
    """Every key that amounts, dates, numbers, codes and brands can need -> the text to render."""
    brands = (one for brand in Brand for one in say_brand(brand, language))
    every = (*_grammar(language).every_fragment(), *brands, PAUSE)
    return {one.key: one.text for one in every}


__all__ = [
    "CODE_GROUP", "LANGUAGES", "LIMIT", "PAUSE", "SPOKEN", "Fragment", "WordsError",
    "all_fragments", "amount_fragments", "amount_words", "date_fragments", "date_words",
    "fragment", "number_words", "say_amount", "say_brand", "say_code", "say_date", "say_digits",
    "say_number", "words",
]  # fmt: skip
