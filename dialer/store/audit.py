"""The trail of what people changed: who, when, what it was before and what it is now."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from dialer.store import audit_owner
from dialer.store.tables import audit


def operating_system_user() -> str:
    """Who is at the keyboard, where nobody said otherwise."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "unknown"


def record(
    connection: Connection,
    *,
    actor: str,
    action: str,
    target: str,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    company_id: int | None = None,
) -> None:
    """One row, in the transaction of the change itself.

    ``action`` like ``campaign.start``, ``target`` like ``campaign:12``. No personal data in
    ``before`` and ``after``: ids, states, counts. ``company_id``: whose it is; None finds out by
    the target (``dialer.store.audit_owner``).
    """
    if company_id is None:
        company_id = audit_owner.owner(connection, actor, target, before, after)
    changes = {"before": before, "after": after}
    connection.execute(
        insert(audit).values(
            at=now,
            company_id=company_id,
            actor=actor[:100],
            action=action,
            target=target,
            # A JSON column given None would keep JSON's null, not SQL's.
            **{key: value for key, value in changes.items() if value is not None},
        )
    )


def of_target(connection: Connection, target: str) -> list[Row[Any]]:
    """What was done to something, oldest first."""
    return list(
        connection.execute(select(audit).where(audit.c.target == target).order_by(audit.c.id))
    )
