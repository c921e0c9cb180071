"""The debtors and phones of imported rows: what is there, what a row changes, and saving that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from dialer.domain.debtor_row import Caution, Concern, DebtorRow
from dialer.store.bulk import chunks, insert_rows
from dialer.store.tables import debtor, phone

OTHER_NAME = Caution(
    Concern.NAME, "an earlier row of this file has another name for this document; that one counts"
)


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
class StoredDebtor:
    """A debtor as in the database, or as it will be after this batch (``id`` None: not there yet).

    ``numbers`` has the position of each number, ``added`` the line type of those that are new.
    ``named``: a row of this batch has said who it is.
    """

    id: int | None
    values: dict[str, Any]
    numbers: dict[str, int] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    changed: bool = False
    named: bool = False


_DEBTOR_VALUES = ("name", "email", "language", "timezone", "country")


def load_debtors(
    connection: Connection, company_id: int, documents: Iterable[str]
) -> dict[str, StoredDebtor]:
    """Those of the documents that the company has, with their numbers."""
    found: dict[str, StoredDebtor] = {}
    by_id: dict[int, StoredDebtor] = {}
    columns = [debtor.c[name] for name in _DEBTOR_VALUES]
    for part in chunks(documents):
        for document, debtor_id, *values in connection.execute(
            select(debtor.c.document, debtor.c.id, *columns).where(
                debtor.c.company_id == company_id, debtor.c.document.in_(part)
            )
        ):
            one = StoredDebtor(debtor_id, dict(zip(_DEBTOR_VALUES, values, strict=True)))
            found[document] = by_id[debtor_id] = one
    for ids in chunks(by_id):
        for debtor_id, number, position in connection.execute(
            select(phone.c.debtor_id, phone.c.number, phone.c.position).where(
                phone.c.debtor_id.in_(ids)
            )
        ):
            by_id[debtor_id].numbers[number] = position
    return found


def judge_debtor(
    row: DebtorRow, debtors: dict[str, StoredDebtor], seen: SeenDebtors, country: str
) -> tuple[bool, tuple[Caution, ...]]:
    """Whether the row changes its debtor (entered into ``debtors``), and what is odd about it."""
    said = {name: getattr(row, name) for name in _DEBTOR_VALUES}
    one = debtors.get(row.document)
    cautions: tuple[Caution, ...] = ()
    before = None
    if one is None:
        said["timezone"] = row.timezone or row.likely_timezone
        said["country"] = row.country or country
        one = debtors[row.document] = StoredDebtor(None, said, named=True)
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


def save_debtors(
    connection: Connection,
    company_id: int,
    debtors: dict[str, StoredDebtor],
    seen: SeenDebtors,
    now: datetime,
) -> None:
    """Insert the new ones and update those that changed; all of them have ids then."""
    new = {document: one for document, one in debtors.items() if one.id is None}
    if new:
        insert_rows(
            connection,
            debtor,
            [
                {"company_id": company_id, "document": document, "created_at": now, **one.values}
                for document, one in new.items()
            ],
        )
        for part in chunks(new):
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


def save_phones(connection: Connection, debtors: dict[str, StoredDebtor]) -> int:
    """Insert the new numbers; how many."""
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
        insert_rows(connection, phone, new)
    return len(new)


def shared_numbers(connection: Connection, company_id: int, numbers: Iterable[str]) -> set[str]:
    """Those of the numbers that more than one debtor of the company has."""
    # Two look-ups by index: a join is planned from the company's debtors, all of them, where
    # SQLite has no statistics.
    holders: dict[str, list[int]] = {}
    for part in chunks(numbers):
        for number, debtor_id in connection.execute(
            select(phone.c.number, phone.c.debtor_id).where(phone.c.number.in_(part))
        ):
            holders.setdefault(number, []).append(debtor_id)
    several = {number: ids for number, ids in holders.items() if len(ids) > 1}
    ours: set[int] = set()
    for chunk in chunks({debtor_id for ids in several.values() for debtor_id in ids}):
        ours.update(
            connection.execute(
                select(debtor.c.id).where(debtor.c.id.in_(chunk), debtor.c.company_id == company_id)
            ).scalars()
        )
    return {number for number, ids in several.items() if len(ours.intersection(ids)) > 1}
