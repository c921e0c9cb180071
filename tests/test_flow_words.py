"""Money, dates and numbers in words, held against a table written by hand."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.model import Money
from dialer.domain.payment import Brand
from dialer.flow import words_en, words_es
from dialer.flow.words import (
    LANGUAGES,
    LIMIT,
    PAUSE,
    SPOKEN,
    WordsError,
    all_fragments,
    amount_fragments,
    amount_words,
    date_fragments,
    date_words,
    number_words,
    say_brand,
    say_code,
    say_digits,
)
from dialer.flow.words import words as sentence

AMOUNTS = [
    # minor, currency, Spanish, English
    (0, "EUR", "cero euros", "zero euros"),
    (1, "EUR", "un céntimo", "one cent"),
    (2, "EUR", "dos céntimos", "two cents"),
    (21, "EUR", "veintiún céntimos", "twenty-one cents"),
    (31, "EUR", "treinta y un céntimos", "thirty-one cents"),
    (100, "EUR", "un euro", "one euro"),
    (101, "EUR", "un euro con un céntimo", "one euro and one cent"),
    (200, "EUR", "dos euros", "two euros"),
    (1600, "EUR", "dieciséis euros", "sixteen euros"),
    (2100, "EUR", "veintiún euros", "twenty-one euros"),
    (2200, "EUR", "veintidós euros", "twenty-two euros"),
    (3100, "EUR", "treinta y un euros", "thirty-one euros"),
    (10000, "EUR", "cien euros", "one hundred euros"),
    (10100, "EUR", "ciento un euros", "one hundred and one euros"),
    (12100, "EUR", "ciento veintiún euros", "one hundred and twenty-one euros"),
    (50000, "EUR", "quinientos euros", "five hundred euros"),
    (
        75050,
        "EUR",
        "setecientos cincuenta euros con cincuenta céntimos",
        "seven hundred and fifty euros and fifty cents",
    ),
    (99999, "EUR", "novecientos noventa y nueve euros con noventa y nueve céntimos",
     "nine hundred and ninety-nine euros and ninety-nine cents"),
    (100000, "EUR", "mil euros", "one thousand euros"),
    (100100, "EUR", "mil un euros", "one thousand and one euros"),
    (
        123456,
        "EUR",
        "mil doscientos treinta y cuatro euros con cincuenta y seis céntimos",
        "one thousand two hundred and thirty-four euros and fifty-six cents",
    ),
    (2100000, "EUR", "veintiún mil euros", "twenty-one thousand euros"),
    (3100000, "EUR", "treinta y un mil euros", "thirty-one thousand euros"),
    (2102100, "EUR", "veintiún mil veintiún euros", "twenty-one thousand and twenty-one euros"),
    (10100000, "EUR", "ciento un mil euros", "one hundred and one thousand euros"),
    (100000000, "EUR", "un millón de euros", "one million euros"),
    (100010000, "EUR", "un millón cien euros", "one million one hundred euros"),
    (200000000, "EUR", "dos millones de euros", "two million euros"),
    (2100000000, "EUR", "veintiún millones de euros", "twenty-one million euros"),
    (
        123456789,
        "EUR",
        "un millón doscientos treinta y cuatro mil quinientos sesenta y siete euros con ochenta y nueve céntimos",  # noqa: E501
        "one million two hundred and thirty-four thousand five hundred and sixty-seven euros and eighty-nine cents",  # noqa: E501
    ),
    (100, "MXN", "un peso mexicano", "one Mexican peso"),
    (
        250050,
        "MXN",
        "dos mil quinientos pesos mexicanos con cincuenta centavos",
        "two thousand five hundred Mexican pesos and fifty centavos",
    ),
    (101, "MXN", "un peso mexicano con un centavo", "one Mexican peso and one centavo"),
    (100000000, "MXN", "un millón de pesos mexicanos", "one million Mexican pesos"),
    (
        15000000,
        "COP",
        "ciento cincuenta mil pesos colombianos",
        "one hundred and fifty thousand Colombian pesos",
    ),
    (
        250000000,
        "COP",
        "dos millones quinientos mil pesos colombianos",
        "two million five hundred thousand Colombian pesos",
    ),
    (
        100000000000,
        "COP",
        "mil millones de pesos colombianos",
        "one billion Colombian pesos",
    ),
    (
        100000000000000,
        "COP",
        "un billón de pesos colombianos",
        "one trillion Colombian pesos",
    ),
    (100, "COP", "un peso colombiano", "one Colombian peso"),
    (1, "CLP", "un peso chileno", "one Chilean peso"),
    (
        1250,
        "CLP",
        "mil doscientos cincuenta pesos chilenos",
        "one thousand two hundred and fifty Chilean pesos",
    ),
    (
        350021,
        "CLP",
        "trescientos cincuenta mil veintiún pesos chilenos",
        "three hundred and fifty thousand and twenty-one Chilean pesos",
    ),
    (1000000, "CLP", "un millón de pesos chilenos", "one million Chilean pesos"),
    (100, "PEN", "un sol", "one Peruvian sol"),
    (2121, "PEN", "veintiún soles con veintiún céntimos",
     "twenty-one Peruvian soles and twenty-one centimos"),
    (101, "PEN", "un sol con un céntimo", "one Peruvian sol and one centimo"),
    (
        8000090,
        "ARS",
        "ochenta mil pesos argentinos con noventa centavos",
        "eighty thousand Argentine pesos and ninety centavos",
    ),
    (100, "ARS", "un peso argentino", "one Argentine peso"),
    (100, "USD", "un dólar", "one dollar"),
    (199, "USD", "un dólar con noventa y nueve centavos", "one dollar and ninety-nine cents"),
    (4100, "USD", "cuarenta y un dólares", "forty-one dollars"),
    (
        71700000,
        "USD",
        "setecientos diecisiete mil dólares",
        "seven hundred and seventeen thousand dollars",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("minor", "currency", "spanish", "english"), AMOUNTS)
def test_amounts_are_said_as_people_say_them(
    minor: int, currency: str, spanish: str, english: str
) -> None:
    money = Money(minor, currency)
    assert amount_words(money, "es") == spanish
    assert amount_words(money, "en") == english


def test_the_table_has_every_currency() -> None:
    assert {currency for _, currency, _, _ in AMOUNTS} == set(SPOKEN)


@pytest.mark.parametrize(
    ("day", "spanish", "english"),
    [
        (
            date(2026, 3, 1),
            "primero de marzo de dos mil veintiséis",
            "March first twenty twenty-six",
        ),
        (
            date(2026, 2, 21),
            "veintiuno de febrero de dos mil veintiséis",
            "February twenty-first twenty twenty-six",
        ),
        (
            date(2005, 12, 31),
            "treinta y uno de diciembre de dos mil cinco",
            "December thirty-first two thousand and five",
        ),
        (date(2000, 1, 2), "dos de enero de dos mil", "January second two thousand"),
        (
            date(1999, 9, 13),
            "trece de septiembre de mil novecientos noventa y nueve",
            "September thirteenth nineteen ninety-nine",
        ),
        (
            date(2100, 8, 22),
            "veintidós de agosto de dos mil cien",
            "August twenty-second twenty-one hundred",
        ),
    ],
)
def test_dates_are_said_as_people_say_them(day: date, spanish: str, english: str) -> None:
    assert date_words(day, "es") == spanish
    assert date_words(day, "en") == english


def test_a_day_near_at_hand_is_said_without_its_year() -> None:
    assert date_words(date(2026, 3, 31), "es", with_year=False) == "treinta y uno de marzo"
    assert date_words(date(2026, 3, 31), "en", with_year=False) == "March thirty-first"


def test_a_number_by_itself_is_not_shortened() -> None:
    assert number_words(21, "es") == "veintiuno"
    assert number_words(1_000_001, "es") == "un millón uno"
    assert number_words(21_021, "es") == "veintiún mil veintiuno"


def test_a_telephone_number_is_said_digit_by_digit() -> None:
    assert [one.text for one in say_digits("+34 901", "es")] == ["tres", "cuatro", "nueve", "cero",
                                                               "uno"]  # fmt: skip


@pytest.mark.parametrize("money", [Money(-1, "EUR"), Money(LIMIT * 100, "EUR"), Money(5, "GBP")])
def test_what_has_no_words_is_refused(money: Money) -> None:
    with pytest.raises(WordsError):
        amount_words(money, "es")


def test_a_language_without_words_is_refused() -> None:
    with pytest.raises(WordsError, match="es, en"):
        number_words(1, "fr")


# --- what holds for all of them ---------------------------------------------------------------

languages = st.sampled_from(LANGUAGES)
currencies = st.sampled_from(sorted(SPOKEN))
numbers = st.one_of(
    st.integers(0, 3000), st.integers(0, LIMIT - 1), st.integers(0, 17).map(lambda e: 10**e)
)


@given(numbers, currencies, languages)
def test_every_amount_is_made_of_fragments_that_are_rendered(
    minor: int, currency: str, language: str
) -> None:
    money = Money(minor, currency)
    rendered = all_fragments(language)
    keys = amount_fragments(money, language)
    assert " ".join(rendered[key] for key in keys) == amount_words(money, language)


@given(st.dates(), languages)
def test_every_date_is_made_of_fragments_that_are_rendered(day: date, language: str) -> None:
    rendered = all_fragments(language)
    keys = date_fragments(day, language)
    assert " ".join(rendered[key] for key in keys) == date_words(day, language)


@given(numbers, numbers, languages)
def test_two_numbers_never_sound_the_same(one: int, other: int, language: str) -> None:
    same = number_words(one, language) == number_words(other, language)
    assert same == (one == other)


_UNITS = (
    "cero|uno un|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|trece|catorce|quince|"
    "dieciséis|diecisiete|dieciocho|diecinueve|veinte|veintiuno veintiún|veintidós|veintitrés|"
    "veinticuatro|veinticinco|veintiséis|veintisiete|veintiocho|veintinueve"
)
_TENS = "treinta|cuarenta|cincuenta|sesenta|setenta|ochenta|noventa|cien ciento"
_HUNDREDS = (
    "doscientos|trescientos|cuatrocientos|quinientos|seiscientos|setecientos|ochocientos|"
    "novecientos"
)
_VALUES = {
    word: first + index * each
    for first, each, names in ((0, 1, _UNITS), (30, 10, _TENS), (200, 100, _HUNDREDS))
    for index, alike in enumerate(names.split("|"))
    for word in alike.split()
}


def _read_spanish(text: str) -> int:
    """The number that Spanish words mean: a reader written without a look at the writer."""
    total, group = 0, 0
    billions = 0
    for word in text.replace(" y ", " ").split():
        if word == "mil":
            group = (group or 1) * 1000 if group < 1000 else group
        elif word in ("millón", "millones"):
            total, group = total + group * 10**6, 0
        elif word in ("billón", "billones"):
            billions, group = group, 0
        else:
            group += _VALUES[word]
    return billions * 10**12 + total + group


@given(numbers)
def test_spanish_numbers_can_be_read_back(number: int) -> None:
    assert _read_spanish(number_words(number, "es")) == number


@given(numbers, currencies)
def test_spanish_shortens_only_before_a_noun_and_never_says_uno_pesos(
    minor: int, currency: str
) -> None:
    said = amount_words(Money(minor, currency), "es")
    assert not re.search(r"\b\w*uno\b", said)
    assert not re.search(r"mill(ón|ones) (euro|peso|sol|dólar)", said)


def test_one_thousand_is_mil_alone() -> None:
    assert number_words(1_000, "es") == "mil"
    assert number_words(1_001_000, "es") == "un millón mil"
    assert number_words(1_000_000_000, "es") == "mil millones"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_fragment_has_a_file_of_its_own(language: str) -> None:
    seen: dict[str, str] = {PAUSE.key: PAUSE.text}
    brands = [one for brand in Brand for one in say_brand(brand, language)]
    for one in [*{"es": words_es, "en": words_en}[language].every_fragment(), *brands]:
        assert re.fullmatch(r"[a-z]+/[a-z0-9_]+", one.key)
        assert seen.setdefault(one.key, one.text) == one.text
    assert seen == all_fragments(language)


@pytest.mark.parametrize(
    ("code", "spanish", "english"),
    [
        ("7", "siete", "seven"),
        ("A1B", "a uno be", "A one B"),
        ("a1b2", "a uno be, dos", "A one B, two"),
        ("04-WÑ8Y 9", "cero cuatro uve doble, ocho i griega nueve", "zero four W, eight Y nine"),
    ],
)
def test_a_code_is_read_in_threes(code: str, spanish: str, english: str) -> None:
    assert sentence(say_code(code, "es")) == spanish
    assert sentence(say_code(code, "en")) == english


def test_a_code_without_anything_to_say() -> None:
    with pytest.raises(WordsError, match="without letters and digits"):
        say_code("--", "es")


@given(st.text("ABCXYZ0189", min_size=1, max_size=12), st.sampled_from(LANGUAGES))
def test_every_sound_of_a_code_is_rendered(code: str, language: str) -> None:
    rendered = all_fragments(language)
    sounds = say_code(code, language)
    assert all(rendered[one.key] == one.text for one in sounds)
    assert len([one for one in sounds if one is not PAUSE]) == len(code)


def test_brands_are_said_as_people_call_them() -> None:
    assert sentence(say_brand(Brand.AMEX, "es")) == "American Express"
    assert sentence(say_brand(Brand.JCB, "es")) == "jota ce be"
    assert sentence(say_brand(Brand.JCB, "en")) == "J C B"
