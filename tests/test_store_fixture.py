"""The databases that tests run on are real, migrated, and each test's own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.exc import IntegrityError

from dialer.store.db import schema_version
from dialer.store.tables import caller_id_pool, company


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_migrated_database(database: Engine, turn: int) -> None:
    have, newest = schema_version(database)
    assert newest is not None
    assert have == newest
    with database.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(company)) == 0
        connection.execute(
            insert(company).values(
                name=f"turn {turn}",
                country="ES",
                timezone="Europe/Madrid",
                spoken_name="x",
                created_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
        )


def test_foreign_keys_are_enforced(database: Engine) -> None:
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(insert(caller_id_pool).values(company_id=99, name="x"))


@pytest.mark.database("postgresql")
def test_the_marker_narrows_to_one_database(database: Engine) -> None:
    assert database.dialect.name == "postgresql"
