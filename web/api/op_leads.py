"""Leads: pushed with the rules of an import, listed by where they stand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from dialer.domain.api import Scope
from dialer.domain.currency import MINOR_DIGITS
from dialer.domain.debtor_row import DebtorRow, RowFate
from dialer.domain.model import LeadState
from dialer.importing.amounts import LARGEST_MINOR, Notation
from dialer.importing.headers import Columns
from dialer.importing.rows import RowReader, RowRejected, Rules
from dialer.importing.tabular import Cell, RawRow
from dialer.store import api_views, campaigns
from dialer.store.import_debtors import SeenDebtors
from dialer.store.imports import store_batch
from web.api.paging import cursor_of, keys_of
from web.api.registry import Asked, operation
from web.api.scoping import campaign_of, company_of, open_campaign_of
from web.api.shapes import MOST, Answer, Given, Page, Paged, fields_of

MOST_PHONES = 10
CONTRADICTION = (
    "the reference comes more than once in this request, with different amounts, due dates or"
    " documents: which one is right?"
)
_PLAIN = ("document", "name", "reference", "currency", "due", "email", "language", "timezone")
_FIELDS = (*_PLAIN, "country", "amount")
_HEADER = (*_FIELDS, *(f"phone {n + 1}" for n in range(MOST_PHONES)))
_COLUMNS = Columns(
    _HEADER,
    {name: (place,) for place, name in enumerate(_FIELDS)}
    | {"phone": tuple(range(len(_FIELDS), len(_HEADER)))},
)
Cellular = Annotated[str, StringConstraints(max_length=1000)]


class NewLead(Given):
    """An account of a debtor. What is wrong with one is said of that one; the others go in."""

    document: Cellular = Field(description="DNI, NIF, RFC, CURP...")
    name: Cellular
    phones: list[Cellular] = Field(
        min_length=1, max_length=MOST_PHONES, description="The first is tried first."
    )
    reference: Cellular = Field(description="What the company calls the account; it is its key.")
    amount_minor: int = Field(
        ge=0, le=10 * LARGEST_MINOR, description="In minor units: 12345 is 123.45 EUR."
    )
    currency: Annotated[str, StringConstraints(max_length=10)] = Field(description="ISO 4217.")
    due: Annotated[str, StringConstraints(max_length=40)] = Field(description="Like 2026-12-31.")
    email: Cellular | None = None
    language: Cellular | None = Field(None, description="es or en; else the campaign's.")
    timezone: Cellular | None = Field(None, description="Like Atlantic/Canary.")
    country: Cellular | None = Field(None, description="ISO 3166; else the company's.")


class NewLeads(Given):
    """At most 500 of them."""

    items: list[NewLead] = Field(min_length=1, max_length=MOST)


class Fate(Answer):
    """What became of an item. ``index``: its place in the request, from 0."""

    index: int
    result: RowFate
    reasons: list[str] = Field(description="Of a rejected one: all that is wrong with it.")
    cautions: list[str] = Field(description="What is worth a look though it went in.")


class Pushed(Answer):
    """``leads``: how many the campaign has got."""

    accepted: int
    rejected: int
    leads: int
    items: list[Fate]


class Lead(Answer):
    """A debtor's account in a campaign."""

    id: int
    debtor_id: int
    reference: str
    state: LeadState
    next_at: datetime = Field(description="Waiting: not called before this.")
    attempts: int
    last_disposition: str | None
    closed_reason: str | None


class LeadsAsked(Paged):
    """Which leads."""

    state: LeadState | None = None


class LeadPage(Page[Lead]):
    """Leads."""


