"""Phones, documents, dates, countries and headers: what single cells mean."""

from __future__ import annotations

from datetime import date, datetime

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from dialer.domain.debtor_row import PhoneEntry
from dialer.domain.model import LineType
from dialer.importing.countries import only_zone, parse_country, parse_language
from dialer.importing.dates import date_of_cell, order_proven, parse_date
from dialer.importing.documents import normalise_document, plausible_document
from dialer.importing.errors import CellError, ImportFileError
from dialer.importing.headers import field_of, find_columns, simplify
from dialer.importing.phones import parse_phone, split_phones, zone_of_phone
from dialer.importing.rows import clean_text

# --- phones --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "country", "number", "line_type"),
    [
        ("600 123 123", "ES", "+34600123123", LineType.MOBILE),
        ("+34 600-123-123", "MX", "+34600123123", LineType.MOBILE),
        ("0034600123123", "ES", "+34600123123", LineType.MOBILE),
        ("34600123123", "ES", "+34600123123", LineType.MOBILE),
        ("(91) 234.56.78", "ES", "+34912345678", LineType.FIXED),
        ("\u202a+34600123123\u202c", "ES", "+34600123123", LineType.MOBILE),
        ("tel: 600123123 ext. 4", "ES", "+34600123123", LineType.MOBILE),
        ("900123123", "ES", "+34900123123", LineType.OTHER),
        ("55 1234 5678", "MX", "+525512345678", LineType.FIXED_OR_MOBILE),
        ("+52 1 55 1234 5678", "ES", "+525512345678", LineType.FIXED_OR_MOBILE),
        ("044 55 1234 5678", "MX", "+525512345678", LineType.FIXED_OR_MOBILE),
        ("01 55 1234 5678", "MX", "+525512345678", LineType.FIXED_OR_MOBILE),
        ("011 15-2345-6789", "AR", "+5491123456789", LineType.MOBILE),
        ("300 123 4567", "CO", "+573001234567", LineType.MOBILE),
        ("999 888 777", "PE", "+51999888777", LineType.MOBILE),
        ("(212) 555-1234", "US", "+12125551234", LineType.FIXED_OR_MOBILE),
        ("1 212 555 1234", "US", "+12125551234", LineType.FIXED_OR_MOBILE),
    ],
)
def test_numbers_are_read_by_the_countrys_rules(
    text: str, country: str, number: str, line_type: LineType
) -> None:
    assert parse_phone(text, country) == PhoneEntry(number, line_type)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("12345", "numbering plan"),
        ("112", "numbering plan"),
        ("500123123", "numbering plan"),
        ("+999123456789", "none of ES"),
        ("803123123", "premium"),
        ("6,00E+08", "spreadsheet"),
        ("600ABC123", "characters"),
        ("+cmd|' /C calc'!A0", "characters"),
        ("=600123123", "characters"),
        ("6" * 200, "characters"),
        ("", "characters"),
    ],
)
def test_what_is_no_number_is_refused(text: str, why: str) -> None:
    with pytest.raises(CellError, match=why):
        parse_phone(text, "ES")


def test_several_numbers_of_one_cell() -> None:
    assert split_phones("91 234 56 78 / 600111222; 600-111-333 y 600111444,,") == [
        "91 234 56 78",
        "600111222",
        "600-111-333",
        "600111444",
    ]


def test_the_zone_of_a_number_where_it_is_one_alone() -> None:
    zones = {
        text: zone_of_phone(parse_phone(text, "ES"))
        for text in ("922123456", "912345678", "600123123", "+526641234567", "+12125551234")
    }
    assert zones == {
        "922123456": "Atlantic/Canary",
        "912345678": "Europe/Madrid",
        "600123123": None,  # may be in the Canaries too
        "+526641234567": "America/Tijuana",
        "+12125551234": "America/New_York",
    }


_COUNTRIES = "ES MX CO CL PE AR US GB BR EC PT FR DE UY".split()
_LINES = {
    PhoneNumberType.FIXED_LINE: LineType.FIXED,
    PhoneNumberType.MOBILE: LineType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: LineType.FIXED_OR_MOBILE,
}
_KINDS = (*_LINES, PhoneNumberType.TOLL_FREE, PhoneNumberType.PREMIUM_RATE)


