"""Who answered and found nobody: counted, and left alone for three days; on both databases."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from agent_support import an_attempt, at
from sqlalchemy import Engine, func, select, update
from world import ALWAYS, NOW, World, plan

from dialer.domain.model import (
    Attempt,
    AttemptState,
    ContactRules,
    DetectionResult,
    DialMode,
    Disposition,
    Refusal,
)
from dialer.domain.policy import Standing, Verdict, guarantees_agent, may_contact
from dialer.store import abandonment
from dialer.store import tables as t
from dialer.store.abandonment import Counts, SlidingWindow
from dialer.store.contexts import load_contexts

M, D = DialMode, Disposition
HOUR = timedelta(hours=1)
LATER = at(60)


def ended(
    world: World, disposition: Disposition, mode: DialMode = M.PREDICTIVE, **changes: Any
) -> Attempt:
    values: dict[str, Any] = {"state": AttemptState.ENDED, "ended_at": at(20), "mode": mode}
    return an_attempt(world, **(values | {"disposition": disposition} | changes))


def counts(world: World, now: datetime = LATER, days: float = 1) -> Counts:
    with world.engine.connect() as c:
        return abandonment.window(c, world.campaign_id, days, now)


# --- what counts ----------------------------------------------------------------------------


def test_live_answers_and_those_of_them_who_heard_the_message(database: Engine) -> None:
    world = World(database)
    ended(world, D.SPOKE, agent_joined_at=at(6))
    ended(world, D.ABANDONED, abandoned_at=at(7))
    # Hung up within the two seconds: answered, and not abandoned.
    ended(world, D.ANSWERED_ABANDONED)
    # Opted out while the message was said: abandoned all the same.
    ended(world, D.OPTED_OUT, abandoned_at=at(7))
    an_attempt(world, mode=M.PREDICTIVE)  # goes on
    assert counts(world) == Counts(5, 2)
    assert counts(world).share == 0.4
    assert Counts().share is None


def test_who_was_dropped_in_silence_is_abandoned_too_who_talked_was_not(database: Engine) -> None:
    world = World(database)
    ended(world, D.FAILED)
    ended(world, D.FAILED, agent_joined_at=at(6))  # the switch died while they talked
    assert counts(world) == Counts(2, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"answered_at": None, "disposition": D.NO_ANSWER},
        {"disposition": D.MACHINE, "detection": DetectionResult.MACHINE, "abandoned_at": at(7)},
        {"state": AttemptState.ANSWERED, "disposition": None, "detection": DetectionResult.FAX},
        {"mode": M.AGENTLESS, "disposition": D.NO_INPUT},
        {"inbound": True},
    ],
)
def test_what_is_no_live_answer_thins_no_share(database: Engine, changes: dict[str, Any]) -> None:
    world = World(database)
    values: dict[str, Any] = {"disposition": D.SPOKE, "agent_joined_at": at(6)}
    ended(world, **(values | changes))
    assert counts(world) == Counts()


def test_a_machine_that_turned_out_a_person_counts(database: Engine) -> None:
    world = World(database)
    ended(world, D.PROMISE, detection=DetectionResult.MACHINE, agent_joined_at=at(6))
    assert counts(world) == Counts(1, 0)


def test_the_window_slides_and_is_the_campaign_s_own(database: Engine) -> None:
    world = World(database)
    other = World(database, plan(name="other"), company="Beta")
    ended(other, D.ABANDONED, abandoned_at=at(7))
    ended(world, D.ABANDONED, abandoned_at=at(7), answered_at=at(5))
    day = timedelta(days=1)
    assert counts(world, at(5)) == Counts(1, 1)
    assert counts(world, at(4)) == Counts()
    assert counts(world, at(4) + day) == Counts(1, 1)
    assert counts(world, at(5) + day) == Counts()
    assert counts(world, at(5) + day, days=30) == Counts(1, 1)


def test_the_counts_are_told_by_mode(database: Engine) -> None:
    world = World(database)
    ended(world, D.SPOKE, M.PROGRESSIVE, agent_joined_at=at(6))
    ended(world, D.SPOKE, M.PREDICTIVE, agent_joined_at=at(6))
    ended(world, D.ABANDONED, M.PREDICTIVE, abandoned_at=at(7))
    with database.connect() as c:
        found = abandonment.by_mode(c, world.campaign_id, NOW, at(60))
    assert found == {M.PROGRESSIVE: Counts(1, 0), M.PREDICTIVE: Counts(2, 1)}
    assert abandonment.total(found) == Counts(3, 1)
    assert abandonment.total({}) == Counts()


@pytest.mark.parametrize("days", [0.05, 1.0])
def test_a_window_that_is_carried_on_is_the_window_counted_afresh(
    database: Engine, days: float
) -> None:
    """Whatever happens between two looks: calls come, end, are found to be machines, grow old."""
    world = World(database)
    chance = random.Random(5)
    carried = SlidingWindow(world.campaign_id, days)
    for step in range(60):
        now = NOW + step * timedelta(minutes=chance.choice([1, 20, 45])) + timedelta(hours=step)
        for _ in range(chance.randrange(3)):
            when = now - timedelta(seconds=chance.randrange(3000))
            gone = when if chance.random() < 0.3 else None
            an_attempt(world, mode=M.PREDICTIVE, placed_at=when, answered_at=when,
                       abandoned_at=gone)  # fmt: skip
        with database.begin() as c:
            if step % 4 == 0:  # the newest call turns out a machine, as late as that may be
                newest = select(func.max(t.attempt.c.answered_at)).scalar_subquery()
                c.execute(
                    update(t.attempt)
                    .where(t.attempt.c.answered_at == newest)
                    .where(t.attempt.c.answered_at > now - HOUR)
                    .values(disposition="machine")
                )
            assert carried.counts(c, now) == abandonment.window(c, world.campaign_id, days, now)


def test_a_clock_that_goes_back_is_counted_afresh(database: Engine) -> None:
    world = World(database)
    ended(world, D.ABANDONED, abandoned_at=at(7))
    carried = SlidingWindow(world.campaign_id, 1)
    with database.connect() as c:
        assert carried.counts(c, NOW + 12 * HOUR) == Counts(1, 1)
        assert carried.counts(c, NOW + 3 * HOUR) == Counts(1, 1)
        assert carried.counts(c, NOW) == Counts(0, 0)
        assert carried.counts(c, NOW + 24 * HOUR) == Counts(1, 1)
        assert carried.counts(c, NOW + 25 * HOUR) == Counts(0, 0)


# --- the lock-out ---------------------------------------------------------------------------


def test_when_debtors_were_last_abandoned(database: Engine) -> None:
    world = World(database)
    twice, silent, never, long_ago = (world.lead() for _ in range(4))
    week = timedelta(days=8)
    ended(world, D.ABANDONED, lead_id=twice, abandoned_at=at(7))
    ended(world, D.ABANDONED, lead_id=twice, placed_at=NOW + HOUR, answered_at=NOW + HOUR,
          abandoned_at=NOW + HOUR)  # fmt: skip
    ended(world, D.FAILED, lead_id=silent)
    ended(world, D.SPOKE, lead_id=never, agent_joined_at=at(7))
    ended(world, D.ABANDONED, lead_id=long_ago, placed_at=NOW - week, answered_at=NOW - week,
          abandoned_at=NOW - week)  # fmt: skip
    debtor = {row.id: row.debtor_id for row in world.rows(t.lead)}
    with database.connect() as c:
        since = NOW - timedelta(days=7)
        assert abandonment.last_abandoned(c, [], since) == {}
        assert abandonment.last_abandoned(c, list(debtor.values()), since) == {
            debtor[twice]: NOW + HOUR, debtor[silent]: at(5),
        }  # fmt: skip
        found = load_contexts(c, list(debtor), NOW + 2 * HOUR)
    assert {lead: found[lead].abandoned_at for lead in debtor} == {
        twice: NOW + HOUR, silent: at(5), never: None, long_ago: None,
    }  # fmt: skip
    standing = found[twice].standing(found[twice].phones[0], "Europe/Madrid")
    assert standing.abandoned_at == NOW + HOUR


def standing(**changes: Any) -> Standing:
    return Standing("Europe/Madrid", (), abandoned_at=NOW, **changes)


def test_who_was_abandoned_is_left_alone_for_72_hours_where_no_agent_is_certain() -> None:
    for hours in (0, 71.99):
        verdict = may_contact(ALWAYS, standing(), NOW + hours * HOUR, guaranteed=False)
        assert verdict == Verdict(Refusal.ABANDONED_LOCKOUT, NOW + 72 * HOUR)
    assert may_contact(ALWAYS, standing(), NOW + 72 * HOUR, guaranteed=False).allowed


def test_an_agent_who_is_certain_and_a_message_may_come_before() -> None:
    assert may_contact(ALWAYS, standing(), NOW + HOUR, guaranteed=True).allowed
    assert may_contact(ALWAYS, standing(), NOW + HOUR).allowed


def test_the_lock_out_is_as_long_as_the_campaign_says() -> None:
    said = may_contact(ALWAYS, standing(), NOW + HOUR, guaranteed=False, lock_out=24 * HOUR)
    assert said.retry_at == NOW + 24 * HOUR
    assert may_contact(
        ALWAYS, standing(), NOW + HOUR, guaranteed=False, lock_out=timedelta(0)
    ).allowed


def test_after_the_lock_out_the_window_has_to_be_open() -> None:
    only_mondays = ContactRules(window=ALWAYS.window[:1])
    said = may_contact(only_mondays, standing(), NOW + HOUR, guaranteed=False)
    assert said.refused is Refusal.ABANDONED_LOCKOUT
    assert said.retry_at == datetime.fromisoformat("2026-03-22T23:00+00:00")  # Monday in Madrid


def test_what_never_passes_is_said_first() -> None:
    both = standing(opted_out=True)
    assert may_contact(ALWAYS, both, NOW, guaranteed=False) == Verdict(Refusal.OPTED_OUT)


def test_only_a_line_with_its_own_agent_guarantees_one() -> None:
    assert {mode for mode in M if guarantees_agent(mode)} == {M.PREVIEW, M.PROGRESSIVE}
