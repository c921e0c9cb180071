"""Messages leave once, whatever fails on the way: a real database, the double as a process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fixtures_messaging import (
    SENDER,
    TwilioDouble,
    free_port,
    make_fallback,
    make_message,
    settings_for,
    wait_until,
)
from redis import Redis
from rq import Queue
from sqlalchemy import Engine, create_engine, text, update
from sqlalchemy.exc import OperationalError
from world import World

from dialer import jobs
from dialer.config import Settings
from dialer.domain.message import MAX_AGE, MAX_TRIES
from dialer.domain.model import Channel
from dialer.jobs import Patience, Runtime, deliver, enqueue_message, sweep, utc_now
from dialer.store import tables as t

AT_ONCE = Patience(look_up_after=timedelta(0), give_back_after=timedelta(0), grace=timedelta(0))
HURRIED = Patience(look_up_after=timedelta(0), grace=timedelta(0))


def _row(world: World, message_id: int) -> Any:
    return world.rows(t.message, id=message_id)[0]


def _now_due(world: World, message_id: int) -> None:
    """As if the delay of a retry were over."""
    with world.engine.begin() as connection:
        connection.execute(
            update(t.message).where(t.message.c.id == message_id).values(next_at=utc_now())
        )


def test_one_message_that_cannot_be_worked_with_does_not_hold_up_the_others(
    held: Runtime, world: World, double: TwilioDouble
) -> None:
    broken = make_message(world, "+34600111001", channel=Channel.VOICE)  # no transport for it
    sound = make_message(world, "+34600111002")
    sweep(held, AT_ONCE)
    assert _row(world, sound).state == "sent"
    later = make_message(world, "+34600111003")
    sweep(held, AT_ONCE)  # the broken one hangs now
    assert (_row(world, later).state, _row(world, broken).state) == ("sent", "sending")


def test_a_message_leaves_with_everything_twilio_needs(
    held: Runtime, world: World, double: TwilioDouble
) -> None:
    message_id = make_message(world)
    before = utc_now()
    deliver(held, message_id)
    row = _row(world, message_id)
    assert (row.state, row.tries, row.error) == ("sent", 1, None)
    assert before <= row.sending_at <= row.requested_at <= utc_now()
    (kept,) = double.kept
    assert kept["sid"] == row.provider_id
    form = double.get("requests")[0]["form"]
    assert form["To"] == row.number
    assert form["From"] == SENDER
    assert form["Body"] == row.body
    assert form["StatusCallback"] == f"http://127.0.0.1:9/hooks/twilio/status?m={message_id}"


def test_eight_jobs_at_once_make_one_request(
    held: Runtime, world: World, double: TwilioDouble
) -> None:
    message_id = make_message(world)
    together = threading.Barrier(8)

    def job(_: int) -> None:
        together.wait(30)
        deliver(held, message_id)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(job, range(8)))
    deliver(held, message_id)
    sweep(held, AT_ONCE)
    assert double.asked == 1
    assert _row(world, message_id).state == "sent"


@pytest.mark.parametrize(
    ("ending", "error"), [("0001", "21211"), ("0002", "21610"), ("0003", "21614")]
)
@pytest.mark.database("sqlite")
def test_what_twilio_refuses_for_good(
    held: Runtime, world: World, double: TwilioDouble, ending: str, error: str
) -> None:
    message_id = make_message(world, f"+3460011{ending}")
    deliver(held, message_id)
    row = _row(world, message_id)
    assert (row.state, row.permanent) == ("failed", True)
    assert error in row.error
    sweep(held, AT_ONCE)
    assert double.asked == 1
    blocked = [row.number for row in world.rows(t.suppression)]
    assert blocked == (["+34600110002"] if error == "21610" else [])


@pytest.mark.parametrize(
    ("ending", "requests"),
    [
        ("0004", 2),  # 429, then taken
        ("0005", 2),  # 500, then taken
        ("0009", 1),  # 500 although it was taken: found before it is sent again
    ],
)
def test_what_passes_is_tried_again(
    held: Runtime, world: World, double: TwilioDouble, ending: str, requests: int
) -> None:
    message_id = make_message(world, f"+3460011{ending}")
    deliver(held, message_id)
    row = _row(world, message_id)
    assert (row.state, row.permanent) == ("pending", False)
    assert row.next_at > utc_now()
    sweep(held, AT_ONCE)
    assert double.asked == 1, "not before its time"
    _now_due(world, message_id)
    sweep(held, AT_ONCE)
    row = _row(world, message_id)
    assert (row.state, row.tries, row.error) == ("sent", 2, None)
    assert double.asked == requests
    assert [kept["sid"] for kept in double.kept] == [row.provider_id]


@pytest.mark.database("sqlite")
def test_tries_come_to_an_end(held: Runtime, world: World, double: TwilioDouble) -> None:
    message_id = make_message(world, "+34600110015")
    for _ in range(MAX_TRIES + 2):
        deliver(held, message_id)
        _now_due(world, message_id)
    row = _row(world, message_id)
    assert (row.state, row.tries, double.asked) == ("failed", MAX_TRIES, MAX_TRIES)


@pytest.mark.database("sqlite")
def test_retry_after_is_obeyed(held: Runtime, world: World, double: TwilioDouble) -> None:
    message_id = make_message(world)
    double.post("behave", number="+34600111222", fault="busy", seconds=47)
    deliver(held, message_id)
    row = _row(world, message_id)
    assert row.next_at - row.updated_at == timedelta(seconds=47)


def test_a_fallback_knows_how_long_it_took(
    held: Runtime, world: World, double: TwilioDouble
) -> None:
    message_id = make_message(world)
    hangup = utc_now()
    make_fallback(world, message_id, hangup)
    deliver(held, message_id)
    requested = _row(world, message_id).requested_at
    (step,) = world.rows(t.fallback)
    assert step.latency_ms == pytest.approx((requested - hangup).total_seconds() * 1000)


@pytest.mark.database("sqlite")
def test_a_connection_that_was_closed_meanwhile_is_not_used(
    tmp_path: Path, database_url: str, world: World
) -> None:
    """Twilio closes idle connections: the next message goes over a new one, at once."""
    port = free_port()
    first = TwilioDouble(tmp_path, free_port(), port)
    held = jobs.open_runtime(
        settings_for(tmp_path, database_url=database_url, twilio_api_base=first.url)
    )
    deliver(held, make_message(world))
    first.stop()
    second = TwilioDouble(tmp_path, free_port(), port)
    try:
        message_id = make_message(world, "+34600110101")
        deliver(held, message_id)
        assert _row(world, message_id).state == "sent"
    finally:
        second.stop()
        held.database.dispose()


def test_accepted_and_the_connection_dropped(
    held: Runtime, world: World, double: TwilioDouble
) -> None:
    message_id = make_message(world, "+34600110007")
    deliver(held, message_id)
    row = _row(world, message_id)
    assert row.state == "sending"
    assert "no answer" in row.error
    deliver(held, message_id)
    assert double.asked == 1, "what may have left is not sent blindly"
    sweep(held, HURRIED)
    row = _row(world, message_id)
    assert (row.state, row.requested_at) == ("sent", row.sending_at)
    sweep(held, AT_ONCE)
    assert (double.asked, len(double.kept)) == (1, 1)


def test_lost_with_the_connection(held: Runtime, world: World, double: TwilioDouble) -> None:
    message_id = make_message(world, "+34600110008")
    deliver(held, message_id)
    sweep(held, HURRIED)
    assert _row(world, message_id).state == "sending", "not given back while it may be under way"
    sweep(held, AT_ONCE)
    assert _row(world, message_id).state == "pending"
    _now_due(world, message_id)
    sweep(held, AT_ONCE)
    assert _row(world, message_id).state == "sent"
    assert (double.asked, len(double.kept)) == (2, 1)


@pytest.mark.database("sqlite")
def test_an_answer_that_takes_too_long(
    held: Runtime, world: World, double: TwilioDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.messaging.twilio_sms.ANSWER_SECONDS", 0.1)
    message_id = make_message(world)
    double.post("behave", number="+34600111222", fault="slow", seconds=5)
    deliver(held, message_id)
    assert _row(world, message_id).state == "sending"
    monkeypatch.undo()
    sweep(held, HURRIED)
    assert _row(world, message_id).state == "sent"
    assert double.asked == 1


@pytest.mark.database("sqlite")
def test_nobody_listens_at_the_provider(
    tmp_path: Path, database_url: str, world: World, double: TwilioDouble
) -> None:
    nowhere = settings_for(
        tmp_path, database_url=database_url, twilio_api_base=f"http://127.0.0.1:{free_port()}"
    )
    held = jobs.open_runtime(nowhere)
    message_id = make_message(world)
    deliver(held, message_id)
    held.database.dispose()
    row = _row(world, message_id)
    assert (row.state, row.permanent) == ("pending", False), "it cannot have left"
    assert "no connection" in row.error


@pytest.mark.database("sqlite")
def test_two_messages_of_the_same_words_are_told_apart(
    held: Runtime, world: World, double: TwilioDouble
) -> None:
    """The second one's request was lost: the first one at the provider is not taken for it."""
    number = "+34600110100"
    first = make_message(world, number, body="same STOP BAJA")
    deliver(held, first)
    second = make_message(world, number, body="same STOP BAJA")
    double.post("behave", number=number, fault="drop_lost")
    deliver(held, second)
    sweep(held, AT_ONCE)
    _now_due(world, second)
    sweep(held, AT_ONCE)
    assert len(double.kept) == 2
    assert len({_row(world, first).provider_id, _row(world, second).provider_id}) == 2


