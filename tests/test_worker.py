"""The worker as a process: real Redis, real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from fixtures_messaging import (
    SID,
    TOKEN,
    TwilioDouble,
    clean_environment,
    free_port,
    make_message,
    settings_for,
    start_redis,
    wait_until,
)
from redis import Redis
from world import World

from dialer.config import ROOT, Settings
from dialer.jobs import enqueue_message, message_queue, utc_now
from dialer.store import tables as t

pytestmark = pytest.mark.database("sqlite")

StartWorker = Callable[..., "WorkerProcess"]


class WorkerProcess:
    """``dialer worker`` for these settings; sweeps hard unless told otherwise."""

    def __init__(self, settings: Settings, *options: str) -> None:
        self.port = free_port()
        arguments = ["worker", "--health-port", str(self.port), *options]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "dialer", *arguments],
            cwd=ROOT,
            env={
                **clean_environment(),
                "DIALER_HOME": str(settings.home),
                "DATABASE_URL": settings.database,
                "REDIS_URL": settings.redis,
                "TWILIO_API_BASE": settings.twilio_base,
                "TWILIO_ACCOUNT_SID": SID,
                "TWILIO_AUTH_TOKEN": TOKEN,
                "TWILIO_FROM": settings.twilio_from,
                "DIALER_PUBLIC_URL": settings.public_url,
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def health(self) -> Any:
        """What its health page says; None while it does not answer."""
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/health", timeout=5).json()
        except requests.ConnectionError:
            return None

    def ready(self) -> WorkerProcess:
        """Wait until all is well."""
        wait_until(lambda: self.process.poll() is not None or (self.health() or {}).get("ok"))
        assert self.process.poll() is None, self.end()
        return self

    def end(self, how: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; the exit code and the log."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log


@pytest.fixture
def start(settings: Settings) -> Iterator[StartWorker]:
    """Starts workers; those that still run are killed at the end."""
    started: list[WorkerProcess] = []

    def begin(redis: str, *options: str) -> WorkerProcess:
        with_redis = settings.model_copy(update={"redis_url": redis})
        started.append(WorkerProcess(with_redis, *options))
        return started[-1]

    yield begin
    for worker in started:
        worker.end(signal.SIGKILL)


def _state(world: World, message_id: int) -> str:
    return str(world.rows(t.message, id=message_id)[0].state)


def _earlier() -> datetime:
    """Long enough ago that the sweep no longer waits for the bell."""
    return utc_now() - timedelta(minutes=1)


NO_SWEEP = ("--sweep-every", "3600")


def test_it_sends_what_is_enqueued_and_ends_in_order(
    start: StartWorker, redis_url: str, world: World, double: TwilioDouble
) -> None:
    worker = start(redis_url, *NO_SWEEP).ready()
    numbers = [f"+3460012{n:04d}" for n in range(100, 110)]
    ids = [make_message(world, number) for number in numbers]
    with Redis.from_url(redis_url) as redis:
        for message_id in ids:
            assert enqueue_message(redis, message_id)
    wait_until(lambda: all(_state(world, one) == "sent" for one in ids))
    metrics = requests.get(f"http://127.0.0.1:{worker.port}/metrics", timeout=5).text
    assert 'dialer_messages_total{state="sent"} 10.0' in metrics
    code, log = worker.end()
    assert code == 0
    assert len(double.kept) == 10
    assert log.count('"message moved"') == 10
    assert not any(number[-9:] in log for number in numbers), "no numbers in the log"
    assert "llame al" not in log


def test_burst_ends_when_nothing_is_left(
    start: StartWorker, redis_url: str, world: World, double: TwilioDouble
) -> None:
    enqueued = make_message(world)
    lost = make_message(world, "+34600120101", at=_earlier())
    with Redis.from_url(redis_url) as redis:
        enqueue_message(redis, enqueued)
    worker = start(redis_url, "--burst", *NO_SWEEP)
    assert worker.process.wait(60) == 0
    assert (_state(world, enqueued), _state(world, lost)) == ("sent", "sent")
    assert double.asked == 2


def test_killed_between_the_request_and_its_answer(
    start: StartWorker, redis_url: str, world: World, double: TwilioDouble
) -> None:
    worker = start(redis_url, *NO_SWEEP).ready()
    message_id = make_message(world)
    double.post("behave", number="+34600111222", fault="slow", seconds=60)
    with Redis.from_url(redis_url) as redis:
        enqueue_message(redis, message_id)
    wait_until(lambda: double.asked)
    worker.end(signal.SIGKILL)
    assert _state(world, message_id) == "sending"
    hasty = ("--sweep-every", "0.2", "--look-up-after", "0", "--give-back-after", "0")
    start(redis_url, *hasty).ready()
    wait_until(lambda: _state(world, message_id) == "sent")
    assert double.asked == 1, "looked up, not sent again"


def test_redis_is_restarted_and_everything_in_it_lost(
    start: StartWorker, tmp_path: Path, world: World, double: TwilioDouble
) -> None:
    home, port = tmp_path / "own", free_port()
    server = start_redis(home, port)
    try:
        worker = start(server.url, "--sweep-every", "0.3").ready()
        settings = settings_for(home, redis_url=server.url)
        queue = message_queue(settings)
        first = make_message(world, "+34600120001", at=_earlier())
        server.stop()
        assert not enqueue_message(queue, first)
        wait_until(lambda: _bell(worker) is not None)
        # With no Redis at all, the sweep alone sends it (0001: refused, and written down).
        wait_until(lambda: _state(world, first) == "failed")
        server = start_redis(home, port)
        wait_until(lambda: _bell(worker) is None)
        second = make_message(world, "+34600120102")
        assert enqueue_message(queue, second)
        wait_until(lambda: _state(world, second) == "sent")
        wait_until(lambda: queue.count == 0)
        queue.connection.close()
        assert worker.process.poll() is None
        assert worker.end()[0] == 0
        assert double.asked == 2
    finally:
        server.stop()


def test_it_ends_in_order_while_redis_is_away(
    start: StartWorker, tmp_path: Path, world: World
) -> None:
    server = start_redis(tmp_path / "own", free_port())
    try:
        worker = start(server.url, *NO_SWEEP).ready()
    finally:
        server.stop()
    wait_until(lambda: _bell(worker) is not None)
    code, log = worker.end()
    assert code == 0
    assert "worker ended" in log


def test_it_begins_without_a_redis(
    start: StartWorker, tmp_path: Path, world: World, double: TwilioDouble
) -> None:
    port = free_port()
    worker = start(f"redis://127.0.0.1:{port}/0", *NO_SWEEP)
    wait_until(worker.health)
    server = start_redis(tmp_path / "own", port)
    try:
        worker.ready()
        message_id = make_message(world)
        with Redis.from_url(server.url) as redis:
            enqueue_message(redis, message_id)
        wait_until(lambda: _state(world, message_id) == "sent")
        assert worker.end()[0] == 0
    finally:
        server.stop()


def _bell(worker: WorkerProcess) -> str | None:
    health = worker.health()
    assert health is not None
    said: str | None = health["checks"]["redis"]
    return said


def test_a_job_that_is_lost_is_swept_up(
    start: StartWorker, redis_url: str, world: World, double: TwilioDouble
) -> None:
    start(redis_url, "--sweep-every", "0.2").ready()
    message_id = make_message(world, at=_earlier())  # and nobody rings
    wait_until(lambda: _state(world, message_id) == "sent")
    assert double.asked == 1


def test_two_workers_share_the_work(
    start: StartWorker, redis_url: str, world: World, double: TwilioDouble
) -> None:
    for _ in range(2):
        start(redis_url, "--sweep-every", "0.05").ready()
    ids = [make_message(world, f"+3460012{n:04d}") for n in range(200, 230)]
    with Redis.from_url(redis_url) as redis:
        for message_id in ids:
            enqueue_message(redis, message_id)
    wait_until(lambda: all(_state(world, one) == "sent" for one in ids))
    assert double.asked == 30