@st.composite
def _dialled(draw: st.DrawFn) -> tuple[str, str]:
    """Digits near a real number of a country, as somebody might write them."""
    country = draw(st.sampled_from(_COUNTRIES))
    examples = [phonenumbers.example_number_for_type(country, kind) for kind in _KINDS]
    known = [str(one.national_number) for one in examples if one is not None]
    start = draw(st.sampled_from(known))
    kept = draw(st.integers(0, len(start)))
    rest = draw(st.text("0123456789", min_size=len(start) - kept, max_size=len(start) - kept + 1))
    code = str(phonenumbers.country_code_for_region(country))
    before = draw(st.sampled_from(["", "0", "1", "9", "15", code, f"+{code}", f"00{code}"]))
    return before + start[:kept] + rest, country


@given(_dialled())
def test_a_number_is_what_the_numbering_plans_say(case: tuple[str, str]) -> None:
    text, country = case
    try:
        read = parse_phone(text, country)
    except CellError:
        read = None
    if country == "MX" and text.removeprefix("+").removeprefix("00").startswith(("521", "01")):
        return  # how Mexico dialled before 2019: the examples above
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        assert read is None
        return
    kind = phonenumbers.number_type(number)
    costly = kind in (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST)
    if not phonenumbers.is_valid_number(number) or costly:
        assert read is None
    else:
        assert read is not None
        assert read.number == phonenumbers.format_number(number, PhoneNumberFormat.E164)
        assert read.line_type is _LINES.get(kind, LineType.OTHER)


# --- documents -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("12345678z", "12345678Z"),
        (" 12.345.678-Z ", "12345678Z"),
        ("DNI 12345678Z", "12345678Z"),
        ("C.C. 1.020.304.050", "1020304050"),
        ("RUT: 12.345.678-5", "123456785"),
        ("X-1234567-L", "X1234567L"),
        ("CC123456", "CC123456"),  # a passport: nothing between letters and digits
        ("GODE561231GR8", "GODE561231GR8"),
    ],
)
def test_documents_are_written_in_one_way(text: str, document: str) -> None:
    assert normalise_document(text) == document


@pytest.mark.parametrize("text", ["", "Pérez", "123", "0000000", "1,23E+11", "A" * 20 + "1" * 20])
def test_what_tells_no_person_apart_is_refused(text: str) -> None:
    with pytest.raises(CellError):
        normalise_document(text)


@pytest.mark.parametrize(
    ("document", "country", "plausible"),
    [
        ("12345678Z", "ES", True),
        ("12345678A", "ES", False),
        ("X1234567L", "ES", True),
        ("123456785", "CL", True),
        ("123456784", "CL", False),
        ("1020304050", "CO", True),
        ("GODE561231GR8", "MX", True),
        ("45678912", "PE", True),
        ("20123456", "AR", True),
        ("ANYTHING1", "DE", True),
    ],
)
def test_documents_are_checked_by_country(document: str, country: str, plausible: bool) -> None:
    assert plausible_document(document, country) is plausible


# --- dates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31",
        "2026/1/31",
        "20260131",
        "2026-01-31T00:00:00Z",
        "2026-01-31 00:00:00",
        "31/01/2026",
        "31-1-2026",
        "31.01.2026",
        "31/01/2026 0:00",
        "31-ene-2026",
        "31 de enero de 2026",
        "31 January 2026",
    ],
)
def test_dates(text: str) -> None:
    assert parse_date(text) == date(2026, 1, 31)


def test_month_first_only_when_told() -> None:
    assert parse_date("03/04/2026") == date(2026, 4, 3)
    assert parse_date("03/04/2026", "mdy") == date(2026, 3, 4)
    with pytest.raises(CellError, match="--date-order mdy"):
        parse_date("01/31/2026")
    with pytest.raises(CellError, match="--date-order dmy"):
        parse_date("31/01/2026", "mdy")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("31/01/26", "two digits"),
        ("31/02/2026", "calendar"),
        ("31/13/2026", "calendar"),
        ("01/01/0026", "1970"),
        ("45658", "no date"),
        ("soon", "no date"),
        ("31-xyz-2026", "no date"),
        ("2026-01-31" * 10, "no date"),
    ],
)
def test_what_is_no_date_is_refused(text: str, why: str) -> None:
    with pytest.raises(CellError, match=why):
        parse_date(text)


def test_dates_of_workbooks_and_what_a_date_proves() -> None:
    assert date_of_cell(datetime(2026, 1, 31, 12)) == date(2026, 1, 31)
    assert order_proven("31/01/2026") == "dmy"
    assert order_proven("01/31/2026") == "mdy"
    assert order_proven("03/04/2026") == "open"
    assert order_proven("2026-01-31") is None


