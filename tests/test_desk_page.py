"""The desk's page and what it asks beside the API, without a browser."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fixtures_site import Site, make_user
from sqlalchemy import Engine, insert, update
from world import World

from dialer.config import ROOT
from dialer.desk.models import Dispose
from dialer.domain.access import Role
from dialer.domain.model import AgentCallKind, Outcome
from dialer.engine.conclusions import NOT_AN_AGENTS
from dialer.store import agent_calls, agent_sessions, callbacks, desk_day, outcomes, users
from dialer.store import tables as t
from dialer.store.agents import create_agent, update_agent
from web.desk import script, words
from web.headers import PAGE_HEADERS, desk_headers


def config_of(page: str) -> dict[str, Any]:
    """What the page tells its scripts."""
    found = re.search(r'data-config="([^"]*)"', page)
    assert found is not None
    told: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return told


@pytest.mark.database("sqlite")
def test_the_page_has_the_microphone_and_the_way_to_asterisk_and_no_other_page_has(
    site: Site,
) -> None:
    client = site.client("agent")
    page = client.get("/desk")
    assert page.status_code == 200
    socket = site.settings.browser_socket.removesuffix("/ws")
    policy = page.headers["Content-Security-Policy"]
    assert f"connect-src 'self' {socket};" in policy and "unsafe" not in policy
    assert policy.replace(f" {socket}", "") == PAGE_HEADERS["Content-Security-Policy"]
    assert "microphone=(self)" in page.headers["Permissions-Policy"]
    assert "microphone=()" in client.get("/account").headers["Permissions-Policy"]
    assert "microphone=()" in client.get("/desk/day").headers["Permissions-Policy"]


def test_only_the_origin_of_the_websocket_is_let_in() -> None:
    policy = desk_headers("wss://pbx.example:8089/ws?a;b")["Content-Security-Policy"]
    assert "connect-src 'self' wss://pbx.example:8089;" in policy


@pytest.mark.database("sqlite")
def test_the_page_tells_its_scripts_every_word(site: Site) -> None:
    told = config_of(site.client("agent").get("/desk").text)
    assert told["names"]["state"]["wrap_up"] == "Finishing a call"
    assert 0 < told["beat"] < site.settings.agent_heartbeat_seconds * 1000 / 2
    assert told["browser"] is True


@pytest.mark.database("sqlite")
def test_a_desk_is_for_who_is_an_agent(site: Site) -> None:
    assert site.client("super").get("/desk").status_code == 404
    assert site.client("admin").get("/desk").status_code == 403
    assert site.client("auditor").get("/desk").status_code == 403
    assert site.client().get("/desk").status_code == 302
    now = datetime.now(UTC)
    with site.engine.begin() as connection:
        eva = create_agent(connection, site.acme, "eva", {"station": "+34600000001"}, "test", now)
    make_user(site.engine, "boss", Role.SUPERVISOR, site.acme, eva)
    client = site.client("boss")
    assert "telephone of your own" in client.get("/desk").text
    with site.engine.begin() as connection:
        update_agent(connection, eva, {"active": False}, "test", now)
    for path in ("/desk", "/desk/day", "/desk/colleagues", "/desk/agreed", "/desk/call?attempt=x"):
        assert client.get(path).status_code == 404
    assert "takes no calls any more" in client.get("/desk").text


@pytest.mark.database("sqlite")
def test_who_has_no_desk_is_told_what_it_is_and_how_to_get_one(site: Site) -> None:
    client = site.client("super")
    page = client.get("/desk")
    assert page.status_code == 404
    assert "You have no desk" in page.text and "an administrator opens Users" in page.text
    assert 'href="/floor"' in page.text, "what a supervisor may have looked for"
    assert "microphone=()" in page.headers["Permissions-Policy"], "nobody talks here"
    assert "You have no desk" not in client.get("/desk/day").text, "a script asks for that"
    with site.engine.begin() as c:
        users.set_values(c, site.ids["super"], language="es")
    assert "No tiene un puesto de agente" in client.get("/desk").text


def test_what_an_agent_may_conclude_is_what_the_engine_takes() -> None:
    allowed = set(Outcome) - set(NOT_AN_AGENTS)
    assert set(words.AN_AGENTS) <= allowed
    for one in words.AN_AGENTS:
        Dispose(disposition=one.value)


class Talks:
    """Calls of an agent, made by hand."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.now = engine, datetime.now(UTC)
        self.world = World(engine, at=self.now)
        with engine.begin() as connection:
            self.ana = create_agent(
                connection, self.world.company_id, "ana", {"wrap_seconds": None}, "test", self.now
            )
            agent_sessions.open_session(
                connection, session_id="5" * 32, agent_id=self.ana, node="node1",
                leg_token="6" * 32, now=self.now,
            )  # fmt: skip
        self._number = 0

    def talk(self, seconds: int, ago: timedelta = timedelta(0), paid: int = 0) -> str:
        """A talk that began ``ago``; the attempt."""
        self._number += 1
        attempt, began = f"{self._number:032d}", self.now - ago
        lead = self.world.rows(t.lead, id=self.world.lead(f"+3460011122{self._number}"))[0]
        phone = self.world.rows(t.phone, debtor_id=lead.debtor_id)[0]
        with self.engine.begin() as connection:
            connection.execute(
                insert(t.attempt).values(
                    id=attempt, campaign_id=self.world.campaign_id, lead_id=lead.id,
                    debtor_id=lead.debtor_id, phone_id=phone.id, number=phone.number,
                    caller_id="+34910000000", trunk="carrier", node="node1", flow="reminder",
                    state="ended", placed_at=began, answered_at=began, last_prompt="menu",
                )
            )  # fmt: skip
            call = agent_calls.queue_call(
                connection,
                agent_calls.NewCall(
                    attempt_id=attempt, company_id=self.world.company_id, debtor_id=lead.debtor_id,
                    kind=AgentCallKind.ESCALATION,
                    campaign_id=self.world.campaign_id, reason="asked",
                ),
                began,
            )  # fmt: skip
            agent_calls.offer(connection, call, "5" * 32, self.ana, began)
            agent_calls.joined(connection, call, "5" * 32, self.ana, began)
            agent_calls.left(connection, call, began + timedelta(seconds=seconds))
            connection.execute(
                insert(t.promise).values(
                    account_id=lead.account_id, attempt_id=attempt, due=date(2030, 1, 1),
                    amount_minor=100, currency="EUR", made_at=began,
                )
            )  # fmt: skip
            if paid:
                self._pay(connection, lead.account_id, attempt, paid, began)
        return attempt

    def _pay(self, connection: Any, account: int, attempt: str, minor: int, at: datetime) -> None:
        for state in ("approved", "declined"):
            connection.execute(
                insert(t.payment).values(
                    id=state[0] + attempt[1:], order_ref=state[0] + attempt[-8:],
                    company_id=self.world.company_id, account_id=account, attempt_id=attempt,
                    source="call", gateway="test", mode="charge", amount_minor=minor,
                    currency="EUR", state=state, created_at=at, send_before=at,
                )
            )  # fmt: skip


