"""What rq workers run: a message leaves once, however often its job runs.

The database is the truth and Redis a bell. A job claims its message with one conditional update,
so that a second job, a second worker or the sweep finds nothing left to do. ``sweep`` goes
through what the bell did not reach (Redis restarted, a job lost, a worker killed) and looks up at
the provider what a worker left half done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from dialer import metrics
from dialer.config import Settings, load_settings
from dialer.domain.message import MAX_AGE, OutgoingMessage, retry_delay
from dialer.domain.model import Channel, MessageState
from dialer.logs import get_logger
from dialer.messaging.base import Accepted, Transport, TransportError
from dialer.messaging.twilio_sms import twilio_sms
from dialer.store import messages
from dialer.store.db import open_database
from dialer.store.messages import Moved

log = get_logger(__name__)

QUEUE = "messages"
JOB_SECONDS = 120
FAILED_JOB_SECONDS = 86_400

CLAIM_SECONDS = 20.0
"""A worker that took longer from its claim to the request (a stopped process, a locked database)
gives the claim back instead: by then somebody else may be asking the provider about it."""

UNANSWERED_LIMIT = 3
"""Questions in one sweep that the provider may leave without an answer."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a process that sends messages holds open."""

    settings: Settings
    database: Engine
    transports: Mapping[Channel, Transport]


@dataclass(frozen=True, slots=True)
class Patience:
    """When a message that is ``sending`` is asked about (``look_up_after`` its claim), and when
    it is sent again if the provider does not have it (``give_back_after``; longer than any
    request can be under way)."""

    look_up_after: timedelta = timedelta(seconds=15)
    give_back_after: timedelta = timedelta(seconds=60)
    grace: timedelta = messages.ENQUEUE_GRACE


_lock = threading.Lock()
_current: Runtime | None = None


def open_runtime(settings: Settings) -> Runtime:
    """Database and transports of an installation; nothing is connected yet."""
    return Runtime(
        settings=settings,
        database=open_database(settings.database),
        transports={Channel.SMS: twilio_sms(settings)},
    )


def use_runtime(runtime: Runtime | None) -> None:
    """What jobs of this process use from now on; None: opened from the settings when needed."""
    global _current  # noqa: PLW0603 - rq calls a plain function: the process holds what it needs
    with _lock:
        _current = runtime


def runtime() -> Runtime:
    """What jobs of this process use."""
    global _current  # noqa: PLW0603
    with _lock:
        if _current is None:
            _current = open_runtime(load_settings())
        return _current


def message_queue(settings: Settings) -> Queue:
    """The queue that workers listen on. Connecting and waiting are bounded to a second, since
    the engine rings this bell between two calls."""
    connection = Redis.from_url(settings.redis, socket_connect_timeout=1.0, socket_timeout=1.0)
    return Queue(QUEUE, connection=connection)


def enqueue_message(queue: Queue | Redis, message_id: int) -> bool:
    """Ring the bell for a committed message; whether a new job was made.

    Never raises for Redis: a message whose bell was not heard is found by the workers' sweep.
    """
    if not isinstance(queue, Queue):
        queue = Queue(QUEUE, connection=queue)
    try:
        queue.enqueue_call(
            "dialer.jobs.send_message",
            args=(message_id,),
            job_id=f"message-{message_id}",
            unique=True,
            timeout=JOB_SECONDS,
            result_ttl=0,
            failure_ttl=FAILED_JOB_SECONDS,
            description=f"message-{message_id}",
        )
    except DuplicateJobError:
        return False
    except RedisError as error:
        log.warning("message not enqueued", message_id=message_id, error=type(error).__name__)
        return False
    return True


def send_message(message_id: int) -> None:
    """The job: send a message if it is still to be sent.

    A database that is locked or gone does not fail the job: rq would keep the statement with its
    values, and the message is swept up anyway.
    """
    try:
        deliver(runtime(), message_id)
    except Exception:
        log.exception("message left to the sweep", message_id=message_id)


def deliver(held: Runtime, message_id: int) -> None:
    """Claim a message, send it, write down what came of it."""
    begun = time.monotonic()
    now = utc_now()
    with held.database.begin() as connection:
        claim = messages.claim_for_sending(connection, message_id, now)
    if claim.refused is not None:
        _tell(message_id, Moved(MessageState.FAILED), reason=claim.refused)
    if claim.message is None:
        return
    message = claim.message
    transport = held.transports[message.channel]
    try:
        found = _already_there(held, transport, message)
        if found is not None:
            _sent(held, message, found, now)
        elif time.monotonic() - begun > CLAIM_SECONDS:
            _failed(held, message, TransportError("the claim had grown old"))
        else:
            requested_at = utc_now()
            _sent(held, message, transport.send(message), requested_at)
    except TransportError as error:
        _failed(held, message, error)


