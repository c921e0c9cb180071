"""Live views: server-sent events from the engine to a page, over everything that can break."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk_web import Agent, Caller, Floor, open_floor
from fixtures_messaging import (
    clean_environment,
    free_port,
    settings_for,
    start_redis,
    wait_until,
)
from sqlalchemy import Engine

from dialer import metrics
from dialer.config import ROOT
from dialer.desk.client import DeskClient, DeskError, DeskEvent, SupervisorClient, parse_events
from dialer.jobs import utc_now
from dialer.store import agents
from dialer.switch.names import DESK_EVENTS
from web import agents_events
from web.agents_events import Streams
from web.problems import Problem
from web.serving import STREAMS

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def floor(tmp_path: Path, database: Engine, redis_url: str) -> Iterator[Floor]:
    """An installation with one web worker and an engine."""
    with open_floor(tmp_path, database, redis_url) as made:
        yield made


class Page:
    """What a page has heard, listened to in a thread of its own with the client."""

    def __init__(self, floor: Floor, one: Agent, worker: int = 0) -> None:
        self.client = DeskClient(floor.workers[worker].url, one.token)
        self.heard: list[DeskEvent] = []
        self.failed: DeskError | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def numbers(self) -> list[int]:
        """What the queue events said."""
        return [one.data["waiting"] for one in self.heard if one.type == "queue"]

    @property
    def ended(self) -> bool:
        """It listens no more."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Leave."""
        self.client.close()
        self._thread.join(15)
        assert self.ended

    def _listen(self) -> None:
        try:
            for event in self.client.events():
                self.heard.append(event)
        except DeskError as error:
            self.failed = error


