"""Inserts that leave an existing row alone, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_ignore(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """Insert the rows that break no unique constraint; how many went in."""
    if not rows:
        return 0
    statement = _ignoring(table, connection.dialect.name)
    return connection.execute(statement, list(rows)).rowcount


@cache
def _ignoring(table: Table, name: str) -> Any:
    dialect = postgresql if name == "postgresql" else sqlite
    # Without being told to, SQLAlchemy does not keep the count of a batch on PostgreSQL (-1).
    statement = dialect.insert(table).on_conflict_do_nothing()
    return statement.execution_options(preserve_rowcount=True)
