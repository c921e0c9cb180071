"""Many rows at once, in and out, on both databases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ARRAY, Connection, Table, bindparam, func, insert, select

T = TypeVar("T")

IN_CHUNK = 5000  # values of one IN: SQLite takes 32,766 variables, PostgreSQL 65,535


def insert_rows(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows that all have the same columns; at least one."""
    if connection.dialect.name != "postgresql":
        connection.execute(insert(table), rows)
        return
    # An array for each column: a fraction of the work of a value for each cell.
    names = list(rows[0])
    arrays = [
        func.unnest(
            bindparam(f"all_{name}", [row[name] for row in rows], type_=ARRAY(table.c[name].type))
        )
        for name in names
    ]
    connection.execute(insert(table).from_select(names, select(*arrays)).inline())


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """The values in lists that fit into one IN."""
    iterator = iter(values)
    while part := list(islice(iterator, IN_CHUNK)):
        yield part
