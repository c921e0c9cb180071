"""Messages in the database: made once, claimed once, moved forward only."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from fixtures_messaging import make_fallback, make_message
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, update
from world import World

from dialer.domain.message import (
    MAX_AGE,
    MAX_TRIES,
    RANK,
    OutgoingMessage,
    behind,
    moves_forward,
    retry_delay,
)
from dialer.domain.model import MessageState
from dialer.jobs import utc_now
from dialer.store import messages, replies
from dialer.store import tables as t
from dialer.store.messages import StatusReport

SID = "SM" + "1" * 32


def _claim(world: World, message_id: int) -> messages.Claim:
    with world.engine.begin() as connection:
        return messages.claim_for_sending(connection, message_id, utc_now())


def _claimed(world: World, message_id: int) -> OutgoingMessage:
    claim = _claim(world, message_id)
    assert claim.message is not None
    return claim.message


def _report(
    world: World, status: str, state: MessageState | None, *, message_id: int | None, sid: str = SID
) -> messages.Moved:
    report = StatusReport(sid, f"{sid}:{status}", status, state, message_id)
    with world.engine.begin() as connection:
        return messages.apply_status(connection, report, utc_now())


def _state(world: World, message_id: int) -> str:
    return str(world.rows(t.message, id=message_id)[0].state)


def test_a_key_makes_one_message_and_one_contact(world: World) -> None:
    first = make_message(world, key="fallback:x")
    again = make_message(world, number="+34600333444", key="fallback:x", body="other")
    assert again == first
    row = world.rows(t.message)[0]
    assert (len(world.rows(t.message)), row.state, row.number) == (1, "pending", "+34600111222")
    ledger = world.rows(t.contact)
    assert [(one.source, one.channel) for one in ledger] == [("message:fallback:x", "sms")]


def test_one_of_many_workers_gets_it(world: World) -> None:
    message_id = make_message(world)
    together = threading.Barrier(8)

    def worker(_: int) -> bool:
        together.wait(30)
        return _claim(world, message_id).message is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(worker, range(8))) == 1
    row = world.rows(t.message, id=message_id)[0]
    assert (row.state, row.tries) == ("sending", 1)
    assert row.requested_at is None


def test_what_must_not_leave_any_more(world: World) -> None:
    now = utc_now()
    blocked = make_message(world, "+34600000201")
    left = make_message(world, "+34600000202")
    old = make_message(world, "+34600000203", at=now - MAX_AGE - timedelta(seconds=5))
    debtor_id = world.rows(t.message, id=left)[0].debtor_id
    with world.engine.begin() as connection:
        messages.suppress_recipient(connection, blocked, "operator", "test", now)
        messages.suppress_recipient(connection, blocked, "operator", "again", now)
        connection.execute(
            update(t.debtor).where(t.debtor.c.id == debtor_id).values(opted_out_at=now)
        )
    expected = {blocked: "do_not_call", left: "opted_out", old: "expired"}
    for message_id, reason in expected.items():
        claim = _claim(world, message_id)
        assert (claim.message, claim.refused) == (None, reason)
        row = world.rows(t.message, id=message_id)[0]
        assert (row.state, row.permanent, row.error) == ("failed", True, reason)
    assert len(world.rows(t.suppression)) == 1


def test_sent_sets_the_latency_of_its_fallback(world: World) -> None:
    hangup = utc_now()
    message_id = make_message(world)
    make_fallback(world, message_id, hangup)
    _claimed(world, message_id)
    requested = hangup + timedelta(milliseconds=187)
    with world.engine.begin() as connection:
        moved = messages.mark_sent(connection, message_id, SID, requested, utc_now())
    assert moved.state is MessageState.SENT
    assert moved.latency_ms == pytest.approx(187.0)
    assert world.rows(t.fallback)[0].latency_ms == pytest.approx(187.0)
    row = world.rows(t.message, id=message_id)[0]
    assert (row.provider_id, row.requested_at) == (SID, requested)


def test_a_report_that_comes_before_the_answer(world: World) -> None:
    """The provider calls back while the worker still waits for its answer."""
    message_id = make_message(world)
    claimed = _claimed(world, message_id)
    assert _report(world, "delivered", MessageState.DELIVERED, message_id=message_id).state
    requested = utc_now()
    with world.engine.begin() as connection:
        moved = messages.mark_sent(connection, message_id, SID, requested, utc_now())
        failed = messages.mark_failed(connection, claimed, "late", utc_now(), permanent=True)
    assert (moved.state, failed.state) == (None, None)
    row = world.rows(t.message, id=message_id)[0]
    assert (row.state, row.requested_at, row.error) == ("delivered", requested, None)


def test_a_claim_that_was_overtaken_changes_nothing(world: World) -> None:
    message_id = make_message(world)
    old = _claimed(world, message_id)
    with world.engine.begin() as connection:
        messages.mark_failed(connection, old, "given back", utc_now(), next_at=utc_now())
    _claimed(world, message_id)
    with world.engine.begin() as connection:
        moved = messages.mark_failed(connection, old, "refused", utc_now(), permanent=True)
        messages.note_unknown(connection, old, "no answer", utc_now())
    row = world.rows(t.message, id=message_id)[0]
    assert moved.state is None
    assert (row.state, row.tries, row.error) == ("sending", 2, "given back")


def test_due_and_hanging(world: World) -> None:
    now = utc_now()
    fresh = make_message(world, "+34600000301")
    waiting = make_message(world, "+34600000302", at=now - timedelta(seconds=30))
    later = make_message(world, "+34600000303", at=now - timedelta(seconds=30))
    sending = make_message(world, "+34600000304")
    held = _claimed(world, later)
    _claimed(world, sending)
    with world.engine.begin() as connection:
        messages.mark_failed(connection, held, "busy", now, next_at=now + timedelta(seconds=20))
        at_once = messages.due_messages(connection, now)
        in_a_while = messages.due_messages(connection, now + timedelta(seconds=25))
        hanging = messages.hanging_messages(connection, utc_now())
        early = messages.claim_for_sending(connection, later, now)
    assert at_once == [waiting]
    assert in_a_while == [waiting, later, fresh]
    assert [message.id for message, _ in hanging] == [sending]
    assert early == messages.Claim()


STATUSES = {
    "queued": MessageState.SENT,
    "sent": MessageState.SENT,
    "delivered": MessageState.DELIVERED,
    "undelivered": MessageState.UNDELIVERED,
    "something_new": None,
}


@pytest.mark.database("sqlite")
@hypothesis_settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.sampled_from(sorted(STATUSES)), min_size=1, max_size=8))
def test_reports_in_any_order_end_in_the_furthest_state(world: World, order: list[str]) -> None:
    message_id = make_message(world)
    sid = f"SM{message_id:032x}"
    _claimed(world, message_id)
    ranks = [RANK[MessageState.SENDING]]
    for status in order:
        _report(world, status, STATUSES[status], message_id=message_id, sid=sid)
        state = MessageState(_state(world, message_id))
        ranks.append(RANK[state])
    assert ranks == sorted(ranks)
    wanted = [STATUSES[status] for status in order]
    assert ranks[-1] == max(RANK[state] if state else 1 for state in wanted)
    events = world.rows(t.message_event, message_id=message_id)
    assert len(events) == len(set(order)), "each piece of news once"


def test_a_report_about_nobody_is_kept(world: World) -> None:
    assert _report(world, "sent", MessageState.SENT, message_id=987).state is None
    event = world.rows(t.message_event)[0]
    assert (event.message_id, event.status) == (None, "sent")


def test_a_report_of_another_message_under_our_id_moves_nothing(world: World) -> None:
    message_id = make_message(world)
    _claimed(world, message_id)
    with world.engine.begin() as connection:
        messages.mark_sent(connection, message_id, SID, utc_now(), utc_now())
    other = "SM" + "9" * 32
    _report(world, "delivered", MessageState.DELIVERED, message_id=message_id, sid=other)
    row = world.rows(t.message, id=message_id)[0]
    assert (row.state, row.provider_id) == ("sent", SID)


def test_a_stop_ends_contact_with_every_company_that_has_the_number(
    database: Engine, world: World
) -> None:
    other = copy.copy(world)
    with database.begin() as connection:
        other.company_id = int(
            connection.execute(
                insert(t.company)
                .values(
                    name="Otra", country="ES", timezone="Europe/Madrid", spoken_name="Otra",
                    created_at=utc_now(),
                )
                .returning(t.company.c.id)
            ).scalar_one()
        )  # fmt: skip
    message_id = make_message(world, "+34600000401")
    other.lead("+34600000401")
    world.lead("+34600000402")
    for _ in range(2):
        with database.begin() as connection:
            replies.record_reply(
                connection, number="+34600000401", kind="stop", stop=True,
                provider_key="inbound:SM1", now=utc_now(),
            )  # fmt: skip
    blocked = {(row.company_id, row.number, row.reason) for row in world.rows(t.suppression)}
    assert blocked == {
        (world.company_id, "+34600000401", "sms_stop"),
        (other.company_id, "+34600000401", "sms_stop"),
    }
    left = [row.opted_out_at is not None for row in world.rows(t.debtor)]
    assert left == [True, True, False]
    assert _claim(world, message_id).refused == "do_not_call"
    assert len(world.rows(t.message_event)) == 1


def test_other_answers_are_written_down_only(database: Engine, world: World) -> None:
    message_id = make_message(world, "+34600000401")
    with database.begin() as connection:
        replies.record_reply(
            connection, number="+34600000401", kind="start", stop=False,
            provider_key="inbound:SM2", now=utc_now(),
        )  # fmt: skip
    event = world.rows(t.message_event)[0]
    assert (event.message_id, event.kind, event.status) == (message_id, "inbound", "start")
    assert world.rows(t.suppression) == []


@given(st.sampled_from(MessageState), st.sampled_from(MessageState))
def test_forward_is_an_order(old: MessageState, new: MessageState) -> None:
    assert not (moves_forward(old, new) and moves_forward(new, old))
    assert (old in behind(new)) == moves_forward(old, new)


def test_delays_grow_are_bounded_and_end() -> None:
    delays = [retry_delay(tries) for tries in range(1, MAX_TRIES + 1)]
    assert delays[-1] is None
    given_back = [delay for delay in delays if delay is not None]
    assert given_back == sorted(given_back)
    assert sum(given_back, timedelta()) < MAX_AGE, "the last try is not already too late"
    assert retry_delay(1, 30.0) == timedelta(seconds=30)
    assert retry_delay(1, 1e9) == max(given_back)