@given(st.dates(date(1970, 1, 1), date(2100, 12, 31)), st.sampled_from("/-."))
def test_every_date_is_read_in_every_writing(day: date, sign: str) -> None:
    d, m, y = f"{day.day:02d}", f"{day.month:02d}", f"{day.year}"
    assert parse_date(day.isoformat()) == day
    assert parse_date(sign.join((d, m, y))) == day
    assert parse_date(sign.join((m, d, y)), "mdy") == day


# --- texts, countries, languages -----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  María\u00a0 del\nMar ", "María del Mar"),
        ("Mari\u0301a", "María"),
        ("\ufeffJuan\u200b", "Juan"),
        ("-", ""),
        ("NULL", ""),
        ("#N/A", ""),
    ],
)
def test_texts_are_cleaned(text: str, clean: str) -> None:
    assert clean_text(text, "name") == clean


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "'=1+1", ' "=1', "\x00Juan", "\x1b[2J"],
)
def test_formulas_and_control_characters_are_refused(text: str) -> None:
    with pytest.raises(CellError):
        clean_text(text, "name")


def test_countries_languages_and_zones() -> None:
    assert [parse_country(t) for t in ("es", "México", "COL", "Narnia", "")] == [
        "ES",
        "MX",
        "CO",
        None,
        None,
    ]
    assert [parse_language(t) for t in ("es-MX", "en_GB", "Español", "Inglés", "fr", "este")] == [
        "es",
        "en",
        "es",
        "en",
        None,
        None,
    ]
    assert only_zone("CO") == "America/Bogota"
    assert only_zone("ES") is None


# --- headers -------------------------------------------------------------------------------

_FULL = ["DNI", "Nombre", "Teléfono 1", "Expediente", "Importe", "Fecha de vencimiento"]


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Documento", "document"),
        ("N.I.F.", "document"),
        ("CURP", "document"),
        ("Nº Expediente", "reference"),
        ("TELÉFONO_2", "phone"),
        ("móvil", "phone"),
        ("Mobile phone", "phone"),
        ("Apellidos", "surname"),
        ("saldo pendiente", "amount"),
        ("Due Date", "due"),
        ("Correo electrónico", "email"),
        ("zona horaria", "timezone"),
        ("País", "country"),
        ("importe2", None),  # a second amount is not the amount
        ("import_line", None),
        ("observaciones", None),
    ],
)
def test_headers_are_known_by_many_names(header: str, field: str | None) -> None:
    assert field_of(header) == field


def test_simplify() -> None:
    assert simplify(" Teléfono (Móvil) ") == "telefonomovil"


def test_columns_are_found() -> None:
    columns = find_columns([*_FULL, "Apellidos", "Móvil", "Notas"], {})
    assert columns.positions == {
        "document": (0,),
        "name": (1,),
        "phone": (2, 7),
        "reference": (3,),
        "amount": (4,),
        "due": (5,),
        "surname": (6,),
    }


def test_a_missing_column_is_named_with_what_there_is() -> None:
    with pytest.raises(ImportFileError, match=r"(?s)amount: call a column 'importe'.*'Nombre'"):
        find_columns([one for one in _FULL if one != "Importe"], {})


def test_two_columns_that_could_be_the_amount_are_not_guessed_between() -> None:
    header = [*_FULL, "Saldo"]
    with pytest.raises(ImportFileError, match="'Importe' and 'Saldo'.*--map amount="):
        find_columns(header, {})
    assert find_columns(header, {"amount": ["saldo"]}).positions["amount"] == (6,)
    assert find_columns(header, {"amount": ["#5"]}).positions["amount"] == (4,)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"sum": ["Importe"]}, "the fields are document"),
        ({"amount": ["Imprte"]}, "Did you mean 'Importe'"),
        ({"amount": ["#9"]}, "there are 6 columns"),
        ({"amount": ["Importe", "DNI"]}, "could be the amount"),
        ({"phone": ["DNI", "DNI"]}, "twice"),
    ],
)
def test_a_wrong_map_is_explained(told: dict[str, list[str]], why: str) -> None:
    with pytest.raises(ImportFileError, match=why):
        find_columns(_FULL, told)


def test_one_name_and_its_surnames() -> None:
    header = [*_FULL, "Apellido 1", "Apellido 2", "Titular"]
    with pytest.raises(ImportFileError, match="'Nombre' and 'Titular' could be the name"):
        find_columns(header, {})
    columns = find_columns(header, {"name": ["Titular", "Nombre"]})
    assert (columns.positions["name"], columns.positions["surname"]) == ((8, 1), (6, 7))


def test_a_title_that_comes_twice_is_told_by_its_number() -> None:
    header = [*_FULL, "Total", "Total"]
    with pytest.raises(ImportFileError, match="#7 or #8"):
        find_columns(header, {"amount": ["Total"]})
