"""``dialer worker``: the process that sends messages, webhooks and reports by e-mail, and asks
gateways about payments in doubt.

rq's worker without a fork for each job, so that a message leaves within milliseconds of its job;
beside it the sweeps, which need no Redis: of messages, payments, webhooks and reports. A Redis
that goes away ends rq's own loop: it is begun again until somebody asks this process to stop.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import FrameType

import click
from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.exceptions import StopRequested
from sqlalchemy import text

from dialer import jobs
from dialer.commands import common
from dialer.config import Settings, load_settings
from dialer.health import serve_health
from dialer.jobs import Patience, Runtime
from dialer.logs import configure_logging, get_logger
from dialer.payments.resolving import Resolver
from dialer.store import messages
from dialer.switch import recordings
from dialer.webhooks.sending import WebhookSender

log = get_logger(__name__)

REDIS_SECONDS = 5.0
AGAIN_AFTER = 1.0
LATE = timedelta(minutes=1)
RECORDINGS_EVERY = 3600.0
"""Seconds between two looks for recordings that are older than they may be."""


class MessageWorker(SimpleWorker):
    """rq's worker, with signals that outlive it and patience for Redis in seconds."""

    max_connection_wait_time = 2.0
    asked_to_stop = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Finish the job at hand, then end."""
        self.asked_to_stop = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


class Sweeper(threading.Thread):
    """Sweeps every so many seconds until closed. ``sweep`` is given a way to ask whether to end."""

    def __init__(
        self, name: str, every: float, sweep: Callable[[Callable[[], bool]], object]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._every = every
        self._sweep = sweep
        self._closing = threading.Event()
        self._swept = time.monotonic()

    def run(self) -> None:
        """Sweep; whatever goes wrong, sweep again."""
        while not self._closing.wait(self._every):
            try:
                self._sweep(self._closing.is_set)
                self._swept = time.monotonic()
            except Exception:
                log.exception("sweep failed", sweep=self.name)

    def check(self) -> str | None:
        """For the health page."""
        silent = time.monotonic() - self._swept
        return f"no sweep for {silent:.0f} s" if silent > 10 * self._every + 30 else None

    def close(self) -> None:
        """Let the message under way come to its end, and begin no other."""
        self._closing.set()
        self.join(jobs.JOB_SECONDS)


def checks(held: Runtime, redis: Redis) -> Mapping[str, Callable[[], str | None]]:
    """What the health page asks."""

    def database() -> str | None:
        with held.database.connect().execution_options(dialer_readonly=True) as connection:
            connection.execute(text("SELECT 1"))
        return None

    def bell() -> str | None:
        try:
            redis.ping()
        except RedisError as error:
            return f"Redis does not answer ({type(error).__name__}): messages leave by the sweep"
        return None

    def backlog() -> str | None:
        now = jobs.utc_now()
        with held.database.connect().execution_options(dialer_readonly=True) as connection:
            late = len(messages.due_messages(connection, now - LATE, limit=1000))
        return f"{late} messages wait for more than a minute" if late else None

    return {"database": database, "redis": bell, "backlog": backlog}


def run_worker(
    settings: Settings,
    *,
    burst: bool = False,
    health_port: int | None = None,
    sweep_every: float = 5.0,
    patience: Patience = Patience(),  # noqa: B008 - frozen
) -> int:
    """Work until asked to stop (SIGTERM, SIGINT), or until nothing is left (``burst``); 0."""
    from web.console.report_mail import ReportMailer  # what makes pages and files is large

    held = jobs.open_runtime(settings)
    jobs.use_runtime(held)
    redis = Redis.from_url(
        settings.redis,
        socket_connect_timeout=REDIS_SECONDS,
        socket_timeout=REDIS_SECONDS,
        socket_keepalive=True,
    )
    queue = jobs.message_queue(settings)
    resolver = Resolver(
        settings, held.database, enqueue=lambda message: jobs.enqueue_message(queue, message)
    )
    webhooks = WebhookSender(settings, held.database)
    reports = ReportMailer(settings, held.database)
    sweepers = (
        Sweeper("sweep", sweep_every, lambda stop: jobs.sweep(held, patience, stop)),
        Sweeper("payments", sweep_every, lambda _stop: resolver.sweep()),
        Sweeper("webhooks", sweep_every, webhooks.sweep),
        Sweeper("reports", sweep_every, reports.sweep),
        Sweeper(
            "recordings",
            RECORDINGS_EVERY,
            lambda _stop: recordings.sweep(settings, jobs.utc_now()),
        ),
    )
    health = serve_health(
        settings.worker_health_port if health_port is None else health_port,
        "worker",
        {
            **checks(held, redis),
            **{one.name: one.check for one in sweepers},
            "in_doubt": resolver.check,
            "webhooks_late": webhooks.check,
            "reports_late": reports.check,
        },
    )
    log.info("worker started", pid=os.getpid(), health_port=health.port)
    for one in sweepers:
        one.start()
    try:
        _work(settings, burst)
        if burst:
            for thread in (*resolver.sweep(), *webhooks.sweep()):
                thread.join()
            jobs.sweep(held, patience)
            reports.sweep()
    except StopRequested:
        pass
    finally:
        for one in sweepers:
            one.close()
        resolver.close()
        webhooks.close()
        queue.connection.close()
        health.close()
        jobs.use_runtime(None)
        held.database.dispose()
        redis.close()
        log.info("worker ended", pid=os.getpid())
    return 0


def _work(settings: Settings, burst: bool) -> None:
    """rq's loop, begun again whenever it ends without having been asked to."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise StopRequested

    # rq speaks of every job on two lines of its own.
    for name in ("rq.worker", "rq.job"):
        logging.getLogger(name).setLevel(logging.WARNING)
    while True:
        # Between two of rq's workers these signals are ours.
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        if _listen(settings, burst) or burst:
            return
        time.sleep(AGAIN_AFTER)


def _listen(settings: Settings, burst: bool) -> bool:
    """One worker of rq until it ends; whether somebody asked it to."""
    worker = None
    try:
        with Redis.from_url(
            settings.redis, socket_connect_timeout=REDIS_SECONDS, socket_keepalive=True
        ) as redis:
            worker = MessageWorker([jobs.QUEUE], connection=redis, log_job_description=False)
            worker.work(burst=burst)
    except RedisError as error:
        # Also at the end of a worker that wanted to sign off.
        log.warning("redis is away", error=type(error).__name__)
    return worker is not None and worker.asked_to_stop


@click.command("worker")
@click.option("--burst", is_flag=True, help="End when no message is left.")
@click.option(
    "--health-port",
    type=click.IntRange(0, 65535),
    help="Of the health page (DIALER_WORKER_HEALTH_PORT); 0 takes a free one.",
)
@click.option("--sweep-every", type=float, default=5.0, hidden=True)
@click.option("--look-up-after", type=float, default=15.0, hidden=True)
@click.option("--give-back-after", type=float, default=60.0, hidden=True)
def worker(
    burst: bool,
    health_port: int | None,
    sweep_every: float,
    look_up_after: float,
    give_back_after: float,
) -> int:
    """Send messages and webhooks, settle payments in doubt, until stopped (SIGTERM, Ctrl-C).

    Several may run; a message is sent by one of them. A second one on the same machine needs a
    health port of its own.
    """
    settings = load_settings()
    configure_logging(settings)
    common.require_database(settings).dispose()
    return run_worker(
        settings,
        burst=burst,
        health_port=health_port,
        sweep_every=sweep_every,
        patience=Patience(
            look_up_after=timedelta(seconds=look_up_after),
            give_back_after=timedelta(seconds=give_back_after),
        ),
    )
