"""Ends of calls into the database, whatever stands in the way of a single one.

An end that cannot be concluded (a time zone that is none, a text that cannot be filled in, a
defect of ours) would otherwise take its whole batch along, and the engine at every restart. It is
concluded alone, then without what would follow; its lead is closed where people see it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dialer.domain.model import Attempt
from dialer.engine.closing import Closing, FollowUp, close_attempts, give_up
from dialer.engine.database import Database
from dialer.logs import get_logger

log = get_logger(__name__)


async def conclude_all(
    database: Database, ended: Sequence[Attempt], closing: Callable[[], Closing]
) -> FollowUp:
    """Conclude in one transaction, or each in its own where that fails. Never raises for what is
    wrong with one of them; a database that is away is waited for.

    ``closing`` is asked inside each transaction: its ``now`` is that of the try that succeeds.
    """
    try:
        return await database.until_done(lambda c: close_attempts(c, ended, closing()))
    except Exception:
        log.exception("batch_not_concluded", attempts=len(ended))
    together = FollowUp()
    for one in ended:
        together.add(await _alone(database, one, closing))
    return together


async def _alone(database: Database, one: Attempt, closing: Callable[[], Closing]) -> FollowUp:
    try:
        return await database.until_done(lambda c: close_attempts(c, [one], closing()))
    except Exception:
        log.exception("attempt_not_concluded", attempt=one.id)
    try:
        return await database.until_done(lambda c: give_up(c, one, closing().now))
    except Exception:
        log.exception("attempt_left_open", attempt=one.id)
        return FollowUp()
