"""Debtors, phones and accounts of a file into the database, a batch of rows a transaction.

Everything is found by its own key (document, number, reference), never by whether the file was
seen before: the same rows again change nothing, and an import that was interrupted is finished
by running it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, insert, literal, select, update

from dialer.domain.debtor_row import (
    BatchResult,
    Caution,
    Concern,
    DebtorRow,
    RowFate,
    RowResult,
)
from dialer.domain.model import LeadState
from dialer.store.tables import account, campaign, company, debtor, lead, phone

T = TypeVar("T")

IN_CHUNK = 5000  # values of one IN: SQLite takes 32,766 variables, PostgreSQL 65,535

SHARED = Caution(
    Concern.SHARED_PHONE,
    "a phone number of this debtor belongs to another debtor too: whoever answers may be the other",
)
OTHER_NAME = Caution(
    Concern.NAME, "an earlier row of this file has another name for this document; that one counts"
)


def add_leads(
    connection: Connection,
    campaign_id: int,
    account_ids: Sequence[int] | None = None,
    now: datetime | None = None,
) -> int:
    """A waiting lead, due at once, for accounts that have none in the campaign; how many.

    ``account_ids``: some accounts; None: every account of the campaign's company. Accounts of
    other companies are left out. Does nothing the second time.
    """
    wanted = (
        select(
            campaign.c.id,
            account.c.debtor_id,
            account.c.id,
            literal(LeadState.WAITING.value),
            literal(now or datetime.now(UTC), lead.c.next_at.type),
            literal(0),
            literal(0),
        )
        .join(account, account.c.company_id == campaign.c.company_id)
        .where(
            campaign.c.id == campaign_id,
            ~select(lead.c.id)
            .where(lead.c.campaign_id == campaign_id, lead.c.account_id == account.c.id)
            .exists(),
        )
        .order_by(account.c.id)
    )
    columns = ["campaign_id", "debtor_id", "account_id", "state", "next_at", "attempts"]
    columns.append("next_phone")
    parts = [wanted]
    if account_ids is not None:
        parts = [wanted.where(account.c.id.in_(part)) for part in _chunks(account_ids)]
    # SQLAlchemy keeps the count of an INSERT only when asked to.
    inserts = [
        insert(lead).from_select(columns, part).execution_options(preserve_rowcount=True)
        for part in parts
    ]
    return sum(connection.execute(one).rowcount for one in inserts)


class SeenDebtors:
    """Which debtors a file has named so far: one bit for each id."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, debtor_id: int) -> None:
        """From now on it is in."""
        place, bit = divmod(debtor_id, 8)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1024 - len(self._bits)))
        self._bits[place] |= 1 << bit

    def __contains__(self, debtor_id: int) -> bool:
        place, bit = divmod(debtor_id, 8)
        return place < len(self._bits) and bool(self._bits[place] >> bit & 1)


@dataclass(slots=True)
class _Account:
    """As it is in the database, or will be after this batch (``id`` None: not in it yet)."""

    id: int | None
    document: str
    minor: int
    currency: str
    due: date
    changed: bool = False


@dataclass(slots=True)
class _Debtor:
    id: int | None
    values: dict[str, Any]
    numbers: dict[str, int] = field(default_factory=dict)  # number to its position
    added: dict[str, str] = field(default_factory=dict)  # new numbers to their line type
    changed: bool = False
    named: bool = False  # by this file


def store_batch(
    connection: Connection,
    company_id: int,
    country: str,
    rows: Sequence[DebtorRow],
    seen: SeenDebtors,
    now: datetime,
    campaign_id: int | None = None,
) -> BatchResult:
    """Bring in the rows, within the caller's transaction.

    ``country``: of debtors whose row names none. ``seen`` takes up the debtors of the rows; the
    first row of a document in a file says who the debtor is, later ones add what it left open.
    A row whose reference belongs to another debtor, or is kept in another currency, is rejected.
    With ``campaign_id`` every account of the rows that is no lead of it yet becomes one.
    """
    # Batches of one company come one after another; rows that refer to the company go on.
    connection.execute(
        select(company.c.id).where(company.c.id == company_id).with_for_update(key_share=True)
    )
    accounts = _load_accounts(connection, company_id, {row.reference for row in rows})
    verdicts = {row.line: _judge_account(row, accounts) for row in rows}
    taken = [row for row in rows if verdicts[row.line][0] is not RowFate.REJECTED]
    debtors = _load_debtors(connection, company_id, {row.document for row in taken})
    results = {}
    for row in taken:
        fate, _ = verdicts[row.line]
        changed, cautions = _judge_debtor(row, debtors, seen, country)
        if fate is RowFate.UNCHANGED and changed:
            fate = RowFate.UPDATED
        results[row.line] = RowResult(row.line, fate, cautions=cautions)
    new_debtors = sum(one.id is None for one in debtors.values())
    updated_debtors = sum(one.changed and one.id is not None for one in debtors.values())
    _save_debtors(connection, company_id, debtors, seen, now)
    new_phones = _save_phones(connection, debtors)
    new_accounts, updated_accounts = _save_accounts(connection, company_id, accounts, debtors, now)
    leads = 0
    if campaign_id is not None:
        ids = _account_ids(connection, company_id, {row.reference for row in taken})
        leads = add_leads(connection, campaign_id, ids, now)
    shared = _shared_numbers(connection, company_id, {p.number for r in taken for p in r.phones})
    return BatchResult(
        tuple(_result(row, verdicts[row.line], results.get(row.line), shared) for row in rows),
        new_debtors=new_debtors,
        updated_debtors=updated_debtors,
        new_phones=new_phones,
        new_accounts=new_accounts,
        updated_accounts=updated_accounts,
        leads=leads,
    )


