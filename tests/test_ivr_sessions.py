"""Whole sessions over the real protocol: what is played, told and written down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fixtures_ivr import Office, office
from world import POOL

from dialer.domain.model import LineType
from dialer.flow.prompts import company_fragment, name_fragment
from dialer.store import tables as t
from dialer.store.db import migrate, open_database

COMPANY = company_fragment("Acme").key.split("/")[1]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, ivr_sounds: Path) -> Iterator[Office]:
    """One IVR for all of them: a call has rows of its own."""
    home = tmp_path_factory.mktemp("desk")
    url = f"sqlite:///{home / 'dialer.db'}"
    migrate(url)
    engine = open_database(url)
    with office(engine, home, ivr_sounds) as one:
        yield one
    engine.dispose()


def _one(desk: Office, table: Any, **where: Any) -> Any:
    (row,) = desk.world.rows(table, **where)
    return row


def _outcome(desk: Office, attempt: str) -> tuple[str, str]:
    row = _one(desk, t.flow_outcome, attempt_id=attempt)
    return row.outcome, row.node


def test_the_amount_is_played_from_its_fragments(desk: Office) -> None:
    call = desk.dial(desk.call(), answers="1 5678 0").run()
    start = call.played.index("n/ciento")
    assert call.played[start : start + 6] == [
        "n/ciento", "n/veintitres", "cur/euros", "w/con", "n/cuarenta_y_cinco", "cur/centimos",
    ]  # fmt: skip
    assert _outcome(desk, call.attempt_id) == ("wants_agent", "agent")


def test_events_come_in_the_order_of_the_call(desk: Office) -> None:
    call = desk.dial(desk.call(), answers="1 5678 0").run()
    told = [(one["Kind"], one.get("Node", one.get("Outcome", ""))) for one in call.events]
    assert told == [
        ("prompt", "greeting"), ("key", "greeting"), ("prompt", "identity"), ("key", "identity"),
        ("identity", ""), ("prompt", "disclosure"), ("prompt", "menu"), ("key", "menu"),
        ("outcome", "wants_agent"), ("prompt", "agent_noted"),
    ]  # fmt: skip


def test_an_event_comes_before_the_prompt_it_announces(desk: Office) -> None:
    call = desk.dial(desk.call(), answers="2").run()
    first = next(i for i, c in enumerate(call.commands) if "greeting" in c)
    assert "UserEvent" in call.commands[first]
    assert "STREAM FILE" in call.commands[first + 1]


@pytest.mark.parametrize("line", [LineType.FIXED, LineType.FIXED_OR_MOBILE, LineType.UNKNOWN])
def test_a_line_that_takes_no_sms_is_told_kindly(desk: Office, line: LineType) -> None:
    attempt = desk.call(line_type=line)
    call = desk.dial(attempt, answers="1 5678 3 2 1").run()
    assert "no_sms" in call.prompts
    assert call.outcomes == ["promise"]
    assert desk.world.rows(t.message, attempt_id=attempt) == []


def test_wrong_digits_twice_say_nothing_of_the_debt(desk: Office) -> None:
    attempt = desk.call()
    call = desk.dial(attempt, answers="1 1111 2222").run()
    assert call.outcomes == ["refused_identity"]
    assert call.keys == ["1", "xxxx", "xxxx"]
    assert not call.of_kind("identity")
    assert not any(name.startswith(("n/", "cur/")) for name in call.played)
    assert not any("1111" in command or "2222" in command for command in call.commands)


def test_a_document_without_four_digits(desk: Office) -> None:
    call = desk.dial(desk.call(document="AB12"), answers="1").run()
    assert call.outcomes == ["callback"]


def test_no_key_at_all(desk: Office) -> None:
    attempt = desk.call()
    call = desk.dial(attempt, answers="- - -").run()
    assert (call.keys, call.outcomes) == ([], ["no_input"])
    assert call.prompts == ["greeting", "no_key", "greeting", "no_key", "greeting", "goodbye"]
    assert _outcome(desk, attempt) == ("no_input", "goodbye")


def test_in_english_where_the_debtor_speaks_it(desk: Office) -> None:
    call = desk.dial(desk.call(language="en"), answers="2").run()
    assert call.played[0] == "en/greeting-1"


def test_in_the_campaigns_language_where_the_flow_does_not_speak_the_debtors(
    desk: Office,
) -> None:
    call = desk.dial(desk.call(language="fr"), answers="2").run()
    assert call.played[0] == "es/greeting-1"


def test_by_name_where_the_name_was_rendered(desk: Office, ivr_sounds: Path) -> None:
    key = name_fragment("Carmen Ruiz").key
    (ivr_sounds / "es" / f"{key}.ulaw").parent.mkdir(parents=True)
    (ivr_sounds / "es" / f"{key}.ulaw").write_bytes(b"\xff" * 800)
    call = desk.dial(desk.call(name="Carmen Ruiz"), answers="2").run()
    assert call.prompts[0] == "greeting_named"
    assert key in call.played
    other = desk.dial(desk.call(name="Luis Gil"), answers="2").run()
    assert other.prompts[0] == "greeting"


def test_today_is_the_debtors_own(desk: Office) -> None:
    # 11:00 UTC is already the 11th in Kiritimati (UTC+14).
    attempt = desk.call(timezone="Pacific/Kiritimati")
    desk.dial(attempt, answers="1 5678 2 1").run()
    assert _one(desk, t.promise, attempt_id=attempt).due == date(2026, 3, 14)


def test_the_redials_own_flow(desk: Office) -> None:
    call = desk.dial(desk.call(flow="second_try"), answers="1 5678 0").run()
    assert call.prompts[0] == "second_greeting"
    assert call.outcomes == ["callback"]


# --- keys -------------------------------------------------------------------------------------


def test_a_key_over_the_greeting_counts_and_cuts_it(desk: Office) -> None:
    call = desk.dial(desk.call(), over={COMPANY: "1"}, answers="5678 0").run()
    assert call.keys == ["1", "xxxx", "0"]
    assert "es/greeting-2" not in call.played
    assert call.outcomes == ["wants_agent"]


def test_a_key_over_the_disclosure_answers_the_menu(desk: Office) -> None:
    call = desk.dial(desk.call(), answers="1 5678", over={"disclosure-2": "0"}).run()
    assert call.keys == ["1", "xxxx", "0"]
    assert "menu" not in call.prompts
    assert call.outcomes == ["wants_agent"]


def test_a_hash_typed_behind_the_digits_is_swallowed(desk: Office) -> None:
    """The fourth digit ends the answer; the # that comes late stops nothing and means nothing."""
    call = desk.dial(desk.call(), answers="1 1111 # 5678 0", over={"disclosure-1": "#"}).run()
    assert call.keys == ["1", "xxxx", "xxxx", "0"]
    assert call.outcomes == ["wants_agent"]


