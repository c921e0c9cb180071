"""What money changes for calls and messages: who has paid is asked for nothing any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, select, update

from dialer.domain.ledger import Book
from dialer.domain.model import Disposition, LeadState, Outcome
from dialer.store import attempts
from dialer.store.tables import account, attempt, flow_outcome, lead, ledger_entry
from dialer.store.upsert import insert_ignore

PAID = "paid"
"""Why a lead is closed whose debt is paid."""


@dataclass(frozen=True, slots=True)
class Debt:
    """Of one account, in minor units: what may be paid now, and what is under way or unknown."""

    payable: int
    pending: int

    @property
    def paid(self) -> bool:
        """Nothing is left to ask for, and nothing is in doubt."""
        return self.payable <= 0 and self.pending <= 0

    @property
    def in_doubt(self) -> bool:
        """Money may have been taken: nobody is asked for it before that is known."""
        return self.pending > 0


def _in(book: Book) -> ColumnElement[int]:
    return func.coalesce(
        func.sum(case((ledger_entry.c.book == book.value, ledger_entry.c.minor))), 0
    )


# By accounts, from the entries alone: most accounts of a batch have none.
_BOOKS = (
    select(
        ledger_entry.c.account_id,
        account.c.amount_minor,
        _in(Book.OPEN).label("open_minor"),
        _in(Book.PENDING).label("pending_minor"),
    )
    .join(account, account.c.id == ledger_entry.c.account_id)
    .where(ledger_entry.c.account_id.in_(bindparam("accounts", expanding=True)))
    .group_by(ledger_entry.c.account_id, account.c.amount_minor)
)


def debts(connection: Connection, account_ids: Sequence[int]) -> dict[int, Debt]:
    """Of these accounts those that money was ever moved for, in one query."""
    if not account_ids:
        return {}
    return {
        row.account_id: Debt(row.amount_minor + int(row.open_minor), int(row.pending_minor))
        for row in connection.execute(_BOOKS, {"accounts": list(account_ids)})
    }


def is_paid(connection: Connection, account_id: int) -> bool:
    """Whether nothing is left to ask for."""
    debt = debts(connection, [account_id]).get(account_id)
    return debt is not None and debt.paid


def record_paid(
    connection: Connection, *, account_id: int, attempt_id: str | None, node: str, at: datetime
) -> None:
    """That a debtor has paid, in the transaction that settles the payment, once its entries in
    the ledger are written; a repeat changes nothing.

    ``attempt_id``: the call it was paid in, None for a link. The call's conclusion is ``paid``
    whatever else it had come to, also where the engine has concluded it already (it never touches
    an attempt that is ended, so the correction has one writer). Leads of the account that wait
    are closed once nothing is open: those of other campaigns too.
    """
    if attempt_id is not None:
        _conclude(connection, attempt_id, node, at)
        _close(connection, account_id, called_in=attempt_id)
    if is_paid(connection, account_id):
        _close(connection, account_id)


def _conclude(connection: Connection, attempt_id: str, node: str, at: datetime) -> None:
    # Locks the attempt: either the engine concludes it after this commit and finds the outcome,
    # or it has and is corrected here.
    ended = attempts.is_ended(connection, attempt_id)
    row = {"attempt_id": attempt_id, "outcome": Outcome.PAID.value, "at": at, "node": node[:64]}
    if not insert_ignore(connection, flow_outcome, [row]):
        connection.execute(
            update(flow_outcome)
            .where(
                flow_outcome.c.attempt_id == attempt_id,
                flow_outcome.c.outcome != Outcome.PAID.value,
            )
            .values(outcome=Outcome.PAID.value, at=at, node=node[:64])
        )
    if ended:
        connection.execute(
            update(attempt)
            .where(attempt.c.id == attempt_id)
            .values(outcome=Outcome.PAID.value, disposition=Disposition.PAID.value)
        )


def _close(connection: Connection, account_id: int, *, called_in: str | None = None) -> None:
    """Leads of the account that wait; with ``called_in`` the lead of that call alone, also one
    that was closed for less.

    A lead that is held is left: whoever is just claiming it looks at the money too, and waiting
    for it here could be waiting in a circle.
    """
    debtor = select(account.c.debtor_id).where(account.c.id == account_id).scalar_subquery()
    # By the debtor, which has an index.
    wanted = [lead.c.debtor_id == debtor, lead.c.account_id == account_id]
    values = {"state": LeadState.DONE.value, "closed_reason": PAID}
    if called_in is None:
        wanted.append(lead.c.state == LeadState.WAITING.value)
    else:
        called = select(attempt.c.lead_id).where(attempt.c.id == called_in).scalar_subquery()
        wanted += [lead.c.id == called, lead.c.state != LeadState.CLAIMED.value]
        values["last_disposition"] = Disposition.PAID.value
    ids = connection.execute(
        select(lead.c.id).where(*wanted).with_for_update(skip_locked=True)
    ).scalars()
    connection.execute(update(lead).where(lead.c.id.in_(list(ids))).values(**values))
