"""Campaigns in the database: states, audit, and why one calls nobody; on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update
from world import ALWAYS, NOW, POOL, SPANISH, World, plan

from dialer.domain.model import CampaignState, ContactRules, DayWindow, LeadState
from dialer.store import audit, campaigns, companies, leases
from dialer.store import tables as t
from dialer.store.campaigns import Action
from dialer.store.companies import NewCompany, NotPossible
from dialer.store.idle import why_idle
from dialer.store.plans import load_plan


def set_state(world: World, state: CampaignState) -> None:
    with world.engine.begin() as c:
        c.execute(update(t.campaign).values(state=state.value))


def act(world: World, action: Action) -> CampaignState:
    with world.engine.begin() as c:
        return campaigns.change_state(c, "test", action, "ana", NOW)


ALLOWED = {
    (CampaignState.DRAFT, Action.START): CampaignState.RUNNING,
    (CampaignState.FINISHED, Action.START): CampaignState.RUNNING,
    (CampaignState.RUNNING, Action.PAUSE): CampaignState.PAUSED,
    (CampaignState.PAUSED, Action.RESUME): CampaignState.RUNNING,
    (CampaignState.DRAFT, Action.STOP): CampaignState.STOPPED,
    (CampaignState.RUNNING, Action.STOP): CampaignState.STOPPED,
    (CampaignState.PAUSED, Action.STOP): CampaignState.STOPPED,
}


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("state", list(CampaignState))
def test_only_these_transitions_are_allowed_and_each_is_audited(
    database: Engine, state: CampaignState, action: Action
) -> None:
    world = World(database, plan(rules=SPANISH))
    world.lead()
    set_state(world, state)
    after = ALLOWED.get((state, action))
    if after is None:
        with pytest.raises(NotPossible, match=state.value):
            act(world, action)
        assert world.rows(t.campaign)[0].state == state.value
        assert world.rows(t.audit) == []
        return
    assert act(world, action) is after
    assert world.rows(t.campaign)[0].state == after.value
    (trail,) = world.rows(t.audit)
    assert (trail.actor, trail.action) == ("ana", f"campaign.{action.value}")
    assert trail.target == f"campaign:{world.campaign_id}"
    assert (trail.before, trail.after) == ({"state": state.value}, {"state": after.value})


def test_a_campaign_without_leads_is_not_started_and_says_what_to_do(database: Engine) -> None:
    world = World(database, plan(rules=SPANISH))
    set_state(world, CampaignState.DRAFT)
    with pytest.raises(NotPossible, match="dialer import"):
        act(world, Action.START)
    world.lead()
    assert act(world, Action.START) is CampaignState.RUNNING


def test_a_campaign_keeps_its_plan_and_its_name_is_taken(database: Engine) -> None:
    world = World(database)
    other = plan(name="other", calls_per_second=0.5)
    with database.begin() as c:
        made = campaigns.create(c, company_id=world.company_id, pool_id=world.pool_id, plan=other,
                                actor="ana", now=NOW)  # fmt: skip
        assert load_plan(c, made) == other
        assert campaigns.find(c, "other").state == "draft"
        with pytest.raises(NotPossible, match="already"):
            campaigns.create(c, company_id=world.company_id, pool_id=world.pool_id, plan=other,
                             actor="ana", now=NOW)  # fmt: skip
        with pytest.raises(NotPossible, match="campaign list"):
            campaigns.find(c, "none")
        with pytest.raises(LookupError):
            load_plan(c, 999)
    (history,) = [row for row in world.rows(t.audit) if row.target == f"campaign:{made}"]
    assert (history.action, history.before) == ("campaign.create", None)


def test_the_list_counts_leads_by_state(database: Engine) -> None:
    world = World(database)
    for state in (LeadState.WAITING, LeadState.DONE, LeadState.DONE):
        lead_id = world.lead()
        with database.begin() as c:
            c.execute(update(t.lead).where(t.lead.c.id == lead_id).values(state=state.value))
    with database.connect() as c:
        (one,) = campaigns.list_all(c)
    assert one["leads"] == {"waiting": 1, "claimed": 0, "done": 2}


# --- companies and pools -------------------------------------------------------------------


def test_the_only_company_needs_no_name_and_several_do(database: Engine) -> None:
    with database.begin() as c:
        with pytest.raises(NotPossible, match="dialer init"):
            companies.find_company(c, None)
        for name in ("Uno", "Dos"):
            new = NewCompany(name, "ES", "Europe/Madrid", name, "910 000 001")
            companies.create_company(c, new, "ana", NOW)
            if name == "Uno":
                assert companies.find_company(c, None).callback_number == "+34910000001"
        with pytest.raises(NotPossible, match="Uno, Dos"):
            companies.find_company(c, None)
        assert companies.find_company(c, "Dos").name == "Dos"
        with pytest.raises(NotPossible, match="already"):
            companies.create_company(c, new, "ana", NOW)


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"country": "Spain"}, "ISO 3166"),
        ({"timezone": "Madrid"}, "timezone"),
        ({"callback_number": "12"}, "callback number"),
    ],
)
def test_a_company_of_nonsense_is_refused(
    database: Engine, change: dict[str, Any], says: str
) -> None:
    values: dict[str, Any] = {"name": "Uno", "country": "ES", "timezone": "Europe/Madrid",
                              "spoken_name": "Uno"}  # fmt: skip
    with database.begin() as c, pytest.raises(NotPossible, match=says):
        companies.create_company(c, NewCompany(**(values | change)), "ana", NOW)


def test_a_changed_pool_changes_the_plans_of_its_campaigns(database: Engine) -> None:
    world = World(database)
    with database.begin() as c:
        c.execute(
            insert(t.caller_id), [{"pool_id": world.pool_id, "number": number} for number in POOL]
        )
        after = companies.change_pool(
            c, world.pool_id, add=["+34910000009", POOL[1]], remove=[POOL[0]], actor="ana", now=NOW
        )
        assert after == (POOL[1], POOL[2], "+34910000009")
        assert load_plan(c, world.campaign_id).caller_ids == after
        assert companies.numbers_of(c, world.pool_id) == after
        assert companies.list_pools(c)[0]["campaigns"] == 1
        assert audit.of_target(c, f"pool:{world.pool_id}")[0].before == {"numbers": list(POOL)}
        with pytest.raises(NotPossible, match="not in the pool"):
            companies.change_pool(c, world.pool_id, remove=[POOL[0]], actor="ana", now=NOW)
        with pytest.raises(NotPossible, match="no number would be left"):
            companies.change_pool(c, world.pool_id, remove=after, actor="ana", now=NOW)


# --- why it calls nobody -------------------------------------------------------------------

WEEKDAYS = ContactRules(window=tuple(DayWindow(day, time(9), time(21)) for day in range(5)))
SUNDAY = datetime(2026, 3, 15, 11, tzinfo=UTC)


def why(world: World, now: datetime = NOW, *, leased: bool = True, limit: int | None = None) -> str:
    with world.engine.begin() as c:
        if leased:
            assert leases.acquire(c, world.campaign_id, "me", now, timedelta(seconds=10))
        return "\n".join(why_idle(c, world.campaign_id, now, limit))


def wait_until(world: World, at: datetime, disposition: str | None = None) -> None:
    with world.engine.begin() as c:
        c.execute(update(t.lead).values(next_at=at, last_disposition=disposition))


def test_a_campaign_with_leads_due_has_nothing_against_it(database: Engine) -> None:
    world = World(database)
    world.lead()
    assert why(world) == ""


def test_no_leads_and_all_leads_done(database: Engine) -> None:
    world = World(database)
    assert "has no leads" in why(world)
    world.lead()
    with database.begin() as c:
        c.execute(update(t.lead).values(state="done", closed_reason="promise"))
    assert why(world) == "all leads are done: 1 promise"


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("state", "says"),
    [
        (CampaignState.DRAFT, "dialer campaign start test"),
        (CampaignState.PAUSED, "dialer campaign resume test"),
        (CampaignState.STOPPED, "final"),
        (CampaignState.FINISHED, "finished"),
    ],
)
def test_a_campaign_that_is_not_running(database: Engine, state: CampaignState, says: str) -> None:
    world = World(database)
    world.lead()
    set_state(world, state)
    assert says in why(world)


def test_no_engine_has_it(database: Engine) -> None:
    world = World(database)
    world.lead()
    assert "no engine runs it" in why(world, leased=False)
    assert why(world) == ""
    assert "no engine runs it" in why(world, NOW + timedelta(minutes=1), leased=False)


def test_outside_the_window_says_until_when_in_local_time(database: Engine) -> None:
    world = World(database, plan(rules=WEEKDAYS))
    world.lead()
    assert why(world, SUNDAY) == (
        "1 outside the calling window, the first until Mon 2026-03-16 12:00 CET"
    )
    wait_until(world, SUNDAY)
    assert why(world, SUNDAY) == (
        "1 outside the calling window, the first until Mon 2026-03-16 09:00 CET"
    )
    assert why(world, NOW) == ""


def test_waiting_for_the_next_try_says_after_what_and_until_when(database: Engine) -> None:
    world = World(database)
    world.lead()
    wait_until(world, NOW + timedelta(minutes=15), "busy")
    assert why(world) == (
        "1 waiting for their next try after busy, the first until Mon 2026-03-16 12:15 CET"
    )


def _contact(world: World, *moments: datetime) -> None:
    debtor_id = world.rows(t.debtor)[0].id
    with world.engine.begin() as c:
        for at in moments:
            c.execute(
                insert(t.contact).values(
                    company_id=world.company_id, debtor_id=debtor_id,
                    channel="sms", at=at, source=f"message:{at.isoformat()}",
                )
            )  # fmt: skip


def test_caps_count_messages_too_and_say_until_when(database: Engine) -> None:
    rules = ContactRules(ALWAYS.window, max_per_day=1, max_per_week=2)
    world = World(database, plan(rules=rules))
    world.lead()
    _contact(world, NOW - timedelta(hours=1))
    assert why(world) == "1 at the most contacts a day, the first until Tue 2026-03-17 00:00 CET"
    _contact(world, NOW - timedelta(days=2))
    assert "in 7 days, the first until Sat 2026-03-21 12:00 CET" in why(world)


def test_do_not_call_opt_out_and_unusable_phones(database: Engine) -> None:
    world = World(database)
    world.lead("+34600000001")
    world.lead("+34600000002")
    world.lead("+34600000003")
    second, third = (row.id for row in world.rows(t.debtor)[1:])
    with database.begin() as c:
        c.execute(
            insert(t.suppression).values(company_id=world.company_id, number="+34600000001",
                                         reason="keypad", source="x", at=NOW)
        )  # fmt: skip
        c.execute(update(t.debtor).where(t.debtor.c.id == second).values(opted_out_at=NOW))
        c.execute(update(t.phone).where(t.phone.c.debtor_id == third).values(invalid_at=NOW))
    said = why(world)
    assert "1 on the do-not-call list" in said
    assert "1 opted out" in said
    assert "1 without a usable phone" in said
    world.lead("+34600000004")
    assert why(world) == ""


def test_lines_that_are_full(database: Engine) -> None:
    world = World(database, plan(max_concurrent=1))
    world.lead()
    lead_row, phone_row = world.rows(t.lead)[0], world.rows(t.phone)[0]
    with database.begin() as c:
        c.execute(
            insert(t.attempt).values(
                id="a" * 32, campaign_id=world.campaign_id, lead_id=lead_row.id,
                debtor_id=lead_row.debtor_id, phone_id=phone_row.id, number=phone_row.number,
                caller_id=POOL[0], trunk="carrier", node="node1", flow="reminder",
                state="ringing", placed_at=NOW,
            )
        )  # fmt: skip
    said = why(world, limit=1)
    assert "max_concurrent is 1" in said
    assert "the trunk carrier is full: 1 of 1" in said


def test_no_caller_id(database: Engine) -> None:
    world = World(database, plan(caller_ids=()))
    world.lead()
    assert "no caller ID" in why(world)
