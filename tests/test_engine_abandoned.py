"""What follows for a debtor who answered and found no agent."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine
from test_engine_transactions import claim, end
from world import NOW, World, plan

from dialer.domain.model import AgentTerms, Attempt, AttemptState, DialMode, Disposition
from dialer.store import tables as t

TERMS = AgentTerms(mode=DialMode.PREDICTIVE)


def abandoned(one: Attempt) -> Attempt:
    return one.with_(
        state=AttemptState.ENDED,
        answered_at=NOW,
        abandoned_at=NOW + timedelta(seconds=2),
        hangup_requested_at=NOW + timedelta(seconds=5),
        ended_at=NOW + timedelta(seconds=5),
        hung_up_by_debtor=True,
        last_prompt="abandoned_number",
    )


def test_they_are_texted_an_apology_and_not_called_again(database: Engine) -> None:
    world = World(database, plan(agents=TERMS))
    world.lead()
    (one,) = claim(world)
    assert one.mode is DialMode.PREDICTIVE
    later = NOW + timedelta(seconds=6)
    follow_up = end(world, [abandoned(one)], later)
    assert follow_up.place == []
    (message,) = world.rows(t.message)
    assert (message.template, follow_up.send) == ("apology", [message.id])
    (attempt,) = world.rows(t.attempt)
    assert attempt.disposition == Disposition.ABANDONED.value
    refused = {row.kind: row.refused for row in world.rows(t.fallback)}
    assert refused == {"redial": "abandoned_lockout", "sms": None}


def test_for_72_hours_only_an_agent_of_their_own_may_call(database: Engine) -> None:
    world = World(database, plan(agents=TERMS))
    lead_id = world.lead()
    (one,) = claim(world)
    end(world, [abandoned(one)], NOW + timedelta(seconds=6))
    with database.begin() as c:
        c.execute(t.lead.update().values(state="waiting", next_at=NOW, claim=None))
    soon = NOW + timedelta(hours=20)
    assert claim(world, now=soon) == []
    (lead,) = world.rows(t.lead, id=lead_id)
    assert lead.next_at >= NOW + timedelta(hours=72)
    world.plan = plan(agents=AgentTerms(mode=DialMode.PROGRESSIVE))
    with database.begin() as c:
        c.execute(t.lead.update().values(state="waiting", next_at=NOW, claim=None))
    assert len(claim(world, now=soon)) == 1
