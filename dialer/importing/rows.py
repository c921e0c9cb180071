"""From the cells of a row to a debtor, or to every reason why not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Literal, TypeVar
from zoneinfo import available_timezones

from dialer.domain.debtor_row import Caution, Concern, DebtorRow, PhoneEntry
from dialer.domain.model import Money
from dialer.flow.words import SPOKEN
from dialer.importing import amounts, countries, dates, documents, phones
from dialer.importing.currencies import parse_currency
from dialer.importing.encoding import has_control
from dialer.importing.errors import CellError
from dialer.importing.headers import Columns
from dialer.importing.tabular import Cell, RawRow, cell_text

T = TypeVar("T")
DocumentPolicy = Literal["warn", "reject", "off"]

LONGEST = {"name": 200, "email": 254, "reference": 64}  # the columns of the database
LONGEST_CELL = 1000
_EMPTY = frozenset({"-", "--", "NULL", "N/A", "#N/A", "N.A.", "S/D", "S/N"})
_SHEET_ERROR = re.compile(r"#(?:N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!)")
_FORMULA = re.compile(r"[\s'\"]*[=+@-]")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]")
_SPACES = re.compile(r"\s+")
_EMAIL = re.compile(r"[^@\s,;<>()\"]+@[^@\s,;<>()\".]+(?:\.[^@\s,;<>()\".]+)+")
_SHIFTED = re.compile(r"[0-9.,\s]+")
_SCIENTIFIC = re.compile(r"[0-9][.,][0-9]+[eE]\+?[0-9]+")


class RowRejected(Exception):
    """The row stays out; ``reasons`` are all that is wrong with it."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Rules:
    """How the cells of one file are to be read.

    ``country`` (ISO 3166) is that of phones and documents where a row names none; ``currency``
    that of amounts likewise (None: the amount's sign has to say). ``serial`` turns a workbook's
    number into its date. ``spare``: so many empty cells may follow the last column in every row.
    """

    country: str
    currency: str | None = None
    notation: amounts.Notation = field(default_factory=amounts.Notation)
    date_order: dates.Order = "dmy"
    documents: DocumentPolicy = "warn"
    serial: Callable[[float], date] | None = None
    spare: int = 0


class RowReader:
    """Reads the rows of one file."""

    def __init__(self, columns: Columns, rules: Rules) -> None:
        self.columns = columns
        self._rules = rules
        self._at = columns.positions

    def read(self, raw: RawRow) -> DebtorRow:
        """The debtor of the row. Raises RowRejected with every reason."""
        if raw.broken:
            raise RowRejected([raw.broken])
        surplus = len(raw.cells) - len(self.columns.header)
        if surplus > self._rules.spare or any(raw.cells[len(self.columns.header) :]):
            # Most often an unquoted decimal comma: 1,50 in two columns. Never guess with money.
            why = (
                f"{len(raw.cells)} fields, the header has {len(self.columns.header)}:"
                " does a cell hold the delimiter without quotation marks?"
            )
            raise RowRejected([why])
        return _Reading(raw, self._at, self._rules).result()


