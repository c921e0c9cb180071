"""Live calls in the browser: what is shown, whose it is, and a hand on agents and their talks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from desk_parts import EngineStandIn
from fixtures_messaging import wait_until
from fixtures_site import Client, Site
from redis import Redis
from sqlalchemy import insert, select, update
from world import World, plan

from dialer.desk import Reply
from dialer.desk.wire import DESK_ALIVE
from dialer.store import agent_sessions
from dialer.store import tables as t
from dialer.store.agents import create_agent
from web import create_app


def now() -> datetime:
    return datetime.now(UTC)


class Office:
    """Two companies with an agent each at a desk, and a call with the first of them."""

    next_pause: str | None = None

    def __init__(self, site: Site) -> None:
        self.site = site
        self.world = World(site.engine, plan(name="June"), at=now(), company="Hers")
        with site.engine.begin() as c:
            c.execute(
                update(t.app_user)
                .where(t.app_user.c.id == site.ids["super"])
                .values(company_id=self.world.company_id)
            )
        self.hers = self.desk(self.world.company_id, "eva", "Eva Gil")
        self.theirs = self.desk(site.other, "leo", "Leo Rival")
        self.talk = self.call("answered")

    def desk(self, company_id: int, login: str, name: str) -> str:
        session = uuid.uuid4().hex
        with self.site.engine.begin() as c:
            agent_id = create_agent(c, company_id, login, {"name": name}, "test", now())
            agent_sessions.open_session(
                c, session_id=session, agent_id=agent_id, node="node1",
                leg_token=uuid.uuid4().hex, now=now(),
            )  # fmt: skip
        return session

    def call(self, state: str) -> str:
        lead = self.world.rows(t.lead, id=self.world.lead())[0]
        phone = self.world.rows(t.phone, debtor_id=lead.debtor_id)[0]
        attempt = uuid.uuid4().hex
        with self.site.engine.begin() as c:
            c.execute(
                insert(t.attempt).values(
                    id=attempt, campaign_id=self.world.campaign_id, lead_id=lead.id,
                    debtor_id=lead.debtor_id, phone_id=phone.id, number=phone.number,
                    caller_id="+34910000000", trunk="carrier", node="node1", flow="reminder",
                    state=state, placed_at=now(), answered_at=now(),
                )
            )  # fmt: skip
        return attempt

    def told(self, _command: Any) -> Reply:
        """The floor as the engine says it: Eva talks, Leo waits for calls, one debtor waits."""
        at = now().isoformat()
        self.queued = getattr(self, "queued", None) or self.call("answered")

        def agent(session: str, state: str, attempt: str | None) -> dict[str, Any]:
            return {"session": session, "agent_id": 1, "name": "?", "state": state, "since": at,
                    "pause_code": None, "present": True, "attempt": attempt,
                    "next_pause": self.next_pause if attempt else None}  # fmt: skip

        return Reply.done(
            agents=[agent(self.hers, "talking", self.talk), agent(self.theirs, "available", None)],
            queue=[{"attempt": self.queued, "kind": "escalation", "skill": "legal", "priority": 1,
                    "since": at}],
            talks=[{"attempt": self.talk, "session": self.hers, "joined": at, "away": "payment"}],
        )  # fmt: skip

    def trail(self) -> list[tuple[str, str, str]]:
        with self.site.engine.connect() as c:
            rows = c.execute(select(t.audit).where(t.audit.c.target.like("agent_session:%"))).all()
        return [(one.actor, one.action, one.target) for one in rows]


@pytest.fixture
def office(site: Site) -> Office:
    return Office(site)


@pytest.fixture
def engine(office: Office, redis_url: str) -> Iterator[EngineStandIn]:
    """One that answers."""
    made = EngineStandIn(redis_url)
    made.script["floor"] = office.told
    redis = Redis.from_url(redis_url)
    wait_until(lambda: redis.exists(DESK_ALIVE + "node1"))
    yield made
    made.stop()
    redis.close()


def part(client: Client) -> str:
    answer = client.get("/floor")
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.text)


# --- what is shown --------------------------------------------------------------------------


def test_the_engine_s_view_goes_before_the_database_s(
    office: Office, engine: EngineStandIn
) -> None:
    page = part(office.site.client("super"))
    assert "The engine does not answer" not in page
    assert "Eva Gil" in page and "Talking" in page and "keys in a card" in page
    assert page.count("Debtor 1") == 2, "with the agent, and among the calls in the air"
    waits = page.partition("<h2>Waiting for an agent</h2>")[2]
    assert "From the automatic call" in waits and "Debtor 2" in waits and "legal" in waits
    assert "+34600000001" not in page and "***" in page


def test_without_an_engine_the_database_is_shown_and_nothing_can_be_done(office: Office) -> None:
    client = office.site.client("super")
    page = part(client)
    assert "The engine does not answer" in page and "Eva Gil" in page and "Debtor 1" in page
    assert "Listen" not in page.partition('id="live"')[2]
    page = client.post(f"/floor/{office.hers}/pause", follow_redirects=True).text
    assert "nothing was done" in page and office.trail() == []


@pytest.mark.database("sqlite")
def test_where_no_agents_work_the_engine_is_not_missed(site: Site) -> None:
    """Its calls are seen all the same; where agents work, one that is away is told of."""
    world = World(site.engine, plan(name="June"), at=now(), company="Hers")
    assert "The engine does not answer" not in part(site.client("admin"))
    with_agents = site.settings.model_copy(update={"agents": True})
    site.app = create_app(with_agents, world.engine)
    assert "The engine does not answer" in part(site.client("admin"))


def test_a_company_sees_its_own(office: Office, engine: EngineStandIn) -> None:
    rival, admin = part(office.site.client("rival")), part(office.site.client("admin"))
    assert "Leo Rival" in rival and "Eva Gil" not in rival and "Debtor" not in rival.replace(
        ">Debtor<", "").replace("Debtors", "")  # fmt: skip
    assert "Waiting for an agent</h2>" not in rival
    assert "Leo Rival" in admin and "Eva Gil" in admin and "Hers" in admin


@pytest.mark.database("sqlite")
def test_a_break_is_asked_for_while_they_talk_and_seen(
    office: Office, engine: EngineStandIn
) -> None:
    client = office.site.client("super")
    assert "Pause afterwards" in part(client)
    client.post(f"/floor/{office.hers}/pause")
    office.next_pause = "supervisor"
    page = part(client)
    assert "then a break (by a supervisor)" in page and "Pause afterwards" not in page
    assert [one.args for one in engine.taken if one.name == "pause"] == [{"code": "supervisor"}]


def test_it_comes_live(office: Office, engine: EngineStandIn) -> None:
    answer = office.site.client("super").http.get("/floor/live")
    first = next(answer.iter_encoded()).decode()
    answer.close()
    assert answer.mimetype == "text/event-stream"
    assert "event: part" in first and "Eva Gil" in first and "<html" not in first


def test_the_engine_is_asked_once_a_second_for_all(office: Office, engine: EngineStandIn) -> None:
    clients = [office.site.client(who) for who in ("super", "rival", "admin")]
    taken = len(engine.names)
    for _ in range(4):
        for one in clients:
            one.get("/floor")
    assert 1 <= engine.names[taken:].count("floor") <= 3


# --- a hand on it ---------------------------------------------------------------------------


@pytest.mark.database("sqlite")
def test_a_supervisor_listens_and_leaves_a_trace(office: Office, engine: EngineStandIn) -> None:
    client, path = office.site.client("super"), f"/floor/{office.hers}"
    page = client.post(f"{path}/listen", {"by": "+34 910 (000) 001"}, follow_redirects=True).text
    assert "Your telephone is being called" in page
    for action in ("whisper", "barge"):
        client.post(f"{path}/{action}", {"by": " sip:boss-1@10.0.0.5:5060 "})
    for action in ("pause", "log_out", "hang_up"):
        client.post(f"{path}/{action}")
    done = [one for one in engine.taken if one.name != "floor"]
    assert [one.name.value for one in done] == [
        "listen", "whisper", "barge", "pause", "log_out", "hang_up"]  # fmt: skip
    assert {one.session for one in done} == {office.hers}
    assert done[0].args == {"by": "+34910000001"}
    assert done[1].args == {"by": "sip:boss-1@10.0.0.5:5060"}
    assert done[3].args == {"code": "supervisor"}
    who = f"user:{office.site.ids['super']}"
    assert [one[:2] for one in office.trail()] == [
        (who, f"agent.{one.name.value}") for one in done
    ]  # fmt: skip
    assert "910000001" not in str(office.trail())


@pytest.mark.database("sqlite")
def test_what_is_no_telephone_is_told_at_once(office: Office, engine: EngineStandIn) -> None:
    client = office.site.client("super")
    for wrong in ("", "910000001", "sip:", "+34910000001;exten=1"):
        answer = client.post(f"/floor/{office.hers}/listen", {"by": wrong}, follow_redirects=True)
        assert "Write your telephone with its country" in answer.text, wrong
    assert "listen" not in engine.names


@pytest.mark.database("sqlite")
def test_a_refusal_says_what_to_do(office: Office, engine: EngineStandIn) -> None:
    engine.script["log_out"] = lambda _: Reply.refused("talking", "end the call first")
    engine.script["hang_up"] = lambda _: Reply.refused("something_new", "who knows")
    client = office.site.client("super")
    page = client.post(f"/floor/{office.hers}/log_out", follow_redirects=True).text
    assert "They are talking" in page
    page = client.post(f"/floor/{office.hers}/hang_up", follow_redirects=True).text
    assert "something_new" in page and office.trail() == []


@pytest.mark.database("sqlite")
def test_strangers_desks_are_not_there(office: Office, engine: EngineStandIn) -> None:
    hers, nobodys = office.hers, "0" * 32
    tries = (("rival", hers, 404), ("super", nobodys, 404), ("auditor", hers, 403))
    for who, session, status in tries:
        client = office.site.client(who)
        for action in ("listen", "whisper", "barge", "pause", "log_out", "hang_up"):
            answer = client.post(f"/floor/{session}/{action}", {"by": "+34910000001"})
            assert answer.status_code == status, (who, action)
        assert client.post(f"/floor/{hers}/dtmf").status_code == 404
    assert set(engine.names) <= {"floor"} and office.trail() == []
