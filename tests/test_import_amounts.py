"""Amounts: read exactly as they were meant, or refused. Never anything between."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.currency import MINOR_DIGITS
from dialer.domain.model import Money
from dialer.importing.amounts import Notation, Proofs, money_of_number, parse_amount
from dialer.importing.currencies import parse_currency
from dialer.importing.errors import CellError

COMMA, POINT, OPEN = Notation(","), Notation("."), Notation()
TOLD_COMMA, TOLD_POINT = Notation(",", told=True), Notation(".", told=True)


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("1.234,56", 123456),
        ("1,234.56", 123456),
        ("1234.5", 123450),
        ("1234,5", 123450),
        ("1234", 123400),
        ("1.234.567", 123456700),
        ("1,234,567.8", 123456780),
        ("1 234,50", 123450),
        ("1\u00a0234,50", 123450),
        ("1\u202f234,50 €", 123450),
        ("1'234.50", 123450),
        ("1’234’567.50", 123456750),
        ("1'234,567.89", 123456789),
        ("0,50", 50),
        (".50", 50),
        ("0.500", 50),
        ("1234.5000", 123450),
        ("12,50 €", 1250),
        ("€12.50", 1250),
        ("EUR 12.50", 1250),
        ("12.50 eur", 1250),
        ("99999999999,99", 9999999999999),
    ],
)
def test_an_amount_with_one_reading_needs_no_notation(text: str, minor: int) -> None:
    assert parse_amount(text, "EUR", OPEN) == Money(minor, "EUR")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a number"),
        ("abc", "not a number"),
        ("12 €uros", "not a number"),
        ("1e5", "not a number"),
        ("١٢٣", "not a number"),
        ("1234.", "not a number"),
        ("12.50.", "not a number"),
        ("1" * 60, "not a number"),
        ("-5", "negative"),
        ("−5", "negative"),
        ("(5,00)", "negative"),
        ("5-", "negative"),
        ("0", "zero"),
        ("0,00", "zero"),
        ("00012345", "begins with zeros"),
        ("007.50", "begins with zeros"),
        ("1,23,4", "groups"),
        ("12 50", "groups"),
        ("1234.567.890", "groups"),
        ("1.23,456,7", "groups"),
        ("12,505", "two ways"),
        ("12,5051", "4 decimals; EUR has 2"),
        ("1234,567", "3 decimals; EUR has 2"),
        ("9" * 18, "too large"),
        ("9" * 30, "too large"),
        ("$ 12.50", "not that of EUR"),
        ("12.50 USD", "not that of EUR"),
        ("12.50 XQX", "no currency"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(CellError, match=why):
        parse_amount(text, "EUR", OPEN)


def test_three_digits_after_one_mark_are_read_by_the_notation_alone() -> None:
    with pytest.raises(CellError, match="1234 or 1.234.*--decimal"):
        parse_amount("1.234", "EUR", OPEN)
    with pytest.raises(CellError, match="two ways"):
        parse_amount("1.234", "EUR", Notation(mixed=True))
    assert parse_amount("1.234", "EUR", COMMA).minor == 123400
    assert parse_amount("1.234", "EUR", TOLD_COMMA).minor == 123400
    assert parse_amount("1,234", "EUR", POINT).minor == 123400


def test_a_decimal_reading_with_three_digits_wants_the_users_word() -> None:
    with pytest.raises(CellError, match="two ways"):
        parse_amount("1.500", "EUR", POINT)
    assert parse_amount("1.500", "EUR", TOLD_POINT).minor == 150
    with pytest.raises(CellError, match="3 decimals"):
        parse_amount("1.505", "EUR", TOLD_POINT)


def test_what_contradicts_the_users_word_is_refused() -> None:
    for text in ("12.50", "1,234.56", "1,234,567"):
        with pytest.raises(CellError, match="not written with ','"):
            parse_amount(text, "EUR", TOLD_COMMA)
        assert parse_amount(text, "EUR", TOLD_POINT).minor > 0


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("350.000", "CLP", 350000),
        ("1.250.000", "CLP", 1250000),
        ("1500,00", "CLP", 1500),
        ("$ 350.000", "CLP", 350000),
        ("1.250.000,50", "COP", 125000050),
        ("S/ 1,234.50", "PEN", 123450),
        ("S/. 50", "PEN", 5000),
        ("US$ 20.00", "USD", 2000),
        ("1,234.567", "KWD", 1234567),
    ],
)
def test_the_currencys_own_decimals_count(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, currency, OPEN) == Money(minor, currency)


def test_pesos_without_decimals_are_not_given_any() -> None:
    with pytest.raises(CellError, match="CLP has 0"):
        parse_amount("1500,50", "CLP", OPEN)
    with pytest.raises(CellError, match="two ways"):  # this file has decimals: 150.00 and 150.000
        parse_amount("150.000", "CLP", POINT)
    with pytest.raises(CellError, match="two ways"):
        parse_amount("350.000", "COP", OPEN)


def test_the_sign_tells_the_currency_where_it_is_one_alone() -> None:
    assert parse_amount("12,50 €", None, OPEN) == Money(1250, "EUR")
    assert parse_amount("MXN 12.50", None, OPEN) == Money(1250, "MXN")
    for text in ("$ 12.50", "12.50"):
        with pytest.raises(CellError, match="no currency"):
            parse_amount(text, None, OPEN)


def test_a_file_proves_its_notation() -> None:
    assert _notation("12,50", "1.234", "99") == COMMA
    assert _notation("1.234.567", "350.000") == COMMA
    assert _notation("1,234,567", "12.5") == POINT
    assert _notation("1.234", "99", "nonsense") == OPEN
    assert _notation("12,50", "12.50") == Notation(mixed=True)


def test_one_slip_does_not_prove_the_notation_of_a_file() -> None:
    assert _notation("12,50", *["1.234"] * 200) == OPEN
    assert _notation("12,50", "13,50", *["1.234"] * 200) == COMMA


@pytest.mark.parametrize(
    ("value", "minor"),
    [(1234.5, 123450), (1234, 123400), (0.1 + 0.2, 30), (1e-2, 1), (123456789.01, 12345678901)],
)
def test_a_number_of_a_workbook_is_exact(value: float, minor: int) -> None:
    assert money_of_number(value, "EUR").minor == minor


@pytest.mark.parametrize("value", [0, -1, 1.005, float("nan"), float("inf"), 1e16, 1e-9])
def test_a_number_that_is_no_amount_is_refused(value: float) -> None:
    with pytest.raises(CellError):
        money_of_number(value, "EUR")


def test_currencies_by_code_and_by_name() -> None:
    assert parse_currency(" eur ") == "EUR"
    assert parse_currency("euros") == "EUR"
    assert parse_currency("pesos") is None
    assert parse_currency("$") is None
    assert (MINOR_DIGITS["CLP"], MINOR_DIGITS["COP"], MINOR_DIGITS["KWD"]) == (0, 2, 3)
    assert not {"EUR", "MXN", "COP", "CLP", "PEN", "ARS", "USD"} - MINOR_DIGITS.keys()


def _notation(*texts: str) -> Notation:
    proofs = Proofs()
    for text in texts:
        proofs.add(text)
    return proofs.notation()


# --- properties ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Style:
    """A way to write money: what groups thousands, what is decimal, when decimals are shown."""

    group: str
    decimal: str
    always: bool

    def write(self, money: Money) -> str:
        places = MINOR_DIGITS[money.currency]
        whole, fraction = divmod(money.minor, 10**places)
        text = f"{whole:,}".replace(",", self.group)
        if not places or (not fraction and not self.always):
            return text
        return f"{text}{self.decimal}{fraction:0{places}d}"


STYLES = st.builds(
    Style, st.sampled_from(["", ".", ",", "'", " ", "\u00a0"]), st.sampled_from(".,"), st.booleans()
).filter(lambda style: style.group != style.decimal)
CURRENCIES = st.sampled_from(["EUR", "MXN", "COP", "CLP", "PEN", "ARS", "USD"])
MONEY = st.builds(Money, st.integers(1, 10**13), CURRENCIES) | st.builds(
    Money, st.integers(1, 2_000).map(lambda n: n * 1000), CURRENCIES
)


@given(MONEY, STYLES)
def test_what_was_written_is_read_with_the_notation_told(money: Money, style: Style) -> None:
    told = Notation(style.decimal, told=True)
    assert parse_amount(style.write(money), money.currency, told) == money


@given(MONEY, STYLES)
def test_without_a_notation_an_amount_is_right_or_refused(money: Money, style: Style) -> None:
    _right_or_refused(money, style, OPEN)


@given(st.lists(MONEY, min_size=1, max_size=30), STYLES)
def test_by_a_files_own_proof_an_amount_is_right_or_refused(
    file: list[Money], style: Style
) -> None:
    notation = _notation(*(style.write(money) for money in file))
    assert not notation.mixed
    assert notation.decimal in (None, style.decimal)
    for money in file:
        _right_or_refused(money, style, notation)


@given(
    st.text(alphabet="0123456789.,' -€$S/()", max_size=20), st.sampled_from([OPEN, COMMA, POINT])
)
def test_any_text_is_money_or_refused(text: str, notation: Notation) -> None:
    try:
        money = parse_amount(text, "EUR", notation)
    except CellError:
        return
    assert money.minor > 0
    digits = "".join(filter(str.isdigit, text))
    assert str(money.minor).rstrip("0") == digits.strip("0")


def _right_or_refused(money: Money, style: Style, notation: Notation) -> None:
    try:
        read = parse_amount(style.write(money), money.currency, notation)
    except CellError as error:
        assert "two ways" in str(error)  # noqa: PT017  (it need not be refused)
    else:
        assert read == money
