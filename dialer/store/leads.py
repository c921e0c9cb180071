"""The hopper: claiming leads, and giving them back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, update

from dialer.domain.model import AttemptState, LeadState
from dialer.store.tables import attempt, lead

_WAITING = LeadState.WAITING.value
_CLAIMED = LeadState.CLAIMED.value
_DONE = LeadState.DONE.value

# Statements of the path of every call, built once: building one costs more than running it.
_DUE = (
    select(lead.c.id)
    .where(
        lead.c.campaign_id == bindparam("b_campaign"),
        lead.c.state == _WAITING,
        lead.c.next_at <= bindparam("b_now"),
    )
    .order_by(lead.c.next_at, lead.c.id)
    .limit(bindparam("b_count"))
    .with_for_update(skip_locked=True)
    .cte("due")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_CLAIM = (
    update(lead)
    .where(lead.c.id.in_(select(_DUE.c.id)), lead.c.state == _WAITING)
    .values(state=_CLAIMED, claim=bindparam("b_token"), claimed_at=bindparam("b_now"))
    .returning(lead.c.id)
)
_DISPOSITION = func.coalesce(
    bindparam("b_disposition", type_=lead.c.last_disposition.type), lead.c.last_disposition
)
_WAIT = (
    update(lead)
    .where(lead.c.id == bindparam("b_lead"))
    .values(
        state=_WAITING,
        claim=None,
        claimed_at=None,
        next_at=bindparam("b_at"),
        next_phone=lead.c.next_phone + bindparam("b_step", type_=lead.c.next_phone.type),
        last_disposition=_DISPOSITION,
    )
)
_CLOSE = (
    update(lead)
    .where(lead.c.id == bindparam("b_lead"))
    .values(
        state=_DONE,
        claim=None,
        claimed_at=None,
        closed_reason=bindparam("b_reason"),
        last_disposition=_DISPOSITION,
    )
)
_DEBTORS = select(lead.c.debtor_id).where(lead.c.id.in_(bindparam("b_leads", expanding=True)))
_COUNT = (
    update(lead)
    .where(lead.c.id.in_(bindparam("b_leads", expanding=True)))
    .values(attempts=lead.c.attempts + 1)
)


def claim(
    connection: Connection, campaign_id: int, count: int, token: str, now: datetime
) -> list[int]:
    """Claim up to ``count`` leads that are due, longest due first; their ids.

    One conditional update: of two engines that want the same lead, one gets no row. On
    PostgreSQL rows locked by another claim are stepped over instead of waited for, and the
    choice is a table expression of its own: as a sub-query the planner may run it once a row,
    and LIMIT then bounds nothing.
    """
    rows = connection.execute(
        _CLAIM, {"b_campaign": campaign_id, "b_count": count, "b_token": token, "b_now": now}
    )
    return [row.id for row in rows]


def debtors_of(connection: Connection, lead_ids: Sequence[int]) -> set[int]:
    """The debtors of these leads."""
    return set(connection.execute(_DEBTORS, {"b_leads": list(lead_ids)}).scalars())


def wait(
    connection: Connection,
    lead_id: int,
    at: datetime,
    *,
    next_phone: bool = False,
    disposition: str | None = None,
) -> None:
    """Back to waiting, not before ``at``."""
    connection.execute(
        _WAIT,
        {
            "b_lead": lead_id,
            "b_at": at,
            "b_step": int(next_phone),
            "b_disposition": disposition,
        },
    )


def close(
    connection: Connection, lead_id: int, reason: str, disposition: str | None = None
) -> None:
    """Done, and why."""
    connection.execute(
        _CLOSE, {"b_lead": lead_id, "b_reason": reason, "b_disposition": disposition}
    )


def count_attempts(connection: Connection, lead_ids: Sequence[int]) -> None:
    """One more attempt on each of these leads."""
    connection.execute(_COUNT, {"b_leads": list(lead_ids)})


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
