"""Debtors: found, with what is owed and what was between us. The do-not-call list."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Self

from pydantic import Field, model_validator

from dialer.domain.api import Scope
from dialer.importing.documents import normalise_document
from dialer.importing.errors import CellError
from dialer.importing.phones import parse_phone
from dialer.store import choices, debtor_search, debtor_view, suppressions, timeline
from dialer.store.debtor_search import Wanted
from dialer.store.story import masked
from dialer.store.timeline import EntryKind
from web.api.registry import Asked, operation
from web.api.scoping import company_of, debtor_of
from web.api.shapes import Answer, Given, Id, Text, fields_of
from web.problems import Problem, invalid_fields


class Wish(Given):
    """One of them, exactly as it is; spaces and signs in a document do not matter."""

    document: Text | None = None
    reference: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.document is None) == (self.reference is None):
            raise ValueError("give a document or a reference")
        return self


class Telephone(Answer):
    """``number``: its last digits. ``listed``: on the do-not-call list."""

    number: str
    line_type: str
    valid: bool
    listed: bool


class Debt(Answer):
    """An account, in minor units. ``open_minor``: what may be paid now."""

    reference: str
    due: date
    currency: str
    claim_minor: int
    open_minor: int
    pending_minor: int
    paid_minor: int


class Debtor(Answer):
    """Who, where they are called, what is owed."""

    id: int
    company_id: int
    name: str
    document: str
    language: str | None
    timezone: str | None
    opted_out_at: datetime | None
    phones: list[Telephone]
    accounts: list[Debt]


class Found(Answer):
    """Debtors that fit; none is no mistake."""

    items: list[Debtor]


class Happening(Answer):
    """``detail``: codes and plain values, by kind (docs/api.md)."""

    at: datetime
    kind: EntryKind
    detail: dict[str, Any]


class Timeline(Answer):
    """The newest first."""

    items: list[Happening]


class Longest(Given):
    """How much of it."""

    limit: int = Field(50, ge=1, le=200)


class Number(Given):
    """``number``: with +, or as dialled in the company's country. ``company_id``: for a key that
    opens every company."""

    number: Text
    company_id: Id | None = None


class Listed(Answer):
    """``changed``: it was not so before."""

    listed: bool
    changed: bool
    debtors: int = Field(description="So many debtors of the company have the number.")


FIND = {"reference": "R-1"}
NUMBER = {"number": "+34600100012"}


@operation(
    "POST",
    "/debtors/find",
    Scope.DEBTORS_READ,
    Found,
    "Find debtors",
    body=Wish,
    reads=True,
    example=FIND,
)
def find_debtors(ask: Asked) -> Found:
    """By a document or a reference, which are in the body so that no log of addresses has them."""
    wish: Wish = ask.body
    document = None
    if wish.document is not None:
        try:
            document = normalise_document(wish.document)
        except CellError as error:
            raise invalid_fields([("document", str(error))]) from error
    companies = [row.id for row in choices.companies(ask.connection, ask.token.company_id)]
    wanted = Wanted(document=document, reference=wish.reference or "")
    hits, _ = debtor_search.search(ask.connection, companies, wanted)
    return Found(items=[_debtor(ask, hit.id) for hit in hits[:20]])


@operation("GET", "/debtors/{debtor_id}", Scope.DEBTORS_READ, Debtor, "One debtor")
def get_debtor(ask: Asked, debtor_id: int) -> Debtor:
    """With what is owed."""
    return _debtor(ask, debtor_of(ask, debtor_id))


@operation(
    "GET",
    "/debtors/{debtor_id}/timeline",
    Scope.DEBTORS_READ,
    Timeline,
    "What was between us",
    query=Longest,
)
def debtor_timeline(ask: Asked, debtor_id: int) -> Timeline:
    """Calls, messages, promises, payments, agreed calls, notes and objections, newest first."""
    entries = timeline.timeline(ask.connection, debtor_of(ask, debtor_id), ask.query.limit)
    return Timeline(
        items=[Happening(at=one.at, kind=one.kind, detail=one.detail) for one in entries]
    )


@operation(
    "POST",
    "/do-not-call",
    Scope.DNC_WRITE,
    Listed,
    "Put a number on the do-not-call list",
    body=Number,
    example=NUMBER,
)
def add_do_not_call(ask: Asked) -> Listed:
    """Nobody calls or texts it from now on, in any campaign of the company."""
    company, number = _number(ask)
    new = suppressions.add_number(ask.connection, company.id, number, ask.actor, ask.now)
    having = suppressions.debtors_with(ask.connection, company.id, number)
    return Listed(listed=True, changed=new, debtors=having)


@operation(
    "POST",
    "/do-not-call/remove",
    Scope.DNC_WRITE,
    Listed,
    "Take a number off the do-not-call list",
    body=Number,
    example=NUMBER,
)
def remove_do_not_call(ask: Asked) -> Listed:
    """Debtors who objected themselves stay marked and are not called: only a person lifts that."""
    company, number = _number(ask)
    known = suppressions.is_listed(ask.connection, company.id, number)
    if known:
        suppressions.remove_number(ask.connection, company.id, number, ask.actor, ask.now)
    having = suppressions.debtors_with(ask.connection, company.id, number)
    return Listed(listed=False, changed=known, debtors=having)


@operation(
    "POST",
    "/do-not-call/check",
    Scope.DNC_READ,
    Listed,
    "Whether a number is on the do-not-call list",
    body=Number,
    reads=True,
    example=NUMBER,
)
def check_do_not_call(ask: Asked) -> Listed:
    """`changed` is always false."""
    company, number = _number(ask)
    listed = suppressions.is_listed(ask.connection, company.id, number)
    having = suppressions.debtors_with(ask.connection, company.id, number)
    return Listed(listed=listed, changed=False, debtors=having)


def _number(ask: Asked) -> tuple[Any, str]:
    """The company and the number in E.164. Raises Problem."""
    company = company_of(ask, ask.body.company_id)
    try:
        return company, parse_phone(ask.body.number, company.country).number
    except CellError as error:
        raise invalid_fields([("number", str(error))]) from error


def _debtor(ask: Asked, debtor_id: int) -> Debtor:
    head = debtor_view.head(ask.connection, debtor_id)
    if head is None:
        raise Problem(404, "not_found", "There is no such debtor")
    values = fields_of(head, Debtor)
    values["phones"] = [
        Telephone(
            number=masked(row.number),
            line_type=row.line_type,
            valid=row.invalid_at is None,
            listed=row.listed_at is not None,
        )
        for row in debtor_view.phones(ask.connection, debtor_id)
    ]
    values["accounts"] = [
        Debt(
            reference=one.reference,
            due=one.due,
            currency=one.balance.currency,
            claim_minor=one.balance.claim,
            open_minor=one.balance.open,
            pending_minor=one.balance.pending,
            paid_minor=one.balance.paid,
        )
        for one in debtor_view.debts(ask.connection, debtor_id)
    ]
    return Debtor(**values)