class _Reading:
    """One row being read: what is wrong with it is collected, so that it is told all at once."""

    def __init__(self, raw: RawRow, at: dict[str, tuple[int, ...]], rules: Rules) -> None:
        self._raw = raw
        self._at = at
        self._rules = rules
        self._reasons: list[str] = []
        self._cautions: list[Caution] = []

    def result(self) -> DebtorRow:
        country = self._try(self._country)
        region = country or self._rules.country
        document = self._try(lambda: self._document(region))
        name = self._try(self._name)
        entries = self._try(lambda: self._phones(region)) or ()
        reference = self._try(self._reference)
        amount = self._try(self._amount)
        due = self._try(self._due)
        email = self._email()
        language = self._try(self._language)
        timezone = self._try(self._timezone)
        likely = self._likely_timezone(country, entries) if timezone is None else None
        if self._reasons:
            raise RowRejected(self._reasons)
        # Each is there: what is missing left a reason.
        assert document and name and entries and reference and amount and due
        return DebtorRow(
            line=self._raw.line,
            document=document,
            name=name,
            phones=entries,
            reference=reference,
            amount=amount,
            due=due,
            country=country,
            email=email,
            language=language,
            timezone=timezone,
            likely_timezone=likely,
            cautions=tuple(self._cautions),
        )

    def _try(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except CellError as error:
            self._reasons.append(str(error))
            return None

    # --- cells -----------------------------------------------------------------------------

    def _cell(self, place: int) -> Cell:
        return self._raw.cells[place] if place < len(self._raw.cells) else None

    def _text(self, place: int, what: str) -> str:
        """The cell without invisible characters and doubled spaces; empty for none."""
        return clean_text(cell_text(self._cell(place)), what)

    def _only(self, what: str) -> str:
        places = self._at.get(what)
        return self._text(places[0], what) if places else ""

    def _needed(self, what: str) -> str:
        text = self._only(what)
        if not text:
            raise CellError(f"no {what}")
        limit = LONGEST.get(what)
        if limit is not None and len(text) > limit:
            raise CellError(f"the {what} is longer than {limit} characters")
        return text

    # --- fields ----------------------------------------------------------------------------

    def _country(self) -> str | None:
        text = self._only("country")
        if not text:
            return None
        country = countries.parse_country(text)
        if country is None:
            raise CellError("the country is none: write it like ES (ISO 3166)")
        return country

    def _document(self, country: str) -> str:
        document = documents.normalise_document(self._needed("document"))
        policy = self._rules.documents
        if policy != "off" and not documents.plausible_document(document, country):
            text = f"the document is not one of {country}: its form or check digit is wrong"
            if policy == "reject":
                raise CellError(text)
            self._cautions.append(Caution(Concern.DOCUMENT, text))
        return document

    def _name(self) -> str:
        places = (*self._at.get("name", ()), *self._at.get("surname", ()))
        name = " ".join(filter(None, (self._text(place, "name") for place in places)))
        if not name:
            raise CellError("no name")
        if len(name) > LONGEST["name"]:
            raise CellError(f"the name is longer than {LONGEST['name']} characters")
        if not any(char.isalpha() for char in name) or "\ufffd" in name:
            raise CellError("the name has no letters, or damaged ones")
        return name

    def _phones(self, country: str) -> tuple[PhoneEntry, ...]:
        found: dict[str, PhoneEntry] = {}
        wrong = []
        for place in self._at["phone"]:
            cell = _bounded(cell_text(self._cell(place)))
            if _SHEET_ERROR.fullmatch(cell.strip()) or cell.strip().upper() in _EMPTY:
                continue
            for text in phones.split_phones(cell)[: phones.MOST]:
                try:
                    entry = phones.parse_phone(text, country)
                except CellError as error:
                    wrong.append(str(error))
                else:
                    found.setdefault(entry.number, entry)
        if not found:
            raise CellError("; ".join(dict.fromkeys(wrong)) or "no phone")
        self._cautions += [
            Caution(Concern.PHONE, f"left out: {text}") for text in dict.fromkeys(wrong)
        ]
        return tuple(found.values())

    def _reference(self) -> str:
        reference = self._needed("reference")
        if _SCIENTIFIC.fullmatch(reference):
            raise CellError("a spreadsheet has shortened the reference: format it as text")
        return reference

    def _amount(self) -> Money:
        currency = self._currency()
        cell = self._cell(self._at["amount"][0])
        if isinstance(cell, int | float) and not isinstance(cell, bool):
            if currency is None:
                raise CellError("no currency: the row names none")
            money = amounts.money_of_number(cell, currency)
        else:
            text = cell_text(cell).strip()
            if not text or text.upper() in _EMPTY:
                raise CellError("no amount")
            if text[0] in "=@+":
                raise CellError("the amount is a formula: paste it as a value")
            money = amounts.parse_amount(text, currency, self._rules.notation)
        if money.currency not in SPOKEN:
            text = f"the prompts cannot say amounts in {money.currency}"
            self._cautions.append(Caution(Concern.CURRENCY, text))
        return money

    def _currency(self) -> str | None:
        text = self._only("currency")
        if not text:
            return self._rules.currency
        code = parse_currency(text)
        if code is None:
            raise CellError("the currency is none: write its ISO code, like EUR or MXN")
        return code

    def _due(self) -> date:
        cell = self._cell(self._at["due"][0])
        if isinstance(cell, datetime | date):
            return dates.date_of_cell(cell)
        if isinstance(cell, int | float) and not isinstance(cell, bool):
            if self._rules.serial is None:
                raise CellError("the due date is no date")
            return dates.date_of_cell(self._rules.serial(cell))
        text = self._only("due")
        if not text:
            raise CellError("no due date")
        return dates.parse_date(text, self._rules.date_order)

    def _email(self) -> str | None:
        try:
            text = self._only("email")
        except CellError as error:
            self._reasons.append(str(error))
            return None
        if not text:
            return None
        if _SHIFTED.fullmatch(text):
            self._reasons.append("the email is a number: are the columns of this row shifted?")
            return None
        if len(text) > LONGEST["email"] or not _EMAIL.fullmatch(text):
            self._cautions.append(Caution(Concern.EMAIL, "left out: the email is no address"))
            return None
        return text

    def _language(self) -> str | None:
        text = self._only("language")
        if not text:
            return None
        language = countries.parse_language(text)
        if language is None:
            raise CellError("the language is neither es nor en")
        return language

    def _timezone(self) -> str | None:
        text = self._only("timezone")
        if not text:
            return None
        if text not in _timezones():
            raise CellError("the time zone is none: write it like Europe/Madrid")
        return text

    def _likely_timezone(self, country: str | None, entries: tuple[PhoneEntry, ...]) -> str | None:
        """Of the first number that can be in one zone only (922... is in the Canaries, whose
        evening is not Madrid's), or of a foreign country with one zone.

        A foreign debtor whose zone stays open is not called at the hours of the company.
        """
        for entry in entries:
            if zone := phones.zone_of_phone(entry):
                return zone
        if country is None or country == self._rules.country:
            return None
        zone = countries.only_zone(country)
        if zone is None and entries:
            self._reasons.append(
                f"{country} has several time zones: add a column zona_horaria, like Europe/Madrid"
            )
        return zone


def clean_text(text: str, what: str) -> str:
    """A cell's text as it is kept. Raises CellError for a formula, control characters or a flood.

    Placeholders for nothing (``-``, ``NULL``, ``N/A``) and a workbook's errors become empty.
    """
    text = _bounded(text)
    if text.isascii() and text.isalnum():
        return "" if text.upper() in _EMPTY else text  # most cells
    if has_control(text):
        raise CellError(f"the {what} has control characters")
    text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = _SPACES.sub(" ", text).strip()
    if text.upper() in _EMPTY or _SHEET_ERROR.fullmatch(text):
        return ""
    if _FORMULA.match(text):
        raise CellError(f"the {what} begins like a formula (= + - @)")
    return text


def _bounded(text: str) -> str:
    if len(text) > LONGEST_CELL:
        raise CellError(f"a cell is longer than {LONGEST_CELL} characters")
    return text


@lru_cache(maxsize=1)
def _timezones() -> set[str]:
    return available_timezones()
