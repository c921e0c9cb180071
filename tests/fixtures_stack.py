"""The whole product on one machine for tests: everything but the engine runs for the session,
engines are processes that a test starts and kills."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fixtures_db import TEMPLATE
from sqlalchemy import Engine, text
from world import World, plan

from dialer.config import Settings
from dialer.domain.model import Disposition, RetryRule
from dialer.local.ports import with_free_ports
from dialer.local.postgres import PostgresServer
from dialer.local.stack import ENGINE, Stack, environment
from dialer.local.witnessing import Witnessing
from dialer.simulation.personas import named
from dialer.speech.render import ensure_company, ensure_prompts
from dialer.store import tables as t
from dialer.store.db import migrate, open_database

COMPONENTS = ("redis", "carrier", "asterisk", "twilio-double", "ivr", "worker", "web")
_SOON = RetryRule(delay=2, max_attempts=2)
RETRY = {
    Disposition.BUSY: _SOON,
    Disposition.NO_ANSWER: _SOON,
    Disposition.CONGESTION: _SOON,
    Disposition.FAILED: RetryRule(delay=2, max_attempts=20),
}


class Office:
    """A running installation and what a test does with it."""

    def __init__(self, stack: Stack, engine: Engine) -> None:
        self.stack = stack
        self.settings = stack.settings
        self.engine = engine
        self._names = itertools.count(1)
        self._numbers = itertools.count(1)

    def campaign(self, personas: list[str], **changes: Any) -> World:
        """A running campaign with one debtor for each persona named."""
        name = f"c{next(self._names)}-{int(time.time() * 1000)}"
        wanted: dict[str, Any] = {
            "name": name,
            "retry": RETRY,
            "ring_timeout": 12.0,
            "calls_per_second": 10.0,
            "max_attempts": 30,
            "max_attempts_per_day": 30,
        }
        world = World(self.engine, plan(**(wanted | changes)), at=datetime.now(UTC), company=name)
        for persona in personas:
            world.lead(f"+3460{next(self._numbers):05d}{named(persona).code}")
        return world

    @contextmanager
    def engine_process(
        self, world: World, lease: float = 1.0, *, until_finished: bool = True
    ) -> Iterator[subprocess.Popen[bytes]]:
        """An engine for one campaign; killed at the end if it still runs."""
        process = self.start_engine(world, lease, until_finished=until_finished)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start_engine(
        self, world: World, lease: float = 1.0, *, until_finished: bool = True
    ) -> subprocess.Popen[bytes]:
        """Start one; the caller ends it."""
        until = ["--until-finished"] if until_finished else []
        env = os.environ | {k: v for k, v in environment(self.settings).items() if v is not None}
        port = with_free_ports(Settings(home=self.settings.home)).engine_health_port
        env |= {"DIALER_LEASE_SECONDS": str(lease), "DIALER_ENGINE_HEALTH_PORT": str(port)}
        log = (self.settings.home / "log" / f"engine-{world.plan.name}.log").open("ab")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "dialer", ENGINE, "--campaign", world.plan.name, *until],
                env=env, stdout=log, stderr=log,
            )  # fmt: skip

    def wait(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        """Until it holds; fails with ``what`` after ``seconds``."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"after {seconds:g} s: {what}"
            time.sleep(0.1)

    def wait_finished(self, world: World, seconds: float) -> None:
        """Until the campaign has no lead left."""
        self.wait(f"{self.left(world)} leads are not done", lambda: self.left(world) == 0, seconds)

    def left(self, world: World) -> int:
        """Leads that are not done."""
        query = "SELECT count(*) FROM lead WHERE campaign_id = :c AND state != 'done'"
        return self._number(query, world)

    def placed(self, world: World) -> int:
        """Attempts so far."""
        return self._number("SELECT count(*) FROM attempt WHERE campaign_id = :c", world)

    def attempts(self, world: World) -> list[Any]:
        """The campaign's attempts in the order they were placed."""
        query = (
            t.attempt.select()
            .where(t.attempt.c.campaign_id == world.campaign_id)
            .order_by(t.attempt.c.placed_at)
        )
        with self.engine.connect().execution_options(dialer_readonly=True) as connection:
            return list(connection.execute(query))

    def _number(self, query: str, world: World) -> int:
        with self.engine.connect().execution_options(dialer_readonly=True) as connection:
            return int(connection.execute(text(query), {"c": world.campaign_id}).scalar_one())


@contextmanager
def open_office(home: Path, database_url: str = "", **changes: Any) -> Iterator[Office]:
    """Everything but the engine; SQLite in ``home`` unless a database is named. ``changes``: of the
    settings."""
    settings = with_free_ports(Settings(home=home, database_url=database_url, **changes))
    migrate(settings.database)
    ensure_prompts(settings)
    ensure_company(settings, "Acme")
    engine = open_database(settings.database)
    with Stack(settings, only=COMPONENTS) as stack:
        yield Office(stack, engine)
    engine.dispose()


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Everything but the engine, on SQLite, for the whole session."""
    with open_office(tmp_path_factory.mktemp("office")) as one:
        yield one


@pytest.fixture(scope="module")
def postgres_office(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Office]:
    """The same on PostgreSQL, for one module."""
    name = "office"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    with open_office(tmp_path_factory.mktemp("pg"), postgres_server.loopback_url(name)) as one:
        yield one
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def witness(office: Office) -> Iterator[Witnessing]:
    """What the simulated network sees during a test."""
    with Witnessing(office.settings) as seen:
        yield seen


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and its end awaited."""
    process.send_signal(signal.SIGKILL)
    process.wait()
