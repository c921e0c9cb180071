"""Who asks for a person, waits for one, finds none, or calls back: what the IVR says and writes."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from agents_office import agent_at_desk, one, outcome, queued
from fixtures_ivr import NOW, Asterisk, Office, office, write_sounds
from flows import FLOWS
from sqlalchemy import Engine, insert, update
from sqlalchemy.exc import OperationalError

from dialer.domain.model import AgentCallKind, AgentState, LineType
from dialer.store import agent_calls
from dialer.store import tables as t


@pytest.fixture
def desk(database: Engine, tmp_path: Path, ivr_sounds: Path) -> Iterator[Office]:
    with office(database, tmp_path, ivr_sounds, agents=True) as one:
        yield one


# --- handing over -----------------------------------------------------------------------------


def test_who_asks_for_a_person_is_handed_over(desk: Office) -> None:
    agent_at_desk(desk)
    attempt = desk.call()
    before: list[Any] = []

    def look(line: str) -> None:
        if "escalated" in line:
            before.append((call.went_to, desk.world.rows(t.agent_call), outcome(desk, attempt)))

    call = desk.dial(attempt, answers="1 5678 0", before_answer=look)
    call.run()
    assert call.went_to == "dialer-queue,s,1"
    (told,) = call.of_kind("escalated")
    assert (told["Skill"], told["Reason"]) == ("", "menu")
    assert call.outcomes == ["wants_agent"]
    assert call.prompts[-1] == "menu", "nothing is said any more, and nobody hangs up"
    # By then it was written down, and the way of the call was set.
    ((where, (row,), noted),) = before
    assert (where, noted) == ("dialer-queue,s,1", "wants_agent")
    assert (row.kind, row.reason, row.priority) == ("escalation", "menu", 50)
    assert (row.attempt_id, row.campaign_id) == (attempt, desk.world.campaign_id)
    assert (row.result, row.left_at) == (None, None)


def test_who_could_not_say_who_they_are_comes_too(desk: Office) -> None:
    agent_at_desk(desk)
    attempt = desk.call()
    call = desk.dial(attempt, answers="1 0000 1111").run()
    assert call.went_to
    assert one(desk, t.agent_call).reason == "no_identity"
    assert "disclosure" not in call.prompts


@pytest.mark.parametrize(
    "away",
    [
        {"ended_at": NOW},
        {"state": AgentState.LOGGED_OUT.value},
        {"heartbeat_at": NOW - timedelta(minutes=5)},
        {"node": "elsewhere"},
    ],
)
def test_where_nobody_works_it_is_noted(desk: Office, away: dict[str, Any]) -> None:
    agent_at_desk(desk, **away)
    attempt = desk.call()
    call = desk.dial(attempt, answers="1 5678 0").run()
    assert (call.went_to, call.of_kind("escalated")) == ("", [])
    assert call.prompts[-1] == "somebody_will_call"
    assert outcome(desk, attempt) == "wants_agent"
    assert desk.world.rows(t.agent_call) == []


def test_agents_of_another_company_are_no_ones_agents_here(desk: Office) -> None:
    session = agent_at_desk(desk)
    agent_id = one(desk, t.agent_session, id=session).agent_id
    with desk.engine.begin() as c:
        other = c.execute(
            insert(t.company)
            .values(name="Other", country="ES", timezone="Europe/Madrid", spoken_name="Other",
                    created_at=NOW)
            .returning(t.company.c.id)
        ).scalar_one()  # fmt: skip
        c.execute(update(t.agent).where(t.agent.c.id == agent_id).values(company_id=other))
    call = desk.dial(desk.call(), answers="1 5678 0").run()
    assert call.went_to == ""


def test_without_agents_in_the_settings_nothing_changes(
    database: Engine, tmp_path: Path, ivr_sounds: Path
) -> None:
    with office(database, tmp_path, ivr_sounds) as desk:
        agent_at_desk(desk)
        attempt = desk.call()
        call = desk.dial(attempt, answers="1 5678 0").run()
        assert call.went_to == ""
        assert outcome(desk, attempt) == "wants_agent"


def test_a_skill_that_nobody_has(database: Engine, tmp_path: Path, ivr_sounds: Path) -> None:
    flows = tmp_path / "flows"
    shutil.copytree(FLOWS, flows)
    path = flows / "reminder.yaml"
    plain = "    outcome: wants_agent\n"
    text = path.read_text().replace(plain, f"{plain}    skill: legal\n    priority: 3\n")
    path.write_text(text)
    with office(database, tmp_path, ivr_sounds, flows_dir=flows, agents=True) as desk:
        agent_at_desk(desk, skills=("payments",))
        assert desk.dial(desk.call(), answers="1 5678 0").run().went_to == ""
        agent_at_desk(desk, skills=("legal",))
        call = desk.dial(desk.call(), answers="1 5678 0").run()
        assert call.of_kind("escalated")[0]["Skill"] == "legal"
        row = one(desk, t.agent_call)
        assert (row.skill, row.priority) == ("legal", 53)


@pytest.mark.parametrize("how", ["result", "eof", "inline"])
def test_who_hangs_up_in_the_middle_of_it_waits_for_nobody(desk: Office, how: str) -> None:
    agent_at_desk(desk)
    attempt = desk.call()
    call = desk.dial(attempt, answers="1 5678 0", hang_up=("Goto", how)).run()
    desk.settle()
    assert call.of_kind("escalated") == []
    assert outcome(desk, attempt) == "wants_agent"
    row = one(desk, t.agent_call)
    assert row.result == "gave_up"
    assert row.left_at is not None


def test_who_presses_and_hangs_up_is_called_back_by_somebody(desk: Office) -> None:
    agent_at_desk(desk)
    attempt = desk.call()
    desk.dial(attempt, answers="1 5678 0", hang_up=("Key: 0", "result")).run()
    desk.settle()
    assert outcome(desk, attempt) == "wants_agent"
    assert desk.world.rows(t.agent_call) == []


# --- waiting ----------------------------------------------------------------------------------


def _waits(desk: Office, attempt: str, answers: str = "", **how: Any) -> Asterisk:
    call = desk.dial(attempt, "queue", answers=answers, **how).run()
    desk.settle()
    return call


def _heard(call: Asterisk) -> list[str]:
    """The files, without their folders."""
    return [one.partition("/")[2] for one in call.played]


def _result(desk: Office, attempt: str) -> str | None:
    found = one(desk, t.agent_call, attempt_id=attempt).result
    return None if found is None else str(found)


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_place_in_the_queue_is_told_and_told_again_when_it_changes(
    desk: Office, language: str
) -> None:
    agent_at_desk(desk)
    first, second = queued(desk), queued(desk, language=language)
    with desk.engine.begin() as c:
        ours = t.agent_call.c.attempt_id == second
        c.execute(update(t.agent_call).where(ours).values(queued_at=NOW + timedelta(seconds=1)))
    rounds = 0

    def look(line: str) -> None:
        nonlocal rounds
        if line.startswith("WAIT FOR DIGIT"):
            rounds += 1
            if rounds == 2:
                row = one(desk, t.agent_call, attempt_id=first)
                with desk.engine.begin() as c:
                    agent_calls.left(c, row.id, NOW)

    call = _waits(desk, second, "- - -", before_answer=look)
    two = "dos" if language == "es" else "two"
    offers = ["queue_offer_callback", "queue_offer_link", "queue_offer_stay"]
    place = ["queue_position-1", two, *(["queue_position-2"] if language == "en" else [])]
    expected = ["queue_wait", *place, *offers, "queue_next", *offers, *offers]
    assert f"{language}/queue_wait" in call.played
    assert _heard(call) == expected
    assert _result(desk, second) is None, "who leaves has ended nothing: the engine sees it"
    assert call.of_kind("queue") == []


def test_a_callback_instead_of_waiting(desk: Office) -> None:
    agent_at_desk(desk)
    attempt = queued(desk)
    written: list[Any] = []

    def look(line: str) -> None:
        if "Kind: queue" in line:
            written.append((_result(desk, attempt), desk.world.rows(t.callback)))

    call = _waits(desk, attempt, "- 1", before_answer=look)
    assert [one["Result"] for one in call.of_kind("queue")] == ["callback"]
    assert _heard(call)[-1] == "somebody_will_call"
    ((result, (row,)),) = written
    assert result == "callback"
    assert (row.attempt_id, row.state, row.due_at, row.agent_id) == (attempt, "due", NOW, None)
    assert row.debtor_id == one(desk, t.attempt, id=attempt).debtor_id
    assert row.account_id is not None


def test_a_key_counts_only_after_it_was_offered(desk: Office) -> None:
    agent_at_desk(desk)
    attempt = queued(desk)
    call = _waits(desk, attempt, "1 - x")
    assert call.of_kind("queue") == []
    assert _result(desk, attempt) is None


def test_going_on_waiting(desk: Office) -> None:
    agent_at_desk(desk)
    attempt = queued(desk)
    call = _waits(desk, attempt, "- 3 - x")
    assert call.of_kind("queue") == []
    assert _heard(call).count("queue_offer_stay") == 3


def test_the_link_instead_of_waiting(desk: Office) -> None:
    agent_at_desk(desk)
    attempt = queued(desk)
    call = _waits(desk, attempt, "- 2")
    assert [one["Result"] for one in call.of_kind("queue")] == ["link"]
    assert _heard(call)[-1] == "queue_link_sent"
    message = one(desk, t.message, attempt_id=attempt)
    assert desk.enqueued == [message.id]
    assert _result(desk, attempt) == "link"


@pytest.mark.parametrize(
    "how", [{"identified": False}, {"line_type": LineType.FIXED}], ids=["not_proven", "fixed"]
)
def test_the_link_is_for_a_proven_identity_at_a_mobile(desk: Office, how: dict[str, Any]) -> None:
    agent_at_desk(desk)
    attempt = queued(desk, **how)
    call = _waits(desk, attempt, "- 2 - x")
    assert "queue_offer_link" not in _heard(call)
    assert (call.of_kind("queue"), desk.world.rows(t.message)) == ([], [])


def test_a_key_over_the_offer_counts(desk: Office) -> None:
    agent_at_desk(desk)
    attempt = queued(desk)
    call = _waits(desk, attempt, "-", over={"queue_offer_callback": "1"})
    assert _result(desk, attempt) == "callback"
    assert "queue_offer_stay" not in _heard(call)


def test_who_has_waited_long_enough_is_called_back(desk: Office) -> None:
    agent_at_desk(desk)
    attempt = queued(desk)
    with desk.engine.begin() as c:
        c.execute(update(t.agent_call).values(queued_at=NOW - timedelta(seconds=180)))
    call = _waits(desk, attempt)
    assert [one["Result"] for one in call.of_kind("queue")] == ["timeout"]
    assert _heard(call) == ["queue_wait", "queue_escape"]
    assert len(desk.world.rows(t.callback, attempt_id=attempt)) == 1


@pytest.mark.parametrize(
    ("answers", "result"), [("1", "callback"), ("2", "link"), ("-", "timeout")]
)
def test_where_nobody_works_any_more(desk: Office, answers: str, result: str) -> None:
    attempt = queued(desk)
    call = _waits(desk, attempt, answers)
    assert _heard(call)[0] == "queue_nobody"
    assert "queue_offer_stay" not in _heard(call)
    assert _result(desk, attempt) == result
    assert len(desk.world.rows(t.callback)) == (result != "link")


def test_a_full_queue_is_offered_something_else_at_once(desk: Office) -> None:
    agent_at_desk(desk)
    for _ in range(10):
        queued(desk, priority=60)
    attempt = queued(desk)
    call = _waits(desk, attempt, "-")
    assert _heard(call)[0] == "queue_nobody"
    assert _result(desk, attempt) == "timeout"


def test_who_is_promised_an_agent_ends_nothing(desk: Office) -> None:
    session = agent_at_desk(desk)
    attempt = queued(desk)
    row = one(desk, t.agent_call, attempt_id=attempt)
    agent_id = one(desk, t.agent_session, id=session).agent_id
    with desk.engine.begin() as c:
        agent_calls.offer(c, row.id, session, agent_id, NOW)
    call = _waits(desk, attempt, "- 1 2 x")
    assert (call.of_kind("queue"), desk.world.rows(t.callback)) == ([], [])
    assert _result(desk, attempt) is None


def test_prompts_without_a_sound_are_left_out(database: Engine, tmp_path: Path) -> None:
    write_sounds(tmp_path / "sounds")
    (tmp_path / "sounds" / "es" / "queue_wait.ulaw").unlink()
    with office(database, tmp_path, tmp_path / "sounds", agents=True) as desk:
        agent_at_desk(desk)
        call = _waits(desk, queued(desk), "- 1")
        assert _heard(call)[0] == "queue_next"
        assert call.of_kind("queue")


def test_a_database_that_is_away_for_a_moment_costs_nobody_their_place(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent_at_desk(desk)
    attempt = queued(desk)
    real, asked = agent_calls.open_calls, itertools.count(1)

    def failing(*given: Any, **named: Any) -> Any:
        if next(asked) in (2, 3):  # the second round, and the choice in it
            raise OperationalError("SELECT", {}, Exception("gone"))
        return real(*given, **named)

    monkeypatch.setattr(agent_calls, "open_calls", failing)
    call = _waits(desk, attempt, "- 1 1")
    assert next(asked) > 4
    assert [one["Result"] for one in call.of_kind("queue")] == ["callback"]
    heard = _heard(call)
    assert heard.count("queue_offer_callback") == 2, "what was not written was not confirmed"
    assert heard[-1] == "somebody_will_call"


# --- nobody in time ---------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_safe_harbour_message(desk: Office, language: str) -> None:
    attempt = queued(desk, kind=AgentCallKind.PREDICTIVE, language=language)
    call = desk.dial(attempt, "abandoned").run()
    assert [one["Kind"] for one in call.events] == ["abandoned", "prompt"]
    assert call.commands[0].startswith("EXEC UserEvent"), "told before it is said"
    assert call.prompts == ["abandoned_number"]
    assert call.played[0] == f"{language}/abandoned_number-1"
    assert call.played[1].startswith("company/")
    assert len([one for one in call.played if one.startswith("n/")]) == 18, "the number, twice"
    assert desk.world.rows(t.callback) == []
    assert _result(desk, attempt) is None, "the engine counts it"


def test_who_was_not_told_of_a_recording_is_not_recorded(desk: Office) -> None:
    attempt = queued(desk, kind=AgentCallKind.PREDICTIVE)
    plan = one(desk, t.campaign, id=desk.world.campaign_id).plan
    with desk.engine.begin() as c:
        c.execute(update(t.campaign).values(plan=plan | {"record": True}))
    call = desk.dial(attempt, "abandoned").run()
    assert [line for line in call.commands if "StopMixMonitor" in line]
    assert "recording_notice" not in " ".join(call.played)


def test_who_had_asked_for_a_person_is_called_back_instead(desk: Office) -> None:
    attempt = queued(desk)
    call = desk.dial(attempt, "abandoned").run()
    assert [one["Kind"] for one in call.events] == ["queue"]
    assert _heard(call) == ["queue_escape"]
    assert _result(desk, attempt) == "timeout"
    assert len(desk.world.rows(t.callback)) == 1


def test_without_a_voice_there_is_a_neutral_goodbye(database: Engine, tmp_path: Path) -> None:
    write_sounds(tmp_path / "sounds")
    for sound in (tmp_path / "sounds" / "es").glob("abandoned*"):
        sound.unlink()
    with office(database, tmp_path, tmp_path / "sounds", agents=True) as desk:
        call = desk.dial(queued(desk, kind=AgentCallKind.PREDICTIVE), "abandoned").run()
        assert [one["Kind"] for one in call.events][0] == "abandoned"
        assert _heard(call) == ["neutral_goodbye"]
