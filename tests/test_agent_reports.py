"""What agents did, and whom a campaign abandoned, in figures; on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agent_support import a_session, an_agent, an_attempt, at, queued
from sqlalchemy import Engine
from world import NOW, World, plan

from dialer.commands.report import show
from dialer.domain.model import AgentCallKind, AgentCallResult, AttemptState, DialMode, Disposition
from dialer.store import abandonment, agent_calls, agent_reports, reports
from dialer.store.abandonment import Counts

K, M = AgentCallKind, DialMode


def figures(world: World) -> dict[str, Any]:
    with world.engine.connect() as c:
        found: dict[str, Any] = reports.report(c, world.campaign_id)["agents"]
    return found


def served(
    world: World, seat: tuple[str, int], talk: float, wait: float, kind: AgentCallKind
) -> None:
    """A debtor who waited and talked for so long, in seconds, with ten of wrap-up."""
    attempt = an_attempt(
        world, mode=M.PREDICTIVE, answered_at=NOW, agent_joined_at=at(wait),
        state=AttemptState.ENDED, disposition=Disposition.SPOKE,
    )  # fmt: skip
    call = queued(world, attempt, kind)
    with world.engine.begin() as c:
        agent_calls.joined(c, call, *seat, at(wait))
        agent_calls.left(c, call, at(wait + talk))
        agent_calls.wrap(c, call, at(wait + talk + 10))


def abandoned(world: World, when: datetime = NOW) -> None:
    attempt = an_attempt(
        world, mode=M.PREDICTIVE, placed_at=when, answered_at=when, abandoned_at=when,
        state=AttemptState.ENDED, disposition=Disposition.ABANDONED,
    )  # fmt: skip
    call = queued(world, attempt, K.PREDICTIVE)
    with world.engine.begin() as c:
        agent_calls.result(c, call, AgentCallResult.ABANDONED, when)


def test_a_campaign_without_agents_has_none_and_no_share(database: Engine) -> None:
    world = World(database)
    an_attempt(world)
    said = figures(world)
    assert (said["live_answers"], said["abandoned"], said["abandoned_share"]) == (0, 0, None)
    assert (said["worst_day"], said["calls"], said["by_agent"]) == (None, {}, [])
    assert said["talk_seconds"] == {"total": 0, "mean": None}


@pytest.mark.parametrize("chunk", [1, 5000])
def test_what_agents_did_by_kind_and_by_agent(
    database: Engine, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_reports, "CHUNK", chunk)
    world = World(database)
    other = World(database, plan(name="other"), company="Beta")
    ana, luis = an_agent(world), an_agent(world, "luis")
    hers, his = (a_session(world, ana), ana), (a_session(world, luis), luis)
    served(world, hers, talk=60, wait=0.1, kind=K.PREDICTIVE)
    served(world, hers, talk=30, wait=40, kind=K.ESCALATION)
    served(world, his, talk=90, wait=0.3, kind=K.PREDICTIVE)
    abandoned(world)
    abandoned(other)
    queued(world, an_attempt(world), K.INBOUND)
    said = figures(world)
    assert said["calls"] == {
        "predictive": {"count": 3, "results": {"served": 2, "abandoned": 1}},
        "escalation": {"count": 1, "results": {"served": 1}},
        "inbound": {"count": 1, "results": {"open": 1}},
    }
    assert said["wait_seconds"] == {"p50": 0.3, "p90": 40.0, "p99": 40.0}
    # Who asked for a person waited in a queue: that is no answer of ours.
    assert said["answer_to_sound_ms"] == {"p50": 100.0, "p90": 300.0, "p99": 300.0}
    assert said["talk_seconds"] == {"total": 180.0, "mean": 60.0}
    assert said["wrap_seconds"] == {"total": 30.0, "mean": 10.0}
    assert said["by_agent"] == [
        {"agent": "ana", "calls": 2, "talk_seconds": 90.0},
        {"agent": "luis", "calls": 1, "talk_seconds": 90.0},
    ]
    assert said["by_mode"] == {
        "predictive": {"live_answers": 4, "abandoned": 1, "abandoned_share": 0.25}
    }


def test_the_worst_day_is_that_of_utc(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    served(world, (a_session(world, ana), ana), talk=60, wait=0.1, kind=K.PREDICTIVE)
    abandoned(world)
    # A minute before midnight in UTC, whatever the server's own time zone is.
    late = datetime(2026, 3, 17, 23, 59, tzinfo=UTC)
    abandoned(world, late)
    abandoned(world, late + timedelta(minutes=2))
    with database.connect() as c:
        if database.dialect.name == "postgresql":
            c.exec_driver_sql("SET TIME ZONE 'Asia/Tokyo'")
        days = abandonment.by_day(c, world.campaign_id)
    assert {day: abandonment.total(modes) for day, modes in days.items()} == {
        "2026-03-16": Counts(2, 1), "2026-03-17": Counts(1, 1), "2026-03-18": Counts(1, 1),
    }  # fmt: skip
    said = figures(world)
    assert (said["live_answers"], said["abandoned"], said["abandoned_share"]) == (4, 3, 0.75)
    assert said["worst_day"] == {
        "day": "2026-03-18", "live_answers": 1, "abandoned": 1, "abandoned_share": 1.0,
    }  # fmt: skip


@pytest.mark.database("sqlite")
def test_people_are_shown_whom_the_campaign_abandoned(
    database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(database)
    ana = an_agent(world)
    served(world, (a_session(world, ana), ana), talk=60, wait=0.1, kind=K.PREDICTIVE)
    abandoned(world)
    with database.connect() as c:
        show(reports.report(c, world.campaign_id))
    said = capsys.readouterr().out
    assert "1 of 2 live answers (50.0 %; worst day 2026-03-16: 50.0 %)" in said
    assert "2: served 1, abandoned 1" in said
    assert "total 60.0, mean 60.0" in said


@pytest.mark.database("sqlite")
def test_people_are_shown_that_nobody_was_abandoned_too(
    database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(database)
    with database.connect() as c:
        show(reports.report(c, world.campaign_id))
    assert "0 of 0 live answers" in capsys.readouterr().out
