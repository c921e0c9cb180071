"""The lease of a campaign: two engines never run one, and a dead engine's lease expires."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, or_, select, update

from dialer.store.tables import lease
from dialer.store.upsert import insert_ignore

WRONG_CLOCK = timedelta(hours=1)
"""A lease that ends later than this from now was taken while a clock was ahead: nobody renews it,
and waiting for its end would bar the campaign."""


def acquire(
    connection: Connection, campaign_id: int, owner: str, now: datetime, life: timedelta
) -> bool:
    """Take or renew the lease; True when ``owner`` holds it until ``now + life``.

    One conditional update: it is ours already, it has expired, or it is of a clock that was wrong.
    """
    until = now + life
    insert_ignore(
        connection,
        lease,
        [{"campaign_id": campaign_id, "owner": owner, "fence": 1, "expires_at": until}],
    )
    mine = lease.c.owner == owner
    taken = connection.execute(
        update(lease).where(lease.c.campaign_id == campaign_id, mine).values(expires_at=until)
    )
    if taken.rowcount == 1:
        return True
    taken = connection.execute(
        update(lease)
        .where(
            lease.c.campaign_id == campaign_id,
            or_(lease.c.expires_at <= now, lease.c.expires_at > now + life + WRONG_CLOCK),
        )
        .values(owner=owner, fence=lease.c.fence + 1, expires_at=until)
    )
    return taken.rowcount == 1


def holds(connection: Connection, campaign_id: int, owner: str, now: datetime) -> bool:
    """Whether ``owner`` still holds it: asked in the transaction that claims."""
    row = connection.execute(
        select(lease.c.campaign_id).where(
            lease.c.campaign_id == campaign_id, lease.c.owner == owner, lease.c.expires_at > now
        )
    ).first()
    return row is not None


def holder(connection: Connection, campaign_id: int, now: datetime) -> str | None:
    """Who runs the campaign now, if anybody."""
    return connection.execute(
        select(lease.c.owner).where(lease.c.campaign_id == campaign_id, lease.c.expires_at > now)
    ).scalar_one_or_none()


def release(connection: Connection, owner: str, now: datetime) -> None:
    """Give up every lease of ``owner`` (a clean stop): the next engine need not wait."""
    connection.execute(
        update(lease)
        .where(and_(lease.c.owner == owner, or_(lease.c.expires_at > now)))
        .values(expires_at=now)
    )