def _result(
    row: DebtorRow, verdict: tuple[RowFate, str], result: RowResult | None, shared: set[str]
) -> RowResult:
    if result is None:
        return RowResult(row.line, *verdict)
    if any(entry.number in shared for entry in row.phones):
        return RowResult(row.line, result.fate, cautions=(*result.cautions, SHARED))
    return result


# --- accounts ------------------------------------------------------------------------------


def _load_accounts(
    connection: Connection, company_id: int, references: Iterable[str]
) -> dict[str, _Account]:
    found = {}
    for part in _chunks(references):
        rows = connection.execute(
            select(
                account.c.reference,
                account.c.id,
                debtor.c.document,
                account.c.amount_minor,
                account.c.currency,
                account.c.due_date,
            )
            .join(debtor, debtor.c.id == account.c.debtor_id)
            .where(account.c.company_id == company_id, account.c.reference.in_(part))
        )
        for reference, *values in rows:
            found[reference] = _Account(*values)
    return found


def _judge_account(row: DebtorRow, accounts: dict[str, _Account]) -> tuple[RowFate, str]:
    """What becomes of the row's account, entered into ``accounts``; and why it is rejected."""
    known = accounts.get(row.reference)
    money = row.amount
    if known is None:
        accounts[row.reference] = _Account(None, row.document, money.minor, money.currency, row.due)
        return RowFate.NEW, ""
    if known.document != row.document:
        return RowFate.REJECTED, "the reference belongs to another debtor (another document)"
    if known.currency != money.currency:
        return RowFate.REJECTED, (
            f"the account is kept in {known.currency}, the row is in {money.currency}:"
            " give the account another reference"
        )
    if (known.minor, known.due) == (money.minor, row.due):
        return RowFate.UNCHANGED, ""
    known.minor, known.due, known.changed = money.minor, row.due, True
    return RowFate.UPDATED, ""


def _save_accounts(
    connection: Connection,
    company_id: int,
    accounts: dict[str, _Account],
    debtors: dict[str, _Debtor],
    now: datetime,
) -> tuple[int, int]:
    """How many are new, and how many have changed."""
    new = [
        {
            "company_id": company_id,
            "debtor_id": debtors[one.document].id,
            "reference": reference,
            "amount_minor": one.minor,
            "currency": one.currency,
            "due_date": one.due,
            "created_at": now,
            "updated_at": now,
        }
        for reference, one in accounts.items()
        if one.id is None
    ]
    changed = [
        {"b_id": one.id, "b_minor": one.minor, "b_due": one.due, "b_now": now}
        for one in accounts.values()
        if one.id is not None and one.changed
    ]
    if new:
        connection.execute(insert(account), new)
    if changed:
        connection.execute(
            update(account)
            .where(account.c.id == bindparam("b_id"))
            .values(
                amount_minor=bindparam("b_minor"),
                due_date=bindparam("b_due"),
                updated_at=bindparam("b_now"),
            ),
            changed,
        )
    return len(new), len(changed)


def _account_ids(connection: Connection, company_id: int, references: Iterable[str]) -> list[int]:
    return [
        row.id
        for part in _chunks(references)
        for row in connection.execute(
            select(account.c.id).where(
                account.c.company_id == company_id, account.c.reference.in_(part)
            )
        )
    ]


# --- debtors -------------------------------------------------------------------------------

_DEBTOR_VALUES = ("name", "email", "language", "timezone", "country")


