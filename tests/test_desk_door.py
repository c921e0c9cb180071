"""Agents and supervisors who come by the session of their browser: who gets in, and how far."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from desk_web import Agent, Floor, Supervisor, open_floor
from fixtures_site import make_company, make_user
from sqlalchemy import Engine, select, update
from test_agents_api import BODIES, problem
from web_browser import WebBrowser

from dialer.desk import Reply
from dialer.domain.access import SESSION_IDLE, Role
from dialer.jobs import utc_now
from dialer.store import agents, users
from dialer.store import tables as t
from web.agents_api import AGENT, AGENT_COMMANDS
from web.supervisors_api import SUPERVISOR, SUPERVISOR_COMMANDS

pytestmark = pytest.mark.database("sqlite")


class House:
    """A floor with people who log in by passwords. ``ana``: an agent of the company."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.ana: Agent = floor.logged_in("ana")
        self.other = make_company(floor.database, "Other")
        self._browsers: list[WebBrowser] = []
        company = floor.world.company_id
        make_user(floor.database, "ana", Role.AGENT, company, self.ana.id)
        self.boss = make_user(floor.database, "boss", Role.SUPERVISOR, company)
        make_user(floor.database, "auditor", Role.AUDITOR, company)
        make_user(floor.database, "rival", Role.SUPERVISOR, self.other)
        make_user(floor.database, "root", Role.ADMINISTRATOR, None)

    def browser(self, who: str) -> WebBrowser:
        """Logged in."""
        self._browsers.append(WebBrowser(self.floor.workers[0].url, who))
        return self._browsers[-1]

    def close(self) -> None:
        """All browsers."""
        for one in self._browsers:
            one.http.close()


@pytest.fixture
def house(tmp_path: Path, database: Engine, redis_url: str) -> Iterator[House]:
    with open_floor(tmp_path, database, redis_url) as floor:
        made = House(floor)
        yield made
        made.close()


