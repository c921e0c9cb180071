"""Debtors found by what a person has at hand: a document, a number, a reference, a name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from dialer.store.tables import account, company, debtor, phone

MOST = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the words that were typed can be: a normalised document, numbers in E.164, a reference
    as written, the beginning of a name."""

    document: str | None = None
    numbers: Sequence[str] = ()
    reference: str = ""
    name: str = ""


@dataclass(slots=True)
class Hit:
    """A debtor, and the debts: reference, amount_minor, currency."""

    id: int
    name: str
    document: str
    company: str
    accounts: list[Any] = field(default_factory=list)


def search(
    connection: Connection, companies: Collection[int], wanted: Wanted
) -> tuple[list[Hit], bool]:
    """What fits, exactly where something does, else by name; and whether there is more.

    ``companies``: whose debtors.
    """
    ids = _exact(connection, companies, wanted)
    if ids:
        # By the ids alone, which are of these companies: else all of a company might be read.
        condition: ColumnElement[bool] = debtor.c.id.in_(ids)
    elif wanted.name:
        condition = and_(debtor.c.company_id.in_(companies), _named(wanted.name))
    else:
        return [], False
    rows = connection.execute(
        select(debtor.c.id, debtor.c.name, debtor.c.document, company.c.name.label("company"))
        .join(company, company.c.id == debtor.c.company_id)
        .where(condition)
        .order_by(debtor.c.name, debtor.c.id)
        .limit(MOST + 1)
    ).all()
    hits = {row.id: Hit(row.id, row.name, row.document, row.company) for row in rows[:MOST]}
    accounts = select(
        account.c.debtor_id, account.c.reference, account.c.amount_minor, account.c.currency
    )
    for row in connection.execute(
        accounts.where(account.c.debtor_id.in_(list(hits))).order_by(account.c.id)
    ):
        hits[row.debtor_id].accounts.append(row)
    return list(hits.values()), len(rows) > MOST


def _exact(connection: Connection, companies: Collection[int], wanted: Wanted) -> set[int]:
    queries = []
    if wanted.reference:
        queries.append(
            select(account.c.debtor_id).where(
                account.c.company_id.in_(companies), account.c.reference == wanted.reference
            )
        )
    if wanted.document:
        queries.append(
            select(debtor.c.id).where(
                debtor.c.company_id.in_(companies), debtor.c.document == wanted.document
            )
        )
    if wanted.numbers:
        queries.append(
            select(phone.c.debtor_id)
            .join(debtor, debtor.c.id == phone.c.debtor_id)
            .where(debtor.c.company_id.in_(companies), phone.c.number.in_(wanted.numbers))
        )
    return {found for query in queries for found in connection.execute(query.limit(MOST)).scalars()}


def _named(beginning: str) -> ColumnElement[bool]:
    """Names that begin so, as typed or in another case: no database agrees with the other on the
    case of letters with accents."""
    forms = {beginning, beginning.title(), beginning.upper(), beginning.lower()}
    return or_(*(debtor.c.name.startswith(form, autoescape=True) for form in sorted(forms)))
