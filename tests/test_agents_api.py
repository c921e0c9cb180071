"""The API of agents and supervisors as it is served, with the real reader of commands behind it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from desk_parts import EngineStandIn
from desk_web import Floor, Worker, open_floor
from fixtures_messaging import wait_until
from sqlalchemy import Engine

from dialer.desk import Command, Reply
from dialer.desk.client import DeskClient, DeskError
from dialer.jobs import utc_now
from dialer.store import agents
from dialer.store import tables as t
from web.agents_access import PER_SECOND
from web.agents_api import AGENT, AGENT_COMMANDS
from web.supervisors_api import SUPERVISOR, SUPERVISOR_COMMANDS

BODIES: dict[str, dict[str, Any]] = {
    "/session/pause": {"code": "lunch"},
    "/call/dtmf": {"keys": "12#"},
    "/call/transfer": {"to": {"skill": "legal"}, "kind": "attended"},
    "/call/disposition": {"disposition": "promise", "notes": "pagará"},
    "/call/callback": {"due_at": "2026-12-01T10:00:00+01:00", "own": True},
    "/call/promise": {"due": "2026-12-24"},
    "/call/payment": {"amount_minor": 1250, "currency": "EUR"},
    "/listen": {"by": "+34910000001"},
    "/whisper": {"by": "sip:boss@10.0.0.5:5060"},
    "/barge": {"by": "+34910000001"},
    "/pause": {"code": "meeting"},
}
"""What a command's route is given; the others take nothing."""


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The answer, which has to be a problem."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"] == "urn:dialer:problem:" + told["code"].replace("_", "-")
    assert told["title"]
    return told


@pytest.fixture
def floor(tmp_path: Path, database: Engine, redis_url: str) -> Iterator[Floor]:
    """An installation with one web worker and an engine."""
    with open_floor(tmp_path, database, redis_url) as made:
        yield made


# --- commands ----------------------------------------------------------------------------------


