"""What sessions write to the database, on both databases, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fixtures_ivr import NOW, Asterisk, Office, in_threads, office
from sqlalchemy import Engine, text

from dialer.domain.model import MessageState
from dialer.messaging.links import read_link
from dialer.store import tables as t


@pytest.fixture
def desk(database: Engine, tmp_path: Path, ivr_sounds: Path) -> Iterator[Office]:
    with office(database, tmp_path, ivr_sounds) as one:
        yield one


def _one(desk: Office, table: Any, **where: Any) -> Any:
    (row,) = desk.world.rows(table, **where)
    return row


def _outcome(desk: Office, attempt: str) -> tuple[str, str]:
    row = _one(desk, t.flow_outcome, attempt_id=attempt)
    return row.outcome, row.node


def test_a_promise_from_greeting_to_goodbye(desk: Office) -> None:
    attempt = desk.call()
    call = desk.dial(attempt, answers="1 5678 2 2").run()
    assert call.prompts == [
        "greeting", "ask_document", "disclosure", "menu", "promise_when", "promised",
    ]  # fmt: skip
    assert call.keys == ["1", "xxxx", "2", "2"]
    assert call.outcomes == ["promise"]
    assert len(call.of_kind("identity")) == 1
    assert _outcome(desk, attempt) == ("promise", "promise_week")
    promise = _one(desk, t.promise)
    assert (promise.attempt_id, promise.due) == (attempt, date(2026, 3, 17))
    assert (promise.amount_minor, promise.currency) == (12345, "EUR")


def test_no_more_calls(desk: Office) -> None:
    attempt = desk.call()
    call = desk.dial(attempt, answers="9").run()
    assert call.outcomes == ["opted_out"]
    row = _one(desk, t.attempt, id=attempt)
    blocked = _one(desk, t.suppression)
    assert (blocked.number, blocked.reason) == (row.number, "keypad")
    assert blocked.source == f"attempt:{attempt}"
    assert _one(desk, t.debtor, id=row.debtor_id).opted_out_at is not None
    assert _outcome(desk, attempt) == ("opted_out", "opt_out")


def test_opting_out_twice_keeps_the_first_moment(desk: Office) -> None:
    first = desk.call()
    desk.dial(first, answers="9").run()
    row = _one(desk, t.attempt, id=first)
    before = _one(desk, t.debtor, id=row.debtor_id).opted_out_at
    desk.dial(first, answers="9").run()  # the same attempt again, as after a broken connection
    assert _one(desk, t.debtor, id=row.debtor_id).opted_out_at == before
    assert len(desk.world.rows(t.suppression)) == 1
    assert len(desk.world.rows(t.flow_outcome)) == 1


def test_the_link_is_committed_and_handed_to_the_workers(desk: Office) -> None:
    attempt = desk.call()
    call = desk.dial(attempt, answers="1 5678 3").run()
    assert call.outcomes == ["link_sent"]
    message = _one(desk, t.message)
    row = _one(desk, t.attempt, id=attempt)
    assert (message.state, message.key) == (MessageState.PENDING.value, f"link:{attempt}")
    assert (message.number, message.attempt_id) == (row.number, attempt)
    assert desk.enqueued == [message.id]
    base = desk.settings.link_base + "/"
    token = message.body.split(base)[1].split()[0]
    assert read_link(desk.settings, token) == message.account_id
    assert "123" not in message.body.replace(token, "")  # no amount
    assert _one(desk, t.contact).source == f"message:link:{attempt}"


def test_the_link_of_an_attempt_is_made_once(desk: Office) -> None:
    attempt = desk.call()
    for _ in range(2):
        desk.dial(attempt, answers="1 5678 1").run()
    assert len(desk.world.rows(t.message)) == 1


def test_a_queue_that_is_gone_loses_nothing(
    database: Engine, tmp_path: Path, ivr_sounds: Path
) -> None:
    def gone(_message: int) -> None:
        raise ConnectionError("no redis")

    with office(database, tmp_path, ivr_sounds, enqueue=gone) as desk:
        call = desk.dial(desk.call(), answers="1 5678 3").run()
        assert call.outcomes == ["link_sent"]
        assert call.prompts[-1] == "link_sent"
        assert _one(desk, t.message).state == MessageState.PENDING.value


def test_effects_come_first(desk: Office) -> None:
    """When the outcome is told, another reader of the database sees it already."""
    attempt = desk.call()
    seen: list[int] = []

    def look(command: str) -> None:
        if "Kind: outcome" in command:
            seen.append(len(desk.world.rows(t.flow_outcome, attempt_id=attempt)))

    desk.dial(attempt, answers="1 5678 2 1", before_answer=look).run()
    assert seen == [1]


def test_a_key_is_told_before_the_database_is_waited_for(desk: Office) -> None:
    """Else a debtor who presses 9 and hangs up while the database is busy has, for the engine,
    pressed nothing: and is redialled at once."""
    attempt = desk.call()
    written: list[int] = []

    def look(command: str) -> None:
        if "Kind: key" in command and "Key: 9" in command:
            written.append(len(desk.world.rows(t.suppression)))

    desk.dial(attempt, answers="9", before_answer=look).run()
    assert written == [0]
    assert len(desk.world.rows(t.suppression)) == 1


@pytest.mark.parametrize("how", ["result", "inline", "dead", "eof"])
def test_a_choice_is_written_though_the_line_died_before_it_could_be_told(
    desk: Office, how: str
) -> None:
    attempt = desk.call()
    desk.dial(attempt, answers="9", hang_up=("Kind: key", how)).run()
    desk.settle()
    assert _outcome(desk, attempt) == ("opted_out", "opt_out")
    assert len(desk.world.rows(t.suppression)) == 1


def test_an_opt_out_that_the_database_did_not_take_is_written_as_soon_as_it_does(
    desk: Office,
) -> None:
    attempt = desk.call()
    with desk.engine.begin() as connection:
        connection.execute(text("ALTER TABLE suppression RENAME TO away"))
    call = desk.dial(attempt, answers="9").run()
    assert "opted_out" not in call.prompts  # nothing is confirmed that is not written
    with desk.engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO suppression"))
    end = time.monotonic() + 20
    while not desk.world.rows(t.flow_outcome) and time.monotonic() < end:
        time.sleep(0.05)
    assert _outcome(desk, attempt) == ("opted_out", "opt_out")
    row = _one(desk, t.attempt, id=attempt)
    assert _one(desk, t.suppression).number == row.number
    assert _one(desk, t.debtor, id=row.debtor_id).opted_out_at is not None


def test_the_time_of_an_outcome_is_kept(desk: Office) -> None:
    attempt = desk.call()
    desk.dial(attempt, answers="2").run()
    assert _one(desk, t.flow_outcome, attempt_id=attempt).at > NOW


def test_many_calls_at_once(desk: Office) -> None:
    attempts = [desk.call() for _ in range(30)]
    calls: dict[int, Asterisk] = {}

    def one(index: int) -> None:
        calls[index] = desk.dial(attempts[index], answers="1 5678 2 1").run()

    in_threads(len(attempts), one)
    assert all(calls[i].outcomes == ["promise"] for i in range(len(attempts)))
    assert {row.attempt_id for row in desk.world.rows(t.promise)} == set(attempts)
