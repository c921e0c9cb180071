"""The engine's one thread for the database: the event loop never waits on a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)

from dialer.logs import get_logger

T = TypeVar("T")
log = get_logger(__name__)

FIRST_WAIT = 0.05
LONGEST_WAIT = 2.0


class Database:
    """Transactions in a thread of their own, one at a time, in the order they were asked for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._bell = ThreadPoolExecutor(1, thread_name_prefix="queue")
        self.fault: str | None = None
        """What is wrong with the database now, for the health page."""

    async def once(self, work: Callable[[Connection], T]) -> T:
        """One transaction. Raises what the database raises; nothing is changed then."""
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(self._thread, self._transact, work)
        except DBAPIError as error:
            self.fault = type(error.orig).__name__
            raise
        self.fault = None
        return result

    async def until_done(self, work: Callable[[Connection], T]) -> T:
        """One transaction, tried again for as long as the database is locked or gone.

        ``work`` must be safe to repeat: what was not committed has not happened.
        """
        wait = FIRST_WAIT
        while True:
            try:
                return await self.once(work)
            except DBAPIError as error:
                if not _passing(error):
                    raise
                log.warning("database_away", error=type(error.orig).__name__, retry_in=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT)

    async def aside(self, work: Callable[[], None]) -> None:
        """Blocking work that is no transaction (a queue), on a thread that may hang alone."""
        await asyncio.get_running_loop().run_in_executor(self._bell, work)

    def close(self) -> None:
        """Wait for what runs, then stop the threads."""
        self._thread.shutdown(wait=True)
        self._bell.shutdown(wait=True)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self.engine.begin() as connection:
            return work(connection)


def _passing(error: DBAPIError) -> bool:
    """Locked, restarted, unreachable; a constraint, a syntax error or a value that the database
    does not take will not pass by waiting."""
    return not isinstance(error, IntegrityError | ProgrammingError | DataError | NotSupportedError)
