"""One person, one telephone: never two calls at once, whatever brings them on the list twice."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine, insert
from world import NOW, World, plan

from dialer.domain.model import Attempt, AttemptState, CampaignState, DetectionResult, LeadState
from dialer.engine.claiming import claim_and_commit
from dialer.engine.closing import Closing, close_attempts
from dialer.store import leases
from dialer.store import tables as t
from dialer.store.plans import plan_json

LIFE = timedelta(seconds=10)


def new_id() -> str:
    return uuid.uuid4().hex


def another_account(world: World, lead_id: int, campaign_id: int | None = None) -> int:
    """A second account of that lead's debtor, and its lead."""
    debtor_id = world.rows(t.lead, id=lead_id)[0].debtor_id
    with world.engine.begin() as c:
        account_id = c.execute(
            insert(t.account)
            .values(
                company_id=world.company_id, debtor_id=debtor_id, reference=new_id(),
                amount_minor=999, currency="EUR", due_date=date(2026, 4, 1),
                created_at=NOW, updated_at=NOW,
            )
            .returning(t.account.c.id)
        ).scalar_one()  # fmt: skip
        made: int = c.execute(
            insert(t.lead)
            .values(
                campaign_id=campaign_id or world.campaign_id, debtor_id=debtor_id,
                account_id=account_id, state=LeadState.WAITING.value, next_at=NOW,
            )
            .returning(t.lead.c.id)
        ).scalar_one()  # fmt: skip
        return made


def another_campaign(world: World) -> int:
    with world.engine.begin() as c:
        made: int = c.execute(
            insert(t.campaign)
            .values(
                company_id=world.company_id, name="second", state=CampaignState.RUNNING.value,
                pool_id=world.pool_id, plan=plan_json(replace(world.plan, name="second")),
                created_at=NOW, started_at=NOW,
            )
            .returning(t.campaign.c.id)
        ).scalar_one()  # fmt: skip
        return made


def claim(world: World, campaign_id: int | None = None, later: float = 0.0) -> list[Attempt]:
    now = NOW + timedelta(seconds=later)
    running = world.running()
    running.id = campaign_id or world.campaign_id
    with world.engine.begin() as c:
        assert leases.acquire(c, running.id, "me", now, LIFE)
        made, _ = claim_and_commit(
            c, running, owner="me", node="node1", count=10, now=now, new_id=new_id
        )
    return made


def test_two_accounts_of_one_debtor_are_not_called_at_the_same_time(database: Engine) -> None:
    world = World(database)
    first = world.lead()
    another_account(world, first)
    (one,) = claim(world)
    assert claim(world, later=300) == []  # the first call goes on
    with database.begin() as c:
        ended = one.with_(
            state=AttemptState.ENDED, answered_at=NOW, ended_at=NOW, keys="1",
            detection=DetectionResult.PERSON,
        )  # fmt: skip
        close_attempts(c, [ended], Closing({world.campaign_id: world.running()}, NOW, new_id, None))  # type: ignore[arg-type]
    (two,) = claim(world, later=600)
    assert (two.debtor_id, two.lead_id != one.lead_id) == (one.debtor_id, True)


def test_two_accounts_in_one_batch_do_not_pass_the_cap_together(database: Engine) -> None:
    world = World(database)
    world.plan = plan(rules=replace(world.plan.rules, max_per_day=1))
    another_account(world, world.lead())
    claim(world)
    assert len(world.rows(t.contact)) == 1


def test_a_debtor_in_two_campaigns_is_called_by_one_at_a_time(database: Engine) -> None:
    world = World(database)
    second = another_campaign(world)
    another_account(world, world.lead(), second)
    assert len(claim(world)) == 1
    assert claim(world, second) == []
    (waiting,) = world.rows(t.lead, campaign_id=second)
    assert (waiting.state, waiting.attempts) == ("waiting", 0)
    assert waiting.next_at > NOW


@pytest.mark.parametrize("numbers", [(), ("+34600000902",)])
def test_a_phone_that_two_debtors_share_rings_for_one_at_a_time(
    database: Engine, numbers: tuple[str, ...]
) -> None:
    world = World(database)
    world.lead("+34600000901")
    world.lead("+34600000901", *numbers)
    made = claim(world) + claim(world, later=120)
    assert sorted(one.number for one in made) == ["+34600000901", *numbers]


@pytest.mark.database("postgresql")
def test_two_engines_with_two_campaigns_do_not_call_one_debtor_together(database: Engine) -> None:
    world = World(database)
    second = another_campaign(world)
    for _ in range(20):
        another_account(world, world.lead(), second)
    start = threading.Barrier(2)
    made: list[Attempt] = []

    def work(campaign_id: int) -> None:
        start.wait()
        for _ in range(2):
            made.extend(claim(world, campaign_id))

    threads = [threading.Thread(target=work, args=(one,)) for one in (world.campaign_id, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    debtors = [one.debtor_id for one in made]
    assert len(debtors) == len(set(debtors)) == 20
