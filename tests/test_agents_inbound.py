"""Who calls us: a browser that wants to be an agent's leg, a debtor who calls back, a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from agents_office import agent_at_desk, one
from fixtures_ivr import NOW, Asterisk, Office, office
from sqlalchemy import Engine, insert
from world import POOL

from dialer.store import agent_sessions
from dialer.store import tables as t

PHONE = "+34600123456"


@pytest.fixture
def desk(database: Engine, tmp_path: Path, ivr_sounds: Path) -> Iterator[Office]:
    with office(database, tmp_path, ivr_sounds, agents=True) as there:
        yield there


# --- the browser's leg ------------------------------------------------------------------------


def _leg(desk: Office, extension: str) -> Asterisk:
    env = {"agi_extension": extension, "agi_context": "dialer-agents"}
    return desk.dial("node1-1700000000.1", "agent", env=env).run()


def test_a_browser_is_let_in_by_its_token(desk: Office, capfd: pytest.CaptureFixture[str]) -> None:
    session = agent_at_desk(desk)
    token = one(desk, t.agent_session, id=session).leg_token
    assert _leg(desk, token).variables == {"DIALER_SEAT": session}
    for wrong in ("0" * 32, token[:-1], token.upper(), "s", "' OR 1=1 --"):
        assert _leg(desk, wrong).variables == {}
    with desk.engine.begin() as c:
        agent_sessions.end_session(c, session, "log_out", NOW)
    assert _leg(desk, token).variables == {}
    out, err = capfd.readouterr()
    assert token not in out + err


def test_a_browser_of_another_node_is_not(desk: Office) -> None:
    session = agent_at_desk(desk, node="elsewhere")
    token = one(desk, t.agent_session, id=session).leg_token
    assert _leg(desk, token).variables == {}


# --- calling back -----------------------------------------------------------------------------


def _pool(desk: Office) -> None:
    with desk.engine.begin() as c:
        c.execute(insert(t.caller_id), [{"pool_id": desk.world.pool_id, "number": n} for n in POOL])


def _inbound(
    desk: Office, caller: str, answers: str = "", called: str = POOL[1], **env: str
) -> Asterisk:
    told = {"agi_extension": called, "agi_callerid": caller, "agi_context": "dialer-inbound"} | env
    call = desk.dial("node1-1700000000.7", "inbound", answers=answers, env=told).run()
    desk.settle()
    return call


@pytest.mark.parametrize("called", [POOL[1], POOL[1][1:], "00" + POOL[1][1:], POOL[1][3:]])
@pytest.mark.parametrize("caller", [PHONE, PHONE[3:]])
def test_a_debtor_who_calls_back_is_known(desk: Office, called: str, caller: str) -> None:
    _pool(desk)
    ours = one(desk, t.attempt, id=desk.call(number=PHONE))
    call = _inbound(desk, caller, "1 5678 2 2", called)
    row = one(desk, t.attempt, id="node1-1700000000.7")
    assert (row.inbound, row.lead_id, row.debtor_id) == (True, ours.lead_id, ours.debtor_id)
    assert (row.number, row.caller_id, row.flow) == (PHONE, POOL[1], "inbound")
    assert (row.trunk, row.mode) == ("carrier", "agentless")
    assert [one["Kind"] for one in call.events][0] == "inbound"
    assert call.commands[1:3] == ['EXEC Wait "0.3"', "ANSWER"], "the engine knows it by then"
    assert call.prompts[:3] == ["inbound_greeting", "ask_document", "disclosure"]
    assert call.outcomes == ["promise"]
    assert desk.world.rows(t.contact) == [], "a call that they make is none of ours"


def test_nothing_is_said_of_the_debt_to_who_cannot_prove_who_they_are(desk: Office) -> None:
    _pool(desk)
    desk.call(number=PHONE)
    call = _inbound(desk, PHONE, "1 0000 1111")
    assert call.prompts[-1] == "not_identified"
    assert "disclosure" not in call.prompts


def test_a_debtor_who_calls_back_wants_a_person(desk: Office) -> None:
    agent_at_desk(desk)
    _pool(desk)
    desk.call(number=PHONE)
    call = _inbound(desk, PHONE, "0")
    assert call.went_to == "dialer-queue,s,1"
    row = one(desk, t.agent_call)
    assert (row.kind, row.reason) == ("inbound", "greeting")


def test_who_owes_nothing_comes_to_a_person_or_hears_who_we_are(desk: Office) -> None:
    _pool(desk)
    row = one(desk, t.attempt, id=desk.call(number=PHONE))
    account = one(desk, t.lead, id=row.lead_id).account_id
    with desk.engine.begin() as c:
        c.execute(
            insert(t.ledger_entry).values(
                transaction="settle:1", account_id=account, book="open", minor=-12345,
                currency="EUR", at=NOW,
            )
        )  # fmt: skip
    call = _inbound(desk, PHONE)
    assert call.prompts == ["inbound_unknown_number"]
    agent_at_desk(desk)
    env = {"agi_extension": POOL[1], "agi_callerid": PHONE}
    again = desk.dial("node1-1700000000.8", "inbound", env=env).run()
    assert again.went_to
    assert one(desk, t.agent_call).reason == "nothing_owed"


@pytest.mark.parametrize("caller", ["unknown", "anonymous", "", "12", "+34600999999", "x" * 30])
def test_others_hear_who_we_are(desk: Office, caller: str) -> None:
    _pool(desk)
    desk.call(number=PHONE)
    call = _inbound(desk, caller)
    assert call.prompts == ["inbound_unknown_number"]
    assert len(desk.world.rows(t.attempt)) == 1
    assert call.of_kind("inbound") == []
    assert "company/" in " ".join(call.played)


def test_a_number_that_is_withheld_is_not_used(desk: Office) -> None:
    _pool(desk)
    desk.call(number=PHONE)
    call = _inbound(desk, PHONE, agi_callingpres="35")
    assert call.prompts == ["inbound_unknown_number"]


def test_nobody_knows_which_of_two_who_share_a_telephone_calls(desk: Office) -> None:
    _pool(desk)
    desk.call(number=PHONE)
    desk.call(number=PHONE)
    assert _inbound(desk, PHONE).prompts == ["inbound_unknown_number"]


def test_who_calls_the_number_for_calls_is_not_told_to_call_it(desk: Office) -> None:
    _pool(desk)
    assert _inbound(desk, "unknown", called=POOL[0]).prompts == ["inbound_unknown"]


@pytest.mark.parametrize("called", ["+34910999999", "s", "abc", "1", ""])
def test_a_number_that_is_not_ours_is_nobodys(desk: Office, called: str) -> None:
    _pool(desk)
    desk.call(number=PHONE)
    call = _inbound(desk, PHONE, called=called)
    assert call.commands == ['EXEC Hangup "21"']
    assert (call.events, call.played) == ([], [])


def test_the_number_called_may_come_as_dnid(desk: Office) -> None:
    _pool(desk)
    desk.call(number=PHONE)
    call = _inbound(desk, PHONE, called="s", agi_dnid=POOL[2])
    assert call.prompts[0] == "inbound_greeting"


def test_the_debt_that_was_called_for_last_is_the_one_spoken_about(desk: Office) -> None:
    _pool(desk)
    first = one(desk, t.attempt, id=desk.call(number=PHONE))
    lead = one(desk, t.lead, id=first.lead_id)
    values = {k: v for k, v in lead._mapping.items() if k != "id"}
    row = one(desk, t.account, id=lead.account_id)
    account = {k: v for k, v in row._mapping.items() if k != "id"}
    with desk.engine.begin() as c:
        other = c.execute(
            insert(t.account).values(account | {"reference": "other"}).returning(t.account.c.id)
        ).scalar_one()
        c.execute(insert(t.lead).values(values | {"account_id": other}))
    _inbound(desk, PHONE)
    assert one(desk, t.attempt, id="node1-1700000000.7").lead_id == first.lead_id


def test_a_channel_whose_id_is_too_long_has_no_attempt(desk: Office) -> None:
    _pool(desk)
    desk.call(number=PHONE)
    env = {"agi_extension": POOL[1], "agi_callerid": PHONE}
    call = desk.dial("n" * 33, "inbound", env=env).run()
    assert call.prompts == ["inbound_unknown_number"]


def test_a_call_that_comes_in_twice_has_one_attempt(desk: Office) -> None:
    _pool(desk)
    desk.call(number=PHONE)
    _inbound(desk, PHONE)
    assert _inbound(desk, PHONE).prompts == ["inbound_unknown_number"]
    assert len(desk.world.rows(t.attempt, inbound=True)) == 1