class Raw:
    """A page's connection whose answer has begun, to be broken at will."""

    def __init__(self, one: Caller, path: str = "/session/events", **headers: str) -> None:
        host, port = one.http.base_url.host, one.http.base_url.port
        assert port is not None
        self.socket = socket.create_connection((host, port), timeout=30)
        self.file = self.socket.makefile("r", encoding="utf-8", newline="")
        lines = [f"GET {one.prefix}{path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Authorization: Bearer {one.token}", "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        assert self.file.readline() == "HTTP/1.1 200 OK\r\n"
        while not self.file.readline().startswith(": listening"):
            pass

    def lines(self) -> Iterator[str]:
        """Lines of the body: what ends as a line of HTTP does is the size of a chunk."""
        for line in self.file:
            if not line.endswith("\r\n"):
                yield line.rstrip("\n")

    def close(self) -> None:
        """Break it."""
        self.file.close()
        self.socket.close()


def queue(floor: Floor, one: Agent, *numbers: int) -> None:
    for number in numbers:
        floor.engine.publish(one.session, {"type": "queue", "waiting": number})


def streams(floor: Floor, worker: int = 0) -> list[Any]:
    held: Streams = floor.workers[worker].app.extensions[STREAMS]
    return list(held._held)


def test_events_come_as_they_are_published(floor: Floor) -> None:
    ana, eva = floor.logged_in("ana"), floor.logged_in("eva")
    queue(floor, ana, 1)
    page = Page(floor, ana)
    wait_until(lambda: page.numbers == [1])  # told before anybody listened
    begun = time.monotonic()
    queue(floor, ana, 2)
    wait_until(lambda: page.numbers == [1, 2])
    assert time.monotonic() - begun < 2
    queue(floor, eva, 9)
    floor.engine.publish(None, {"type": "floor", "talking": 1})
    floor.engine.publish(ana.session, {"type": "call", "attempt": "x", "story": {"name": "Ñandú"}})
    floor.engine.publish(ana.session, {"type": "state", "state": "logged_out"})
    wait_until(lambda: page.ended)
    assert page.failed is None
    assert [one.type for one in page.heard] == ["queue", "queue", "call", "state"]
    assert page.heard[2].data["story"]["name"] == "Ñandú"
    wait_until(lambda: streams(floor) == [])
    page.close()


def test_a_page_that_is_cut_off_misses_nothing(floor: Floor) -> None:
    """The connection breaks again and again while events go on; another worker takes over."""
    ana = floor.logged_in("ana")
    floor.worker()
    seen, heard = "0", []
    for turn in range(6):
        one = ana if turn % 2 else ana.at(floor.workers[1])
        queue(floor, ana, *range(turn * 10, turn * 10 + 5))
        connection = Raw(one, **{"Last-Event-ID": seen})
        queue(floor, ana, *range(turn * 10 + 5, turn * 10 + 10))
        for event in parse_events(connection.lines()):
            assert event.type != "gap"
            seen = event.id
            heard.append(event.data["waiting"])
            if len(heard) >= turn * 10 + 7:
                break  # torn in the middle
        connection.close()
    page = Page(floor, ana)
    wait_until(lambda: page.numbers == list(range(60)))
    page.close()
    assert heard == list(range(heard[-1] + 1))


def test_redis_restarted_under_an_open_page(tmp_path: Path, database: Engine) -> None:
    port = free_port()
    server = start_redis(tmp_path, port)
    try:
        with open_floor(tmp_path, database, server.url) as floor:
            ana = floor.logged_in("ana")
            page = Page(floor, ana)
            queue(floor, ana, 0, 1, 2)
            wait_until(lambda: page.numbers == [0, 1, 2])
            server.stop()
            queue(floor, ana, 3, 4)
            away = ana.post("/session/ready")
            assert away.status_code == 503
            assert away.elapsed.total_seconds() < 3
            server = start_redis(tmp_path, port)  # with nothing left of what it knew
            wait_until(lambda: page.numbers == [0, 1, 2, 3, 4])
            # What it had seen last is gone, so the page is told to look for itself.
            assert [one.type for one in page.heard].count("gap") == 1
            wait_until(lambda: ana.post("/session/ready").status_code == 200)
            page.close()
    finally:
        server.stop()


def test_a_redis_that_hangs_is_waited_for_three_seconds_at_most(
    tmp_path: Path, database: Engine
) -> None:
    server = start_redis(tmp_path, free_port())
    assert server.process is not None
    try:
        with open_floor(tmp_path, database, server.url) as floor:
            ana = floor.logged_in("ana")
            server.process.send_signal(signal.SIGSTOP)
            try:
                answer = ana.post("/session/ready")
            finally:
                server.process.send_signal(signal.SIGCONT)
            assert answer.status_code == 503
            assert answer.elapsed.total_seconds() < 3.5
            wait_until(lambda: ana.post("/session/ready").status_code == 200)
    finally:
        server.stop()


def test_an_event_that_is_gone_is_told_as_a_gap(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    queue(floor, ana, 1)
    wait_until(lambda: floor.redis.exists(DESK_EVENTS + ana.session))
    with DeskClient(floor.workers[0].url, ana.token) as desk:
        first = desk.now().last_event
        assert first is not None
        events = desk.events(after=first)
        queue(floor, ana, 2)
        assert next(events).data["waiting"] == 2
        events = desk.events(after="1700000000000-0")
        told = [next(events) for _ in range(3)]
    assert [one.type for one in told] == ["gap", "queue", "queue"]


def test_a_wrong_place_to_go_on_from(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    for wrong in ("yesterday", "1-2-3", "-1", "9" * 30, "0x1"):
        answer = ana.get("/session/events", **{"Last-Event-ID": wrong})
        assert answer.status_code == 422, wrong
    assert ana.http.get(f"{ana.prefix}/session/events?after=x").status_code == 422


def test_a_page_is_kept_alive_and_lets_go(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents_events, "LOOK_MS", 20)
    monkeypatch.setattr(agents_events, "KEEP_ALIVE", 0.05)
    ana = floor.logged_in("ana")
    connection = Raw(ana)
    lines = connection.lines()
    for _ in range(2):
        while not next(lines).startswith(": keep-alive"):
            pass
    assert len(streams(floor)) == 1
    connection.close()
    wait_until(lambda: streams(floor) == [])


def test_a_page_that_has_gone_is_noticed_before_anything_is_said(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents_events, "KEEP_ALIVE", 3600.0)
    Raw(floor.logged_in("ana")).close()
    wait_until(lambda: streams(floor) == [], 15)


def test_who_may_listen_no_more_is_let_go(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents_events, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(agents_events, "LOOK_MS", 20)
    ana, eva = floor.logged_in("ana"), floor.logged_in("eva")
    pages = [Page(floor, ana), Page(floor, eva)]
    wait_until(lambda: len(streams(floor)) == 2)
    with floor.database.begin() as connection:
        agents.new_token(connection, ana.id, "test", utc_now())
    assert eva.http.delete(f"{eva.prefix}/session").status_code == 204
    wait_until(lambda: all(page.ended for page in pages))
    for page in pages:
        page.close()


def test_the_newest_pages_of_an_agent_stay(floor: Floor) -> None:
    ana = floor.logged_in("ana")
    connections = [Raw(ana) for _ in range(agents_events.EACH)]
    oldest = streams(floor)[0]
    connections.append(Raw(ana))
    wait_until(lambda: oldest not in streams(floor))
    assert len(streams(floor)) == agents_events.EACH
    for one in connections:
        one.close()


def test_live_views_leave_threads_to_the_others(floor: Floor) -> None:
    app = floor.workers[0].app
    held: Streams = app.extensions[STREAMS]
    held._most = 3
    everybody = [floor.logged_in(name) for name in ("ana", "eva", "leo", "mia")]
    connections = [Raw(one) for one in everybody[:3]]
    assert metrics.DESK_STREAMS._value.get() == 3
    answer = everybody[3].get("/session/events")
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_streams")
    assert answer.headers["Retry-After"] == "5"
    assert everybody[3].post("/session/ready").status_code == 200
    connections.pop().close()
    wait_until(lambda: len(streams(floor)) == 2)
    Raw(everybody[3]).close()
    for one in connections:
        one.close()


def test_more_than_a_hundred_views_at_once(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.supervisors_api.TOGETHER", 110)
    ana, boss = floor.logged_in("ana"), floor.supervisor()
    views = [Raw(boss, "/events") for _ in range(110)]
    assert len(streams(floor)) == 110  # a supervisor's fifth view has closed none

    def listening() -> bool:
        clients: Any = floor.redis.client_list()
        return len([one for one in clients if one["cmd"] == "xread"]) >= 110

    wait_until(listening)
    floor.engine.publish(None, {"type": "floor", "talking": 7})
    for view in views:
        assert next(parse_events(view.lines())).data["talking"] == 7
    assert ana.post("/session/ready").status_code == 200
    for view in views:
        view.close()
    wait_until(lambda: streams(floor) == [])


def test_places_are_given_back_once() -> None:
    places = Streams(most=2, each=2)
    first, second = places.open("a"), places.open("b")
    with pytest.raises(Problem):
        places.open("c")
    places.release(first)
    places.release(first)
    places.open("c")
    with pytest.raises(Problem):
        places.open("d")
    places.close()
    assert second.stop.is_set()
    places.release(second)
    with pytest.raises(Problem):
        places.open("d")


def test_supervisors_hear_the_floor(floor: Floor) -> None:
    boss = floor.supervisor()
    floor.engine.publish(None, {"type": "floor", "talking": 1})
    wait_until(lambda: floor.redis.exists("dialer:floor:events"))
    floor.engine.script["floor"] = lambda _: agents_reply()
    with SupervisorClient(floor.workers[0].url, boss.token) as client:
        after = client.floor()["last_event"]
        floor.engine.publish(None, {"type": "floor", "talking": 2})
        events = client.events(after)
        assert next(events).data["talking"] == 2  # what the snapshot knew is not told again
        heard: list[DeskEvent] = []
        listener = threading.Thread(target=lambda: heard.append(next(client.events())))
        listener.start()
        wait_until(lambda: len(streams(floor)) == 2)
        floor.redis.set("probe", 1)

        def told() -> bool:
            floor.engine.publish(None, {"type": "floor", "talking": 3})
            return bool(heard)

        wait_until(told)
        listener.join(10)
        assert heard[0].data["talking"] == 3


def agents_reply() -> Any:
    from dialer.desk import Reply

    return Reply.done(agents=[])


def test_the_client_gives_up_where_nobody_listens_to_it(floor: Floor) -> None:
    out = floor.agent("out")
    with DeskClient(floor.workers[0].url, out.token) as desk, pytest.raises(DeskError) as caught:
        next(desk.events())
    assert caught.value.code == "no_session"


def test_a_web_process_that_is_told_to_end_ends(
    tmp_path: Path, database: Engine, redis_url: str
) -> None:
    """``dialer web`` with a page open: SIGTERM, and it is gone within moments."""
    with open_floor(tmp_path, database, redis_url) as floor:
        ana = floor.logged_in("ana")
        port = free_port()
        settings = settings_for(tmp_path, redis_url=redis_url)
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "dialer", "web"],
            cwd=ROOT,
            env={
                **clean_environment(),
                "DIALER_HOME": str(settings.home),
                "DATABASE_URL": database.url.render_as_string(hide_password=False),
                "REDIS_URL": redis_url,
                "DIALER_WEB_PORT": str(port),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        client = DeskClient(f"http://127.0.0.1:{port}", ana.token)
        try:

            def up() -> bool:
                assert process.poll() is None, process.communicate()
                try:
                    return client.now().session == ana.session
                except DeskError:
                    return False

            wait_until(up)
            heard: list[str] = []
            page = threading.Thread(target=lambda: heard.extend(e.type for e in client.events()))
            page.start()
            queue(floor, ana, 1)
            wait_until(lambda: heard == ["queue"])
            process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            _, log = process.communicate(timeout=30)
            assert process.returncode == 0
            assert time.monotonic() - begun < 15
            assert "still running" not in log
        finally:
            process.kill()
            process.communicate()
            client.close()
            page.join(10)
        assert '"web ended"' in log
        assert httpx.codes.is_success(ana.get("/session").status_code)
