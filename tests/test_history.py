"""The made-up past: it hangs together as a real one does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from world import World, plan

from dialer.simulation.history import fill_history
from dialer.store import ledger
from dialer.store import tables as t

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


@pytest.fixture
def filled(database: Engine, tmp_path: Path) -> Engine:
    world = World(database)
    fill_history(database, world.campaign_id, debtors=120, attempts=900, seed=3, now=NOW, days=20)
    return database


def test_as_many_calls_as_asked_for_and_each_has_ended(filled: Engine) -> None:
    with filled.connect() as c:
        a = t.attempt.c
        count = c.scalar(select(func.count()).select_from(t.attempt))
        assert count is not None and 800 < count < 1050
        late = c.scalar(select(func.count()).where(a.ended_at < a.placed_at))
        future = c.scalar(select(func.count()).where(a.placed_at > NOW))
        contacts = c.scalar(select(func.count()).where(t.contact.c.channel == "voice"))
    assert (late, future, contacts) == (0, 0, count)


def test_who_hung_up_without_a_key_was_followed_or_it_is_said_why(filled: Engine) -> None:
    with filled.connect() as c:
        abandoned = set(
            c.scalars(select(t.attempt.c.id).where(t.attempt.c.disposition == "answered_abandoned"))
        )
        steps = c.execute(select(t.fallback)).all()
    assert abandoned == {one.attempt_id for one in steps}
    for one in steps:
        made = one.made_attempt_id or one.made_message_id
        assert (made is None) == (one.refused is not None)


def test_the_books_add_up_and_nobody_pays_more_than_is_owed(filled: Engine) -> None:
    with filled.connect() as c:
        assert ledger.audit_books(c) == []
        paid = c.scalar(select(func.count()).select_from(t.payment))
    assert paid


def test_rows_can_be_added_after_it(filled: Engine) -> None:
    world = World(filled, plan(name="later"), company="Later")
    assert world.lead()
