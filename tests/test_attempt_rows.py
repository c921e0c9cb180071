"""What an attempt is in the engine is what it is in the database; on both."""

from __future__ import annotations

import pytest
from agent_support import an_attempt, at
from sqlalchemy import Engine
from world import World

from dialer.domain.model import Attempt, AttemptState, DialMode, Disposition, Outcome
from dialer.store.attempts import open_attempts, save_attempts


def loaded(world: World) -> Attempt:
    with world.engine.connect() as c:
        (one,) = open_attempts(c, "n1", [world.campaign_id])
    return one


@pytest.mark.parametrize("mode", list(DialMode))
def test_mode_and_direction_are_kept(database: Engine, mode: DialMode) -> None:
    world = World(database)
    made = an_attempt(world, mode=mode, inbound=mode is DialMode.PREVIEW)
    assert loaded(world) == made
    assert loaded(world).mode is mode


def test_what_happens_is_saved_and_how_it_began_never_changes(database: Engine) -> None:
    world = World(database)
    made = an_attempt(world, mode=DialMode.PREDICTIVE)
    later = made.with_(agent_joined_at=at(6), abandoned_at=at(7), outcome=Outcome.SPOKE)
    with database.begin() as c:
        save_attempts(c, [later.with_(mode=DialMode.PREVIEW, inbound=True)])
    assert loaded(world) == later
    ended = later.with_(state=AttemptState.ENDED, disposition=Disposition.SPOKE)
    with database.begin() as c:
        save_attempts(c, [ended])
        save_attempts(c, [ended.with_(abandoned_at=None)])
        assert open_attempts(c, "n1", [world.campaign_id]) == []