@pytest.mark.database("sqlite")
def test_the_provider_cannot_be_asked(
    held: Runtime, world: World, double: TwilioDouble, settings: Settings
) -> None:
    message_id = make_message(world, "+34600110007")
    deliver(held, message_id)
    away = jobs.open_runtime(settings.model_copy(update={"twilio_api_base": "http://127.0.0.1:9"}))
    sweep(away, AT_ONCE)
    assert _row(world, message_id).state == "sending", "neither lost nor sent again"
    long_ago = utc_now() - MAX_AGE - timedelta(minutes=1)
    with world.engine.begin() as connection:
        connection.execute(update(t.message).values(sending_at=long_ago))
    sweep(away, AT_ONCE)
    away.database.dispose()
    row = _row(world, message_id)
    assert (row.state, row.error) == ("failed", "whether it left is unknown")


@pytest.mark.database("sqlite")
def test_a_provider_that_is_away_does_not_hold_up_what_is_due(
    held: Runtime, world: World, double: TwilioDouble, settings: Settings
) -> None:
    hanging = [make_message(world, f"+346001{n}0008") for n in range(10, 15)]
    for message_id in hanging:
        deliver(held, message_id)
    away = jobs.open_runtime(settings.model_copy(update={"twilio_api_base": "http://127.0.0.1:9"}))
    due = make_message(world)
    sweep(away, AT_ONCE)
    away.database.dispose()
    assert _row(world, due).tries == 1
    assert {_row(world, one).state for one in hanging} == {"sending"}
    sweep(held, AT_ONCE, lambda: True)
    assert {_row(world, one).state for one in hanging} == {"sending"}, "told to stop"
    sweep(held, AT_ONCE)
    assert {_row(world, one).state for one in hanging} == {"pending"}


