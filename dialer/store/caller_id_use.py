"""The pools of caller IDs with what was called from each number."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, select

from dialer.domain.caller_id_health import Used
from dialer.domain.model import CampaignState, Disposition
from dialer.store.tables import attempt, caller_id, caller_id_pool, campaign, company

_NOT_THE_NUMBERS = [
    one.value for one in (Disposition.FAILED, Disposition.CONGESTION, Disposition.INVALID_NUMBER)
]
"""Ends that say nothing about how a number is taken."""
_OVER = (CampaignState.STOPPED.value, CampaignState.FINISHED.value)


@dataclass(slots=True)
class Pool:
    """``campaigns``: those not over that show its numbers."""

    id: int
    name: str
    company_id: int
    company: str
    country: str
    campaigns: list[str] = field(default_factory=list)
    numbers: list[Used] = field(default_factory=list)


def pools(connection: Connection, company_id: int | None, since: datetime) -> list[Pool]:
    """Every pool, its numbers as they were used from ``since`` on; ``company_id`` None: all."""
    columns = caller_id_pool.c
    statement = (
        select(columns.id, columns.name, columns.company_id, company.c.name.label("company"),
               company.c.country)
        .join(company, company.c.id == columns.company_id)
        .order_by(company.c.name, columns.name)
    )  # fmt: skip
    if company_id is not None:
        statement = statement.where(columns.company_id == company_id)
    found = {row.id: Pool(*row) for row in connection.execute(statement)}
    of_campaign: dict[int, int] = {}
    for campaign_id, pool_id, name, state in connection.execute(
        select(campaign.c.id, campaign.c.pool_id, campaign.c.name, campaign.c.state)
        .where(campaign.c.pool_id.in_(list(found)))
        .order_by(campaign.c.name)
    ):
        of_campaign[campaign_id] = pool_id
        if state not in _OVER:
            found[pool_id].campaigns.append(name)
    used = _used(connection, of_campaign, since)
    for pool_id, number in connection.execute(
        select(caller_id.c.pool_id, caller_id.c.number)
        .where(caller_id.c.pool_id.in_(list(found)))
        .order_by(caller_id.c.id)
    ):
        found[pool_id].numbers.append(used.get((pool_id, number)) or Used(number))
    return list(found.values())


def pool_of(connection: Connection, pool_id: int) -> Pool | None:
    """One, without its numbers."""
    columns = caller_id_pool.c
    row = connection.execute(
        select(columns.id, columns.name, columns.company_id, company.c.name, company.c.country)
        .join(company, company.c.id == columns.company_id)
        .where(columns.id == pool_id)
    ).first()
    return None if row is None else Pool(*row)


def _used(
    connection: Connection, of_campaign: dict[int, int], since: datetime
) -> dict[tuple[int, str], Used]:
    """By pool and number; several campaigns may show one."""
    counts = attempt.c
    counted = counts.disposition.not_in(_NOT_THE_NUMBERS)
    rows = connection.execute(
        select(
            counts.campaign_id, counts.caller_id, func.count().filter(counted),
            func.count(counts.answered_at).filter(counted),
            func.count().filter(counts.disposition == Disposition.REJECTED.value),
            func.max(counts.placed_at),
        )
        .where(
            counts.campaign_id.in_(list(of_campaign)), counts.placed_at >= since,
            counts.inbound.is_(False),
        )
        .group_by(counts.campaign_id, counts.caller_id)
    )  # fmt: skip
    found: dict[tuple[int, str], Used] = {}
    for campaign_id, number, calls, answered, rejected, last in rows:
        key = (of_campaign[campaign_id], number)
        before = found.get(key) or Used(number)
        found[key] = Used(
            number, before.calls + calls, before.answered + answered, before.rejected + rejected,
            max(last, before.last_at or last),
        )  # fmt: skip
    return found
