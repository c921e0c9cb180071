"""The API served as it really is, with agents, a database, Redis and an engine's stand-in."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from desk_parts import EngineStandIn
from fixtures_messaging import settings_for, wait_until
from redis import Redis
from sqlalchemy import Engine, insert
from waitress import wasyncore
from world import World

from dialer.config import Settings
from dialer.desk import Command, Reply
from dialer.desk.wire import DESK_ALIVE, desk_redis
from dialer.domain.model import AgentCallKind
from dialer.jobs import utc_now
from dialer.store import agent_calls, agent_sessions, agents
from dialer.store import tables as t
from dialer.tls import trusted
from web import create_app
from web.agents_access import SECRET_SUPERVISOR
from web.agents_api import AGENT
from web.serving import end_streams, make_server
from web.supervisors_api import SUPERVISOR


class Worker:
    """One web process, as a thread."""

    def __init__(self, settings: Settings, database: Engine) -> None:
        self.app = create_app(settings, database)
        self.server = make_server(self.app, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.effective_port}"
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self.server.run()

    def stop(self) -> None:
        """End the live views, then the server."""
        end_streams(self.app)
        # The threads first: one that writes later would write into whatever has its file by then.
        self.server.task_dispatcher.shutdown()
        assert not self.server.task_dispatcher.threads
        self.server.trigger.pull_trigger(lambda: wasyncore.close_all(self.server._map, True))
        self._thread.join(10)
        assert not self._thread.is_alive()


class Caller:
    """Somebody with a token."""

    prefix = ""

    def __init__(self, worker: Worker, token: str) -> None:
        self.token = token
        self.http = httpx.Client(
            base_url=worker.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
            trust_env=False,
            verify=trusted(),
        )

    def get(self, path: str, **headers: str) -> httpx.Response:
        """GET below the prefix."""
        return self.http.get(self.prefix + path, headers=headers)

    def post(
        self, path: str, body: dict[str, Any] | None = None, key: str | None = None
    ) -> httpx.Response:
        """POST below the prefix."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.http.post(self.prefix + path, json=body or {}, headers=headers)


class Supervisor(Caller):
    """A supervisor."""

    prefix = SUPERVISOR


class Agent(Caller):
    """An agent; ``session`` once they are logged in."""

    prefix = AGENT
    session = ""

    def __init__(self, floor: Floor, worker: Worker, agent_id: int, token: str) -> None:
        super().__init__(worker, token)
        self.floor, self.id = floor, agent_id
        floor.clients.append(self.http)

    def at(self, worker: Worker) -> Agent:
        """The same agent, at another worker."""
        return Agent(self.floor, worker, self.id, self.token)


class Floor:
    """Everything together."""

    def __init__(self, settings: Settings, database: Engine, redis: Redis) -> None:
        self.settings, self.database, self.redis = settings, database, redis
        self.url = settings.redis
        self.world = World(database, at=utc_now())
        self.workers: list[Worker] = []
        self.clients: list[httpx.Client] = []
        self.engines: list[EngineStandIn] = []

    def open(self) -> None:
        """Begin with one web process and an engine."""
        self.worker()
        self.http = httpx.Client(
            base_url=self.workers[0].url, timeout=10, trust_env=False, verify=trusted()
        )
        self.clients.append(self.http)
        self.start_engine()

    def start_engine(self) -> None:
        """An engine, which takes commands."""
        self.engine = EngineStandIn(self.url)
        self.engines.append(self.engine)
        self.engine.script |= {
            "log_in": self._log_in,
            "log_out": self._log_out,
            "new_leg": lambda _: Reply.done(leg_token=uuid.uuid4().hex),
        }
        wait_until(lambda: self.redis.exists(DESK_ALIVE + "node1"))

    def worker(self) -> Worker:
        """One more web process."""
        self.workers.append(Worker(self.settings, self.database))
        return self.workers[-1]

    def agent(self, login: str, skills: tuple[str, ...] = ()) -> Agent:
        """An agent with a token."""
        with self.database.begin() as connection:
            agent_id = agents.create_agent(
                connection, self.world.company_id, login, {"skills": skills}, "test", utc_now()
            )
            token = agents.new_token(connection, agent_id, "test", utc_now())
        return Agent(self, self.workers[0], agent_id, token)

    def logged_in(self, login: str, node: str = "node1") -> Agent:
        """An agent at their desk."""
        one = self.agent(login)
        answer = one.post("/session")
        assert answer.status_code == 201, answer.text
        one.session = answer.json()["session"]
        with self.database.begin() as connection:
            connection.execute(t.agent_session.update().values(node=node))
        return one

    def supervisor(self) -> Supervisor:
        """A supervisor."""
        found = Supervisor(self.workers[0], self.settings.secret(SECRET_SUPERVISOR))
        self.clients.append(found.http)
        return found

    def call_at(self, one: Agent) -> str:
        """A debtor at this desk; the attempt."""
        lead = self.world.rows(t.lead, id=self.world.lead("+34600111222"))[0]
        phone = self.world.rows(t.phone, debtor_id=lead.debtor_id)[0]
        attempt, now = uuid.uuid4().hex, utc_now()
        with self.database.begin() as connection:
            connection.execute(
                insert(t.attempt).values(
                    id=attempt, campaign_id=self.world.campaign_id, lead_id=lead.id,
                    debtor_id=lead.debtor_id, phone_id=phone.id, number=phone.number,
                    caller_id="+34910000000", trunk="carrier", node="node1", flow="reminder",
                    state="answered", placed_at=now, answered_at=now,
                )
            )  # fmt: skip
            call = agent_calls.queue_call(
                connection,
                agent_calls.NewCall(
                    attempt_id=attempt, company_id=self.world.company_id,
                    debtor_id=lead.debtor_id, kind=AgentCallKind.ESCALATION,
                    campaign_id=self.world.campaign_id, reason="asked",
                ),
                now,
            )  # fmt: skip
            agent_calls.offer(connection, call, one.session, one.id, now)
        return attempt

    def stop(self) -> None:
        """All of it."""
        for engine in self.engines:
            for held in engine.held.values():
                held.set()
        for client in self.clients:
            client.close()
        for worker in self.workers:
            worker.stop()
        for engine in self.engines:
            engine.stop()

    def _log_in(self, command: Command) -> Reply:
        session, leg = uuid.uuid4().hex, uuid.uuid4().hex
        with self.database.begin() as connection:
            agent_sessions.open_session(
                connection,
                session_id=session,
                agent_id=command.args["agent_id"],
                node="node1",
                leg_token=leg,
                now=utc_now(),
            )
        sip = {"url": "sip:x", "user": "browser", "password": "p", "ws": "ws://x/ws"}
        return Reply.done(session=session, leg_token=leg, sip=sip)

    def _log_out(self, command: Command) -> Reply:
        assert command.session is not None
        with self.database.begin() as connection:
            agent_sessions.end_session(connection, command.session, "log_out", utc_now())
        return Reply.done()


@contextmanager
def open_floor(home: Path, database: Engine, redis_url: str) -> Iterator[Floor]:
    """An installation with one web worker and an engine."""
    settings = settings_for(home, redis_url=redis_url)
    redis = desk_redis(redis_url)
    made = Floor(settings, database, redis)
    try:
        made.open()
        yield made
    finally:
        made.stop()
        redis.close()
