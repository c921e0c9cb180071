"""The do-not-call list as people keep it: one list a company, for calls and messages alike.

It is asked at every contact, so that a number on it is not called from that moment on. Every
change is in the audit trail, by ids: the trail holds no numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from dialer.store import audit
from dialer.store.bulk import chunks
from dialer.store.companies import NotPossible
from dialer.store.refusals import Why
from dialer.store.tables import debtor, phone, suppression
from dialer.store.upsert import insert_ignore

OPERATOR = "operator"
IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Removal:
    """``opted_out``: debtors with the number who are marked as opted out themselves, and stay so;
    ``lifted``: those whose mark was taken away."""

    opted_out: int
    lifted: int


def add_number(
    connection: Connection, company_id: int, number: str, actor: str, now: datetime
) -> bool:
    """Put a number (E.164) on the list; False where it is there already, which stays as it is."""
    values = {
        "company_id": company_id,
        "number": number,
        "reason": OPERATOR,
        "source": f"operator:{actor}"[:80],
        "at": now,
    }
    if _find(connection, company_id, number) is not None:
        return False
    insert_ignore(connection, suppression, [values])
    row = _find(connection, company_id, number)
    assert row is not None
    audit.record(
        connection,
        actor=actor,
        action="dnc.add",
        target=f"suppression:{row.id}",
        now=now,
        after={"company": company_id, "phones": _phone_ids(connection, company_id, number)},
    )
    return True


def add_numbers(
    connection: Connection, company_id: int, numbers: Sequence[str], source: str, now: datetime
) -> int:
    """Put many numbers (E.164) of a file on the list; how many were not on it.

    ``source`` names the file. The caller records the whole in the audit trail.
    """
    new = dict.fromkeys(numbers)
    for part in chunks(numbers):
        for number in connection.execute(
            select(suppression.c.number).where(
                suppression.c.company_id == company_id, suppression.c.number.in_(part)
            )
        ).scalars():
            new.pop(number, None)
    rows = [
        {
            "company_id": company_id,
            "number": number,
            "reason": IMPORT,
            "source": source[:80],
            "at": now,
        }
        for number in new
    ]
    insert_ignore(connection, suppression, rows)
    return len(rows)


def remove_number(
    connection: Connection,
    company_id: int,
    number: str,
    actor: str,
    now: datetime,
    *,
    lift_opt_out: bool = False,
) -> Removal:
    """Take a number (E.164) off the list. Raises NotPossible where it is not on it.

    Debtors who opted out themselves (by keypad or message) are marked beside the list and are
    called on no number; ``lift_opt_out`` takes the mark from those who have this number.
    """
    row = _find(connection, company_id, number)
    marked = [
        found.id
        for found in connection.execute(
            select(debtor.c.id).where(
                debtor.c.company_id == company_id,
                debtor.c.opted_out_at.is_not(None),
                debtor.c.id.in_(select(phone.c.debtor_id).where(phone.c.number == number)),
            )
        )
    ]
    if row is None and not (lift_opt_out and marked):
        raise NotPossible(Why.NOT_SUPPRESSED.say())
    if row is not None:
        connection.execute(delete(suppression).where(suppression.c.id == row.id))
    if lift_opt_out and marked:
        connection.execute(update(debtor).where(debtor.c.id.in_(marked)).values(opted_out_at=None))
    audit.record(
        connection,
        actor=actor,
        action="dnc.remove",
        target=f"suppression:{row.id if row is not None else 0}",
        now=now,
        before={
            "company": company_id,
            "phones": _phone_ids(connection, company_id, number),
            "reason": row.reason if row is not None else None,
            "source": row.source if row is not None else None,
            "at": row.at.isoformat() if row is not None else None,
            "opted_out": marked,
        },
        after={"lifted": marked if lift_opt_out else []},
    )
    lifted = len(marked) if lift_opt_out else 0
    return Removal(opted_out=len(marked) - lifted, lifted=lifted)


def stop_contact(connection: Connection, debtor_id: int, actor: str, now: datetime) -> None:
    """Nobody contacts this debtor any more: their numbers go on the list, and they are marked, so
    that a number which comes later is left alone too."""
    row = connection.execute(select(debtor).where(debtor.c.id == debtor_id)).one()
    for number in _numbers(connection, debtor_id):
        add_number(connection, row.company_id, number, actor, now)
    if row.opted_out_at is None:
        connection.execute(update(debtor).where(debtor.c.id == debtor_id).values(opted_out_at=now))
    audit.record(
        connection,
        actor=actor,
        action="debtor.stop_contact",
        target=f"debtor:{debtor_id}",
        now=now,
        before={"opted_out": row.opted_out_at is not None},
        after={"opted_out": True},
    )


def allow_contact(connection: Connection, debtor_id: int, actor: str, now: datetime) -> None:
    """Undoes ``stop_contact``, also where the debtor had asked for it: their numbers leave the
    list, for whoever else has them too, and their own mark is taken away. The marks of others stay.
    """
    row = connection.execute(select(debtor).where(debtor.c.id == debtor_id)).one()
    for number in _numbers(connection, debtor_id):
        if _find(connection, row.company_id, number) is not None:
            remove_number(connection, row.company_id, number, actor, now)
    connection.execute(update(debtor).where(debtor.c.id == debtor_id).values(opted_out_at=None))
    audit.record(
        connection,
        actor=actor,
        action="debtor.allow_contact",
        target=f"debtor:{debtor_id}",
        now=now,
        before={"opted_out": row.opted_out_at is not None},
        after={"opted_out": False},
    )


def _numbers(connection: Connection, debtor_id: int) -> list[str]:
    found = select(phone.c.number).where(phone.c.debtor_id == debtor_id).order_by(phone.c.position)
    return list(connection.execute(found).scalars())


def debtors_with(connection: Connection, company_id: int, number: str) -> int:
    """How many debtors of the company have the number."""
    return len(_phone_ids(connection, company_id, number))


def list_numbers(
    connection: Connection, company_id: int, limit: int | None = None
) -> Iterator[tuple[str, str, str, datetime]]:
    """Number, reason, source and moment; the newest first. Rows come as they are read."""
    columns = suppression.c
    statement = (
        select(columns.number, columns.reason, columns.source, columns.at)
        .where(columns.company_id == company_id)
        .order_by(columns.at.desc(), columns.id.desc())
    )
    if limit is not None:
        statement = statement.limit(limit)
    for row in connection.execute(statement, execution_options={"yield_per": 1000}):
        yield (row.number, row.reason, row.source, row.at)


def is_listed(connection: Connection, company_id: int, number: str) -> bool:
    """Whether a number (E.164) is on the list."""
    return _find(connection, company_id, number) is not None


def count_numbers(connection: Connection, company_id: int) -> int:
    """How many are on the list."""
    found: int = connection.execute(
        select(func.count()).select_from(suppression).where(suppression.c.company_id == company_id)
    ).scalar_one()
    return found


def _find(connection: Connection, company_id: int, number: str) -> Row[Any] | None:
    return connection.execute(
        select(suppression).where(
            suppression.c.company_id == company_id, suppression.c.number == number
        )
    ).one_or_none()


def _phone_ids(connection: Connection, company_id: int, number: str) -> list[int]:
    return list(
        connection.execute(
            select(phone.c.id)
            .where(
                phone.c.number == number,
                phone.c.debtor_id.in_(select(debtor.c.id).where(debtor.c.company_id == company_id)),
            )
            .order_by(phone.c.id)
        ).scalars()
    )