def _load_debtors(
    connection: Connection, company_id: int, documents: Iterable[str]
) -> dict[str, _Debtor]:
    found: dict[str, _Debtor] = {}
    by_id: dict[int, _Debtor] = {}
    columns = [debtor.c[name] for name in _DEBTOR_VALUES]
    for part in _chunks(documents):
        for document, debtor_id, *values in connection.execute(
            select(debtor.c.document, debtor.c.id, *columns).where(
                debtor.c.company_id == company_id, debtor.c.document.in_(part)
            )
        ):
            one = _Debtor(debtor_id, dict(zip(_DEBTOR_VALUES, values, strict=True)))
            found[document] = by_id[debtor_id] = one
    for ids in _chunks(by_id):
        for debtor_id, number, position in connection.execute(
            select(phone.c.debtor_id, phone.c.number, phone.c.position).where(
                phone.c.debtor_id.in_(ids)
            )
        ):
            by_id[debtor_id].numbers[number] = position
    return found


def _judge_debtor(
    row: DebtorRow, debtors: dict[str, _Debtor], seen: SeenDebtors, country: str
) -> tuple[bool, tuple[Caution, ...]]:
    """Whether the row changes its debtor (entered into ``debtors``), and what is odd about it."""
    said = {name: getattr(row, name) for name in _DEBTOR_VALUES}
    one = debtors.get(row.document)
    cautions: tuple[Caution, ...] = ()
    before = None
    if one is None:
        said["timezone"] = row.timezone or row.likely_timezone
        said["country"] = row.country or country
        one = debtors[row.document] = _Debtor(None, said, named=True)
    elif one.named or (one.id is not None and one.id in seen):
        before = dict(one.values)
        if one.values["name"] != row.name:
            cautions = (OTHER_NAME,)
        one.values |= {name: said[name] for name in said if one.values[name] is None}
    else:
        before = dict(one.values)
        one.values |= {name: value for name, value in said.items() if value is not None}
    one.named = True
    if one.values["timezone"] is None and row.likely_timezone is not None:
        one.values["timezone"] = row.likely_timezone
    changed = before is not None and before != one.values
    one.changed = one.changed or changed
    fresh = [entry for entry in row.phones if entry.number not in one.numbers]
    for entry in fresh:
        one.numbers[entry.number] = max(one.numbers.values(), default=-1) + 1
        one.added[entry.number] = entry.line_type.value
    return changed or bool(fresh), cautions


def _save_debtors(
    connection: Connection,
    company_id: int,
    debtors: dict[str, _Debtor],
    seen: SeenDebtors,
    now: datetime,
) -> None:
    new = {document: one for document, one in debtors.items() if one.id is None}
    if new:
        connection.execute(
            insert(debtor),
            [
                {"company_id": company_id, "document": document, "created_at": now, **one.values}
                for document, one in new.items()
            ],
        )
        for part in _chunks(new):
            for document, debtor_id in connection.execute(
                select(debtor.c.document, debtor.c.id).where(
                    debtor.c.company_id == company_id, debtor.c.document.in_(part)
                )
            ):
                new[document].id = debtor_id
    changed = [
        {"b_id": one.id, **{f"b_{name}": value for name, value in one.values.items()}}
        for document, one in debtors.items()
        if one.changed and document not in new
    ]
    if changed:
        connection.execute(
            update(debtor)
            .where(debtor.c.id == bindparam("b_id"))
            .values({name: bindparam(f"b_{name}") for name in _DEBTOR_VALUES}),
            changed,
        )
    for one in debtors.values():
        assert one.id is not None
        seen.add(one.id)


def _save_phones(connection: Connection, debtors: dict[str, _Debtor]) -> int:
    new = [
        {
            "debtor_id": one.id,
            "number": number,
            "line_type": line_type,
            "position": one.numbers[number],
        }
        for one in debtors.values()
        for number, line_type in one.added.items()
    ]
    if new:
        connection.execute(insert(phone), new)
    return len(new)


def _shared_numbers(connection: Connection, company_id: int, numbers: Iterable[str]) -> set[str]:
    """Those of the numbers that more than one debtor of the company has."""
    # Two look-ups by index: a join is planned from the company's debtors, all of them, where
    # SQLite has no statistics.
    holders: dict[str, list[int]] = {}
    for part in _chunks(numbers):
        for number, debtor_id in connection.execute(
            select(phone.c.number, phone.c.debtor_id).where(phone.c.number.in_(part))
        ):
            holders.setdefault(number, []).append(debtor_id)
    several = {number: ids for number, ids in holders.items() if len(ids) > 1}
    ours: set[int] = set()
    for chunk in _chunks({debtor_id for ids in several.values() for debtor_id in ids}):
        ours.update(
            connection.execute(
                select(debtor.c.id).where(debtor.c.id.in_(chunk), debtor.c.company_id == company_id)
            ).scalars()
        )
    return {number for number, ids in several.items() if len(ours.intersection(ids)) > 1}


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(values)
    while part := list(islice(iterator, IN_CHUNK)):
        yield part