@pytest.mark.database("sqlite")
def test_a_claim_that_grew_old_is_given_back(
    held: Runtime, world: World, double: TwilioDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was stopped between its claim and the request does not send late."""
    monkeypatch.setattr(jobs, "CLAIM_SECONDS", -1.0)
    message_id = make_message(world)
    deliver(held, message_id)
    assert (_row(world, message_id).state, double.asked) == ("pending", 0)


@contextmanager
def _locked(database: Engine, message_id: int) -> Iterator[None]:
    """Somebody else holds what a claim needs."""
    other = create_engine(database.url)
    with other.connect() as connection:
        if database.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(
                text("SELECT id FROM message WHERE id = :id FOR UPDATE"), {"id": message_id}
            )
        yield
        connection.rollback()
    other.dispose()


def test_the_database_is_locked_for_a_while(
    held: Runtime, world: World, database: Engine, double: TwilioDouble
) -> None:
    message_id = make_message(world)
    with ThreadPoolExecutor(1) as pool:
        with _locked(database, message_id):
            job = pool.submit(deliver, held, message_id)
            assert not job.done()
        job.result(30)
    assert _row(world, message_id).state == "sent"
    assert double.asked == 1


@pytest.mark.database("sqlite")
def test_a_job_survives_a_database_that_stays_locked(
    held: Runtime,
    world: World,
    database: Engine,
    double: TwilioDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dialer.store.db.SQLITE_BUSY_MS", 50)
    message_id = make_message(world)
    jobs.use_runtime(held)
    try:
        with _locked(database, message_id):
            jobs.send_message(message_id)  # logs, and leaves it to the sweep
    finally:
        jobs.use_runtime(None)
    assert (_row(world, message_id).state, double.asked) == ("pending", 0)
    sweep(held, AT_ONCE)
    assert (_row(world, message_id).state, double.asked) == ("sent", 1)


@pytest.mark.database("sqlite")
def test_a_database_locked_after_the_request_does_not_send_twice(
    held: Runtime,
    world: World,
    database: Engine,
    double: TwilioDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The provider has it, and that cannot be written down."""
    monkeypatch.setattr("dialer.store.db.SQLITE_BUSY_MS", 50)
    message_id = make_message(world)
    double.post("behave", number="+34600111222", fault="slow", seconds=9)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(deliver, held, message_id)
        wait_until(lambda: double.asked)
        with _locked(database, message_id):
            double.post("release")
            assert isinstance(job.exception(30), OperationalError)
    assert _row(world, message_id).state == "sending"
    sweep(held, AT_ONCE)
    assert (_row(world, message_id).state, double.asked) == ("sent", 1)


@pytest.mark.database("sqlite")
def test_a_bell_is_rung_once(redis_url: str, settings: Settings) -> None:
    with Redis.from_url(redis_url) as redis:
        queue = Queue(jobs.QUEUE, connection=redis)
        assert enqueue_message(queue, 7)
        assert not enqueue_message(redis, 7)
        assert enqueue_message(redis, 8)
        assert queue.get_job_ids() == ["message-7", "message-8"]
        job = queue.fetch_job("message-7")
        assert job is not None
        assert (job.func_name, job.args) == ("dialer.jobs.send_message", (7,))


@pytest.mark.database("sqlite")
def test_without_a_redis_nothing_is_lost(
    held: Runtime, settings: Settings, world: World, double: TwilioDouble
) -> None:
    message_id = make_message(world)
    queue = jobs.message_queue(settings)  # nobody listens there
    assert not enqueue_message(queue, message_id)
    sweep(held, AT_ONCE)
    assert (_row(world, message_id).state, double.asked) == ("sent", 1)
