"""Agents, their tokens, their sessions, and how long they did what; on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from agent_support import a_session, an_agent, at
from sqlalchemy import Engine, update
from world import NOW, World, plan

from dialer.domain.agents import CODE_LOGGED_IN
from dialer.domain.model import AgentState
from dialer.store import agent_sessions as sessions
from dialer.store import agents
from dialer.store import tables as t
from dialer.store.agents import AgentChanges
from dialer.store.companies import NotPossible

S = AgentState


# --- agents and tokens ----------------------------------------------------------------------


def test_an_agent_is_made_with_what_was_said_and_the_rest_plain(database: Engine) -> None:
    world = World(database)
    plain = an_agent(world, "luis")
    an_agent(world, "ana", name="Ana Ruiz", skills=["pay", "pay", "legal"], languages=["es", "en"],
             station="910 123 456", ringing=True, wrap_seconds=12.5)  # fmt: skip
    with database.connect() as c:
        ana, luis = agents.list_agents(c)
        assert agents.load_agent(c, plain) == luis == agents.agent_by_login(c, "luis")
        assert agents.load_agent(c, plain + 99) is None
    assert (luis.name, luis.skills, luis.station, luis.ringing) == ("luis", (), "browser", False)
    assert (luis.wrap_seconds, luis.active, luis.has_token) == (None, True, False)
    assert (ana.skills, ana.languages) == (("pay", "legal"), ("es", "en"))
    assert (ana.station, ana.ringing, ana.wrap_seconds) == ("+34910123456", True, 12.5)
    assert ana.company == "Acme"


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("login", "changes", "said"),
    [
        ("Ana Ruiz", AgentChanges(), "login"),
        ("ana", AgentChanges(name=" "), "name"),
        ("ana", AgentChanges(skills=["a b"]), "skills"),
        ("ana", AgentChanges(languages=["spanish"]), "languages"),
        ("ana", AgentChanges(wrap_seconds=-1), "wrap"),
        ("ana", AgentChanges(station="12"), "station"),
        # A station ends up in a dial string: nothing may be added to it.
        ("ana", AgentChanges(station="sip:ana@10.0.0.5&PJSIP/evil"), "station"),
        ("ana", AgentChanges(station="sip:ana@h,30,G(x)"), "station"),
        ("ana", AgentChanges(station="sip:ana@h\nVariable: X=1"), "station"),
    ],
)
def test_what_is_no_agent_is_refused_and_says_why(
    database: Engine, login: str, changes: AgentChanges, said: str
) -> None:
    world = World(database)
    with database.begin() as c, pytest.raises(NotPossible, match=said):
        agents.create_agent(c, world.company_id, login, changes, "boss", NOW)
    assert world.rows(t.agent) == []


def test_a_login_is_taken_once(database: Engine) -> None:
    world = World(database)
    an_agent(world)
    with pytest.raises(NotPossible, match="already"):
        an_agent(world)


def test_agents_are_listed_by_company_and_activity(database: Engine) -> None:
    world = World(database)
    other = World(database, plan(name="other"), company="Beta")
    ana, _ = an_agent(world), an_agent(other, "zoe")
    luis = an_agent(world, "luis")
    with database.begin() as c:
        agents.update_agent(c, luis, {"active": False}, "boss", NOW)
        mine = agents.list_agents(c, company_id=world.company_id)
        active = agents.list_agents(c, company_id=world.company_id, active_only=True)
        assert [one.login for one in agents.list_agents(c)] == ["ana", "luis", "zoe"]
    assert [one.login for one in mine] == ["ana", "luis"]
    assert [one.id for one in active] == [ana]


def test_a_change_changes_only_what_it_names_and_is_audited_without_names(
    database: Engine,
) -> None:
    world = World(database)
    ana = an_agent(world, name="Ana Ruiz", skills=["pay"], wrap_seconds=10)
    with database.begin() as c:
        agents.update_agent(c, ana, {"wrap_seconds": None, "name": "Ana Gil"}, "boss", at(1))
        found = agents.load_agent(c, ana)
        with pytest.raises(NotPossible, match="no agent"):
            agents.update_agent(c, ana + 9, {"name": "x"}, "boss", NOW)
    assert found is not None
    assert (found.wrap_seconds, found.name, found.skills) == (None, "Ana Gil", ("pay",))
    made, changed = world.rows(t.audit, target=f"agent:{ana}")
    assert (made.action, changed.action) == ("agent.create", "agent.change")
    assert (changed.before["wrap_seconds"], changed.after["wrap_seconds"]) == (10, None)
    assert "Ruiz" not in str([made.after, changed.before])
    assert "Gil" not in str(changed.after)


def test_a_token_lets_its_agent_in_and_nobody_else_and_is_not_kept(database: Engine) -> None:
    world = World(database)
    ana, luis = an_agent(world), an_agent(world, "luis")
    with database.begin() as c:
        hers = agents.new_token(c, ana, "boss", NOW)
        his = agents.new_token(c, luis, "boss", NOW)
        found = agents.agent_by_token(c, hers)
        assert found is not None
        assert (found.id, found.has_token) == (ana, True)
        for wrong in ("", hers[:-1], hers + "x", hers.swapcase(), "\ud800"):
            assert agents.agent_by_token(c, wrong) is None
    assert hers != his
    assert len(hers) >= 43
    kept = str([*world.rows(t.agent), *world.rows(t.audit)])
    assert hers not in kept


def test_a_new_token_voids_the_one_before(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    with database.begin() as c:
        first = agents.new_token(c, ana, "boss", NOW)
        second = agents.new_token(c, ana, "boss", NOW)
        assert agents.agent_by_token(c, first) is None
        assert agents.agent_by_token(c, second) is not None


def test_who_is_not_active_has_no_token_not_even_the_old_one_later(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    with database.begin() as c:
        token = agents.new_token(c, ana, "boss", NOW)
        agents.update_agent(c, ana, {"active": False}, "boss", NOW)
        assert agents.agent_by_token(c, token) is None
        with pytest.raises(NotPossible, match="not active"):
            agents.new_token(c, ana, "boss", NOW)
        agents.update_agent(c, ana, {"active": True}, "boss", NOW)
        assert agents.agent_by_token(c, token) is None


# --- sessions -------------------------------------------------------------------------------


def test_a_session_begins_paused_and_a_repeat_changes_nothing(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    for _ in range(2):
        with database.begin() as c:
            replaced = sessions.open_session(c, session_id="s" * 32, agent_id=ana, node="n1",
                                             leg_token="l" * 32, now=NOW)  # fmt: skip
            assert replaced == []
    with database.connect() as c:
        (one,) = sessions.open_sessions(c, "n1")
        assert sessions.open_sessions(c, "n2") == []
        assert sessions.load_session(c, "s" * 32) == one
    assert (one.state, one.pause_code) == (S.PAUSED, CODE_LOGGED_IN)
    assert (one.started_at, one.since, one.heartbeat_at) == (NOW, NOW, NOW)
    assert len(world.rows(t.agent_state_log)) == 1


def test_who_logs_in_anew_takes_the_place_of_the_session_before_on_any_node(
    database: Engine,
) -> None:
    world = World(database)
    ana, luis = an_agent(world), an_agent(world, "luis")
    first, his = a_session(world, ana, "n1"), a_session(world, luis, "n1")
    with database.begin() as c:
        replaced = sessions.open_session(c, session_id="s" * 32, agent_id=ana, node="n2",
                                         leg_token="l" * 32, now=at(9))  # fmt: skip
        assert replaced == [first]
        assert [one.id for one in sessions.open_sessions(c)] == [his, "s" * 32]
        old = sessions.load_session(c, first)
        assert not sessions.beat(c, first, at(10)), "the old desk must be told"
        assert not sessions.save_state(c, first, S.AVAILABLE, at(10))
    assert old is not None
    assert (old.state, old.end_reason, old.ended_at) == (S.LOGGED_OUT, sessions.REPLACED, at(9))


def test_two_log_ins_at_once_leave_one_session(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    ready, faults = threading.Barrier(2), []

    def log_in(name: str) -> None:
        try:
            ready.wait(10)
            with database.begin() as c:
                sessions.open_session(c, session_id=name * 32, agent_id=ana, node=name,
                                      leg_token=name * 32, now=NOW)  # fmt: skip
        except Exception as fault:
            faults.append(fault)

    both = [threading.Thread(target=log_in, args=(name,)) for name in "ab"]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    assert faults == []
    with database.connect() as c:
        assert len(sessions.open_sessions(c)) == 1
    assert len(world.rows(t.agent_session)) == 2


def test_a_state_is_written_once_never_backwards_and_each_change_is_logged(
    database: Engine,
) -> None:
    world = World(database)
    one = a_session(world, an_agent(world))
    with database.begin() as c:
        assert sessions.save_state(c, one, S.AVAILABLE, at(1))
        assert not sessions.save_state(c, one, S.AVAILABLE, at(1)), "a repeat"
        assert sessions.save_state(c, one, S.RESERVED, at(2), attempt_id="a" * 32)
        assert sessions.save_state(c, one, S.TALKING, at(2), attempt_id="a" * 32), "same moment"
        assert not sessions.save_state(c, one, S.AVAILABLE, at(1)), "late"
        assert sessions.save_state(c, one, S.PAUSED, at(5), pause_code="lunch")
        assert sessions.save_state(c, one, S.PAUSED, at(6), pause_code="bath")
        row = sessions.load_session(c, one)
        assert sessions.end_session(c, one, "logged out", at(7))
        assert not sessions.end_session(c, one, "again", at(8))
        assert not sessions.save_state(c, one, S.AVAILABLE, at(9))
        ended = sessions.load_session(c, one)
    assert row is not None
    assert (row.state, row.pause_code, row.since) == (S.PAUSED, "bath", at(6))
    assert ended is not None
    assert (ended.state, ended.ended_at, ended.end_reason) == (S.LOGGED_OUT, at(7), "logged out")
    log = world.rows(t.agent_state_log, session_id=one)
    assert [(r.state, r.pause_code, r.at, r.attempt_id) for r in log] == [
        ("paused", CODE_LOGGED_IN, NOW, None),
        ("available", None, at(1), None),
        ("reserved", None, at(2), "a" * 32),
        ("talking", None, at(2), "a" * 32),
        ("paused", "lunch", at(5), None),
        ("paused", "bath", at(6), None),
        ("logged_out", None, at(7), None),
    ]


def test_a_heartbeat_never_goes_back(database: Engine) -> None:
    world = World(database)
    one = a_session(world, an_agent(world))
    with database.begin() as c:
        assert sessions.beat(c, one, at(10))
        assert sessions.beat(c, one, at(5))
        row = sessions.load_session(c, one)
        assert not sessions.beat(c, "nobody", at(5))
    assert row is not None
    assert row.heartbeat_at == at(10)


def test_a_leg_is_let_in_by_the_newest_token_of_an_open_session(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    one = a_session(world, ana)
    with database.begin() as c:
        (row,) = sessions.open_sessions(c)
        assert sessions.session_by_leg_token(c, row.leg_token) == row
        assert sessions.session_by_leg_token(c, "0" * 32) is None
        assert sessions.new_leg_token(c, one, "f" * 32)
        assert sessions.session_by_leg_token(c, row.leg_token) is None
        assert sessions.session_by_leg_token(c, "f" * 32) is not None
        c.execute(update(t.agent).values(active=False))
        assert sessions.session_by_leg_token(c, "f" * 32) is None
        c.execute(update(t.agent).values(active=True))
        sessions.end_session(c, one, "logged out", at(1))
        assert sessions.session_by_leg_token(c, "f" * 32) is None
        assert not sessions.new_leg_token(c, one, "e" * 32)


# --- how long -------------------------------------------------------------------------------


def test_seconds_by_state_are_those_within_the_window(database: Engine) -> None:
    world = World(database)
    ana, luis = an_agent(world), an_agent(world, "luis")
    hers = a_session(world, ana)
    with database.begin() as c:
        for state, since in ((S.AVAILABLE, 10), (S.RESERVED, 30), (S.TALKING, 31),
                             (S.WRAP_UP, 91), (S.AVAILABLE, 100)):  # fmt: skip
            sessions.save_state(c, hers, state, at(since))
        sessions.end_session(c, hers, "logged out", at(160))
    his = a_session(world, luis, when=at(40))  # never ends
    with database.begin() as c:
        sessions.save_state(c, his, S.AVAILABLE, at(60))
        whole = sessions.seconds_by_state(c, NOW, at(200))
        part = sessions.seconds_by_state(c, at(20), at(95), agent_id=ana)
        assert sessions.seconds_by_state(c, at(300), at(400), agent_id=ana) == {}
        assert sessions.seconds_by_state(c, NOW, at(200), company_id=world.company_id) == whole
        assert sessions.seconds_by_state(c, NOW, at(200), company_id=world.company_id + 1) == {}
    assert whole == {
        ana: {S.PAUSED: 10, S.AVAILABLE: 80, S.RESERVED: 1, S.TALKING: 60, S.WRAP_UP: 9},
        luis: {S.PAUSED: 20, S.AVAILABLE: 140},
    }
    assert part == {ana: {S.AVAILABLE: 10, S.RESERVED: 1, S.TALKING: 60, S.WRAP_UP: 4}}
    assert sessions.occupancy(whole[ana]) == pytest.approx(69 / 150)
    assert sessions.occupancy(whole[luis]) == 0
    assert sessions.occupancy({S.PAUSED: 5}) is None


def test_an_outage_is_no_talk(database: Engine) -> None:
    """A crash while talking: the session is ended at the moment the agent was last seen."""
    world = World(database)
    ana = an_agent(world)
    one = a_session(world, ana)
    with database.begin() as c:
        sessions.save_state(c, one, S.TALKING, at(10))
        sessions.beat(c, one, at(20))
        (row,) = sessions.open_sessions(c, "n1")
        sessions.end_session(c, row.id, "crash", row.heartbeat_at)
        found = sessions.seconds_by_state(c, NOW, NOW + timedelta(days=1))
    assert found == {ana: {S.PAUSED: 10, S.TALKING: 10}}
