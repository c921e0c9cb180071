"""The carrier's witness beside code that is not asynchronous: in a thread with its own loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

from dialer.config import Settings
from dialer.simulation.witness import Witness, WitnessedCall


class Witnessing:
    """A context manager; ``calls`` gives what the carrier saw so far."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._close: asyncio.Event | None = None
        self._witness: Witness | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)

    def __enter__(self) -> Self:
        """Connect. Raises OSError or TimeoutError when the carrier is not there."""
        self._thread.start()
        self._open.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._close is not None
        self._loop.call_soon_threadsafe(self._close.set)
        self._thread.join()

    def calls(self) -> list[WitnessedCall]:
        """In the order of their INVITEs."""
        return [] if self._witness is None else list(self._witness.calls)

    def _run(self) -> None:
        try:
            asyncio.run(self._watch())
        except BaseException as error:
            self._error = error
        finally:
            self._open.set()

    async def _watch(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._close = asyncio.Event()
        async with Witness(self._settings) as witness:
            self._witness = witness
            self._open.set()
            await self._close.wait()
