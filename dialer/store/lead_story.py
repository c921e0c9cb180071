"""What an agent sees of a lead before it is called: who it is, what is owed, what was before."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from dialer.store.story import accounts_of, as_json, masked
from dialer.store.tables import campaign, company, debtor, lead
from dialer.store.timeline import timeline


def lead_story(connection: Connection, lead_id: int, now: datetime) -> dict[str, Any] | None:
    """The story of a lead in JSON values; None where there is no such lead. ``now`` is aware."""
    row = connection.execute(
        select(
            lead.c.account_id,
            lead.c.debtor_id,
            lead.c.attempts,
            debtor.c.name,
            debtor.c.document,
            debtor.c.language,
            debtor.c.timezone,
            company.c.name.label("company"),
            campaign.c.name.label("campaign"),
            campaign.c.plan,
        )
        .join(debtor, debtor.c.id == lead.c.debtor_id)
        .join(company, company.c.id == debtor.c.company_id)
        .join(campaign, campaign.c.id == lead.c.campaign_id)
        .where(lead.c.id == lead_id)
    ).first()
    if row is None:
        return None
    zone = row.timezone or row.plan["default_timezone"]
    told: dict[str, Any] = as_json(
        {
            "company": row.company,
            "campaign": row.campaign,
            "debtor_id": row.debtor_id,
            "account_id": row.account_id,
            "name": row.name,
            "document": masked(row.document),
            "language": row.language or row.plan["language"],
            "timezone": zone,
            "local_time": now.astimezone(ZoneInfo(zone)),
            "attempts": row.attempts,
            "accounts": accounts_of(connection, row.debtor_id, row.account_id),
            "timeline": timeline(connection, row.debtor_id),
        }
    )
    return told
