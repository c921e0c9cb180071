"""The imports that were, for the page that lists them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from dialer.store.tables import campaign, company, import_batch

PAGE = 25


def list_imports(
    connection: Connection, company_id: int | None, before: int | None = None, limit: int = PAGE
) -> list[Row[Any]]:
    """The newest first; ``company_id`` None: of all. ``before``: older than this id. One more than
    ``limit`` where there are more."""
    statement = (
        select(import_batch, company.c.name.label("company"), campaign.c.name.label("campaign"))
        .join(company, company.c.id == import_batch.c.company_id)
        .outerjoin(campaign, campaign.c.id == import_batch.c.campaign_id)
        .order_by(import_batch.c.id.desc())
        .limit(limit + 1)
    )
    if company_id is not None:
        statement = statement.where(import_batch.c.company_id == company_id)
    if before is not None:
        statement = statement.where(import_batch.c.id < before)
    return list(connection.execute(statement))


def find_import(connection: Connection, batch_id: int) -> Row[Any] | None:
    """One of them."""
    return connection.execute(select(import_batch).where(import_batch.c.id == batch_id)).first()