def test_the_day_of_an_agent(database: Engine) -> None:
    talks = Talks(database)
    since = talks.now - timedelta(hours=1)
    talks.talk(60, paid=1250)
    talks.talk(30, ago=timedelta(minutes=10), paid=1000)
    talks.talk(500, ago=timedelta(hours=2), paid=9900)  # yesterday
    with database.connect() as connection:
        day = desk_day.day_of(connection, talks.ana, since, talks.now + timedelta(minutes=2))
        nobody = desk_day.day_of(connection, talks.ana + 1, since, talks.now)
    assert (day.calls, day.talk_seconds, day.promises) == (2, 90.0, 2)
    assert day.money == {"EUR": 2250}
    assert (nobody.calls, nobody.promises, nobody.money) == (0, 0, {})


def test_what_belongs_to_a_call_is_its_agents_alone(database: Engine) -> None:
    talks = Talks(database)
    attempt = talks.talk(60)
    with database.connect() as connection:
        terms = desk_day.call_terms(connection, talks.ana, attempt)
        other = desk_day.call_terms(connection, talks.ana + 1, attempt)
    assert terms is not None and other is None
    assert (terms.debtor, terms.identified, terms.wrap) == ("Debtor 1", False, 30.0)


def test_what_the_debtor_heard_last_is_shown_in_words(database: Engine) -> None:
    """As it was said: with the amount and the day, in the debtor's language."""
    talks = Talks(database)
    attempt = talks.talk(60)
    with database.begin() as connection:
        connection.execute(update(t.attempt).values(last_prompt="disclosure"))
        terms = desk_day.call_terms(connection, talks.ana, attempt)
        call = outcomes.load_call(connection, attempt)
    assert terms is not None and call is not None
    said = script.heard(terms, call, ROOT / "ivr_flows")
    assert said is not None and "Acme por un importe de 123,45\xa0€" in said
    assert "1 de abril de 2026" in said and "{" not in said
    # What cannot be known any more is left out.
    unknown = script.heard(replace(terms, last_prompt="promised"), call, ROOT / "ivr_flows")
    assert unknown is not None and script.UNKNOWN in unknown and "{" not in unknown


def test_who_else_is_at_work(database: Engine) -> None:
    talks = Talks(database)
    with database.begin() as connection:
        eva = create_agent(
            connection, talks.world.company_id, "eva", {"skills": ["legal"]}, "test", talks.now
        )
        away = create_agent(connection, talks.world.company_id, "away", {}, "test", talks.now)
        agent_sessions.open_session(
            connection, session_id="7" * 32, agent_id=eva, node="node1", leg_token="8" * 32,
            now=talks.now,
        )  # fmt: skip
        found = desk_day.colleagues(connection, talks.world.company_id, talks.ana)
        strangers = desk_day.colleagues(connection, talks.world.company_id + 1, talks.ana)
    assert [(one.id, one.name, one.skills) for one in found] == [(eva, "eva", ("legal",))]
    assert strangers == [] and away


@pytest.mark.database("sqlite")
def test_an_agent_sees_their_own_agreed_calls(site: Site) -> None:
    world = World(site.engine, at=datetime.now(UTC), company="Creditor")
    (me,) = world.rows(t.agent)
    due = datetime.now(UTC) + timedelta(days=1)
    for number, agent_id in (("+34600111222", me.id), ("+34600111223", None)):
        lead = world.rows(t.lead, id=world.lead(number))[0]
        with site.engine.begin() as connection:
            callbacks.book(
                connection,
                callbacks.NewCallback(
                    company_id=world.company_id, debtor_id=lead.debtor_id,
                    account_id=lead.account_id, due_at=due, made_by="test", lead_id=lead.id,
                    agent_id=agent_id, note="own" if agent_id else "anybody's",
                ),
                datetime.now(UTC),
            )  # fmt: skip
    told = site.client("agent").get("/desk/agreed").get_json()
    assert [one["note"] for one in told["agreed"]] == ["own"]
