"""What an agent sees of a debtor: all that is needed, nothing that is not; on both databases."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from agent_support import a_session, an_agent, an_attempt, at, queued
from money import make_pending, payment_row
from sqlalchemy import Engine, insert, update
from world import NOW, World

from dialer.domain.model import (
    AgentCallKind,
    AttemptState,
    Channel,
    DialMode,
    Disposition,
    MessageState,
    Money,
)
from dialer.store import agent_calls, callbacks
from dialer.store import tables as t
from dialer.store.callbacks import NewCallback
from dialer.store.story import Story, as_json, masked, story
from dialer.store.timeline import EntryKind, timeline

K = EntryKind
NUMBER = "+34600123456"


def the_story(world: World, attempt_id: str) -> Story:
    with world.engine.connect() as c:
        found = story(c, attempt_id, NOW)
    assert found is not None
    return found


def put(world: World, table: Any, **values: Any) -> None:
    with world.engine.begin() as c:
        c.execute(insert(table).values(values))


def a_message(world: World, debtor_id: int, when: Any = NOW, **changes: Any) -> None:
    values = {
        "company_id": world.company_id, "debtor_id": debtor_id, "key": f"k{when}{changes}",
        "channel": Channel.SMS.value, "number": NUMBER, "template": "payment_link",
        "body": "pay at https://pay.example/secret-token", "state": MessageState.DELIVERED.value,
        "created_at": when, "updated_at": when,
    }  # fmt: skip
    put(world, t.message, **(values | changes))


def a_promise(world: World, attempt_id: str, account_id: int, when: Any = NOW) -> None:
    put(world, t.promise, attempt_id=attempt_id, account_id=account_id, due=date(2026, 4, 1),
        amount_minor=5000, currency="EUR", made_at=when)  # fmt: skip


# --- the head and the call ------------------------------------------------------------------


def test_who_it_is_what_is_owed_and_how_the_call_came_here(database: Engine) -> None:
    world = World(database)
    lead = world.lead(NUMBER, timezone="Atlantic/Canary")
    attempt = an_attempt(
        world, lead, mode=DialMode.PREDICTIVE, last_node="pay", last_prompt="card_number", keys="13"
    )
    queued(world, attempt, AgentCallKind.ESCALATION, at(30), reason="payment failed", skill="pay")
    seen = the_story(world, attempt.id)
    assert (seen.company, seen.campaign, seen.name) == ("Acme", "test", "Debtor 1")
    assert (seen.language, seen.timezone) == ("es", "Atlantic/Canary")
    assert seen.local_time.isoformat() == "2026-03-16T11:00:00+00:00"
    assert seen.account.reference == "R1"
    assert (seen.account.claim, seen.account.owed) == (Money(12345, "EUR"), Money(12345, "EUR"))
    assert seen.account.due == date(2026, 4, 1)
    call = seen.call
    assert (call.mode, call.inbound, call.last_prompt, call.keys) == (
        DialMode.PREDICTIVE, False, "card_number", "13",
    )  # fmt: skip
    assert (call.kind, call.reason, call.skill) == (
        AgentCallKind.ESCALATION, "payment failed", "pay",
    )  # fmt: skip
    assert (call.waited_since, call.failed, call.pay) == (at(30), (), None)
    assert (seen.do_not_call, seen.opted_out_at, seen.timeline) == (False, None, ())


def test_a_campaign_s_time_zone_stands_in_for_the_debtor_s(database: Engine) -> None:
    world = World(database)
    seen = the_story(world, an_attempt(world).id)
    assert seen.timezone == "Europe/Madrid"
    assert seen.local_time.hour == 12
    with database.connect() as c:
        assert story(c, "0" * 32, NOW) is None


@pytest.mark.parametrize("confirmed", [True, False])
def test_the_debt_may_be_spoken_of_with_the_debtor_alone(database: Engine, confirmed: bool) -> None:
    world = World(database)
    attempt = an_attempt(world, identity_confirmed=confirmed)
    assert the_story(world, attempt.id).may_speak_of_debt is confirmed


def test_what_is_owed_is_what_may_be_paid_now_and_other_debts_are_told(database: Engine) -> None:
    world = World(database)
    lead = world.lead()
    attempt = an_attempt(world, lead)
    make_pending(world, lead, 2345)
    for n in range(12):
        put(world, t.account, company_id=world.company_id, debtor_id=attempt.debtor_id,
            reference=f"S{n}", amount_minor=100, currency="EUR", due_date=date(2026, 5, 1),
            created_at=NOW, updated_at=NOW)  # fmt: skip
    seen = the_story(world, attempt.id)
    assert (seen.account.owed.minor, seen.account.pending) == (10000, 2345)
    assert seen.accounts[0] == seen.account
    assert len(seen.accounts) == 10
    assert seen.accounts[1].reference == "S11"
    assert not seen.accounts[1].called_about


def test_what_failed_at_paying_is_told_in_codes(database: Engine) -> None:
    world = World(database)
    attempt = an_attempt(world)
    lead = world.rows(t.lead, id=attempt.lead_id)[0]
    for n, (errors, result, last_four) in enumerate(
        [({"invalid-card-number": 3}, "max-failed-attempts", None),
         ({"declined-soft": 1, "invalid-card-number": 1}, None, None)]
    ):  # fmt: skip
        put(world, t.pay_session, id=f"{n:032x}", attempt_id=attempt.id, node="pay",
            account_id=lead.account_id, language="es", spec={}, started_at=at(n), step="confirm",
            agreed_minor=5000, errors=errors, result=result, last_four=last_four)  # fmt: skip
    call = the_story(world, attempt.id).call
    assert call.failed == ("invalid-card-number", "declined-soft", "max-failed-attempts")
    assert call.pay is not None
    assert (call.pay.step, call.pay.agreed_minor, call.pay.result) == ("confirm", 5000, None)
    assert call.pay.errors == {"declined-soft": 1, "invalid-card-number": 1}


def test_opt_outs_are_seen_from_the_number_and_from_the_debtor(database: Engine) -> None:
    world = World(database)
    attempt = an_attempt(world, world.lead(NUMBER))
    with database.begin() as c:
        c.execute(update(t.debtor).values(opted_out_at=at(1)))
    put(world, t.suppression, company_id=world.company_id, number=NUMBER, reason="sms_stop",
        source="x", at=at(2))  # fmt: skip
    seen = the_story(world, attempt.id)
    assert (seen.do_not_call, seen.opted_out_at) == (True, at(1))
    assert [(one.kind, one.at, one.detail) for one in seen.timeline] == [
        (K.OPT_OUT, at(2), {"reason": "sms_stop"})
    ]


# --- the timeline ---------------------------------------------------------------------------


def test_the_timeline_has_every_channel_newest_first(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world, name="Ana Ruiz")
    lead = world.lead(NUMBER)
    before = an_attempt(
        world, lead, placed_at=at(-900), disposition=Disposition.SPOKE, agent_joined_at=at(-890),
        state=AttemptState.ENDED, last_prompt="menu",
    )  # fmt: skip
    account_id = world.rows(t.lead, id=lead)[0].account_id
    talk = queued(world, before, when=at(-895))
    seat = a_session(world, ana)
    with database.begin() as c:
        agent_calls.joined(c, talk, seat, ana, at(-890))
        agent_calls.note(c, talk, "spoke", "calls back on Monday")
        new = NewCallback(world.company_id, before.debtor_id, account_id, at(9000), "agent:ana",
                          agent_id=ana, note="Monday")  # fmt: skip
        callbacks.book(c, new, at(-800))
    a_promise(world, before.id, account_id, at(-700))
    payment_row(world, lead, at=at(-570), brand="visa", last_four="1111")
    a_message(world, before.debtor_id, at(-500))
    now = an_attempt(world, lead)
    seen = the_story(world, now.id).timeline
    assert [one.kind for one in seen] == [
        K.MESSAGE, K.PAYMENT, K.PROMISE, K.CALLBACK, K.NOTE, K.CALL,
    ]  # fmt: skip
    by_kind = {one.kind: one.detail for one in seen}
    assert by_kind[K.CALL] == {
        "disposition": "spoke", "mode": "agentless", "inbound": False, "last_prompt": "menu",
        "campaign": "test", "talked": True,
    }  # fmt: skip
    assert by_kind[K.MESSAGE] == {
        "channel": "sms", "template": "payment_link", "state": "delivered",
    }  # fmt: skip
    assert by_kind[K.PROMISE] == {
        "due": "2026-04-01", "amount_minor": 5000, "currency": "EUR", "account": "R1",
    }  # fmt: skip
    assert (by_kind[K.PAYMENT]["brand"], by_kind[K.PAYMENT]["last_four"]) == ("visa", "1111")
    assert by_kind[K.CALLBACK] == {
        "due_at": at(9000).isoformat(), "state": "due", "note": "Monday", "agent": "Ana Ruiz",
    }  # fmt: skip
    assert by_kind[K.NOTE] == {
        "agent": "Ana Ruiz", "disposition": "spoke", "notes": "calls back on Monday",
    }  # fmt: skip


def test_the_newest_thirty_of_all_and_of_this_debtor_alone(database: Engine) -> None:
    world = World(database)
    attempt, other = an_attempt(world), an_attempt(world)
    for n in range(25):
        a_message(world, attempt.debtor_id, at(2 * n))
        an_attempt(world, attempt.lead_id, placed_at=at(2 * n + 1))
    a_message(world, other.debtor_id, at(99))
    with database.connect() as c:
        found = timeline(c, attempt.debtor_id, but=attempt.id)
    assert [one.at for one in found] == [at(n) for n in range(49, 19, -1)]
    assert {one.kind for one in found} == {K.MESSAGE, K.CALL}


# --- what is not in it ----------------------------------------------------------------------


def test_no_document_no_number_and_no_link_is_told(database: Engine) -> None:
    world = World(database)
    lead = world.lead(NUMBER)
    attempt = an_attempt(world, lead)
    a_message(world, attempt.debtor_id)
    document = world.rows(t.debtor)[0].document
    told = json.dumps(as_json(the_story(world, attempt.id)))
    for hidden in (document, NUMBER, NUMBER[1:], "secret-token"):
        assert hidden not in told
    seen = json.loads(told)
    assert seen["document"] == f"***{document[-3:]}"
    assert seen["call"]["number"] == "***456"
    assert seen["account"]["owed"] == {"minor": 12345, "currency": "EUR"}
    assert seen["local_time"] == "2026-03-16T12:00:00+01:00"


def test_a_short_text_is_masked_whole() -> None:
    assert [masked(one) for one in ("", "12", "12345", "123456")] == ["***", "***", "***", "***456"]


def test_json_values_are_plain() -> None:
    moment = {"at": NOW, "day": date(2026, 1, 2), "kind": K.NOTE, "some": (1, None, True)}
    assert as_json(moment) == {
        "at": NOW.isoformat(), "day": "2026-01-02", "kind": "note", "some": [1, None, True],
    }  # fmt: skip
