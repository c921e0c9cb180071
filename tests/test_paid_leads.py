"""Who has paid is called for nothing any more; who may have paid is not called yet."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from money import account_of, make_paid, make_pending
from sqlalchemy import Engine, insert
from test_engine_transactions import claim, end, hung_up, unanswered
from world import NOW, World, plan

from dialer.domain import fallback
from dialer.domain.model import (
    Attempt,
    Disposition,
    Outcome,
    Refusal,
    RetryRule,
    StepKind,
)
from dialer.domain.policy import ALLOWED
from dialer.engine.claiming import PAYMENT_WAIT, still_wanted
from dialer.store import messages, outcomes, paid
from dialer.store import tables as t

WHOLE = 12345


def settled(world: World, lead_id: int, one: Attempt | None, minor: int = WHOLE) -> None:
    """What settling a payment leaves behind."""
    make_paid(world, lead_id, minor)
    account_id = account_of(world, lead_id)
    with world.engine.begin() as c:
        paid.record_paid(
            c,
            account_id=account_id,
            attempt_id=None if one is None else one.id,
            node="pay",
            at=NOW,
        )


def test_a_paid_debt_closes_its_lead_instead_of_calling(database: Engine) -> None:
    world = World(database)
    lead_id = world.lead()
    make_paid(world, lead_id)
    assert claim(world) == []
    (lead,) = world.rows(t.lead)
    assert (lead.state, lead.closed_reason, lead.attempts) == ("done", "paid", 0)


def test_a_part_that_was_paid_leaves_the_rest_to_be_called_for(database: Engine) -> None:
    world = World(database)
    make_paid(world, world.lead(), 5000)
    (one,) = claim(world)
    with database.connect() as c:
        call = outcomes.load_call(c, one.id)
    assert call is not None
    assert (call.amount.minor, call.owes) == (WHOLE - 5000, True)


def test_money_in_doubt_makes_the_lead_wait_and_a_given_back_reservation_frees_it(
    database: Engine,
) -> None:
    world = World(database)
    lead_id = world.lead()
    make_pending(world, lead_id, 100)
    assert claim(world) == []
    (lead,) = world.rows(t.lead)
    assert (lead.state, lead.next_at) == ("waiting", NOW + PAYMENT_WAIT)
    make_paid(world, lead_id, WHOLE - 100)  # the rest: what is in doubt is in doubt still
    assert claim(world, now=NOW + PAYMENT_WAIT) == []
    (lead,) = world.rows(t.lead)
    assert (lead.state, lead.next_at) == ("waiting", NOW + 2 * PAYMENT_WAIT)


def test_paid_in_one_campaign_stops_the_other(database: Engine) -> None:
    world = World(database)
    other = World(database, plan(name="other"), company="Other")
    lead_id = world.lead()
    (row,) = world.rows(t.lead)
    with database.begin() as c:
        c.execute(
            insert(t.lead).values(
                campaign_id=other.campaign_id, debtor_id=row.debtor_id,
                account_id=row.account_id, state="waiting", next_at=NOW + timedelta(days=1),
            )
        )  # fmt: skip
    (one,) = claim(world)
    settled(world, lead_id, one)
    (second,) = world.rows(t.lead, campaign_id=other.campaign_id)
    assert (second.state, second.closed_reason) == ("done", "paid")
    assert world.rows(t.lead, id=lead_id)[0].state == "claimed"  # its call goes on
    end(world, [hung_up(one).with_(keys="1")])
    (first,) = world.rows(t.lead, id=lead_id)
    assert (first.state, first.closed_reason) == ("done", "paid")


def test_an_attempt_that_waited_is_not_dialled_once_the_money_is_there(database: Engine) -> None:
    world = World(database)
    one_lead, other_lead = world.lead(), world.lead()
    attempts = {one.lead_id: one for one in claim(world)}
    make_paid(world, one_lead)
    make_pending(world, other_lead, 1)
    with database.begin() as c:
        wanted = [still_wanted(c, one, world.running(), NOW) for one in attempts.values()]
    assert wanted == [False, False]


def test_a_redial_is_refused_to_who_may_have_paid_but_not_the_text(database: Engine) -> None:
    world = World(database)
    lead_id = world.lead()
    (one,) = claim(world)
    make_pending(world, lead_id)
    follow_up = end(world, [hung_up(one)])
    assert (follow_up.place, len(follow_up.send)) == ([], 1)
    assert [(row.kind, row.refused) for row in world.rows(t.fallback)] == [
        ("redial", "payment_pending"),
        ("sms", None),
    ]


def test_who_has_paid_is_neither_redialled_nor_texted(database: Engine) -> None:
    world = World(database)
    lead_id = world.lead()
    (one,) = claim(world)
    make_paid(world, lead_id)  # by a link, while the telephone rang
    follow_up = end(world, [hung_up(one)])
    assert (follow_up.place, follow_up.send) == ([], [])
    assert [row.refused for row in world.rows(t.fallback)] == ["paid", "paid", None]
    (lead,) = world.rows(t.lead)
    assert (lead.state, lead.closed_reason, lead.last_disposition) == (
        "done", "paid", "answered_abandoned",
    )  # fmt: skip


def test_a_missed_call_text_that_was_held_up_does_not_reach_who_has_paid(
    database: Engine,
) -> None:
    world = World(database)
    lead_id = world.lead()
    (one,) = claim(world)
    (row,) = world.rows(t.lead)
    made = []
    with database.begin() as c:
        for key in ("fallback:x", "link:x", "receipt:x", "paylink:x"):
            new = messages.NewMessage(
                key=key, company_id=world.company_id, debtor_id=row.debtor_id,
                account_id=row.account_id, campaign_id=world.campaign_id, attempt_id=one.id,
                number=one.number, template="missed_call", body="hola",
            )  # fmt: skip
            made.append(messages.create_message(c, new, NOW))
    make_paid(world, lead_id)
    with database.begin() as c:
        claims = [messages.claim_for_sending(c, message_id, NOW) for message_id in made]
    assert [one.refused for one in claims] == ["paid", None, None, None]


@pytest.mark.parametrize("told", [None, Outcome.INCOMPLETE, Outcome.WANTS_AGENT])
def test_paid_stands_whatever_the_flow_told_afterwards(
    database: Engine, told: Outcome | None
) -> None:
    world = World(database)
    lead_id = world.lead()
    (one,) = claim(world)
    if told is not None:
        with database.begin() as c:
            outcomes.record_outcome(c, one.id, told, "pay", NOW)
    settled(world, lead_id, one, 5000)
    end(world, [hung_up(one).with_(keys="1", outcome=told)])
    (row,) = world.rows(t.attempt)
    assert (row.outcome, row.disposition) == ("paid", "paid")
    assert world.rows(t.lead)[0].closed_reason == "paid"


@pytest.mark.parametrize("retried", [True, False])
def test_a_payment_that_settles_after_the_hang_up_corrects_the_call(
    database: Engine, retried: bool
) -> None:
    rules = {Disposition.INCOMPLETE: RetryRule(delay=60)} if retried else {}
    world = World(database, plan(retry=rules))
    lead_id = world.lead()
    (one,) = claim(world)
    end(world, [hung_up(one).with_(keys="1")])
    assert world.rows(t.attempt)[0].disposition == "incomplete"
    account_id = account_of(world, lead_id)
    for _ in range(2):  # a repeat changes nothing
        with database.begin() as c:
            paid.record_paid(c, account_id=account_id, attempt_id=one.id, node="pay", at=NOW)
    (row,) = world.rows(t.attempt)
    assert (row.state, row.outcome, row.disposition) == ("ended", "paid", "paid")
    (lead,) = world.rows(t.lead)
    assert (lead.state, lead.closed_reason, lead.last_disposition) == ("done", "paid", "paid")


def test_settled_late_while_a_redial_rings_closes_the_lead_at_its_end(database: Engine) -> None:
    world = World(database)
    lead_id = world.lead()
    (one,) = claim(world)
    (redial,) = end(world, [hung_up(one)]).place
    settled(world, lead_id, one, 5000)  # a part: the debt itself is not paid
    end(world, [unanswered(redial)])
    assert claim(world, now=NOW + timedelta(hours=1)) == []
    (lead,) = world.rows(t.lead)
    assert (lead.state, lead.closed_reason) == ("done", "paid")


@pytest.mark.database("postgresql")
def test_settling_and_concluding_at_the_same_moment_agree(database: Engine) -> None:
    """Whichever commits first, the call ends as paid."""
    world = World(database)
    leads = [world.lead() for _ in range(12)]
    made = {one.lead_id: one for one in claim(world, count=20)}
    for lead_id in leads:
        barrier = threading.Barrier(2)

        def settle(lead_id: int = lead_id, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            settled(world, lead_id, made[lead_id])

        thread = threading.Thread(target=settle)
        thread.start()
        barrier.wait()
        end(world, [hung_up(made[lead_id]).with_(keys="1")])
        thread.join()
    assert {row.disposition for row in world.rows(t.attempt)} == {"paid"}
    assert {(row.state, row.closed_reason) for row in world.rows(t.lead)} == {("done", "paid")}


def test_a_call_to_who_owes_nothing_is_told_so(database: Engine) -> None:
    world = World(database)
    lead_id = world.lead()
    (one,) = claim(world)
    make_paid(world, lead_id)
    with database.connect() as c:
        call = outcomes.load_call(c, one.id)
    assert call is not None
    assert (call.owes, call.amount.minor, call.country) == (False, WHOLE, "ES")


def test_each_step_knows_of_money() -> None:
    steps = plan().fallback
    values = {
        "policy": ALLOWED,
        "running": True,
        "takes_sms": True,
        "fresh_caller_id": {0: "+34910000001"},
        "texts": frozenset({1}),
        "since_hangup": timedelta(0),
        "attempts_left": True,
    }

    def refused(**changes: bool) -> list[Refusal | None]:
        facts = fallback.Facts(**values, **changes)  # type: ignore[arg-type]
        return [one.refused for one in fallback.consider(steps, 0, facts)]

    assert [step.kind for step in steps] == [StepKind.REDIAL, StepKind.SMS, StepKind.RETRY]
    assert refused() == [None]
    assert refused(payment_pending=True) == [Refusal.PAYMENT_PENDING, None]
    assert refused(paid=True) == [Refusal.PAID, Refusal.PAID, None]
