"""A call that is recorded says so before anything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures_ivr import Office, office, write_sounds
from sqlalchemy import update
from world import plan

from dialer.store import tables as t
from dialer.store.db import migrate, open_database
from dialer.store.plans import plan_json


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    """An IVR of a campaign that records."""
    url = f"sqlite:///{tmp_path / 'dialer.db'}"
    migrate(url)
    engine = open_database(url)
    write_sounds(tmp_path / "prompts")
    with office(engine, tmp_path, tmp_path / "prompts") as one:
        records(one, True)
        yield one
    engine.dispose()


def records(desk: Office, whether: bool) -> None:
    with desk.engine.begin() as c:
        told = plan_json(dataclasses.replace(plan(), record=whether))
        c.execute(update(t.campaign).values(plan=told))


def test_the_notice_comes_first_and_no_key_cuts_it_short(desk: Office) -> None:
    call = desk.dial(desk.call(), answers="1 5678 0", over={"recording_notice": "1"}).run()
    assert call.played[:2] == ["es/recording_notice", "es/greeting-1"]
    assert call.commands[0].endswith('recording_notice" "" 0')
    assert call.outcomes == ["wants_agent"]


def test_a_call_that_is_not_recorded_says_nothing_of_it(desk: Office) -> None:
    records(desk, False)
    call = desk.dial(desk.call(), answers="1 5678 0").run()
    assert "es/recording_notice" not in call.played


def test_who_cannot_be_told_is_not_recorded(desk: Office, tmp_path: Path) -> None:
    (tmp_path / "prompts/es/recording_notice.ulaw").unlink()
    call = desk.dial(desk.call(), answers="1 5678 0").run()
    assert call.commands[0] == 'EXEC StopMixMonitor ""'
    assert call.outcomes == ["wants_agent"]


def test_who_hangs_up_over_the_notice_has_hung_up(desk: Office) -> None:
    call = desk.dial(desk.call(), hang_up=("recording_notice", "result")).run()
    desk.settle()
    assert call.played == [] and not call.outcomes
