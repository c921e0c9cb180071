"""Commands from the web process to the engine and events back, over a real Redis."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from desk_parts import EngineStandIn, counted, events_of, now, standing_in
from fixtures_messaging import free_port, wait_until
from redis import Redis

from dialer import metrics
from dialer.desk import Command, CommandName, EngineAway, Refused, Reply, ask
from dialer.desk.wire import (
    DESK_ALIVE,
    WireError,
    decode_command,
    decode_reply,
    desk_redis,
    encode_command,
    encode_reply,
    make_command,
)
from dialer.switch.names import DESK_COMMANDS, DESK_EVENTS, DESK_REPLY

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


# --- what it looks like ------------------------------------------------------------------------


def test_a_command_comes_out_as_it_went_in() -> None:
    made = make_command("callback", SEAT, {"due_at": "2026-03-01T10:00:00+01:00"}, now())
    assert made.args == {"due_at": "2026-03-01T10:00:00+01:00", "own": False, "note": ""}
    assert decode_command(encode_command(made)) == made


def test_the_longest_notes_fit() -> None:
    made = make_command("disposition", SEAT, {"code": "spoke", "notes": "👍" * 4000}, now())
    assert decode_command(encode_command(made)) == made


def wire(**changes: Any) -> bytes:
    whole = {"id": "c" * 32, "command": "pause", "session": SEAT, "args": {"code": "lunch"}}
    return json.dumps({**whole, "at": now().isoformat(), **changes}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[" * 5000,
        b'{"id": NaN}',
        wire(id="C" * 32),
        wire(id=7),
        wire(command="explode"),
        wire(command=["pause"]),
        wire(session=None),
        wire(session="a" * 31),
        wire(session="../" + SEAT),
        wire(args={}),
        wire(args={"code": "lunch", "more": 1}),
        wire(args={"code": 5}),
        wire(args={"code": "lu\nnch"}),
        wire(args=None),
        wire(args="code"),
        wire(at="yesterday"),
        wire(at="2026-03-01T10:00:00"),
        wire(at="0001-01-01T00:00:00+14:00"),
        wire(at=1700000000),
        wire(more=1),
        wire(command="floor", args={}),
        wire(command="log_in", session=None, args={"agent_id": True}),
        wire(command="log_in", session=None, args={"agent_id": 2**70}),
        wire(command="disposition", args={"code": "x", "notes": "n" * 40_000}),
        wire(command="disposition", args={"code": "x", "notes": "\0"}),
        wire(command="transfer", args={"to": {"agent": 1, "skill": "x"}, "kind": "blind"}),
        wire(command="transfer", args={"to": {"number": "+34;600"}, "kind": "blind"}),
        wire(command="listen", args={"by": "sip:a@b,evil(x)"}),
        wire(command="pay", args={"amount_minor": 100}),
        wire(command="dtmf", args={"keys": "12w"}),
    ],
)
def test_what_is_no_command_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_command(data)


def test_the_measure_of_the_refusals() -> None:
    assert decode_command(wire()).args == {"code": "lunch"}


def test_an_answer_comes_out_as_it_went_in() -> None:
    for reply in (Reply.done(state="available", n=1), Reply.refused("no_call", "nobody there")):
        assert decode_reply(encode_reply(reply)) == reply
    for data in (b"", b"[]", b"{}", b'{"ok": 1}', b'{"ok": false}', b'{"ok": false, "error": 5}'):
        with pytest.raises(WireError):
            decode_reply(data)
    with pytest.raises(ValueError, match="lower case"):
        Reply.refused("No Call")


# --- commands ----------------------------------------------------------------------------------


def test_a_command_is_done_and_answered(engine: EngineStandIn, redis: Redis) -> None:
    engine.script["pause"] = lambda one: Reply.done(state="paused", code=one.args["code"])
    assert ask(redis, NODE, "pause", SEAT, {"code": "lunch"}).data == {
        "state": "paused",
        "code": "lunch",
    }
    (taken,) = engine.taken
    assert (taken.name, taken.session) == (CommandName.PAUSE, SEAT)
    assert taken.age(now()) < 5
    life = redis.ttl(DESK_REPLY + taken.id)
    assert life == -2  # the answer was taken off, and with it the list


def test_what_the_engine_will_not_do(engine: EngineStandIn, redis: Redis) -> None:
    def refuse(_: Command) -> Reply:
        raise Refused("no_call", "nobody is there")

    engine.script["hold"] = refuse
    engine.script["mute"] = lambda _: Reply.refused("not_allowed")
    assert ask(redis, NODE, "hold", SEAT) == Reply(False, {}, "no_call", "nobody is there")
    assert ask(redis, NODE, "mute", SEAT).error == "not_allowed"


def test_an_engine_that_fails_at_one_goes_on(engine: EngineStandIn, redis: Redis) -> None:
    def fail(_: Command) -> Reply:
        raise RuntimeError("secret of the inside")

    engine.script["hold"] = fail
    engine.script["mute"] = lambda _: Reply.done(odd=object())
    answer = ask(redis, NODE, "hold", SEAT)
    assert answer.error == "internal"
    assert "secret" not in answer.detail
    assert ask(redis, NODE, "mute", SEAT).error == "internal"
    assert ask(redis, NODE, "ready", SEAT).ok


@pytest.mark.parametrize("age", [5.5, 3600.0, -5.5])
def test_what_comes_late_is_never_done(engine: EngineStandIn, redis: Redis, age: float) -> None:
    old = make_command("hang_up", SEAT, {}, now() - timedelta(seconds=age))
    redis.rpush(DESK_COMMANDS + NODE, encode_command(old))
    answer: Any = redis.blpop([DESK_REPLY + old.id], timeout=2)
    assert decode_reply(answer[1]).error == "too_late"
    assert 0 <= redis.ttl(DESK_REPLY + old.id) <= 30 or not redis.exists(DESK_REPLY + old.id)
    assert engine.taken == []


def test_what_grew_old_behind_another_is_not_done_either(redis_url: str, redis: Redis) -> None:
    clock = [now()]
    engine = EngineStandIn(redis_url, now=lambda: clock[0])
    engine.held["hold"] = threading.Event()
    first = make_command("hold", SEAT, {}, clock[0])
    second = make_command("hang_up", SEAT, {}, clock[0])
    redis.rpush(DESK_COMMANDS + NODE, encode_command(first), encode_command(second))
    wait_until(lambda: engine.names == ["hold"] and not redis.exists(DESK_COMMANDS + NODE))
    clock[0] += timedelta(seconds=6)
    engine.held["hold"].set()
    answer: Any = redis.blpop([DESK_REPLY + second.id], timeout=2)
    assert decode_reply(answer[1]).error == "too_late"
    engine.stop()
    assert engine.names == ["hold"]


def test_what_is_asked_twice_is_done_once(engine: EngineStandIn, redis: Redis) -> None:
    made = encode_command(make_command("link", SEAT, {}, now()))
    redis.rpush(DESK_COMMANDS + NODE, made, made)
    assert ask(redis, NODE, "ready", SEAT).ok  # behind both of them
    assert engine.names == ["link", "ready"]


def test_malformed_bytes_harm_nobody(engine: EngineStandIn, redis: Redis) -> None:
    before = counted(metrics.DESK_COMMANDS, command="unknown", result="malformed")
    rubbish = [b"", b"\xff\x00", b"{", b"[1]", b"x" * 100_000, wire(id="d" * 32, command="fly")]
    redis.rpush(DESK_COMMANDS + NODE, *rubbish)
    assert ask(redis, NODE, "ready", SEAT).ok
    assert engine.names == ["ready"]
    after = counted(metrics.DESK_COMMANDS, command="unknown", result="malformed")
    assert after - before == len(rubbish)
    told: Any = redis.lrange(DESK_REPLY + "d" * 32, 0, -1)
    assert decode_reply(told[0]).error == "malformed"


def test_one_desk_in_order_and_none_waits_for_another(engine: EngineStandIn, redis: Redis) -> None:
    engine.held["hold"] = threading.Event()
    redis.rpush(
        DESK_COMMANDS + NODE,
        encode_command(make_command("hold", SEAT, {}, now())),
        encode_command(make_command("resume", SEAT, {}, now())),
    )
    assert ask(redis, NODE, "ready", OTHER).ok
    assert engine.names == ["hold", "ready"]
    engine.held["hold"].set()
    wait_until(lambda: engine.names == ["hold", "ready", "resume"])


# --- nobody there ------------------------------------------------------------------------------


def away(redis: Redis, within: float = 0.3) -> tuple[bool | None, float]:
    begun = time.monotonic()
    with pytest.raises(EngineAway) as caught:
        ask(redis, NODE, "ready", SEAT, within=within)
    return caught.value.done, time.monotonic() - begun


def test_without_an_engine_it_is_known_at_once(redis: Redis) -> None:
    done, seconds = away(redis, within=2.0)
    assert done is False
    assert seconds < 1
    assert not redis.exists(DESK_COMMANDS + NODE)


def test_what_nobody_took_is_taken_back(redis: Redis) -> None:
    redis.set(DESK_ALIVE + NODE, b"1")
    other = encode_command(make_command("ready", OTHER, {}, now()))
    redis.rpush(DESK_COMMANDS + NODE, other)
    assert away(redis)[0] is False
    assert redis.lrange(DESK_COMMANDS + NODE, 0, -1) == [other]


def test_what_was_taken_may_have_been_done(engine: EngineStandIn, redis: Redis) -> None:
    engine.held["ready"] = threading.Event()
    assert away(redis)[0] is None


def test_an_engine_that_ends_says_so_and_answers_first(redis_url: str, redis: Redis) -> None:
    engine = EngineStandIn(redis_url)
    wait_until(lambda: redis.exists(DESK_ALIVE + NODE))
    engine.held["hold"] = threading.Event()
    answers: list[Reply] = []
    asker = threading.Thread(target=lambda: answers.append(ask(redis, NODE, "hold", SEAT)))
    asker.start()
    wait_until(lambda: engine.names == ["hold"])
    engine.publish(SEAT, {"type": "state", "state": "logged_out"})
    ender = threading.Thread(target=engine.stop)
    ender.start()
    wait_until(lambda: not redis.exists(DESK_ALIVE + NODE))
    engine.held["hold"].set()
    asker.join(10)
    ender.join(10)
    assert [one.ok for one in answers] == [True]
    assert [one["state"] for one in events_of(redis, DESK_EVENTS + SEAT)] == ["logged_out"]
    assert away(redis)[0] is False


def test_redis_away_is_said_soon(tmp_path: Path) -> None:
    nowhere = desk_redis(f"redis://127.0.0.1:{free_port()}/0")
    done, seconds = away(nowhere)
    assert done is False
    assert seconds < 2
    nowhere.close()
