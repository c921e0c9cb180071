"""How a campaign works with agents: its file, its plan, and a mode that is switched."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, update
from test_plans import FIXED, KNOWN, SPAIN, TODAY
from world import NOW, World
from world import plan as a_plan

from dialer.domain.model import AgentTerms, CampaignPlan, CampaignState, DialMode, Disposition
from dialer.store import campaigns
from dialer.store import tables as t
from dialer.store.campaign_file import PlanError, parse_campaign
from dialer.store.campaign_values import parse_share
from dialer.store.companies import NotPossible
from dialer.store.plans import DEFAULT_RETRY, Company, load_plan, make_plan, plan_json, plan_of

SHORT = "name: june\nflow: reminder\n"
RATIO = [mode for mode in DialMode if mode.overdials]


def planned(text: str, country: str = "ES") -> tuple[CampaignPlan, list[str]]:
    """The plan of a file with this section, and its warnings about agents."""
    company = replace(SPAIN, country=country)
    plan, warnings = make_plan(parse_campaign(SHORT + text), FIXED, company, KNOWN, TODAY)
    return plan, [one for one in warnings if one.startswith(("agents", "ring"))]


def problems(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        planned(text)
    return caught.value.problems


# --- the file -------------------------------------------------------------------------------


def test_every_key_of_the_section_arrives() -> None:
    plan, warnings = planned(
        "agents: {mode: power, skill: pay, ratio: 2.5, hold: 1.5s, max_abandoned: 2 %, wrap: 1m,"
        " whisper: yes, max_lines_per_agent: 3, lock_out_hours: 96, ring_min: 20s}"
    )
    assert warnings == []
    assert plan.agents == AgentTerms(
        mode=DialMode.POWER, skill="pay", ratio=2.5, hold=1.5, max_abandoned=0.02, window_days=1,
        ring_min=20, wrap=60, max_lines_per_agent=3, whisper=True, lock_out_hours=96,
    )  # fmt: skip


def test_the_mode_alone_will_do_and_without_a_section_nobody_is_needed() -> None:
    assert planned("agents: predictive")[0].agents.mode is DialMode.PREDICTIVE
    assert planned("")[0].agents == AgentTerms()


@pytest.mark.parametrize(("country", "days"), [("US", 30), ("GB", 1), ("ES", 1), ("NZ", 1)])
def test_the_window_of_the_share_is_the_country_s(country: str, days: float) -> None:
    company = Company(country, "Europe/Madrid")
    file = parse_campaign(SHORT + "agents: predictive")
    plan, _ = make_plan(file, FIXED, company, KNOWN, TODAY)
    assert plan.agents.window_days == days
    assert (plan.agents.max_abandoned, plan.agents.hold, plan.agents.ring_min) == (0.03, 2, 15)
    assert plan.agents.lock_out_hours == 72


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("max_abandoned: 5 %", "5.0% is more than 3.0%"),
        ("hold: 3", "3 s is more than 2 s"),
        ("ring_min: 10", "10 s is less than 15 s"),
        ("lock_out_hours: 24", "24 is less than 72"),
    ],
)
def test_what_is_looser_than_usual_is_warned_about_with_its_source(section: str, said: str) -> None:
    _, (warning,) = planned(f"agents: {{mode: predictive, {section}}}", "US")
    key = section.partition(":")[0]
    assert warning.startswith(f"agents.{key}: {said}")
    assert "310.4" in warning or "Ofcom" in warning


@pytest.mark.parametrize("mode", list(DialMode))
def test_whoever_may_abandon_rings_long_enough(mode: DialMode) -> None:
    text = f"ring_timeout: 14s\nagents: {mode.value}"
    if mode in RATIO:
        (said,) = problems(text)
        assert said.startswith("ring_timeout: 14 s is less than agents.ring_min (15 s)")
    else:
        planned(text)
    planned(f"ring_timeout: 15s\nagents: {mode.value}")


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("mode: turbo", "agents.mode"),
        ("ratio: 0.5", "agents.ratio"),
        ("hold: 0", "agents.hold"),
        ("max_abandoned: 0", "agents.max_abandoned"),
        ("max_abandoned: 130 %", "agents.max_abandoned"),
        ("max_abandoned: few", "agents.max_abandoned"),
        ("lock_out_hours: 200", "agents.lock_out_hours"),
        ("skill: 'a b'", "agents.skill"),
        ("window_days: 90", "agents.window_days"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(section: str, key: str) -> None:
    (said,) = problems(f"agents: {{{section}}}")
    assert said.startswith(f"{key}: ")


def test_a_share_is_read_both_ways() -> None:
    assert parse_share("3 %") == parse_share("3%") == parse_share(0.03) == 0.03


# --- JSON -----------------------------------------------------------------------------------


def test_a_plan_survives_json() -> None:
    plan, _ = planned("agents: {mode: adaptive, max_lines_per_agent: 2, whisper: yes}")
    stored = json.loads(json.dumps(plan_json(plan)))
    assert stored["agents"]["mode"] == "adaptive"
    assert plan_of(stored) == plan


def test_a_plan_of_before_works_without_agents_and_retries_whom_it_may_come_to_abandon() -> None:
    stored = plan_json(planned("")[0])
    del stored["agents"], stored["retry"]["abandoned"]
    plan = plan_of(stored)
    assert plan.agents == AgentTerms()
    assert plan.retry[Disposition.ABANDONED] == DEFAULT_RETRY[Disposition.ABANDONED]


def test_a_plan_that_never_retries_the_abandoned_stays_so() -> None:
    plan, _ = planned("agents: predictive\nretry: {abandoned: never}")
    assert Disposition.ABANDONED not in plan_of(plan_json(plan)).retry


@pytest.mark.parametrize("agents", [{"mode": "turbo"}, {"unheard_of": 1}])
def test_agents_that_are_none_of_ours_are_refused(agents: dict[str, Any]) -> None:
    stored = plan_json(planned("")[0])
    with pytest.raises(PlanError):
        plan_of({**stored, "agents": agents})


# --- switching ------------------------------------------------------------------------------


def switch(world: World, mode: DialMode) -> DialMode:
    with world.engine.begin() as c:
        return campaigns.change_mode(c, world.plan.name, mode, "ana", NOW)


def test_a_running_campaign_changes_its_mode_and_nothing_else(database: Engine) -> None:
    world = World(database, a_plan(agents=AgentTerms(wrap=7)))
    assert switch(world, DialMode.PREDICTIVE) is DialMode.AGENTLESS
    with database.connect() as c:
        after = load_plan(c, world.campaign_id)
    assert after.agents == AgentTerms(mode=DialMode.PREDICTIVE, wrap=7)
    assert replace(after, agents=world.plan.agents) == world.plan
    assert world.rows(t.campaign)[0].state == CampaignState.RUNNING.value
    (trail,) = world.rows(t.audit)
    assert (trail.actor, trail.action) == ("ana", "campaign.mode")
    assert (trail.before, trail.after) == ({"mode": "agentless"}, {"mode": "predictive"})


def test_the_mode_it_has_already_leaves_no_trace(database: Engine) -> None:
    world = World(database)
    assert switch(world, DialMode.AGENTLESS) is DialMode.AGENTLESS
    assert world.rows(t.audit) == []


@pytest.mark.database("sqlite")
def test_a_campaign_that_rings_too_briefly_may_not_come_to_abandon(database: Engine) -> None:
    world = World(database, a_plan(ring_timeout=12.0))
    with pytest.raises(NotPossible, match="ring_min"):
        switch(world, DialMode.PREDICTIVE)
    assert switch(world, DialMode.PROGRESSIVE) is DialMode.AGENTLESS


@pytest.mark.database("sqlite")
def test_a_stopped_campaign_has_no_mode_to_change(database: Engine) -> None:
    world = World(database)
    with database.begin() as c:
        c.execute(update(t.campaign).values(state=CampaignState.STOPPED.value))
    with pytest.raises(NotPossible, match="stopped"):
        switch(world, DialMode.PREVIEW)
