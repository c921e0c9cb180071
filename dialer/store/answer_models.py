"""What the dialer has learned about who answers: one row a company, the engine's alone to write."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from dialer.store.tables import answer_model
from dialer.store.upsert import insert_ignore


def load(connection: Connection) -> dict[int, Any]:
    """The stored states by company."""
    rows = connection.execute(select(answer_model.c.company_id, answer_model.c.state))
    return {row.company_id: row.state for row in rows}


def save(connection: Connection, states: Mapping[int, Any], now: datetime) -> None:
    """Put these in the place of what was stored. Of two engines that call for one company, the
    one that saves last is remembered."""
    for company_id, state in sorted(states.items()):
        values = {"state": state, "updated_at": now}
        if not insert_ignore(connection, answer_model, [{"company_id": company_id, **values}]):
            connection.execute(
                update(answer_model).where(answer_model.c.company_id == company_id).values(values)
            )