@operation(
    "POST",
    "/campaigns/{campaign_id}/leads",
    Scope.LEADS_WRITE,
    Pushed,
    "Push leads",
    body=NewLeads,
    example={
        "items": [
            {
                "document": "10000012A",
                "name": "Ana López",
                "phones": ["600 100 012"],
                "reference": "R-1",
                "amount_minor": 12345,
                "currency": "EUR",
                "due": "2026-12-31",
            }
        ]
    },
)
def push_leads(ask: Asked, campaign_id: int) -> Pushed:
    """Debtors, accounts and leads, by the rules of `dialer import`. Each item is taken or refused
    by itself. The same again changes nothing: documents and references are the keys. A campaign
    that is finished has to be started again; into a stopped one nothing goes (409)."""
    row = open_campaign_of(ask, campaign_id)
    country = company_of(ask, row.company_id).country
    good, reasons, cautions = _read(ask.body.items, country)
    result = store_batch(
        ask.connection, row.company_id, country, good, SeenDebtors(), ask.now, row.id
    )
    fates = {one.line: one for one in result.rows}
    items = []
    for line in range(1, len(ask.body.items) + 1):
        one = fates.get(line)
        fate = RowFate.REJECTED if one is None else one.fate
        said = reasons.get(line, [])
        if one is not None:
            said = [one.reason] if one.reason else []
            cautions[line] = [*cautions.get(line, []), *(each.text for each in one.cautions)]
        items.append(
            Fate(index=line - 1, result=fate, reasons=said, cautions=cautions.get(line, []))
        )
    rejected = sum(one.result is RowFate.REJECTED for one in items)
    if rejected < len(items):
        campaigns.record_leads(ask.connection, row.id, result.leads, ask.actor, ask.now)
    return Pushed(
        accepted=len(items) - rejected, rejected=rejected, leads=result.leads, items=items
    )


@operation(
    "GET",
    "/campaigns/{campaign_id}/leads",
    Scope.LEADS_READ,
    LeadPage,
    "Leads of a campaign",
    query=LeadsAsked,
)
def list_leads(ask: Asked, campaign_id: int) -> LeadPage:
    """All, or those of one state."""
    campaign_of(ask, campaign_id)
    after = keys_of(ask.query.cursor, int)
    rows = api_views.leads(
        ask.connection,
        campaign_id,
        after[0] if after else None,
        ask.query.limit + 1,
        ask.query.state.value if ask.query.state else None,
    )
    kept = rows[: ask.query.limit]
    return LeadPage(
        items=[Lead(**fields_of(row, Lead)) for row in kept],
        next=cursor_of(kept[-1].account_id) if len(rows) > len(kept) else None,
    )


def _read(
    items: list[NewLead], country: str
) -> tuple[list[DebtorRow], dict[int, list[str]], dict[int, list[str]]]:
    """The rows that can be taken; reasons and cautions by line, which is the index plus one."""
    reader = RowReader(_COLUMNS, Rules(country=country, notation=Notation(".", told=True)))
    rows: list[DebtorRow] = []
    reasons: dict[int, list[str]] = {}
    cautions: dict[int, list[str]] = {}
    said: dict[str, set[Any]] = {}
    for line, item in enumerate(items, 1):
        try:
            row = reader.read(RawRow(line, _cells(item)))
        except RowRejected as error:
            reasons[line] = error.reasons
            continue
        rows.append(row)
        cautions[line] = [one.text for one in row.cautions]
        said.setdefault(row.reference, set()).add((row.document, row.amount, row.due))
    for row in rows:
        if len(said[row.reference]) > 1:
            reasons[row.line] = [CONTRADICTION]
    return [row for row in rows if row.line not in reasons], reasons, cautions


def _cells(item: NewLead) -> list[Cell]:
    phones = [*item.phones, *[None] * (MOST_PHONES - len(item.phones))]
    plain = [getattr(item, name) for name in _PLAIN]
    return [*plain, item.country, _written(item.amount_minor, item.currency), *phones]


def _written(minor: int, currency: str) -> str:
    """As a file has it; of what is no currency the reader says so."""
    digits = MINOR_DIGITS.get(currency.strip().upper(), 0)
    text = str(minor).rjust(digits + 1, "0")
    return f"{text[:-digits]}.{text[-digits:]}" if digits else text
