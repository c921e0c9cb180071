"""What the policy lets a campaign do and how the company's calls went, from the database; and a
campaign that starts by itself. On both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update
from world import ALWAYS, NOW, SPANISH, World, plan

from dialer.config import Settings
from dialer.domain.model import ContactRules, DayWindow, DialMode, Disposition, LeadState
from dialer.engine.allowed import NEXT_TRY, Allowed, count_allowed, margin
from dialer.engine.claiming import BAD_TIMEZONE
from dialer.engine.run import Runner
from dialer.simulation.history import fill_history
from dialer.store import campaigns, habits, samples
from dialer.store import tables as t
from dialer.store.companies import NotPossible
from dialer.store.contexts import load_contexts

WEEKDAYS = tuple(DayWindow(day, time(9), time(21)) for day in range(5))


def allowed(world: World, at: datetime = NOW, **changes: object) -> Allowed:
    ids = [row.id for row in world.rows(t.lead)]
    with world.engine.connect() as c:
        contexts = load_contexts(c, ids, at)
    return count_allowed(replace(world.plan, **changes), contexts.values(), at)  # type: ignore[arg-type]


def contact(world: World, lead_id: int, at: datetime, times: int) -> None:
    (one,) = world.rows(t.lead, id=lead_id)
    rows = [
        {"company_id": world.company_id, "debtor_id": one.debtor_id, "channel": "voice", "at": at,
         "source": f"attempt:{lead_id}-{n}"}
        for n in range(times)
    ]  # fmt: skip
    with world.engine.begin() as c:
        c.execute(insert(t.contact), rows)


def test_every_lead_is_in_one_group_and_the_reasons_are_the_policy_s(database: Engine) -> None:
    rules = ContactRules(window=WEEKDAYS, max_per_day=2, max_per_week=5)
    world = World(database, plan(rules=rules))
    world.lead()  # nothing against it
    world.lead(timezone="America/Mexico_City")  # five in the morning there
    contact(world, world.lead(), NOW - timedelta(hours=1), 2)
    contact(world, world.lead(), NOW - timedelta(days=2), 5)
    listed, gone = world.lead("+34600999001"), world.lead()
    world.lead(timezone="Mars/Olympus")
    with database.begin() as c:
        number = {"company_id": world.company_id, "number": "+34600999001", "reason": "import",
                  "source": "test", "at": NOW}  # fmt: skip
        c.execute(insert(t.suppression), number)
        debtor = t.lead.select().where(t.lead.c.id == gone)
        c.execute(
            update(t.debtor)
            .where(t.debtor.c.id == c.execute(debtor).one().debtor_id)
            .values(opted_out_at=NOW)
        )
    found = allowed(world)
    assert (found.now, found.today, found.week, found.later, found.never) == (1, 1, 2, 0, 3)
    assert found.why == {
        "outside_window": 1, "daily_cap": 1, "weekly_cap": 1, "do_not_call": 1, "opted_out": 1,
        BAD_TIMEZONE: 1,
    }  # fmt: skip
    assert found.looked_at == 7 and found.ever == 4
    assert listed


def test_who_was_abandoned_waits_unless_an_agent_is_certain(database: Engine) -> None:
    world = World(database, plan())
    (lead_id,) = [world.lead()]
    (one,) = world.rows(t.lead, id=lead_id)
    (phone,) = world.rows(t.phone, debtor_id=one.debtor_id)
    with database.begin() as c:
        c.execute(
            insert(t.attempt).values(
                id="a" * 32, campaign_id=world.campaign_id, lead_id=lead_id,
                debtor_id=one.debtor_id, phone_id=phone.id, number=phone.number,
                caller_id="+34910000000", trunk="carrier", node="n", flow="reminder",
                state="ended", placed_at=NOW - timedelta(hours=2),
                answered_at=NOW - timedelta(hours=2), ended_at=NOW - timedelta(hours=2),
                abandoned_at=NOW - timedelta(hours=2), disposition="abandoned", mode="power",
            )
        )  # fmt: skip
    agents = world.plan.agents
    assert allowed(world, agents=replace(agents, mode=DialMode.POWER)).why == {
        "abandoned_lockout": 1
    }
    assert allowed(world, agents=replace(agents, mode=DialMode.PROGRESSIVE)).now == 1


def test_a_lead_that_waits_for_its_next_try_is_said_to(database: Engine) -> None:
    world = World(database, plan(rules=ALWAYS))
    soon, late = world.lead(), world.lead()
    with database.connect() as c:
        contexts = load_contexts(c, [soon, late], NOW)
    due = {soon: NOW + timedelta(hours=1), late: NOW + timedelta(days=9)}
    found = count_allowed(world.plan, contexts.values(), NOW, due)
    assert (found.now, found.today, found.later) == (0, 1, 1)
    assert found.why == {NEXT_TRY: 2}


def test_a_large_list_is_looked_at_by_an_even_sample(database: Engine) -> None:
    world = World(database, plan())
    with database.begin() as c:
        c.execute(
            insert(t.debtor),
            [
                {"id": n, "company_id": world.company_id, "document": f"{n}", "name": "x",
                 "country": "ES", "created_at": NOW}
                for n in range(1, 4001)
            ],
        )  # fmt: skip
        c.execute(
            insert(t.account),
            [
                {"id": n, "company_id": world.company_id, "debtor_id": n, "reference": f"{n}",
                 "amount_minor": 1, "currency": "EUR", "due_date": NOW.date(), "created_at": NOW,
                 "updated_at": NOW}
                for n in range(1, 4001)
            ],
        )  # fmt: skip
    with database.connect() as c:
        found = samples.of_accounts(c, world.company_id, 500)
        few = samples.of_accounts(c, world.company_id, 4000)
        none = samples.of_waiting(c, world.campaign_id)
    assert found.whole == 4000 and not found.all and 450 <= len(found.ids) <= 550
    for quarter in range(4):
        inside = [one for one in found.ids if quarter * 1000 < one <= (quarter + 1) * 1000]
        assert 80 <= len(inside) <= 170
    for rest in range(4):  # nor does a pattern of the numbers show in it
        assert 80 <= sum(one % 4 == rest for one in found.ids) <= 170
    assert few.all and len(few.ids) == 4000
    assert none.ids == () and none.whole == 0 and none.all
    assert margin(500, 4000) == pytest.approx(0.041, abs=0.001) and margin(9, 9) == 0.0


def test_habits_are_those_of_the_company_s_last_calls(database: Engine) -> None:
    world = World(database, plan(rules=ALWAYS))
    other = World(database, plan(name="other"), company="Other")
    world.lead()
    now = datetime.now(UTC)
    with database.connect() as c:
        assert habits.measured(c, world.company_id, now) is None
    fill_history(database, world.campaign_id, debtors=60, attempts=700, seed=3, now=now, days=5)
    with database.connect() as c:
        found = habits.measured(c, world.company_id, now)
        assert habits.measured(c, other.company_id, now) is None
        assert habits.measured(c, world.company_id, now + timedelta(days=90)) is None
    assert found is not None and 200 <= found.calls <= 500
    assert sum(found.ends.values()) == pytest.approx(1.0)
    rows = [
        row for row in world.rows(t.attempt)
        if row.follows is None and row.disposition and row.ended_at and not row.inbound
    ]  # fmt: skip
    last = sorted(rows, key=lambda row: row.placed_at)[-found.calls :]
    share = sum(row.disposition == "no_answer" for row in last) / len(last)
    assert found.ends[Disposition.NO_ANSWER] == pytest.approx(share, abs=0.01)
    assert 0 < found.ring <= found.line


def test_agents_of_a_skill_are_counted(database: Engine) -> None:
    world = World(database, plan())
    with database.begin() as c:
        for login, skills, active in (("a", ["pay"], True), ("b", [], True), ("c", ["pay"], False)):
            c.execute(
                insert(t.agent).values(
                    company_id=world.company_id, login=login, name=login, skills=skills,
                    languages=[], station="browser", ringing=False, active=active, created_at=NOW,
                )
            )  # fmt: skip
        assert habits.agents_for(c, world.company_id, "") == 2
        assert habits.agents_for(c, world.company_id, "pay") == 1
        assert habits.agents_for(c, world.company_id, "law") == 0


# --- a start at a time ----------------------------------------------------------------------


def test_a_draft_starts_when_its_time_has_come_and_somebody_is_there_to_call(
    database: Engine,
) -> None:
    world = World(database, plan(rules=SPANISH))
    later = NOW + timedelta(hours=2)
    with database.begin() as c:
        c.execute(update(t.campaign).values(state="draft", started_at=None))
        campaigns.schedule(c, "test", later, "ana", NOW)
    with database.begin() as c:
        assert campaigns.start_due(c, later - timedelta(seconds=1)) == []
        assert campaigns.start_due(c, later) == [], "there is nobody to call"
    lead_id = world.lead()
    with database.begin() as c:
        assert campaigns.start_due(c, later, only="another") == []
        assert campaigns.start_due(c, later) == ["test"]
        assert campaigns.start_due(c, later) == []
    (row,) = world.rows(t.campaign)
    assert (row.state, row.started_at, row.start_at) == ("running", later, None)
    trail = world.rows(t.audit)
    assert [(one.actor, one.action) for one in trail] == [
        ("ana", "campaign.schedule"), ("schedule", "campaign.start"),
    ]  # fmt: skip
    assert world.rows(t.lead, id=lead_id)[0].state == LeadState.WAITING.value


def test_a_time_to_start_at_is_one_of_the_future_and_of_a_draft(database: Engine) -> None:
    World(database)
    with database.begin() as c:
        with pytest.raises(NotPossible, match="running"):
            campaigns.schedule(c, "test", NOW + timedelta(1), "ana", NOW)
        c.execute(update(t.campaign).values(state="draft"))
        with pytest.raises(NotPossible, match="passed"):
            campaigns.schedule(c, "test", NOW, "ana", NOW)
        campaigns.schedule(c, "test", NOW + timedelta(1), "ana", NOW)
        campaigns.schedule(c, "test", None, "ana", NOW)
    with database.begin() as c:
        assert campaigns.start_due(c, NOW + timedelta(9)) == []


def test_the_engine_starts_it_at_its_next_look_and_takes_it(database: Engine) -> None:
    world = World(database, plan(rules=SPANISH))
    world.lead()
    with database.begin() as c:
        c.execute(update(t.campaign).values(state="draft", started_at=None, start_at=NOW))
    runner = Runner.__new__(Runner)  # without a switch: its look at the campaigns alone
    runner.settings = Settings()
    runner.core, runner.only, runner.owner = _core(database), None, "node1:1"
    runner.life, runner.placers, runner.searched = timedelta(seconds=10), {}, float("inf")
    runner.left = None
    taken: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "_start", lambda _self, campaign_id: taken.append(campaign_id))
        asyncio.run(runner._look())
    assert taken == [world.campaign_id]
    (row,) = world.rows(t.campaign)
    assert (row.state, row.start_at) == ("running", None)


def _core(database: Engine) -> Any:
    """What a look asks the engine's core for."""

    async def once(work: Any) -> Any:
        with database.begin() as c:
            return work(c)

    async def adopt(*_: Any) -> None:
        pass

    hands = SimpleNamespace(database=SimpleNamespace(once=once, until_done=once))
    empty: dict[str, Any] = {"campaigns": {}, "live": {}, "summoned": set()}
    return SimpleNamespace(**empty, hands=hands, adopt=adopt, forget=lambda _: None)
