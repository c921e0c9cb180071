"""What the engine tells desks, over a real Redis that may be away for a while."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from desk_parts import EngineStandIn, counted, events_of, now, standing_in
from fixtures_messaging import free_port, start_redis, wait_until
from redis import Redis

from dialer import metrics
from dialer.desk import EngineAway, ask
from dialer.desk.outbox import Outbox
from dialer.desk.reader import end
from dialer.desk.wire import DESK_ALIVE, desk_redis
from dialer.switch.names import DESK_EVENTS, DESK_REPLY, FLOOR_EVENTS

SEAT, OTHER = "a" * 32, "b" * 32
NODE = "node1"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = desk_redis(redis_url)
    yield client
    client.close()


@pytest.fixture
def engine(redis_url: str, redis: Redis) -> Iterator[EngineStandIn]:
    with standing_in(redis_url, redis) as stand_in:
        yield stand_in


def told(redis: Redis, stream: str = DESK_EVENTS + SEAT) -> list[dict[str, Any]]:
    """The events in a stream."""
    return events_of(redis, stream)


# --- events ------------------------------------------------------------------------------------


def test_events_come_in_order_and_expire(engine: EngineStandIn, redis: Redis) -> None:
    for number in range(300):
        engine.publish(SEAT, {"type": "queue", "waiting": number})
    engine.publish(None, {"type": "floor", "talking": 2, "at": "2026-03-01T10:00:00+00:00"})
    wait_until(lambda: len(told(redis)) == 300 and told(redis, FLOOR_EVENTS))
    assert [one["waiting"] for one in told(redis)] == list(range(300))
    assert all(datetime.fromisoformat(one["at"]).tzinfo for one in told(redis))
    assert told(redis, FLOOR_EVENTS)[0]["at"] == "2026-03-01T10:00:00+00:00"
    assert 86_000 < redis.ttl(DESK_EVENTS + SEAT) <= 86_400


def test_a_stream_keeps_its_length(engine: EngineStandIn, redis: Redis) -> None:
    for number in range(2500):
        engine.publish(SEAT, {"type": "queue", "waiting": number})
    wait_until(lambda: told(redis) and told(redis)[-1]["waiting"] == 2499)
    assert 1000 <= redis.xlen(DESK_EVENTS + SEAT) < 1300


def test_what_is_no_event_is_dropped_aloud(engine: EngineStandIn, redis: Redis) -> None:
    before = counted(metrics.DESK_LOST, what="event", why="unreadable")
    for odd in ({}, {"type": "No Type"}, {"type": "queue", "longest": float("nan")},
                {"type": "call", "story": object()}, {"type": "call", "story": "x" * 200_000},
                {"type": "payment", "digits": "4111"}, {"type": "payment", "digits": 4111},
                {"type": "payment", "step": "number", "error": "4111 1"}):  # fmt: skip
        engine.publish(SEAT, odd)
    engine.publish(SEAT, {"type": "queue", "waiting": 1})
    wait_until(lambda: told(redis))
    engine.publish(SEAT, {"type": "brand_new"})
    wait_until(lambda: len(told(redis)) == 2)
    assert [one["type"] for one in told(redis)] == ["queue", "brand_new"]
    assert counted(metrics.DESK_LOST, what="event", why="unreadable") - before == 8


def test_a_payment_tells_its_progress_and_nothing_else(engine: EngineStandIn, redis: Redis) -> None:
    card = {"type": "payment", "step": "number", "digits": 6, "number": "4111111111111111"}
    engine.publish(SEAT, {**card, "keys": "4111"})
    wait_until(lambda: told(redis))
    (event,) = told(redis)
    assert event.keys() == {"type", "at", "step", "digits"}
    assert "4111" not in str(redis.xrange(DESK_EVENTS + SEAT))


def test_what_is_written_twice_is_there_once(redis_url: str, redis: Redis) -> None:
    """A connection that breaks after Redis has written and before it has said so."""

    async def twice() -> None:
        from redis.asyncio import Redis as AsyncRedis

        async with AsyncRedis.from_url(redis_url, protocol=2) as client:
            outbox = Outbox(client)
            for number in range(3):
                outbox.event(DESK_EVENTS + SEAT, b'{"type": "queue", "waiting": %d}' % number)
            assert outbox._next_batch(now)
            for _ in range(2):
                assert await outbox._send(outbox._flying) == []

    asyncio.run(twice())
    assert [one["waiting"] for one in told(redis)] == [0, 1, 2]


def test_a_clock_behind_redis_loses_nothing(engine: EngineStandIn, redis: Redis) -> None:
    ahead = f"{int(time.time() * 1000) + 3_600_000}-0"
    redis.xadd(DESK_EVENTS + SEAT, {"event": '{"type": "queue", "waiting": 0}'}, id=ahead)
    for number in (1, 2):
        engine.publish(SEAT, {"type": "queue", "waiting": number})
    wait_until(lambda: len(told(redis)) == 3)
    assert [one["waiting"] for one in told(redis)] == [0, 1, 2]


def test_a_key_that_is_no_stream_holds_up_nobody(engine: EngineStandIn, redis: Redis) -> None:
    before = counted(metrics.DESK_LOST, what="event", why="refused")
    redis.set(DESK_EVENTS + SEAT, "in the way")
    engine.publish(SEAT, {"type": "queue", "waiting": 1})
    engine.publish(OTHER, {"type": "queue", "waiting": 2})
    wait_until(lambda: told(redis, DESK_EVENTS + OTHER))
    # Both left in one request: its answers are read a moment after the other has arrived.
    wait_until(lambda: counted(metrics.DESK_LOST, what="event", why="refused") - before == 1)


# --- Redis goes and comes back -----------------------------------------------------------------


def test_redis_restarted_in_the_middle(tmp_path: Path) -> None:
    port = free_port()
    server = start_redis(tmp_path, port)
    client = desk_redis(server.url)
    engine = EngineStandIn(server.url)
    try:
        wait_until(lambda: client.exists(DESK_ALIVE + NODE))
        assert ask(client, NODE, "ready", SEAT).ok
        server.stop()
        with pytest.raises(EngineAway) as caught:
            ask(client, NODE, "ready", SEAT)
        assert caught.value.done is False
        wait_until(lambda: engine.commands.fault)
        for number in range(50):
            engine.publish(SEAT, {"type": "queue", "waiting": number})
        ticks = itertools.count()
        engine.run(asyncio.sleep(0.1, next(ticks)))  # its loop waits for nobody
        server = start_redis(tmp_path, port)
        wait_until(lambda: len(told(client)) == 50)
        assert [one["waiting"] for one in told(client)] == list(range(50))
        wait_until(lambda: client.exists(DESK_ALIVE + NODE))
        assert ask(client, NODE, "ready", SEAT).ok
        wait_until(lambda: engine.commands.fault is None)
    finally:
        engine.stop()
        client.close()
        server.stop()


def test_what_an_outage_drops_is_counted_and_told(tmp_path: Path) -> None:
    port = free_port()
    engine = EngineStandIn(f"redis://127.0.0.1:{port}/0", max_items=10)
    before = counted(metrics.DESK_LOST, what="event", why="overflow")
    for number in range(500):
        engine.publish(SEAT, {"type": "queue", "waiting": number})
    server = start_redis(tmp_path, port)
    client = desk_redis(server.url)
    try:
        wait_until(lambda: told(client) and told(client)[-1].get("waiting") == 499)
        events = told(client)
        lost = int(counted(metrics.DESK_LOST, what="event", why="overflow") - before)
        following, gaps = 0, 0
        for one in events:  # each gap stands where its events are missing
            if one["type"] == "gap":
                following, gaps = following + one["lost"], gaps + one["lost"]
            else:
                assert one["waiting"] == following
                following += 1
        assert following == 500
        assert gaps == lost > 400
    finally:
        engine.stop()
        client.close()
        server.stop()


def test_answers_that_nobody_waits_for_are_not_kept(
    redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = counted(metrics.DESK_LOST, what="reply", why="late")

    async def late() -> None:
        from redis.asyncio import Redis as AsyncRedis

        async with AsyncRedis.from_url(redis_url, protocol=2) as client:
            outbox = Outbox(client)
            outbox.reply(DESK_REPLY + SEAT, b"{}")
            shifted = time.monotonic() + 6
            monkeypatch.setattr("dialer.desk.outbox.time.monotonic", lambda: shifted)
            assert not outbox._next_batch(now)

    asyncio.run(late())
    assert counted(metrics.DESK_LOST, what="reply", why="late") - before == 1


def test_a_writer_ends_wherever_it_is_stopped(redis_url: str) -> None:
    async def stop_after(turns: int) -> None:
        from redis.asyncio import Redis as AsyncRedis

        async with AsyncRedis.from_url(redis_url, protocol=2, socket_timeout=3) as client:
            outbox = Outbox(client)
            writer = asyncio.create_task(outbox.write(now))
            outbox.event(DESK_EVENTS + SEAT, b"{}")
            for _ in range(turns):
                await asyncio.sleep(0)
            async with asyncio.timeout(5):
                await end([writer])
            assert writer.done()

    for turns in range(15):
        asyncio.run(stop_after(turns))
