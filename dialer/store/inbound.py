"""Who calls us: the company of the number that was called, the debtor of the one that calls."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from dialer.store.tables import attempt, caller_id, caller_id_pool, campaign, company, lead, phone


@dataclass(frozen=True, slots=True)
class Called:
    """A company, by one of its numbers. ``language``: of its newest campaign, None without any."""

    company_id: int
    number: str
    country: str
    spoken_name: str
    callback_number: str | None
    language: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """A debtor who calls, and the lead that is spoken about."""

    debtor_id: int
    phone_id: int
    number: str
    lead_id: int
    campaign_id: int


def countries(connection: Connection) -> list[str]:
    """Those of all companies (ISO 3166)."""
    return list(connection.execute(select(company.c.country).distinct()).scalars())


def company_called(connection: Connection, numbers: Collection[str]) -> Called | None:
    """The company that one of these numbers (E.164, ways to read what was dialled) belongs to;
    None where it is nobody's, or that of several."""
    pooled = (
        select(caller_id.c.number, caller_id_pool.c.company_id)
        .join(caller_id_pool, caller_id_pool.c.id == caller_id.c.pool_id)
        .where(caller_id.c.number.in_(numbers))
    )
    own = select(company.c.callback_number, company.c.id).where(
        company.c.callback_number.in_(numbers)
    )
    found = {row[1]: row[0] for query in (own, pooled) for row in connection.execute(query)}
    if len(found) != 1:
        return None
    ((company_id, number),) = found.items()
    row = connection.execute(select(company).where(company.c.id == company_id)).one()
    plan = connection.execute(
        select(campaign.c.plan)
        .where(campaign.c.company_id == company_id)
        .order_by(campaign.c.id.desc())
        .limit(1)
    ).scalar()
    return Called(
        company_id=company_id,
        number=number,
        country=row.country,
        spoken_name=row.spoken_name,
        callback_number=row.callback_number,
        language=plan["language"] if plan else None,
    )


def debtor_calling(connection: Connection, company_id: int, number: str) -> Caller | None:
    """The only debtor of that company with a lead who has this telephone; None where there are
    several or none: nobody knows then who calls.

    Of the leads the one that this telephone was last called for, else the newest.
    """
    rows = connection.execute(
        select(lead.c.id, lead.c.campaign_id, phone.c.debtor_id, phone.c.id.label("phone_id"))
        .join(phone, phone.c.debtor_id == lead.c.debtor_id)
        .join(campaign, campaign.c.id == lead.c.campaign_id)
        .where(phone.c.number == number, campaign.c.company_id == company_id)
        .order_by(lead.c.id.desc())
    ).all()
    if len({row.debtor_id for row in rows}) != 1:
        return None
    last = connection.execute(
        select(attempt.c.lead_id)
        .where(
            attempt.c.debtor_id == rows[0].debtor_id,
            attempt.c.phone_id == rows[0].phone_id,
            attempt.c.inbound.is_(False),
        )
        .order_by(attempt.c.placed_at.desc())
        .limit(1)
    ).scalar()
    row = next((one for one in rows if one.id == last), rows[0])
    return Caller(row.debtor_id, row.phone_id, number, row.id, row.campaign_id)
