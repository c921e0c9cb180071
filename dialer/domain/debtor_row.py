"""A row of an imported file once it has been understood, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from dialer.domain.model import LineType, Money


class Concern(StrEnum):
    """What a row that went in is still worth looking at for."""

    DOCUMENT = "document"  # not one of the country's: a foreigner's, or a typing error
    PHONE = "phone"  # one of several numbers is none, and was left out
    SHARED_PHONE = "shared_phone"  # another debtor has it too: a debt may be told to a neighbour
    EMAIL = "email"  # none, and was left out
    NAME = "name"  # differs from what an earlier row of the file said of this document
    CURRENCY = "currency"  # the prompts cannot say it


@dataclass(frozen=True, slots=True)
class Caution:
    """A concern about one row, in words that name no person."""

    concern: Concern
    text: str


@dataclass(frozen=True, slots=True)
class PhoneEntry:
    """``number`` in E.164."""

    number: str
    line_type: LineType


@dataclass(frozen=True, slots=True)
class DebtorRow:
    """One account of one debtor, as a file has it.

    ``line`` is where the row begins in its file. ``document`` is upper case without separators.
    None in ``email``, ``language``, ``timezone`` or ``country``: the file does not say.
    ``likely_timezone`` follows from a number or the country; it serves a new debtor and
    overwrites nothing.
    """

    line: int
    document: str
    name: str
    phones: tuple[PhoneEntry, ...]
    reference: str
    amount: Money
    due: date
    country: str | None = None
    email: str | None = None
    language: str | None = None
    timezone: str | None = None
    likely_timezone: str | None = None
    cautions: tuple[Caution, ...] = ()


class RowFate(StrEnum):
    """What a row changed."""

    NEW = "new"  # a new account
    UPDATED = "updated"  # amount, due date, or something of the debtor
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row. ``reason``: of a rejected one. ``cautions``: found while storing."""

    line: int
    fate: RowFate
    reason: str = ""
    cautions: tuple[Caution, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch of rows changed in the database; ``rows`` in the order they were given."""

    rows: tuple[RowResult, ...]
    new_debtors: int = 0
    updated_debtors: int = 0
    new_phones: int = 0
    new_accounts: int = 0
    updated_accounts: int = 0
    leads: int = 0
