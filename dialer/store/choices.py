"""What pages offer to choose from: companies and campaigns, only those of the viewer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from dialer.domain.model import CampaignState
from dialer.store.tables import campaign, company


def companies(connection: Connection, company_id: int | None) -> list[Row[Any]]:
    """id, name, country, timezone; ``company_id`` None: all of them."""
    columns = company.c
    statement = select(columns.id, columns.name, columns.country, columns.timezone)
    if company_id is not None:
        statement = statement.where(columns.id == company_id)
    return list(connection.execute(statement.order_by(columns.name)))


def campaigns(
    connection: Connection, company_id: int | None, *, still_open: bool = False
) -> list[Row[Any]]:
    """id, name, state, company_id; the newest first. ``still_open``: may get leads."""
    columns = campaign.c
    statement = select(columns.id, columns.name, columns.state, columns.company_id)
    if company_id is not None:
        statement = statement.where(columns.company_id == company_id)
    if still_open:
        statement = statement.where(columns.state != CampaignState.STOPPED.value)
    return list(connection.execute(statement.order_by(columns.id.desc())))
