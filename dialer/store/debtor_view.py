"""A debtor as the supervisor's page has them: who, which telephones, what is owed, where called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from dialer.domain.ledger import Balance
from dialer.store import ledger
from dialer.store.tables import account, campaign, company, debtor, lead, phone, suppression


@dataclass(frozen=True, slots=True)
class Debt:
    """An account and where its money stands."""

    reference: str
    due: Any
    balance: Balance


def head(connection: Connection, debtor_id: int) -> Row[Any] | None:
    """The debtor's row with ``company`` and ``company_timezone``, which holds where they have no
    time zone of their own."""
    return connection.execute(
        select(
            debtor, company.c.name.label("company"), company.c.timezone.label("company_timezone")
        )
        .join(company, company.c.id == debtor.c.company_id)
        .where(debtor.c.id == debtor_id)
    ).first()


def phones(connection: Connection, debtor_id: int) -> list[Row[Any]]:
    """number, line_type, invalid_at, invalid_reason, and of the do-not-call list listed_at and
    listed_as; in the order in which they are tried."""
    return list(
        connection.execute(
            select(
                phone.c.id, phone.c.number, phone.c.line_type, phone.c.invalid_at,
                phone.c.invalid_reason, suppression.c.at.label("listed_at"),
                suppression.c.reason.label("listed_as"),
            )
            .join(debtor, debtor.c.id == phone.c.debtor_id)
            .outerjoin(
                suppression,
                (suppression.c.company_id == debtor.c.company_id)
                & (suppression.c.number == phone.c.number),
            )
            .where(phone.c.debtor_id == debtor_id)
            .order_by(phone.c.position, phone.c.id)
        )
    )  # fmt: skip


def debts(connection: Connection, debtor_id: int) -> list[Debt]:
    """The newest first."""
    rows = connection.execute(
        select(account.c.id, account.c.reference, account.c.due_date)
        .where(account.c.debtor_id == debtor_id)
        .order_by(account.c.id.desc())
    ).all()
    money = ledger.balances(connection, [row.id for row in rows])
    return [Debt(row.reference, row.due_date, money[row.id]) for row in rows]


def leads(connection: Connection, debtor_id: int) -> list[Row[Any]]:
    """Where the debtor is called: the lead's state and its campaign's, with the stored plan."""
    return list(
        connection.execute(
            select(
                lead.c.id, lead.c.state, lead.c.next_at, lead.c.attempts, lead.c.closed_reason,
                account.c.reference, campaign.c.id.label("campaign_id"),
                campaign.c.name.label("campaign"), campaign.c.state.label("campaign_state"),
                campaign.c.plan,
            )
            .join(campaign, campaign.c.id == lead.c.campaign_id)
            .join(account, account.c.id == lead.c.account_id)
            .where(lead.c.debtor_id == debtor_id)
            .order_by(lead.c.id.desc())
            .limit(50)
        )
    )  # fmt: skip
