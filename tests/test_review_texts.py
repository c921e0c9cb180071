"""A text that nobody asked for keeps the hours and the state of its campaign until it leaves."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from fixtures_messaging import make_message
from sqlalchemy import Engine
from world import World, plan

from dialer.domain.model import ContactRules, DayWindow
from dialer.jobs import utc_now
from dialer.store import messages
from dialer.store import tables as t
from dialer.store.campaign_file import parse_window
from dialer.store.plans import plan_json


def keep_hours(world: World, *window: DayWindow) -> None:
    with world.engine.begin() as c:
        c.execute(t.campaign.update().values(plan=plan_json(plan(rules=ContactRules(window)))))


def refusal(world: World, message_id: int, now: datetime) -> str | None:
    with world.engine.begin() as c:
        return messages.claim_for_sending(c, message_id, now).refused


def test_a_fallback_that_was_held_up_does_not_leave_after_the_window(database: Engine) -> None:
    made = datetime.fromisoformat("2026-03-16T19:59:00+00:00")  # 20:59 in Madrid
    world = World(database, at=made)
    keep_hours(world, *parse_window(["mon-fri 09:00-21:00"]))
    in_time, late = make_message(world, at=made), make_message(world, "+34600111223", at=made)
    assert refusal(world, in_time, made + timedelta(seconds=30)) is None
    assert refusal(world, late, made + timedelta(minutes=5)) == "outside_window"
    (row,) = world.rows(t.message, id=late)
    assert (row.state, row.permanent) == ("failed", True)


def test_the_hour_is_that_of_the_debtor(database: Engine) -> None:
    made = datetime.fromisoformat("2026-03-16T20:30:00+00:00")  # 21:30 in Madrid
    world = World(database, at=made)
    keep_hours(world, *parse_window(["mon-fri 09:00-21:00"]))
    message_id = make_message(world, at=made)
    with database.begin() as c:
        c.execute(t.debtor.update().values(timezone="Atlantic/Canary"))
    assert refusal(world, message_id, made) is None


def test_a_link_that_the_debtor_asked_for_leaves_at_any_hour(database: Engine) -> None:
    now = utc_now()
    world = World(database, at=now)
    keep_hours(world)
    assert refusal(world, make_message(world, key="link:x", at=now), now) is None


@pytest.mark.parametrize(
    ("state", "refused"),
    [("stopped", "campaign_not_running"), ("paused", "campaign_not_running"), ("finished", None)],
)
def test_a_fallback_of_a_campaign_that_was_stopped_does_not_leave(
    database: Engine, state: str, refused: str | None
) -> None:
    now = utc_now()
    world = World(database, at=now)
    message_id = make_message(world, at=now)
    with database.begin() as c:
        c.execute(t.campaign.update().values(state=state))
    assert refusal(world, message_id, now) == refused
