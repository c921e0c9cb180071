"""Numbers laid where none may be, to see the scan find them; no call is needed. Each plant is there
while the generator that laid it is open."""

from __future__ import annotations

import gzip
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from redis import Redis
from rq import Queue
from sqlalchemy import insert

from dialer.domain.payment import Brand
from dialer.local.cardscan.forms import Planted
from dialer.local.cardscan.rig import Rig
from dialer.local.supervisor import Component
from dialer.simulation.cards import card_number, security_code
from dialer.store.db import open_database
from dialer.store.tables import audit
from dialer.switch.names import DESK_EVENTS

QUEUE = "leak"
"""Nobody works it."""


def _in_a_row(rig: Rig, card: Planted) -> Iterator[None]:
    engine = open_database(rig.settings.database)
    try:
        with engine.begin() as connection:
            connection.execute(
                insert(audit).values(
                    at=datetime.now(UTC),
                    actor="leak",
                    action="leak",
                    target="leak",
                    after={"note": card.number},
                )
            )
    finally:
        engine.dispose()
    yield


def _in_redis(rig: Rig, card: Planted) -> Iterator[None]:
    with Redis.from_url(rig.settings.redis) as redis:
        redis.set("leak", card.number)
    yield


def _in_a_job(rig: Rig, card: Planted) -> Iterator[None]:
    """rq compresses what a job is given."""
    with Redis.from_url(rig.settings.redis) as redis:
        Queue(QUEUE, connection=redis).enqueue_call("print", args=(card.number,), description="")
    yield


def _in_an_archive(rig: Rig, card: Planted) -> Iterator[None]:
    path = rig.settings.home / "log" / "leak.log.1.gz"
    path.write_bytes(gzip.compress(f"card {card.number}\n".encode()))
    yield


def _in_desk_events(rig: Rig, card: Planted) -> Iterator[None]:
    """What a desk is told, if each key were an event."""
    with Redis.from_url(rig.settings.redis) as redis:
        for digit in card.number:
            told = {"type": "payment", "at": f"{datetime.now(UTC):%H:%M}", "pressed": digit}
            redis.xadd(f"{DESK_EVENTS}{'0' * 32}", {"event": json.dumps(told)})
    yield


def _in_memory(rig: Rig, card: Planted) -> Iterator[None]:
    """A process of the stack that holds it, as text of two bytes a digit."""
    digits = ",".join(str(int(one) * 7) for one in card.number)
    code = f"import time; n = ''.join(str(i // 7) for i in ({digits})) + chr(999); time.sleep(999)"
    yield from _process(rig, [sys.executable, "-c", code])


def _in_arguments(rig: Rig, card: Planted) -> Iterator[None]:
    yield from _process(rig, [sys.executable, "-c", "import time; time.sleep(999)", card.number])


def _process(rig: Rig, argv: list[str]) -> Iterator[None]:
    name = f"leak-{uuid.uuid4().hex[:6]}"
    rig.stack.supervisor.start(Component(name, argv, ready_seconds=10, stop_seconds=5))
    try:
        yield
    finally:
        rig.stack.supervisor.stop(name)


PLANTS: dict[str, tuple[Callable[[Rig, Planted], Iterator[None]], str]] = {
    "database-row": (_in_a_row, "database"),
    "redis-key": (_in_redis, "redis"),
    "rq-payload": (_in_a_job, "Redis, every command"),
    "gzip-file": (_in_an_archive, "log/"),
    "desk-events": (_in_desk_events, "events of desks"),
    "process-memory": (_in_memory, "process leak"),
    "command-line": (_in_arguments, "command lines"),
}
"""By name: how it is laid, and where it must be found."""


def plant_card(name: str, expiry: str) -> Planted:
    """A card that nobody keys in."""
    unique = uuid.uuid4().hex
    return Planted(name, card_number(Brand.VISA, "approve", unique), expiry, security_code(unique))
