"""The hopper: claiming leads, and giving them back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from dialer.domain.model import AttemptState, LeadState
from dialer.store.tables import attempt, lead

_WAITING = LeadState.WAITING.value
_CLAIMED = LeadState.CLAIMED.value
_DONE = LeadState.DONE.value


def claim(
    connection: Connection, campaign_id: int, count: int, token: str, now: datetime
) -> list[int]:
    """Claim up to ``count`` leads that are due, longest due first; their ids.

    One conditional update: of two engines that want the same lead, one gets no row. On
    PostgreSQL rows locked by another claim are stepped over instead of waited for, and the
    choice is a table expression of its own: as a sub-query the planner may run it once a row,
    and LIMIT then bounds nothing.
    """
    due = (
        select(lead.c.id)
        .where(lead.c.campaign_id == campaign_id, lead.c.state == _WAITING, lead.c.next_at <= now)
        .order_by(lead.c.next_at, lead.c.id)
        .limit(count)
        .with_for_update(skip_locked=True)
        .cte("due")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    rows = connection.execute(
        update(lead)
        .where(lead.c.id.in_(select(due.c.id)), lead.c.state == _WAITING)
        .values(state=_CLAIMED, claim=token, claimed_at=now)
        .returning(lead.c.id)
    )
    return [row.id for row in rows]


def debtors_of(connection: Connection, lead_ids: Sequence[int]) -> set[int]:
    """The debtors of these leads."""
    return set(
        connection.execute(select(lead.c.debtor_id).where(lead.c.id.in_(lead_ids))).scalars()
    )


def wait(
    connection: Connection,
    lead_id: int,
    at: datetime,
    *,
    next_phone: bool = False,
    disposition: str | None = None,
) -> None:
    """Back to waiting, not before ``at``."""
    values: dict[str, object] = {
        "state": _WAITING,
        "claim": None,
        "claimed_at": None,
        "next_at": at,
    }
    if next_phone:
        values["next_phone"] = lead.c.next_phone + 1
    if disposition is not None:
        values["last_disposition"] = disposition
    connection.execute(update(lead).where(lead.c.id == lead_id).values(values))


def close(
    connection: Connection, lead_id: int, reason: str, disposition: str | None = None
) -> None:
    """Done, and why."""
    values: dict[str, object] = {
        "state": _DONE,
        "claim": None,
        "claimed_at": None,
        "closed_reason": reason,
    }
    if disposition is not None:
        values["last_disposition"] = disposition
    connection.execute(update(lead).where(lead.c.id == lead_id).values(values))


def count_attempts(connection: Connection, lead_ids: Sequence[int]) -> None:
    """One more attempt on each of these leads."""
    connection.execute(
        update(lead).where(lead.c.id.in_(lead_ids)).values(attempts=lead.c.attempts + 1)
    )


def release_orphans(connection: Connection, campaign_id: int, now: datetime) -> int:
    """Leads claimed by nobody alive: claimed, and none of their attempts is open. How many.

    The claim and its attempts are one transaction, so this mends only what an operator or an
    older version left; asked at every start of a campaign all the same.
    """
    alive = (
        select(attempt.c.id)
        .where(attempt.c.lead_id == lead.c.id, attempt.c.state != AttemptState.ENDED.value)
        .exists()
    )
    return connection.execute(
        update(lead)
        .where(lead.c.campaign_id == campaign_id, lead.c.state == _CLAIMED, ~alive)
        .values(state=_WAITING, claim=None, claimed_at=None, next_at=now)
    ).rowcount


def next_due(connection: Connection, campaign_id: int) -> datetime | None:
    """When the first waiting lead is due; None when none waits."""
    return connection.execute(
        select(lead.c.next_at)
        .where(lead.c.campaign_id == campaign_id, lead.c.state == _WAITING)
        .order_by(lead.c.next_at)
        .limit(1)
    ).scalar_one_or_none()


def unfinished(connection: Connection, campaign_id: int) -> int:
    """How many leads are not done."""
    return connection.execute(
        select(func.count())
        .select_from(lead)
        .where(lead.c.campaign_id == campaign_id, lead.c.state != _DONE)
    ).scalar_one()
