"""What every table is declared with: the metadata, the usual kinds of column, partial indexes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, MetaData, text

from dialer.store.types import BigId

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def own_id() -> Column[int]:
    """The number of a row, given by the database."""
    return Column("id", BigId, primary_key=True, autoincrement=True)


def ref(name: str, target: str, *, nullable: bool = False, index: bool = False) -> Column[int]:
    """The number of a row of ``target``."""
    return Column(name, BigId, ForeignKey(f"{target}.id"), nullable=nullable, index=index)


def only(condition: str) -> dict[str, Any]:
    """For an index over the rows alone of which that is true, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