def test_a_hash_ends_an_answer_early(desk: Office) -> None:
    call = desk.dial(desk.call(), answers="1 *# 9").run()
    assert call.keys == ["1", "*", "9"]
    assert call.outcomes == ["opted_out"]


def test_digits_are_taken_with_the_prompt_in_one_command(desk: Office) -> None:
    """Asterisk throws away what comes between two commands: the question's last file must be
    played by the command that takes the keys."""
    call = desk.dial(desk.call(), answers="1 5678 0").run()
    asked = [command for command in call.commands if command.startswith("GET DATA")]
    assert len(asked) == 3
    for command, file in zip(asked, ("greeting-2", "ask_document", "menu"), strict=True):
        assert file in command
    # 6 s to the first key: 3 s of silence sent behind the question, and the clock of 3 s.
    assert asked[1].endswith('es/ask_document+3" 3000 4')


def test_the_question_is_followed_by_silence_that_is_sent(desk: Office, ivr_sounds: Path) -> None:
    desk.dial(desk.call(), answers="1 5678 0").run()
    asked = (ivr_sounds / "es" / "ask_document.ulaw").read_bytes()
    played = (ivr_sounds / ".with-silence" / "es" / "ask_document+3.ulaw").read_bytes()
    assert played == asked + b"\xff" * 24_000


# --- hang-ups ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["result", "inline", "dead", "eof", "reset"])
@pytest.mark.parametrize(
    ("command", "answers", "outcome"),
    [
        ("greeting-1", "", None),
        ("greeting-2", "", None),
        ("ask_document", "1", "incomplete"),
        ("disclosure-1", "1 5678", "incomplete"),
        ('GET DATA "/', "", None),
        ("promised", "1 5678 2 1", "promise"),
        ("opted_out", "9", "opted_out"),
    ],
)
def test_a_hang_up_is_known_however_it_is_told(
    desk: Office, how: str, command: str, answers: str, outcome: str | None
) -> None:
    attempt = desk.call()
    call = desk.dial(attempt, answers=answers, hang_up=(command, how)).run()
    assert any(command in one for one in call.commands)
    desk.settle()
    rows = desk.world.rows(t.flow_outcome, attempt_id=attempt)
    assert [row.outcome for row in rows] == ([outcome] if outcome else [])


def test_who_presses_and_hangs_up_at_once_has_decided(desk: Office) -> None:
    """The key's own event cannot be told any more; what it meant is written down."""
    attempt = desk.call()
    desk.dial(attempt, answers="9", hang_up=("Key: 9", "dead")).run()
    desk.settle()
    assert _outcome(desk, attempt) == ("opted_out", "opt_out")


# --- the machine ------------------------------------------------------------------------------


def test_the_message_for_a_machine(desk: Office) -> None:
    attempt = desk.call()
    call = desk.dial(attempt, script="machine").run()
    assert call.prompts == ["machine_message_number"]
    assert call.played[:2] == ["es/machine_message_number-1", f"company/{COMPANY}"]
    assert [name for name in call.played if name.startswith("n/")][:3] == [
        "n/nueve", "n/uno", "n/cero",
    ]  # fmt: skip
    assert (call.outcomes, call.keys) == ([], [])
    assert desk.world.rows(t.flow_outcome, attempt_id=attempt) == []
    assert POOL[0] == "+34910000000"


def test_a_machine_that_hangs_up(desk: Office) -> None:
    call = desk.dial(desk.call(), script="machine", hang_up=("number-1", "result")).run()
    desk.settle()
    assert call.outcomes == []