def supervised(session: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Every route of supervisors but the live view: method, path, body."""
    commands = [
        ("POST", f"{SUPERVISOR}/sessions/{session}{route.path}", BODIES.get(route.path, {}))
        for route in SUPERVISOR_COMMANDS
    ]
    return [("GET", f"{SUPERVISOR}/floor", {}), *commands]


# --- agents ------------------------------------------------------------------------------------


def test_an_agent_works_by_the_session_of_their_browser(house: House) -> None:
    page = house.browser("ana")
    now = page.get(f"{AGENT}/session").json()
    assert (now["session"], now["agent"]["login"]) == (house.ana.session, "ana")
    for route in AGENT_COMMANDS:
        answer = page.post(AGENT + route.path, BODIES.get(route.path))
        assert answer.status_code == 200, answer.text
        taken = house.floor.engine.taken[-1]
        assert (taken.name, taken.session) == (route.do, house.ana.session)
    assert page.send("DELETE", f"{AGENT}/session").status_code == 204


def test_without_the_form_token_nothing_is_done(house: House) -> None:
    """What another site's page could make the browser send."""
    page = house.browser("ana")
    before = len(house.floor.engine.taken)
    paths = [("DELETE", "/session"), ("POST", "/session"), ("POST", "/session/ready")]
    for method, path in paths:
        for headers in ({}, {"X-CSRFToken": "x" + page.token}):
            answer = page.http.request(method, AGENT + path, headers=headers)
            assert problem(answer)["status"] == 403
    assert len(house.floor.engine.taken) == before
    boss = house.browser("boss")
    listen = f"{SUPERVISOR}/sessions/{house.ana.session}/listen"
    assert boss.http.post(listen, json=BODIES["/listen"]).status_code == 403


def test_a_desk_is_for_agents_alone(house: House) -> None:
    for who in ("boss", "auditor", "root"):
        answer = house.browser(who).get(f"{AGENT}/session")
        assert problem(answer)["code"] == "forbidden"
    nobody = house.floor.http.get(f"{AGENT}/session")
    assert problem(nobody)["status"] == 401


def test_who_is_no_longer_an_agent_is_let_in_no_more(house: House) -> None:
    page = house.browser("ana")
    with house.floor.database.begin() as connection:
        agents.update_agent(connection, house.ana.id, {"active": False}, "test", utc_now())
    assert page.get(f"{AGENT}/session").status_code == 403


def test_a_token_is_what_counts_where_one_is_given(house: House) -> None:
    page = house.browser("ana")
    wrong = page.get(f"{AGENT}/session", Authorization="Bearer " + "x" * 43)
    assert wrong.status_code == 401
    right = page.http.post(
        f"{AGENT}/session/ready", headers={"Authorization": f"Bearer {house.ana.token}"}
    )
    assert right.status_code == 200  # and no form token: a page of another site has none of these


def test_a_heartbeat_keeps_the_session_alive(house: House) -> None:
    page = house.browser("ana")
    almost = datetime.now(UTC) - SESSION_IDLE + timedelta(minutes=1)
    _seen(house, almost)
    assert page.post(f"{AGENT}/session/heartbeat").status_code == 200
    with house.floor.database.connect() as connection:
        (seen,) = connection.scalars(select(t.web_session.c.seen_at))
    assert datetime.now(UTC) - seen < timedelta(minutes=1)
    _seen(house, datetime.now(UTC) - SESSION_IDLE)
    assert page.post(f"{AGENT}/session/heartbeat").status_code == 401


def _seen(house: House, at: datetime) -> None:
    with house.floor.database.begin() as connection:
        connection.execute(update(t.web_session).values(seen_at=at))


def test_a_live_view_ends_when_its_user_is_shut_out(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.agents_events.CHECK_SECONDS", 0.2)
    page = house.browser("ana")
    with page.listening(f"{AGENT}/session/events") as lines:
        house.floor.engine.publish(house.ana.session, {"type": "queue", "waiting": 1})
        assert any(line == "event: queue" for line in lines)
        with house.floor.database.begin() as connection:
            user = users.user_by_email(connection, "ana@example.com")
            users.update_user(connection, user.id, {"active": False}, "test", utc_now())
        assert [line for line in lines if line.startswith("event:")] == ["event: end"]


# --- supervisors -------------------------------------------------------------------------------


def test_a_supervisor_works_by_the_session_of_their_browser(house: House) -> None:
    boss = house.browser("boss")
    for method, path, body in supervised(house.ana.session):
        assert boss.send(method, path, body).status_code == 200, path
    with house.floor.database.connect() as connection:
        trail = connection.scalars(
            select(t.audit.c.action).where(t.audit.c.actor == f"user:{house.boss}")
        ).all()
    done = [f"agent.{route.do.value}" for route in SUPERVISOR_COMMANDS]
    assert [one for one in trail if one.startswith("agent.")] == done


def test_a_supervisor_of_another_company_touches_and_sees_nothing(house: House) -> None:
    rival = house.browser("rival")
    attempt = house.floor.call_at(house.ana)
    agent = {"agent_id": house.ana.id, "session": house.ana.session, "name": "Ana"}
    house.floor.engine.script["floor"] = lambda _: Reply.done(
        agents=[agent],
        queue=[{"attempt": attempt}],
        talks=[{"attempt": attempt, "session": house.ana.session}],
    )
    for method, path, body in supervised(house.ana.session):
        answer = rival.send(method, path, body)
        if method == "POST":
            assert problem(answer)["code"] == "no_session", path
        else:
            told = answer.json()
            assert (told["agents"], told["queue"], told["talks"]) == ([], [], [])
    assert set(house.floor.engine.names) == {"log_in", "floor"}
    for who in ("boss", "root"):
        told = house.browser(who).get(f"{SUPERVISOR}/floor").json()
        assert told["agents"] == [agent]
        assert told["queue"] == [{"attempt": attempt}]
        assert [one["attempt"] for one in told["talks"]] == [attempt]


def test_a_supervisor_hears_of_their_own_company_alone(house: House) -> None:
    """Of the rival's agent first, then of ana: who hears ana's has been sent all that came before
    it."""
    with house.floor.database.begin() as connection:
        theirs = agents.create_agent(connection, house.other, "rita", {}, "test", utc_now())
    heard: dict[str, list[Any]] = {}
    for who in ("boss", "rival", "root"):
        last = house.ana.id if who != "rival" else theirs
        with house.browser(who).listening(f"{SUPERVISOR}/events?after=0") as lines:
            for event in (
                {"type": "agent", "agent_id": house.ana.id, "name": "Ana"},
                {"type": "agent", "agent_id": theirs, "name": "Rita"},
                {"type": "floor", "waiting": 7},
                {"type": "agent", "agent_id": last, "name": "last"},
            ):
                house.floor.engine.publish(None, event)
            heard[who] = []
            for line in lines:
                if line.startswith("data:"):
                    heard[who].append(json.loads(line[5:]))
                    if heard[who][-1].get("name") == "last":
                        break
        house.floor.redis.delete("dialer:floor:events")
    names = {who: [one.get("name", one["type"]) for one in told] for who, told in heard.items()}
    assert names == {
        "boss": ["Ana", "last"],
        "rival": ["Rita", "last"],
        "root": ["Ana", "Rita", "floor", "last"],
    }


def test_an_auditor_looks_and_changes_nothing(house: House) -> None:
    auditor = house.browser("auditor")
    for method, path, body in supervised(house.ana.session):
        wanted = 200 if method == "GET" else 403
        assert auditor.send(method, path, body).status_code == wanted, path
    with auditor.listening(f"{SUPERVISOR}/events") as lines:
        assert next(lines).startswith("retry")
    assert set(house.floor.engine.names) == {"log_in", "floor"}


def test_an_agent_is_no_supervisor(house: House) -> None:
    page = house.browser("ana")
    for method, path, body in supervised(house.ana.session):
        assert page.send(method, path, body).status_code == 403, path
    assert page.get(f"{SUPERVISOR}/events").status_code == 403


def test_the_secret_of_supervisors_goes_on_working(house: House) -> None:
    boss: Supervisor = house.floor.supervisor()
    assert boss.get("/floor").status_code == 200
    assert boss.post(f"/sessions/{house.ana.session}/pause", BODIES["/pause"]).status_code == 200
