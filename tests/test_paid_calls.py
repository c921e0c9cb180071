"""A call to somebody who paid while it rang, or whose payment is not known yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures_ivr import Office, office
from money import make_paid, make_pending

from dialer.flow.prompts import NEUTRAL_GOODBYE
from dialer.store import tables as t
from dialer.store.db import migrate, open_database


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, ivr_sounds: Path) -> Iterator[Office]:
    home = tmp_path_factory.mktemp("desk")
    url = f"sqlite:///{home / 'dialer.db'}"
    migrate(url)
    engine = open_database(url)
    with office(engine, home, ivr_sounds) as one:
        yield one
    engine.dispose()


@pytest.mark.parametrize("pay", [make_paid, make_pending])
@pytest.mark.parametrize("script", ["flow", "machine"])
def test_nobody_is_asked_for_what_is_not_owed(desk: Office, pay: object, script: str) -> None:
    attempt_id = desk.call()
    (attempt,) = desk.world.rows(t.attempt, id=attempt_id)
    assert callable(pay)
    pay(desk.world, attempt.lead_id)
    call = desk.dial(attempt_id, script, answers="1 5678").run()
    assert call.played == ([f"es/{NEUTRAL_GOODBYE}"] if script == "flow" else [])
    assert (call.outcomes, call.keys) == ([], [])


def test_the_rest_is_spoken_of_where_a_part_was_paid(desk: Office) -> None:
    attempt_id = desk.call()
    (attempt,) = desk.world.rows(t.attempt, id=attempt_id)
    make_paid(desk.world, attempt.lead_id, 2345)
    call = desk.dial(attempt_id, answers="1 5678 0").run()
    assert "n/cien" in call.played and "n/ciento" not in call.played
