"""What tests of messages need: a real Redis and the double of Twilio, both as processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, insert
from world import World

from dialer.config import ROOT, Settings, load_settings
from dialer.jobs import Runtime, open_runtime, utc_now
from dialer.local.redis_server import RedisInstance, ensure_redis
from dialer.store import tables
from dialer.store.messages import NewMessage, create_message
from dialer.switch.portable import cache_folder

TOKEN = "token-of-the-double"
SID = "AC" + "a" * 32
SENDER = "+34600999999"
PATIENCE = 60.0


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What the condition gives as soon as it is true. Fails after ``seconds``."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        pause.wait(0.02)
    return found


def free_port() -> int:
    """A port of the loopback address that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TwilioDouble:
    """The double as a process of its own, and its control."""

    def __init__(self, home: Path, inbound_port: int, port: int = 0) -> None:
        command = ["--port", str(port), "--latency", "0", "--pause", "0.02", "--slow", "0.5"]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "dialer.simulation.twilio_double", *command],
            cwd=ROOT,
            env={
                **clean_environment(),
                "DIALER_HOME": str(home),
                "TWILIO_ACCOUNT_SID": SID,
                "TWILIO_AUTH_TOKEN": TOKEN,
                "DIALER_WEB_PORT": str(inbound_port),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.url = line.split()[-1]
        self.session = requests.Session()

    def get(self, what: str) -> Any:
        """``/_double/<what>``."""
        return self.session.get(f"{self.url}/_double/{what}", timeout=10).json()

    def post(self, what: str, **values: Any) -> Any:
        """``/_double/<what>`` with these values."""
        return self.session.post(f"{self.url}/_double/{what}", json=values, timeout=30).json()

    @property
    def kept(self) -> list[dict[str, Any]]:
        """Messages that the double has, the newest first."""
        return list(self.get("messages"))

    @property
    def asked(self) -> int:
        """Requests to send that came in."""
        return int(self.get("stats")["counts"].get("requests", 0))

    def stop(self) -> None:
        """End the process."""
        self.session.close()
        self.process.terminate()
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


def clean_environment() -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    ours = ("DIALER_", "TWILIO_", "DATABASE_URL", "REDIS_URL")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)}


@pytest.fixture(scope="session")
def _double_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwilioDouble]:
    process = TwilioDouble(tmp_path_factory.mktemp("double"), free_port())
    yield process
    process.stop()


@pytest.fixture
def double(_double_process: TwilioDouble) -> TwilioDouble:
    """The double, as new."""
    _double_process.post("reset")
    return _double_process


@pytest.fixture(scope="session")
def _redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisInstance]:
    home = tmp_path_factory.mktemp("redis")
    instance = start_redis(home, free_port())
    yield instance
    instance.stop()


@pytest.fixture
def redis_url(_redis_process: RedisInstance) -> str:
    """A real Redis, emptied."""
    import redis

    with redis.Redis.from_url(_redis_process.url) as client:
        client.flushall()
    return _redis_process.url


def start_redis(home: Path, port: int) -> RedisInstance:
    """A Redis of this test's own, which keeps nothing."""
    settings = load_settings(home=home, cache=cache_folder(), redis_url="")
    return ensure_redis(settings, folder=home / "redis", port=port, append_only=False)


def settings_for(home: Path, **changes: Any) -> Settings:
    """Settings of an installation that speaks to the double."""
    values: dict[str, Any] = {
        "home": home,
        "twilio_account_sid": SID,
        "twilio_auth_token": TOKEN,
        "twilio_from": SENDER,
        "public_url": "http://127.0.0.1:9",  # nobody listens: reports go nowhere
        "pay_link_base": "",
        "redis_url": "redis://127.0.0.1:9/0",
    }
    return load_settings(**(values | changes))


@pytest.fixture
def settings(tmp_path: Path, database_url: str, double: TwilioDouble) -> Settings:
    """Settings with a database and the double, without a Redis."""
    return settings_for(tmp_path, database_url=database_url, twilio_api_base=double.url)


@pytest.fixture
def world(database: Engine) -> World:
    """A company and its campaign, of today."""
    return World(database, at=utc_now())


@pytest.fixture
def held(settings: Settings) -> Iterator[Runtime]:
    """What a worker holds open."""
    runtime = open_runtime(settings)
    yield runtime
    runtime.database.dispose()


def make_message(world: World, number: str = "+34600111222", **changes: Any) -> int:
    """A committed message to a new debtor with that number; its id."""
    lead = world.rows(tables.lead, id=world.lead(number))[0]
    values: dict[str, Any] = {
        "key": f"test:{lead.id}",
        "company_id": world.company_id,
        "debtor_id": lead.debtor_id,
        "account_id": lead.account_id,
        "campaign_id": world.campaign_id,
        "number": number,
        "template": "missed_call",
        "body": f"Acme: llame al {lead.id}. STOP BAJA",
    }
    at = changes.pop("at", None) or utc_now()
    with world.engine.begin() as connection:
        return create_message(connection, NewMessage(**(values | changes)), at)


def make_fallback(world: World, message_id: int, hangup_at: datetime) -> None:
    """The fallback step that made this message, after an attempt that ended at ``hangup_at``."""
    row = world.rows(tables.message, id=message_id)[0]
    lead = world.rows(tables.lead, debtor_id=row.debtor_id)[0]
    phone = world.rows(tables.phone, debtor_id=row.debtor_id)[0]
    attempt_id = f"{message_id:032x}"
    with world.engine.begin() as connection:
        connection.execute(
            insert(tables.attempt).values(
                id=attempt_id, campaign_id=world.campaign_id, lead_id=lead.id,
                debtor_id=lead.debtor_id, phone_id=phone.id, number=phone.number,
                caller_id="+34910000000", trunk="carrier", node="node1", flow="reminder",
                state="ended", placed_at=hangup_at,
            )
        )  # fmt: skip
        connection.execute(
            insert(tables.fallback).values(
                attempt_id=attempt_id, step=1, kind="sms", at=hangup_at, hangup_at=hangup_at,
                made_message_id=message_id,
            )
        )  # fmt: skip