def sweep(
    held: Runtime, patience: Patience = Patience(), stop: Callable[[], bool] = lambda: False
) -> int:
    """Send what is due and was not, and settle what hangs; how many messages were looked at.

    Ends early when ``stop`` says so. Where the provider answers no questions, it is not asked
    about every message that hangs: what is due goes first.
    """
    now = utc_now()
    with held.database.connect().execution_options(dialer_readonly=True) as connection:
        due = messages.due_messages(connection, now, grace=patience.grace)
        hanging = messages.hanging_messages(connection, now - patience.look_up_after)
    for message_id in due:
        if stop():
            return 0
        with _apart(message_id):
            deliver(held, message_id)
    unanswered = 0
    for message, claimed_at in hanging:
        if stop() or unanswered >= UNANSWERED_LIMIT:
            break
        with _apart(message.id):
            unanswered += not _settle(held, message, claimed_at, patience)
    return len(due) + len(hanging)


@contextmanager
def _apart(message_id: int) -> Iterator[None]:
    """What is wrong with one message does not hold up those behind it. A database that is away
    is wrong with all of them: that is raised."""
    try:
        yield
    except OperationalError:
        raise
    except Exception:
        log.exception("message left aside", message_id=message_id)


def _settle(
    held: Runtime, message: OutgoingMessage, claimed_at: datetime, patience: Patience
) -> bool:
    """A worker claimed it and was not heard of again: the provider knows whether it left.

    False where the provider could not be asked.
    """
    waited = utc_now() - claimed_at
    try:
        found = _look_up(held, held.transports[message.channel], message)
    except TransportError as error:
        log.warning("message could not be looked up", message_id=message.id, error=error.reason)
        if waited > MAX_AGE:
            _failed(held, message, TransportError("whether it left is unknown", permanent=True))
        return False
    if found is not None:
        _sent(held, message, found, claimed_at)
    elif waited > patience.give_back_after:
        _failed(held, message, TransportError("the provider does not have it"))
    return True


def _already_there(
    held: Runtime, transport: Transport, message: OutgoingMessage
) -> Accepted | None:
    """Before every try but the first: an error told us too little to send blindly again."""
    return _look_up(held, transport, message) if message.tries > 1 else None


def _look_up(held: Runtime, transport: Transport, message: OutgoingMessage) -> Accepted | None:
    with held.database.connect().execution_options(dialer_readonly=True) as connection:
        others = messages.known_provider_ids(connection, message.number, other_than=message.id)
    return transport.look_up(message, others)


def _sent(
    held: Runtime, message: OutgoingMessage, accepted: Accepted, requested_at: datetime
) -> None:
    with held.database.begin() as connection:
        moved = messages.mark_sent(
            connection, message.id, accepted.provider_id, requested_at, utc_now()
        )
    if moved.latency_ms is not None:
        metrics.FALLBACK_SECONDS.labels("sms").observe(moved.latency_ms / 1000)
    _tell(message.id, moved, tries=message.tries, latency_ms=moved.latency_ms)


def _failed(held: Runtime, message: OutgoingMessage, error: TransportError) -> None:
    now = utc_now()
    delay = retry_delay(message.tries, error.retry_after)
    with held.database.begin() as connection:
        if error.unknown:
            messages.note_unknown(connection, message, error.reason, now)
            moved = Moved()
        else:
            moved = messages.mark_failed(
                connection,
                message,
                error.reason,
                now,
                permanent=error.permanent,
                next_at=None if delay is None else now + delay,
            )
        if error.opted_out:
            messages.suppress_recipient(connection, message.id, "sms_stop", "provider", now)
    if error.unknown:
        log.warning("message may have left", message_id=message.id, error=error.reason)
    _tell(message.id, moved, tries=message.tries, reason=error.reason)


def _tell(message_id: int, moved: Moved, **details: object) -> None:
    if moved.state is None:
        return
    metrics.MESSAGES.labels(moved.state.value).inc()
    log.info("message moved", message_id=message_id, state=moved.state.value, **details)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)
