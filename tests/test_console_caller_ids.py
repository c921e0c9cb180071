"""Caller IDs' page: which number is worn, and numbers added, retired, refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from console_world import campaign, past
from fixtures_site import Site
from sqlalchemy import func, select, update
from world import POOL

from dialer.domain.caller_id_health import FEWEST, Health, Used, judge
from dialer.store import caller_id_use, companies
from dialer.store import tables as t


def test_a_number_is_worn_beyond_chance_alone() -> None:
    """Clearly below its fellows; a small difference, or few calls, says nothing."""
    good, other = Used("a", 1000, 450, 30), Used("b", 1000, 440, 30)
    worn, fresh = Used("c", 1000, 200, 30), Used("d", FEWEST - 1, 0)
    assert [one.health for one in judge([good, other, worn, fresh])] == [
        Health.GOOD, Health.GOOD, Health.WORN, Health.NEW
    ]  # fmt: skip
    found = judge([good, Used("e", 1000, 445, 200)])
    assert [one.health for one in found] == [Health.GOOD, Health.REJECTED]
    alone = judge([Used("f", 1000, 10)])[0]
    assert (alone.health, alone.fellows) == (Health.GOOD, None)
    assert alone.interval is not None
    assert alone.interval.low < 0.01 < alone.interval.high
    assert judge([Used("g")])[0].share is None


def test_numbers_are_counted_by_pool(site: Site) -> None:
    """What failed on our side does not count against a number."""
    made = campaign(site, site.acme)
    past(site, made)
    since = datetime.now(UTC) - timedelta(days=90)
    with site.engine.connect() as c:
        (pool,) = caller_id_use.pools(c, site.acme, since)
        placed = c.scalar(
            select(func.count())
            .select_from(t.attempt)
            .where(t.attempt.c.disposition.not_in(["failed", "congestion", "invalid_number"]))
        )
        assert caller_id_use.pools(c, site.other, since) == []
    assert [one.number for one in pool.numbers] == list(POOL)
    assert sum(one.calls for one in pool.numbers) == placed
    assert all(0 < one.answered < one.calls and one.last_at for one in pool.numbers)
    assert pool.campaigns == ["cobro"]


def test_the_page(site: Site) -> None:
    made = campaign(site, site.acme)
    past(site, made, 60, 900)
    with site.engine.begin() as c:  # the first number goes unanswered
        c.execute(
            update(t.attempt)
            .where(t.attempt.c.caller_id == POOL[0])
            .values(answered_at=None, disposition="no_answer")
        )
    boss = site.client("super")
    assert "/caller-ids/figures?days=30" in boss.get("/caller-ids?days=30").text
    page = boss.get("/caller-ids/figures?days=90").text
    assert page.count("Answered less than the others") == 1
    assert page.index(POOL[0]) < page.index("Answered less than the others") < page.index(POOL[1])
    assert "cobro" in boss.get("/caller-ids?figures=1").text


def test_added_and_retired(site: Site) -> None:
    """In the pool and in what its campaigns are told; each with a row in the trail."""
    campaign(site, site.acme)
    boss = site.client("super")
    with site.engine.connect() as c:
        pool = c.scalar(select(t.caller_id_pool.c.id))
    assert pool is not None
    boss.post(f"/caller-ids/{pool}/add", {"numbers": "910 123 401, +34910123402"})
    assert "2 numbers are shown from now on" in boss.get("/caller-ids").text
    boss.post(f"/caller-ids/{pool}/retire", {"number": POOL[0]})
    with site.engine.connect() as c:
        numbers = companies.numbers_of(c, pool)
        plan = c.execute(select(t.campaign.c.plan)).scalar_one()
        trail = c.execute(
            select(t.audit.c.actor, t.audit.c.action).where(t.audit.c.action == "pool.change")
        ).all()
    assert numbers == (*POOL[1:], "+34910123401", "+34910123402")
    assert plan["caller_ids"] == list(numbers)
    assert [row.actor for row in trail] == [f"user:{site.ids['super']}"] * 2
    for wrong, said in (
        ("12", "is not a number that debtors can call back"),
        ("600100200", "is a mobile number"),
        ("", "Type at least one number"),
    ):
        boss.post(f"/caller-ids/{pool}/add", {"numbers": wrong})
        assert said in boss.get("/caller-ids").text
    for number in numbers:
        boss.post(f"/caller-ids/{pool}/retire", {"number": number})
    assert "the last number of the pool" in boss.get("/caller-ids").text
    with site.engine.connect() as c:
        assert companies.numbers_of(c, pool) == (numbers[-1],)


@pytest.mark.database("sqlite")
def test_a_new_pool(site: Site) -> None:
    boss = site.client("super")
    assert "There is no pool yet" in boss.get("/caller-ids/figures").text
    new = {"company": site.acme, "name": "main", "numbers": "910123401;910123402"}
    boss.post("/caller-ids", new)
    assert "+34910123402" in boss.get("/caller-ids/figures").text
    boss.post("/caller-ids", new)
    assert "a pool of that name already" in boss.get("/caller-ids").text
    assert boss.post("/caller-ids", {**new, "company": site.other}).status_code == 404


@pytest.mark.database("sqlite")
def test_an_auditor_only_looks(site: Site) -> None:
    campaign(site, site.acme)
    assert POOL[0] not in site.client("rival").get("/caller-ids/figures").text
    seen = site.client("auditor").get("/caller-ids/figures").text
    assert POOL[0] in seen
    assert "Retire" not in seen
