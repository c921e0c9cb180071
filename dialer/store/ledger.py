"""The ledger in the database: only ever added to, each transaction once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)

from dialer.domain.ledger import Balance, Book, Transaction, balance, wrong_with_payment
from dialer.domain.payment import PaymentMode, PaymentState
from dialer.domain.payment_states import RefundLife
from dialer.store.tables import account, ledger_entry, payment, refund
from dialer.store.upsert import insert_ignore

IN_CHUNK = 5000  # values of one IN


def post(
    connection: Connection,
    transaction: Transaction,
    *,
    account_id: int,
    currency: str,
    payment_id: str | None,
    now: datetime,
) -> bool:
    """Write a transaction; False where it was written before."""
    rows = [
        {
            "transaction": transaction.key,
            "account_id": account_id,
            "book": entry.book.value,
            "minor": entry.minor,
            "currency": currency,
            "payment_id": payment_id,
            "at": now,
        }
        for entry in transaction.entries
    ]
    return insert_ignore(connection, ledger_entry, rows) > 0


def posted(connection: Connection, key: str) -> bool:
    """Whether a transaction was written."""
    found = select(ledger_entry.c.id).where(ledger_entry.c.transaction == key).limit(1)
    return connection.execute(found).first() is not None


def lock_account(connection: Connection, account_id: int) -> Any | None:
    """The account's row, held until the transaction ends: money of a debt moves one at a time.

    Always taken before a payment's row. On SQLite every writing transaction is alone anyway.
    """
    query = select(account).where(account.c.id == account_id)
    return connection.execute(query.with_for_update(key_share=True)).first()


def payable_sql() -> ColumnElement[int]:
    """What may still be paid of ``account``, as an expression beside that table; below nothing
    where more was paid than claimed."""
    moved = (
        select(func.coalesce(func.sum(ledger_entry.c.minor), 0))
        .where(
            ledger_entry.c.account_id == account.c.id,
            ledger_entry.c.book == Book.OPEN.value,
            ledger_entry.c.currency == account.c.currency,
        )
        .correlate(account)
        .scalar_subquery()
    )
    return account.c.amount_minor + cast(moved, BigInteger)


def balances(connection: Connection, account_ids: Collection[int]) -> dict[int, Balance]:
    """Where the money of these accounts stands; one that does not exist is missing."""
    found: dict[int, Balance] = {}
    ids = sorted(set(account_ids))
    for start in range(0, len(ids), IN_CHUNK):
        found |= _balances(connection, ids[start : start + IN_CHUNK])
    return found


def balance_of(connection: Connection, account_id: int) -> Balance:
    """Of one. Raises KeyError where it does not exist."""
    return balances(connection, [account_id])[account_id]


def _balances(connection: Connection, ids: list[int]) -> dict[int, Balance]:
    # One refund leaves an entry in the book it came from; the other side is what became of it.
    back = and_(
        ledger_entry.c.transaction.like("%refund:%"), ledger_entry.c.book == Book.PAID.value
    )
    rows = connection.execute(
        select(
            account.c.id,
            account.c.amount_minor,
            account.c.currency,
            ledger_entry.c.book,
            func.coalesce(func.sum(ledger_entry.c.minor), 0).label("minor"),
            func.coalesce(func.sum(case((back, -ledger_entry.c.minor), else_=0)), 0).label("back"),
        )
        .join(
            ledger_entry,
            and_(
                ledger_entry.c.account_id == account.c.id,
                ledger_entry.c.currency == account.c.currency,
            ),
            isouter=True,
        )
        .where(account.c.id.in_(ids))
        .group_by(account.c.id, account.c.amount_minor, account.c.currency, ledger_entry.c.book)
    ).all()
    claims: dict[int, tuple[int, str]] = {}
    books: dict[int, dict[Book, int]] = defaultdict(dict)
    given: dict[int, int] = defaultdict(int)
    for row in rows:
        claims[row.id] = (row.amount_minor, row.currency)
        if row.book is not None:
            books[row.id][Book(row.book)] = int(row.minor)
            given[row.id] += int(row.back)
    return {
        one: balance(claim, currency, books[one], given[one])
        for one, (claim, currency) in claims.items()
    }


def books_of_payment(connection: Connection, payment_id: str) -> dict[Book, int]:
    """The sums of the books over the entries of one payment."""
    rows = connection.execute(
        select(ledger_entry.c.book, func.sum(ledger_entry.c.minor).label("minor"))
        .where(ledger_entry.c.payment_id == payment_id)
        .group_by(ledger_entry.c.book)
    )
    return {Book(row.book): int(row.minor) for row in rows}


# --- audit -------------------------------------------------------------------------------


def audit_books(connection: Connection) -> list[str]:
    """Every inconsistency, with the ids to look at; empty: the books add up.

    Names transactions that do not add up, payments whose state does not agree with their entries,
    refunds without an entry and entries without a refund, money in another currency than its debt,
    and accounts that are overpaid (which can be true: the acquirer took what was not owed; the
    remedy is a refund).
    """
    return [
        *_transactions(connection),
        *_payments(connection),
        *_refunds(connection),
        *_strangers(connection),
        *_accounts(connection),
    ]


def _transactions(connection: Connection) -> Iterator[str]:
    e = ledger_entry.c
    rows = connection.execute(
        select(e.transaction, func.sum(e.minor).label("minor"))
        .group_by(e.transaction)
        .having(
            or_(
                func.sum(e.minor) != 0,
                func.min(e.account_id) != func.max(e.account_id),
                func.min(e.currency) != func.max(e.currency),
                func.count() < 2,
            )
        )
    )
    for row in rows:
        yield f"transaction {row.transaction} does not add up: {int(row.minor)} are left"


def _payments(connection: Connection) -> Iterator[str]:
    e = ledger_entry.c
    last = ""
    while True:
        rows = connection.execute(
            select(payment).where(payment.c.id > last).order_by(payment.c.id).limit(IN_CHUNK)
        ).all()
        if not rows:
            return
        first, last = rows[0].id, rows[-1].id
        books: dict[str, dict[Book, int]] = defaultdict(dict)
        for row in connection.execute(
            select(e.payment_id, e.book, func.sum(e.minor).label("minor"))
            .where(e.payment_id >= first, e.payment_id <= last)
            .group_by(e.payment_id, e.book)
        ):
            books[row.payment_id][Book(row.book)] = int(row.minor)
        given = {
            row.payment_id: int(row.minor)
            for row in connection.execute(
                select(refund.c.payment_id, func.sum(refund.c.amount_minor).label("minor"))
                .where(
                    refund.c.payment_id >= first,
                    refund.c.payment_id <= last,
                    refund.c.state == RefundLife.DONE.value,
                )
                .group_by(refund.c.payment_id)
            )
        }
        for row in rows:
            wrong = wrong_with_payment(
                PaymentMode(row.mode),
                PaymentState(row.state),
                row.amount_minor,
                books[row.id],
                captured=row.captured_at is not None,
                given_back=given.get(row.id, 0),
            )
            if wrong:
                yield f"payment {row.id}: {wrong}"


def _refunds(connection: Connection) -> Iterator[str]:
    e = ledger_entry.c
    done = refund.c.state == RefundLife.DONE.value
    rows = connection.execute(
        select(refund.c.id, refund.c.state, func.count(e.id).label("entries"))
        .join(
            ledger_entry,
            or_(
                e.transaction == "refund:" + refund.c.id, e.transaction == "unrefund:" + refund.c.id
            ),
            isouter=True,
        )
        .group_by(refund.c.id, refund.c.state)
        .having(
            or_(
                and_(done, func.count(e.id) != 2),
                and_(~done, func.count(e.id).not_in((0, 4))),
            )
        )
    )
    for row in rows:
        yield f"refund {row.id} is {row.state} and has {row.entries} entries"


def _strangers(connection: Connection) -> Iterator[str]:
    e = ledger_entry.c
    rows = connection.execute(
        select(e.transaction, e.currency)
        .join(account, account.c.id == e.account_id)
        .join(payment, payment.c.id == e.payment_id, isouter=True)
        .where(
            or_(
                e.currency != account.c.currency,
                payment.c.id.is_(None),
                payment.c.account_id != e.account_id,
                payment.c.currency != e.currency,
            )
        )
    )
    for row in rows:
        yield (
            f"transaction {row.transaction} ({row.currency}) does not belong to its account or "
            "payment, or is in another currency"
        )


def _accounts(connection: Connection) -> Iterator[str]:
    last = 0
    while True:
        ids = connection.scalars(
            select(ledger_entry.c.account_id)
            .where(ledger_entry.c.account_id > last)
            .distinct()
            .order_by(ledger_entry.c.account_id)
            .limit(IN_CHUNK)
        ).all()
        if not ids:
            return
        last = ids[-1]
        for one, stands in sorted(balances(connection, ids).items()):
            if not stands.adds_up:
                yield f"account {one} does not add up: {stands}"
            if stands.overpaid:
                yield (
                    f"account {one} is overpaid by {stands.overpaid} {stands.currency} (minor "
                    "units): refund it with `dialer payments refund`"
                )
