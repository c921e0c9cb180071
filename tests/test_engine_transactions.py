"""Claiming, concluding and falling back: what one transaction leaves behind, on both databases."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from engine_parts import Texts
from sqlalchemy import Engine, insert
from world import NOW, POOL, World, plan

from dialer.domain.attempt import LOST
from dialer.domain.model import (
    Attempt,
    AttemptState,
    DetectionResult,
    Disposition,
    FallbackStep,
    LineType,
    Outcome,
    RetryRule,
    StepKind,
)
from dialer.engine.claiming import LeaseLost, claim_and_commit
from dialer.engine.closing import Closing, FollowUp, close_attempts, set_redial_latency
from dialer.store import attempts, leads, leases
from dialer.store import tables as t
from dialer.store.upsert import insert_ignore

LIFE = timedelta(seconds=10)


def new_id() -> str:
    return uuid.uuid4().hex


def claim(world: World, count: int = 10, now: datetime = NOW, owner: str = "me") -> list[Attempt]:
    with world.engine.begin() as c:
        assert leases.acquire(c, world.campaign_id, owner, now, LIFE)
        made, _ = claim_and_commit(
            c, world.running(), owner=owner, node="node1", count=count, now=now, new_id=new_id
        )
    return made


def end(world: World, ended: Sequence[Attempt], now: datetime = NOW) -> FollowUp:
    with world.engine.begin() as c:
        closing = Closing({world.campaign_id: world.running()}, now, new_id, Texts())
        return close_attempts(c, ended, closing)


def hung_up(one: Attempt, at: datetime = NOW) -> Attempt:
    """Answered and hung up without a key."""
    return one.with_(
        state=AttemptState.ENDED, answered_at=at, hangup_requested_at=at, ended_at=at,
        hung_up_by_debtor=True, detection=DetectionResult.PERSON, q850=16,
    )  # fmt: skip


def unanswered(one: Attempt, q850: int = 19) -> Attempt:
    return one.with_(state=AttemptState.ENDED, ringing_at=NOW, ended_at=NOW, q850=q850)


# --- claims and leases -------------------------------------------------------------------


def test_a_claim_commits_attempt_ledger_and_count_together(database: Engine) -> None:
    world = World(database)
    lead_id = world.lead()
    (one,) = claim(world)
    assert (one.lead_id, one.state, one.number) == (lead_id, AttemptState.CREATED, "+34600000001")
    assert [row.source for row in world.rows(t.contact)] == [f"attempt:{one.id}"]
    assert [(row.state, row.attempts) for row in world.rows(t.lead)] == [("claimed", 1)]
    assert claim(world) == []


def test_many_claimers_at_once_get_every_lead_once(database: Engine) -> None:
    world = World(database)
    for _ in range(60):
        world.lead()
    with database.begin() as c:
        leases.acquire(c, world.campaign_id, "me", NOW, LIFE)
    got: list[int] = []

    def work() -> None:
        while True:
            with database.begin() as c:
                ids = leads.claim(c, world.campaign_id, 3, new_id(), NOW)
            if not ids:
                return
            got.extend(ids)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(got) == Counter({row.id: 1 for row in world.rows(t.lead)})


def test_two_engines_never_hold_one_campaign_and_a_dead_ones_lease_expires(
    database: Engine,
) -> None:
    world = World(database)
    world.lead()
    with database.begin() as c:
        assert leases.acquire(c, world.campaign_id, "a", NOW, LIFE)
        assert not leases.acquire(c, world.campaign_id, "b", NOW + LIFE / 2, LIFE)
        assert leases.acquire(c, world.campaign_id, "a", NOW + LIFE / 2, LIFE)
        late = NOW + 2 * LIFE
        assert leases.acquire(c, world.campaign_id, "b", late, LIFE)
        assert not leases.acquire(c, world.campaign_id, "a", late, LIFE)
    with pytest.raises(LeaseLost), database.begin() as c:
        claim_and_commit(c, world.running(), owner="a", node="n", count=1, now=late, new_id=new_id)
    assert [row.state for row in world.rows(t.lead)] == ["waiting"]
    with database.begin() as c:
        leases.release(c, "b", late)
        assert leases.acquire(c, world.campaign_id, "a", late, LIFE)


def test_a_lease_of_a_clock_that_was_wrong_does_not_bar_the_campaign_for_ever(
    database: Engine,
) -> None:
    world = World(database)
    with database.begin() as c:
        assert leases.acquire(c, world.campaign_id, "a", NOW + timedelta(days=400), LIFE)
        assert leases.acquire(c, world.campaign_id, "b", NOW, LIFE)
        assert leases.holds(c, world.campaign_id, "b", NOW)
        assert not leases.holds(c, world.campaign_id, "a", NOW)


def test_a_refused_lead_waits_until_it_may_be_called(database: Engine) -> None:
    world = World(database, plan(max_attempts_per_day=1))
    world.lead()
    end(world, [unanswered(claim(world)[0])])
    later = NOW + timedelta(hours=1)
    assert claim(world, now=later) == []
    (row,) = world.rows(t.lead)
    assert row.state == "waiting"
    assert row.next_at == datetime(2026, 3, 16, 23, tzinfo=NOW.tzinfo)  # midnight in Madrid


def test_a_listed_number_is_stepped_over_and_an_opted_out_debtor_closed(database: Engine) -> None:
    world = World(database)
    world.lead("+34600000101", "+34600000102")
    out = world.lead()
    with database.begin() as c:
        c.execute(
            insert(t.suppression).values(
                company_id=world.company_id, number="+34600000101", reason="operator",
                source="test", at=NOW,
            )
        )  # fmt: skip
        c.execute(t.debtor.update().where(t.debtor.c.id == out).values(opted_out_at=NOW))
    assert [one.number for one in claim(world)] == ["+34600000102"]
    assert world.rows(t.lead, id=out)[0].closed_reason == "opted_out"


# --- the signature -----------------------------------------------------------------------


def test_answered_abandoned_is_redialled_at_once_from_an_unseen_number(database: Engine) -> None:
    world = World(database)
    world.lead()
    (first,) = claim(world)
    follow_up = end(world, [hung_up(first)])
    (redial,) = follow_up.place
    assert (redial.follows, redial.number, redial.fallback_index) == (first.id, first.number, 0)
    assert redial.caller_id in set(POOL) - {first.caller_id}
    assert [row.source for row in world.rows(t.contact)] == [
        f"attempt:{first.id}",
        f"attempt:{redial.id}",
    ]
    (lead,) = world.rows(t.lead)
    assert (lead.state, lead.attempts) == ("claimed", 2)
    assert attempts.attempt_of(world.rows(t.attempt, id=redial.id)[0]) == redial
    with database.begin() as c:
        assert set_redial_latency(c, redial.id, NOW + timedelta(milliseconds=7)) == 7.0
    assert world.rows(t.fallback)[0].latency_ms == 7.0


def test_a_redial_that_is_abandoned_again_is_followed_by_an_sms(database: Engine) -> None:
    world = World(database)
    world.lead()
    (redial,) = end(world, [hung_up(claim(world)[0])]).place
    follow_up = end(world, [hung_up(redial)])
    assert follow_up.place == []
    (message,) = world.rows(t.message)
    assert follow_up.send == [message.id]
    row = world.rows(t.fallback, attempt_id=redial.id)[0]
    assert (row.kind, row.made_message_id, row.refused) == ("sms", message.id, None)
    assert world.rows(t.lead)[0].closed_reason == "answered_abandoned"


def test_refused_steps_are_recorded_and_a_landline_is_not_texted(database: Engine) -> None:
    world = World(database, plan(caller_ids=POOL[:1]))
    world.lead("+34910000777", line_type=LineType.FIXED)
    follow_up = end(world, [hung_up(claim(world)[0])])
    assert (follow_up.place, follow_up.send) == ([], [])
    assert [(row.kind, row.refused) for row in world.rows(t.fallback)] == [
        ("redial", "no_caller_id"),
        ("sms", "not_mobile"),
        ("retry", None),
    ]


def test_a_text_that_is_not_there_refuses_the_step_and_not_the_hang_up(database: Engine) -> None:
    steps = (FallbackStep(StepKind.SMS, template="missing"), FallbackStep(StepKind.RETRY))
    world = World(database, plan(fallback=steps))
    world.lead()
    end(world, [hung_up(claim(world)[0])])
    assert [(row.kind, row.refused) for row in world.rows(t.fallback)] == [
        ("sms", "no_text"),
        ("retry", None),
    ]


def test_the_cap_is_shared_by_calls_and_messages(database: Engine) -> None:
    world = World(database)
    world.plan = plan(rules=world.plan.rules.__class__(world.plan.rules.window, max_per_day=2))
    world.lead()
    (redial,) = end(world, [hung_up(claim(world)[0])]).place
    end(world, [hung_up(redial)])
    refused = {row.kind: row.refused for row in world.rows(t.fallback, attempt_id=redial.id)}
    assert refused == {"sms": "daily_cap", "retry": None}
    assert world.rows(t.message) == []


def test_an_end_that_is_told_twice_changes_nothing_the_second_time(database: Engine) -> None:
    world = World(database)
    world.lead()
    (first,) = claim(world)
    end(world, [hung_up(first)])
    again = end(world, [hung_up(first)])
    assert (again.place, again.send, again.concluded) == ([], [], [])
    assert len(world.rows(t.attempt)) == 2


@pytest.mark.database("postgresql")
def test_two_engines_that_conclude_one_call_redial_it_once(database: Engine) -> None:
    world = World(database)
    world.lead()
    (first,) = claim(world)
    start = threading.Barrier(2)
    made: list[FollowUp] = []

    def work() -> None:
        start.wait()
        made.append(end(world, [hung_up(first)]))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(one.place) for one in made) == [0, 1]


# --- retry and recovery ------------------------------------------------------------------


def test_no_answer_waits_by_its_rule_and_moves_to_the_next_phone(database: Engine) -> None:
    world = World(database)
    world.lead("+34600000201", "+34600000202")
    (first,) = claim(world)
    end(world, [unanswered(first)])
    assert claim(world, now=NOW + timedelta(seconds=59)) == []
    (second,) = claim(world, now=NOW + timedelta(seconds=60))
    assert (first.number, second.number) == ("+34600000201", "+34600000202")


def test_an_unallocated_number_is_never_called_again(database: Engine) -> None:
    world = World(database)
    world.lead("+34600000301")
    end(world, [unanswered(claim(world)[0], q850=1)])
    assert world.rows(t.phone)[0].invalid_reason == "invalid_number"
    assert world.rows(t.lead)[0].closed_reason == "no_phone_left"


def test_a_lost_attempt_is_not_repeated_at_once_and_its_lead_not_lost(database: Engine) -> None:
    world = World(database)
    world.lead()
    (first,) = claim(world)
    lost = first.with_(state=AttemptState.ENDED, ended_at=NOW, failure=LOST)
    assert end(world, [lost]).place == []
    assert claim(world, now=NOW + timedelta(seconds=59)) == []
    (second,) = claim(world, now=NOW + timedelta(seconds=60))
    assert second.id != first.id
    assert world.rows(t.attempt, id=first.id)[0].disposition == "failed"


def test_what_the_ivr_wrote_survives_the_engine(database: Engine) -> None:
    world = World(database)
    world.lead()
    (first,) = claim(world)
    with database.begin() as c:
        c.execute(insert(t.flow_outcome).values(attempt_id=first.id, outcome="promise", at=NOW))
        (found,) = attempts.open_attempts(c, "node1", [world.campaign_id])
    assert found.outcome is Outcome.PROMISE
    end(world, [found.with_(state=AttemptState.ENDED, ended_at=NOW, failure=LOST)])
    assert world.rows(t.attempt)[0].disposition == Disposition.PROMISE.value
    assert world.rows(t.lead)[0].closed_reason == "promise"


def test_a_choice_that_was_written_counts_though_its_event_died_with_the_line(
    database: Engine,
) -> None:
    world = World(database)
    world.lead()
    (first,) = claim(world)
    with database.begin() as c:
        c.execute(insert(t.flow_outcome).values(attempt_id=first.id, outcome="opted_out", at=NOW))
    follow_up = end(world, [hung_up(first)])
    assert [one.disposition for one in follow_up.concluded] == [Disposition.OPTED_OUT]
    assert follow_up.place == []


@pytest.mark.parametrize("outcome", ["promise", "opted_out", "wants_agent"])
def test_a_choice_that_was_written_after_the_end_was_concluded_still_counts(
    database: Engine, outcome: str
) -> None:
    """The IVR waited for the database longer than the engine: the lead is not called again."""
    world = World(database, plan(retry={Disposition.INCOMPLETE: RetryRule(delay=60)}))
    world.lead()
    (first,) = claim(world)
    end(world, [hung_up(first).with_(keys="1")])
    with database.begin() as c:
        c.execute(insert(t.flow_outcome).values(attempt_id=first.id, outcome=outcome, at=NOW))
    assert claim(world, now=NOW + timedelta(hours=1)) == []
    (lead,) = world.rows(t.lead)
    assert (lead.state, lead.closed_reason) == ("done", outcome)


def test_a_number_that_was_said_to_be_anothers_after_the_end_is_not_called_again(
    database: Engine,
) -> None:
    world = World(database, plan(retry={Disposition.INCOMPLETE: RetryRule(delay=60)}))
    world.lead("+34600000501", "+34600000502")
    (first,) = claim(world)
    end(world, [hung_up(first).with_(keys="2")])
    with database.begin() as c:
        c.execute(
            insert(t.flow_outcome).values(attempt_id=first.id, outcome="wrong_person", at=NOW)
        )
    (second,) = claim(world, now=NOW + timedelta(hours=1))
    assert (first.number, second.number) == ("+34600000501", "+34600000502")


def test_an_ended_attempt_is_never_opened_again(database: Engine) -> None:
    world = World(database)
    world.lead()
    (first,) = claim(world)
    end(world, [unanswered(first)])
    with database.begin() as c:
        attempts.save_attempts(c, [first.with_(state=AttemptState.RINGING)])
    assert world.rows(t.attempt)[0].state == "ended"


def test_leads_claimed_by_nobody_alive_are_given_back(database: Engine) -> None:
    world = World(database)
    world.lead()
    world.lead()
    claim(world, count=1)
    with database.begin() as c:
        leads.claim(c, world.campaign_id, 1, new_id(), NOW)  # no attempt follows
        assert leads.release_orphans(c, world.campaign_id, NOW) == 1
    assert sorted(row.state for row in world.rows(t.lead)) == ["claimed", "waiting"]


def test_migrations_make_the_tables_that_the_code_has(database: Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with database.connect() as c:
        context = MigrationContext.configure(c, opts={"compare_type": True})
        assert compare_metadata(context, t.metadata) == []


def test_a_changed_rate_holds_at_once(database: Engine) -> None:
    world = World(database, plan(calls_per_second=10.0))
    running = world.running()
    running.rate = running.rate.filled(1.0).taken()
    world.plan = plan(calls_per_second=2.0)
    running.update(world.running())
    assert running.rate.wait() == pytest.approx(0.5)


def test_rows_that_are_there_already_are_not_counted_as_put_in(database: Engine) -> None:
    world = World(database)
    row = {"company_id": world.company_id, "number": "+34600000901", "reason": "operator",
           "source": "test", "at": NOW}  # fmt: skip
    other = row | {"number": "+34600000902"}
    with database.begin() as c:
        counts = [insert_ignore(c, t.suppression, rows) for rows in ([row], [row], [row, other])]
    assert counts == [1, 0, 1]
