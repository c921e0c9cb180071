"""Debtors, phones and accounts of a file into the database, a batch of rows a transaction.

Everything is found by its own key (document, number, reference), never by whether the file was
seen before: the same rows again change nothing, and an import that was interrupted is finished
by running it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection, bindparam, insert, literal, select, update

from dialer.domain.debtor_row import BatchResult, Caution, Concern, DebtorRow, RowFate, RowResult
from dialer.domain.model import LeadState
from dialer.store.bulk import chunks, insert_rows
from dialer.store.import_debtors import (
    SeenDebtors,
    StoredDebtor,
    judge_debtor,
    load_debtors,
    save_debtors,
    save_phones,
    shared_numbers,
)
from dialer.store.tables import account, campaign, company, debtor, lead

SHARED = Caution(
    Concern.SHARED_PHONE,
    "a phone number of this debtor belongs to another debtor too: whoever answers may be the other",
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
        parts = [wanted.where(account.c.id.in_(part)) for part in chunks(account_ids)]
    # SQLAlchemy keeps the count of an INSERT only when asked to.
    inserts = [
        insert(lead).from_select(columns, part).execution_options(preserve_rowcount=True)
        for part in parts
    ]
    return sum(connection.execute(one).rowcount for one in inserts)


@dataclass(slots=True)
class _Account:
    """As it is in the database, or will be after this batch (``id`` None: not in it yet)."""

    id: int | None
    document: str
    minor: int
    currency: str
    due: date
    changed: bool = False


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
    debtors = load_debtors(connection, company_id, {row.document for row in taken})
    results = {}
    for row in taken:
        fate, _ = verdicts[row.line]
        changed, cautions = judge_debtor(row, debtors, seen, country)
        if fate is RowFate.UNCHANGED and changed:
            fate = RowFate.UPDATED
        results[row.line] = RowResult(row.line, fate, cautions=cautions)
    new_debtors = sum(one.id is None for one in debtors.values())
    updated_debtors = sum(one.changed and one.id is not None for one in debtors.values())
    save_debtors(connection, company_id, debtors, seen, now)
    new_phones = save_phones(connection, debtors)
    new_accounts, updated_accounts = _save_accounts(connection, company_id, accounts, debtors, now)
    leads = 0
    if campaign_id is not None:
        ids = _account_ids(connection, company_id, {row.reference for row in taken})
        leads = add_leads(connection, campaign_id, ids, now)
    shared = shared_numbers(connection, company_id, {p.number for r in taken for p in r.phones})
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
    for part in chunks(references):
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
    debtors: dict[str, StoredDebtor],
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
        insert_rows(connection, account, new)
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
        for part in chunks(references)
        for row in connection.execute(
            select(account.c.id).where(
                account.c.company_id == company_id, account.c.reference.in_(part)
            )
        )
    ]
