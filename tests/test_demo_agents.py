"""What a demo with agents comes to: its judgement of what went wrong, and a small one on real
Asterisk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dialer.config import ROOT, load_settings
from dialer.domain.model import DialMode
from dialer.local import demo_agents
from dialer.local.demo_agents import (
    ANSWERED_SHARE,
    ASKING,
    CALLED,
    AgentOptions,
    agents_campaign,
    asking,
    called,
    how_many_ask,
    pacing_reason,
)
from dialer.local.demo_agents_result import failures, heard_ms, neither
from dialer.simulation.personas import named
from dialer.simulation.witness import WitnessedCall

AT = datetime(2026, 6, 1, 10, 0, tzinfo=UTC)


@dataclass
class Row:
    """An attempt that was answered at ``AT``."""

    number: str = "+34600000062"
    id: str = "a" * 32
    answered_at: datetime = AT
    agent_joined_at: datetime | None = None
    abandoned_at: datetime | None = None
    ended_at: datetime | None = AT + timedelta(seconds=30)
    disposition: str | None = "answered_abandoned"


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (Row(), True),
        (Row(agent_joined_at=after(0.1)), False),
        (Row(abandoned_at=after(2.0)), False),
        (Row(ended_at=after(1.5)), False),  # hung up within the hold
        (Row(ended_at=after(3.0)), True),
        (Row(ended_at=after(1.0), disposition="failed"), True),  # we dropped them
        (Row(disposition="machine"), False),
        (Row(ended_at=None, disposition=None), False),  # told by the campaign's end
    ],
)
def test_who_got_neither_an_agent_nor_the_message_is_named(row: Row, wrong: bool) -> None:
    said = neither([row], hold=2.0)
    assert bool(said) is wrong
    assert all("talks_to_agent" in one and row.id in one for one in said)


def test_the_far_end_s_latency_is_that_of_calls_with_an_agent() -> None:
    seen = [
        WitnessedCall("34600000062", "1", AT, answered_at=after(3), heard_at=after(3.05)),
        WitnessedCall("34600000162", "1", AT, answered_at=after(3), heard_at=None),
    ]
    served = [Row(), Row(number="+34600000162"), Row(number="+34600000262")]
    assert heard_ms(served, seen) == [50.0]


def measured(**changes: Any) -> dict[str, Any]:
    return {"agents": 2, "states": {"available": 2}, "refusals": {}} | changes


def test_failures_of_ours_are_told_and_refusals_are_not() -> None:
    assert failures(measured()) == []
    assert failures(measured(refusals={"ready:no_leg": 3.0, "blind:nobody": 1.0})) == []
    assert failures(measured(refusals={"promise:internal": 2.0})) == [
        "2 times an agent's promise failed (internal)"
    ]
    assert failures(measured(states={"available": 1, "talking": 1})) == [
        "1 agents are not available at the end"
    ]
    assert failures(None)


def test_a_third_of_the_debtors_answer() -> None:
    people = {"talks_to_agent", "hangs_up_on_agent", "gone_at_once"}
    share = sum(share for name, share in CALLED.items() if name in people) / sum(CALLED.values())
    assert share == pytest.approx(ANSWERED_SHARE) and 0.3 <= share <= 0.4
    seen = Counter(lead.persona.name for lead in called(2000, 1, None))
    assert set(seen) == set(CALLED)
    assert 0.3 < sum(seen[name] for name in people) / 2000 < 0.42


def test_nobody_is_called_by_both_campaigns() -> None:
    first = called(300, 1, None)
    second = asking(45, 1, first)
    assert Counter(one.persona.name for one in second).keys() == ASKING.keys()
    for what in ("phones", "document", "reference"):
        assert {getattr(one, what) for one in first}.isdisjoint(
            {getattr(one, what) for one in second}
        )
    again = asking(45, 1, second)  # the very ones that would be made up
    assert {one.phones for one in again}.isdisjoint({one.phones for one in second})
    assert (how_many_ask(12), how_many_ask(3), len(second)) == (1, 0, 45)


def test_the_campaign_is_what_was_asked_for() -> None:
    wanted = agents_campaign("demo", 5.0, AgentOptions(3, DialMode.POWER))
    assert wanted.agents.mode is DialMode.POWER
    assert wanted.ring_timeout >= 15, "the law's least, for modes that may abandon"


def test_why_the_pacer_held_back_is_the_last_thing_it_said(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    said = [
        {"event": "pacing", "reason": "first"},
        {"event": "other", "reason": '"pacing"'},
        {"event": "pacing", "reason": "used up"},
    ]
    log.write_text('not json "pacing"\n' + "".join(json.dumps(one) + "\n" for one in said))
    assert pacing_reason(log) == "used up"
    log.write_text(json.dumps({"event": "pacing", "reason": "as usual"}) + "\n")
    assert pacing_reason(log) == ""
    assert pacing_reason(tmp_path / "none.log") == ""


def test_the_time_allowed_grows_with_the_talks_of_each_agent() -> None:
    few, many = AgentOptions(2), AgentOptions(20)
    assert few.seconds(300) > many.seconds(300) > few.seconds(3)
    alone = AgentOptions(1, blind=0.5).arguments(Path("/x"), 1)
    assert alone[alone.index("--blind") + 1] == "0", "there is nobody to pass a call on to"


# --- on real Asterisk ----------------------------------------------------------------------


@pytest.mark.timeout(240)
def test_a_small_demo_with_agents(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    ran = subprocess.run(
        [
            sys.executable, "-m", "dialer", "--home", str(tmp_path / "home"), "demo",
            "--agents", "2", "--mode", "predictive", "--leads", "12", "--talk-mean", "3",
            "--wrap-mean", "1", "--timeout", "120", "--json", str(out),
            "--persona", "talks_to_agent", "--persona", "busy", "--persona", "hangs_up_on_agent",
            "--persona", "gone_at_once", "--persona", "unallocated",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=230, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    found = json.loads(out.read_text())
    agents = found["agents"]
    assert (agents["agents"], agents["mode"], agents["problems"]) == (2, "predictive", [])
    people = [named(name).code for name in ("talks_to_agent", "hangs_up_on_agent", "gone_at_once")]
    assert agents["answered"] == sum(
        row[1][-2:] in people for row in _numbers(tmp_path / "home" / "demo" / "leads.csv")
    )
    assert agents["served"] + agents["abandoned"] <= agents["live_answers"]
    assert agents["served"] >= 3
    sound, heard = agents["answer_to_sound_ms"], agents["answer_to_sound_heard_ms"]
    assert 0 < sound["p50"] <= sound["p90"] < 2000
    assert 0 < heard["p50"] < 2000 and heard["count"] >= 3
    assert agents["calls"]["predictive"]["served"] >= agents["served"]
    assert agents["escalations"]["count"] == 1
    assert 0 < agents["occupancy_whole"] < 1
    assert agents["seconds_by_state"]["talking"] > 0
    assert agents["double"]["counts"]["joined"] >= agents["served"]
    assert "2 agents, predictive: occupancy" in ran.stdout


def _numbers(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text().splitlines()[1:]
    return [(line.split(",")[0], line.split(",")[2]) for line in lines]


def test_agents_file_is_for_this_user_only(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    from dialer.simulation.agents_double import Person
    from dialer.simulation.agents_made import load_people, save_people

    path = demo_agents.people_file(settings.home)
    people = [Person(1, "a", "secret"), Person(2, "b", "other")]
    save_people([people[0]], path)
    save_people(people, path)
    assert load_people(path) == people
    assert path.stat().st_mode & 0o777 == 0o600
