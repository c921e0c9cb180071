"""A stand-in for the engine: the real reader of commands, with a script in place of the floor."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from fixtures_messaging import wait_until
from redis import Redis

from dialer.desk import Command, Commands, Reply
from dialer.desk.wire import DESK_ALIVE

Script = Callable[[Command], Reply]


class EngineStandIn:
    """``Commands`` on a loop of its own, in a thread. ``taken`` is what was handled."""

    def __init__(self, url: str, node: str = "node1", **options: Any) -> None:
        self.taken: list[Command] = []
        self.script: dict[str, Script] = {}
        self.held: dict[str, threading.Event] = {}
        """A command of that name is not answered before its event is set."""
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main(url, node, options)),
            name="engine",
            daemon=True,
        )
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def names(self) -> list[str]:
        """Names of what was handled."""
        return [one.name.value for one in self.taken]

    def publish(self, session: str | None, event: dict[str, Any]) -> None:
        """Tell a desk something, as the engine does on its loop."""
        self.loop.call_soon_threadsafe(self.commands.publish, session, event)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Something on the engine's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def stop(self) -> None:
        """As an engine that is told to end."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(20)
            assert not self._thread.is_alive()

    async def _main(self, url: str, node: str, options: dict[str, Any]) -> None:
        self.loop = asyncio.get_running_loop()
        self.commands = Commands(url, node, self._handle, **options)
        self._task = asyncio.create_task(self.commands.run())
        self.loop.call_soon(self._ready.set)
        await asyncio.gather(self._task, return_exceptions=True)

    async def _handle(self, command: Command) -> Reply:
        self.taken.append(command)
        held = self.held.get(command.name.value)
        if held is not None:
            await asyncio.to_thread(held.wait, 20)
        script = self.script.get(command.name.value)
        return Reply.done(did=command.name.value) if script is None else script(command)


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def counted(metric: Any, **labels: str) -> float:
    """What a counter has counted."""
    return float(metric.labels(**labels)._value.get())


def events_of(redis: Redis, stream: str) -> list[dict[str, Any]]:
    """The events in a stream."""
    entries: Any = redis.xrange(stream)
    return [json.loads(fields[b"event"]) for _, fields in entries]


@contextmanager
def standing_in(url: str, redis: Redis) -> Iterator[EngineStandIn]:
    """An engine that takes commands."""
    stand_in = EngineStandIn(url)
    try:
        wait_until(lambda: redis.exists(DESK_ALIVE + "node1"))
        yield stand_in
    finally:
        for held in stand_in.held.values():
            held.set()
        stand_in.stop()
