"""Why a campaign with agents calls nobody, so that somebody can act on it; on both databases."""

from __future__ import annotations

from datetime import timedelta

from agent_support import a_session, an_agent, an_attempt, at
from sqlalchemy import Engine
from world import NOW, World, plan

from dialer.domain.model import AgentState, AgentTerms, AttemptState, DialMode, Disposition
from dialer.store import agent_sessions, leases
from dialer.store.idle import why_idle

M = DialMode


def a_world(database: Engine, mode: DialMode = M.PREDICTIVE, skill: str = "") -> World:
    """A campaign in that mode which an engine runs, with a lead that may be called."""
    world = World(database, plan(agents=AgentTerms(mode=mode, skill=skill)))
    world.lead()
    with database.begin() as c:
        leases.acquire(c, world.campaign_id, "engine", NOW, timedelta(hours=1))
    return world


def said(world: World) -> list[str]:
    with world.engine.connect() as c:
        return why_idle(c, world.campaign_id, at(30))


def works(world: World, login: str, state: AgentState, *skills: str) -> None:
    session = a_session(world, an_agent(world, login, skills=list(skills)))
    with world.engine.begin() as c:
        agent_sessions.save_state(c, session, state, at(1))


def test_nobody_is_logged_in(database: Engine) -> None:
    world = a_world(database)
    assert said(world) == ["no agent is logged in, and it dials in mode predictive"]
    works(world, "ana", AgentState.AVAILABLE)
    assert said(world) == []


def test_nobody_is_free(database: Engine) -> None:
    world = a_world(database, M.PROGRESSIVE)
    works(world, "ana", AgentState.TALKING)
    works(world, "luis", AgentState.PAUSED)
    works(world, "eva", AgentState.TALKING)
    assert said(world) == ["no agent is free: 1 paused, 2 talking"]


def test_nobody_who_can_is_free(database: Engine) -> None:
    world = a_world(database, skill="pay")
    works(world, "ana", AgentState.AVAILABLE, "legal")
    (why,) = said(world)
    assert why.startswith("no agent with the skill pay is logged in")
    works(world, "luis", AgentState.AVAILABLE, "pay")
    assert said(world) == []


def test_agents_of_another_company_and_of_yesterday_do_not_count(database: Engine) -> None:
    world = a_world(database)
    other = World(database, plan(name="other"), company="Beta")
    works(other, "zoe", AgentState.AVAILABLE)
    gone = a_session(world, an_agent(world))
    with database.begin() as c:
        agent_sessions.save_state(c, gone, AgentState.AVAILABLE, at(1))
        agent_sessions.end_session(c, gone, "logged out", at(2))
    assert said(world) == ["no agent is logged in, and it dials in mode predictive"]


def test_agentless_campaigns_need_none(database: Engine) -> None:
    assert said(a_world(database, M.AGENTLESS)) == []


def test_too_many_were_abandoned_and_only_where_it_may_happen(database: Engine) -> None:
    for mode in (M.PREDICTIVE, M.PROGRESSIVE):
        name = mode.value
        world = World(database, plan(name=name, agents=AgentTerms(mode=mode)), company=name)
        world.lead()
        works(world, name, AgentState.AVAILABLE)
        with database.begin() as c:
            leases.acquire(c, world.campaign_id, "engine", NOW, timedelta(hours=1))
        for n in range(25):
            gone = at(6) if n == 0 else None
            an_attempt(world, mode=M.PREDICTIVE, agent_joined_at=None if gone else at(6),
                       abandoned_at=gone, state=AttemptState.ENDED,
                       disposition=Disposition.SPOKE)  # fmt: skip
        reasons = said(world)
        if mode is M.PROGRESSIVE:
            assert reasons == []
        else:
            (why,) = reasons
            assert why.startswith("1 of 25 live answers of the last 24 hours were abandoned (4.0%")


def test_whoever_was_abandoned_waits_until_the_lock_out_is_over(database: Engine) -> None:
    world = World(database, plan(agents=AgentTerms(mode=M.PREDICTIVE, max_abandoned=1.0)))
    works(world, "ana", AgentState.AVAILABLE)
    with database.begin() as c:
        leases.acquire(c, world.campaign_id, "engine", NOW, timedelta(hours=1))
    lead = world.lead()
    for n in range(2):
        an_attempt(world, lead, mode=M.PREDICTIVE, abandoned_at=at(6 * n), state=AttemptState.ENDED,
                   agent_joined_at=None, disposition=Disposition.ABANDONED)  # fmt: skip
    reasons = "\n".join(said(world))
    assert "1 abandoned a short while ago" in reasons
    assert "until Thu 2026-03-19 12:00" in reasons