@pytest.mark.database("sqlite")
def test_each_command_reaches_the_engine(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    for route in AGENT_COMMANDS:
        answer = ana.post(route.path, BODIES.get(route.path))
        assert answer.status_code == 200, answer.text
        taken = floor.engine.taken[-1]
        assert (taken.name, taken.session) == (route.do, ana.session)
        expected = dict(BODIES.get(route.path, {}))
        if "disposition" in expected:
            expected["code"] = expected.pop("disposition")
        assert {key: taken.args[key] for key in expected} == expected


def test_a_day_at_the_desk_with_the_client(floor: Floor) -> None:
    ana = floor.agent("ana", skills=("legal",))
    with DeskClient(floor.workers[0].url, ana.token) as desk:
        line = desk.log_in(ringing=False, skills=["legal"])
        assert floor.engine.taken[-1].args == {
            "agent_id": ana.id,
            "ringing": False,
            "skills": ["legal"],
        }
        assert line.sip is not None
        assert (len(line.session), line.sip.user) == (32, "browser")
        told = desk.now()
        assert (told.session, told.state, told.agent.login) == (line.session, "paused", "ana")
        assert told.call is None
        assert told.leg_token == line.leg_token
        for command in (desk.heartbeat, desk.ready, desk.wrap_done, desk.hang_up, desk.hold,
                        desk.resume, desk.mute, desk.unmute, desk.complete_transfer,
                        desk.cancel_transfer, desk.link, desk.pay, desk.pay_again,
                        desk.pay_cancel, desk.record_pause, desk.record_resume,
                        desk.preview_call, desk.preview_skip):  # fmt: skip
            assert command()["ok"] is True
            assert floor.engine.names[-1] == command.__name__
        desk.pause("lunch")
        desk.dtmf("1")
        desk.transfer("blind", number="+34600111222")
        assert floor.engine.taken[-1].args["to"] == {"number": "+34600111222"}
        desk.disposition("spoke", "dice que ya pagó")
        desk.callback(utc_now() + timedelta(days=1), own=True)
        desk.promise(date(2026, 12, 24))
        assert floor.engine.taken[-1].args == {"due": "2026-12-24"}
        assert desk.new_leg().session == line.session
        with pytest.raises(DeskError) as caught:
            desk.story()
        assert caught.value.code == "no_call"
        floor.engine.publish(line.session, {"type": "state", "state": "logged_out"})
        assert [one.type for one in desk.events()] == ["state"]
        desk.log_out()
        with pytest.raises(DeskError) as caught:
            desk.now()
        assert (caught.value.status, caught.value.code) == (404, "no_session")


ENGINE_SAYS = (
    ("no_call", 409, None),
    ("anything_new", 409, None),
    ("not_allowed", 403, None),
    ("not_found", 404, None),
    ("invalid", 422, None),
    ("limit", 429, None),
    ("switch_away", 503, "no"),
    ("internal", 502, None),
)


@pytest.mark.database("sqlite")
def test_what_the_engine_refuses(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    for error, status, done in ENGINE_SAYS:
        refusal = Reply.refused(error, "why it is so")
        floor.engine.script["hold"] = partial(_say, refusal)
        answer = ana.post("/call/hold")
        told = problem(answer)
        assert (answer.status_code, told["code"], told["detail"]) == (status, error, "why it is so")
        assert told.get("done") == done
        assert ("Retry-After" in answer.headers) is (status in (429, 503))


def _say(reply: Reply, _: Command) -> Reply:
    return reply


WRONG_FIELDS: tuple[tuple[str, dict[str, Any], list[str]], ...] = (
    ("/session/pause", {}, ["code"]),
    ("/session/pause", {"code": "Lunch break"}, ["code"]),
    ("/session/pause", {"code": "lunch", "until": 1}, ["until"]),
    ("/session/ready", {"now": True}, ["now"]),
    ("/call/dtmf", {"keys": "12x"}, ["keys"]),
    ("/call/transfer", {"to": {}, "kind": "blind"}, ["to"]),
    ("/call/transfer", {"to": {"agent": "7"}, "kind": "throw"}, ["to.agent", "kind"]),
    ("/call/transfer", {"to": {"number": "112;x"}, "kind": "blind"}, ["to.number"]),
    ("/call/callback", {"due_at": "2026-12-01T10:00:00"}, ["due_at"]),
    ("/call/callback", {"due_at": "0001-01-01T00:00:00+14:00"}, ["due_at"]),
    ("/call/promise", {"due": "2026-02-30"}, ["due"]),
    ("/call/payment", {"amount_minor": 5}, ["body"]),
    ("/call/payment", {"amount_minor": 0, "currency": "EUR"}, ["amount_minor"]),
    ("/call/disposition", {"disposition": "spoke", "notes": "a\0b"}, ["notes"]),
    ("/session", {"skills": ["legal", 5]}, ["skills.1"]),
    ("/session", {"ringing": 1}, ["ringing"]),
)


@pytest.mark.database("sqlite")
def test_wrong_fields_are_named(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    for path, body, fields in WRONG_FIELDS:
        answer = ana.post(path, body)
        assert answer.status_code == 422, path
        assert [one["field"] for one in problem(answer)["errors"]] == fields
    assert floor.engine.names == ["log_in"]


@pytest.mark.database("sqlite")
def test_wrong_requests(floor: Floor) -> None:
    ana = floor.logged_in("ana")

    def post(content: bytes, kind: str = "application/json") -> httpx.Response:
        return ana.http.post(
            f"{AGENT}/session/pause", content=content, headers={"Content-Type": kind}
        )

    assert problem(post(b"{"))["code"] == "bad_json"
    assert problem(post(b"code=lunch", "application/x-www-form-urlencoded"))["status"] == 415
    assert problem(post(b"[]"))["status"] == 422
    assert problem(post(b'{"code": "' + b"x" * 70_000 + b'"}'))["status"] == 413
    assert problem(ana.http.get("/api/v1/agent/nothing"))["status"] == 404
    wrong_method = ana.http.get(f"{AGENT}/session/ready")
    assert problem(wrong_method)["status"] == 405
    assert "POST" in wrong_method.headers["Allow"]
    assert floor.engine.names == ["log_in"]


# --- who may what ------------------------------------------------------------------------------


def _routes(worker: Worker) -> list[tuple[str, str]]:
    """Method and path of every route of agents and supervisors, from the application itself."""
    found = []
    for rule in worker.app.url_map.iter_rules():
        if rule.rule.startswith((f"{AGENT}/", f"{SUPERVISOR}/")):
            path = rule.rule.replace("<session>", "5" * 32)
            assert "<" not in path
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            found += [(method, path) for method in sorted(methods)]
    return found


def _refused(
    http: httpx.Client,
    method: str,
    path: str,
    body: dict[str, Any],
    token: str | None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """The status of a request that has to be refused."""
    bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = http.request(method, path, json=body, headers={**bearer, **headers})
    return int(problem(answer)["status"])


@pytest.mark.database("sqlite")
def test_every_route_refuses_whom_it_is_not_for(floor: Floor) -> None:
    routes = _routes(floor.workers[0])
    assert len(routes) == len(AGENT_COMMANDS) + 5 + len(SUPERVISOR_COMMANDS) + 2
    ana, eva, out = floor.logged_in("ana"), floor.logged_in("eva"), floor.agent("out")
    boss = floor.supervisor()
    before = len(floor.engine.taken)
    for method, path in routes:
        of_agents = path.startswith(AGENT)
        assert of_agents or path.startswith(SUPERVISOR), path
        below = path.removeprefix(AGENT) if of_agents else "/" + path.rpartition("/")[2]
        body = BODIES.get(below, {})
        asked = partial(_refused, floor.http, method, path, body)
        assert asked(None) == 401, path
        assert asked("x" * 43) == 401, path
        assert floor.http.request(method, path, auth=("ana", ana.token)).status_code == 401, path
        if of_agents:
            assert asked(boss.token) == 403, path
            # Another's session, believed to be one's own.
            assert asked(eva.token, {"Agent-Session": ana.session}) == 403, path
            if (method, path) != ("POST", f"{AGENT}/session"):
                assert asked(out.token) == 404, path
        else:
            assert asked(ana.token) == 403, path
    assert len(floor.engine.taken) == before


@pytest.mark.database("sqlite")
def test_who_is_no_longer_active_is_a_stranger(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    with floor.database.begin() as connection:
        agents.update_agent(connection, ana.id, {"active": False}, "test", utc_now())
    assert problem(ana.post("/session/ready"))["status"] == 401


@pytest.mark.database("sqlite")
def test_an_agent_acts_on_the_session_that_is_theirs(floor: Floor) -> None:
    ana, eva = floor.logged_in("ana"), floor.logged_in("eva")
    eva.post("/call/hang-up")
    assert floor.engine.taken[-1].session == eva.session != ana.session
    own = eva.http.post(f"{AGENT}/session/ready", headers={"Agent-Session": eva.session})
    assert own.status_code == 200


@pytest.mark.database("sqlite")
def test_nobody_asks_without_end(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.agents_access.time.time", lambda: 1_700_000_000.0)
    ana, eva = floor.logged_in("ana"), floor.logged_in("eva")
    answers = [ana.post("/session/heartbeat") for _ in range(PER_SECOND)]
    assert [one.status_code for one in answers[:-1]] == [200] * (PER_SECOND - 1)
    assert problem(answers[-1])["code"] == "too_many_requests"
    assert answers[-1].headers["Retry-After"] == "1"
    assert eva.post("/session/heartbeat").status_code == 200


# --- idempotency -------------------------------------------------------------------------------


@pytest.mark.database("sqlite")
def test_a_repeat_gets_the_first_answer_from_any_worker(floor: Floor) -> None:
    ana, second = floor.logged_in("ana"), floor.worker()
    count = iter(range(100))
    floor.engine.script["link"] = lambda _: Reply.done(number=next(count))
    first = ana.post("/call/link", key="k1")
    again = ana.at(second).post("/call/link", key="k1")
    assert first.json() == again.json() == {"ok": True, "number": 0}
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert ana.post("/call/link", key="k2").json()["number"] == 1
    eva = floor.logged_in("eva")
    assert eva.post("/call/link", key="k1").json()["number"] == 2
    assert problem(ana.post("/call/hold", key="k1"))["code"] == "key_reused"
    assert problem(ana.post("/call/link", key="k 1"))["status"] == 422
    keys: Any = floor.redis.keys("dialer:desk:once:*")
    assert all(590 < floor.redis.ttl(one) <= 600 for one in keys)


@pytest.mark.database("sqlite")
def test_a_refusal_is_kept_too(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    answers = iter([Reply.refused("no_call"), Reply.done()])
    floor.engine.script["hold"] = lambda _: next(answers)
    assert problem(ana.post("/call/hold", key="k"))["code"] == "no_call"
    assert problem(ana.post("/call/hold", key="k"))["code"] == "no_call"
    assert floor.engine.names.count("hold") == 1


@pytest.mark.database("sqlite")
def test_a_repeat_while_the_first_runs(floor: Floor) -> None:
    ana, second = floor.logged_in("ana"), floor.worker()
    held = floor.engine.held["link"] = threading.Event()
    answers: list[httpx.Response] = []
    first = threading.Thread(target=lambda: answers.append(ana.post("/call/link", key="k")))
    first.start()
    wait_until(lambda: "link" in floor.engine.names)
    early = ana.at(second).post("/call/link", key="k")
    assert problem(early)["code"] == "still_running"
    assert (early.status_code, early.headers["Retry-After"]) == (409, "1")
    held.set()
    first.join(10)
    assert answers[0].status_code == 200
    assert ana.post("/call/link", key="k").json() == answers[0].json()
    assert floor.engine.names.count("link") == 1


@pytest.mark.database("sqlite")
def test_what_was_not_done_may_be_done_by_the_repeat(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    floor.engine.stop()
    away = ana.post("/call/link", key="k")
    assert problem(away)["done"] == "no"
    floor.start_engine()
    assert ana.post("/call/link", key="k").status_code == 200


# --- nobody there ------------------------------------------------------------------------------


@pytest.mark.database("sqlite")
def test_an_engine_that_is_away_is_said_at_once(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    floor.engine.stop()
    answer = ana.post("/session/ready")
    assert problem(answer)["code"] == "engine_away"
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.elapsed.total_seconds() < 1
    assert ana.get("/session").status_code == 200  # what the database knows is told all the same


@pytest.mark.database("sqlite")
def test_an_engine_that_hangs_is_waited_for_three_seconds_at_most(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    floor.engine.held["link"] = threading.Event()
    answer = ana.post("/call/link", key="k")
    assert problem(answer)["done"] == "unknown"
    assert 1.5 < answer.elapsed.total_seconds() < 3
    floor.engine.held["link"].set()
    assert problem(ana.post("/call/link", key="k"))["done"] == "unknown"  # never done twice
    assert floor.engine.names.count("link") == 1


# --- what is told ------------------------------------------------------------------------------


def test_the_session_with_the_debtor_at_it(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    assert ana.get("/session").json()["call"] is None
    attempt = floor.call_at(ana)
    told = ana.get("/session").json()
    assert told["call"]["attempt"] == attempt
    assert (told["call"]["kind"], told["call"]["reason"]) == ("escalation", "asked")
    assert told["last_event"] == "0"
    story = ana.get("/call/story")
    assert story.status_code == 200
    assert (story.json()["attempt_id"], story.json()["name"]) == (attempt, "Debtor 1")
    assert ana.get("/session").headers["Cache-Control"] == "no-store"


@pytest.mark.database("sqlite")
def test_supervisors(floor: Floor) -> None:
    ana, boss = floor.logged_in("ana"), floor.supervisor()
    floor.engine.script["floor"] = lambda _: Reply.done(agents=[{"state": "paused"}], waiting=0)
    told = boss.get("/floor").json()
    assert (told["agents"], told["waiting"], told["last_event"]) == ([{"state": "paused"}], 0, "0")
    for route in SUPERVISOR_COMMANDS:
        answer = boss.post(f"/sessions/{ana.session}{route.path}", BODIES.get(route.path))
        assert answer.status_code == 200, answer.text
        taken = floor.engine.taken[-1]
        assert (taken.name, taken.session) == (route.do, ana.session)
        assert taken.args == BODIES.get(route.path, {})
    trail = [row.action for row in floor.world.rows(t.audit) if row.actor == "supervisor"]
    assert trail == [f"agent.{route.do.value}" for route in SUPERVISOR_COMMANDS]
    gone = boss.post(f"/sessions/{ana.session}/listen", BODIES["/listen"])
    assert problem(gone)["code"] == "no_session"  # the last of them was the log-out
    eva = floor.logged_in("eva")
    wrong = boss.post(f"/sessions/{eva.session}/listen", {"by": "sip:x@y,z"})
    assert problem(wrong)["errors"][0]["field"] == "by"


@pytest.mark.database("sqlite")
def test_a_session_of_another_node_is_asked_there(floor: Floor) -> None:
    other = EngineStandIn(floor.url, node="node2")
    ana = floor.logged_in("ana", node="node2")
    try:
        wait_until(lambda: floor.redis.exists("dialer:desk:alive:node2"))
        assert ana.post("/session/ready").status_code == 200
        assert (other.names, floor.engine.names) == (["ready"], ["log_in"])
    finally:
        other.stop()
