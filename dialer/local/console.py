"""The way into the console of an installation: its first administrator, a link that opens it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Engine, select

from dialer.config import Settings
from dialer.domain.access import Role
from dialer.store import users
from dialer.store.tables import app_user, company

FIRST = "admin@localhost"
"""Who the first administrator is where nobody said otherwise."""


def first_administrator(engine: Engine, email: str, actor: str, now: datetime) -> str | None:
    """Make the first administrator; what their link holds. None where there are users already.

    Raises NotPossible for an address that is none.
    """
    with engine.begin() as connection:
        if connection.execute(select(app_user.c.id).limit(1)).first():
            return None
        made = users.create_user(
            connection,
            email=email,
            name=email.partition("@")[0].title(),
            role=Role.ADMINISTRATOR,
            company_id=None,
            actor=actor,
            now=now,
            timezone=_timezone(connection),
        )
        return users.new_link(connection, made, actor, now)


def _timezone(connection: Connection) -> str:
    """The first company's; without one, UTC."""
    found = connection.scalar(select(company.c.timezone).order_by(company.c.id).limit(1))
    return found or "UTC"


def fresh_link(engine: Engine, email: str, actor: str, now: datetime) -> str:
    """What a new link of a user holds; of the first administrator, who is made if there is none.

    Raises NotPossible.
    """
    made = first_administrator(engine, email, actor, now)
    if made is not None:
        return made
    with engine.begin() as connection:
        return users.new_link(connection, users.user_by_email(connection, email).id, actor, now)


def address(settings: Settings, token: str) -> str:
    """Where a browser opens the link."""
    return f"{settings.web_url}/welcome/{token}"
