"""Users of the browser: who they are, and one-time links to choose a password by.

How they log in is in ``dialer.store.log_ins``. A password is kept as argon2id; sessions and links
by the hash of what their holder has, so that a copy of the database opens nothing. Every change
leaves an audit row without names.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from argon2 import PasswordHasher
from sqlalchemy import Connection, Row, func, insert, select, update

from dialer.domain.access import (
    LINK_LIFE,
    Role,
)
from dialer.store import audit
from dialer.store.companies import NotPossible
from dialer.store.refusals import WhyNobody
from dialer.store.tables import agent, app_user, company, user_link, web_session

LANGUAGES = ("es", "en")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")
HASHER = PasswordHasher()  # argon2id, the parameters of RFC 9106's second recommendation


@dataclass(frozen=True, slots=True)
class User:
    """A user as an administrator sees them."""

    id: int
    company_id: int | None
    company: str | None
    email: str
    name: str
    role: Role
    language: str
    timezone: str
    agent_id: int | None
    agent: str | None
    active: bool
    has_password: bool
    second_factor: bool
    locked_until: datetime | None
    last_seen_at: datetime | None


def create_user(
    connection: Connection,
    *,
    email: str,
    name: str,
    role: Role,
    company_id: int | None,
    actor: str,
    now: datetime,
    agent_id: int | None = None,
    language: str = "es",
    timezone: str = "UTC",
) -> int:
    """Make a user without a password (``new_link`` lets them choose one); the id.

    Raises NotPossible. Agents and supervisors belong to a company; who works at a desk is linked to
    an agent of the same one.
    """
    email = email.strip().casefold()
    if not _EMAIL.fullmatch(email):
        raise NotPossible(WhyNobody.LIKE_AN_EMAIL.say(email=email))
    if not 0 < len(name.strip()) <= 200:
        raise NotPossible(WhyNobody.NAME.say())
    if connection.scalar(select(app_user.c.id).where(app_user.c.email == email)):
        raise NotPossible(WhyNobody.USER_TAKEN.say(email=email))
    values = {
        "name": name.strip(),
        "role": role.value,
        "company_id": company_id,
        "agent_id": agent_id,
        "language": language,
        "timezone": timezone,
    }
    _check(connection, values)
    made: int = connection.execute(
        insert(app_user)
        .values(email=email, active=True, failures=0, created_at=now, **values)
        .returning(app_user.c.id)
    ).scalar_one()
    note(connection, "user.create", made, actor, now, after=values)
    return made


def update_user(
    connection: Connection, user_id: int, changes: dict[str, Any], actor: str, now: datetime
) -> None:
    """Change a user (``name``, ``role``, ``company_id``, ``agent_id``, ``language``, ``timezone``,
    ``active``). Who is no longer active is logged out at once. Raises NotPossible; the last active
    administrator of everything stays one."""
    before = connection.execute(select(app_user).where(app_user.c.id == user_id)).first()
    if before is None:
        raise NotPossible(WhyNobody.NO_USER_ID.say(id=user_id))
    unknown = changes.keys() - _CHANGEABLE
    if unknown:
        raise NotPossible(WhyNobody.UNCHANGEABLE.say(keys=", ".join(sorted(unknown))))
    whole = {key: changes.get(key, before._mapping[key]) for key in _CHANGEABLE}
    _check(connection, whole)
    _keep_an_administrator(connection, before, whole)
    connection.execute(update(app_user).where(app_user.c.id == user_id).values(**changes))
    if not whole["active"] or whole["role"] != before.role:
        end_sessions(connection, user_id, now)
    old = {key: before._mapping[key] for key in changes}
    note(connection, "user.change", user_id, actor, now, before=old, after=changes)


_CHANGEABLE = {"name", "role", "company_id", "agent_id", "language", "timezone", "active"}


def _check(connection: Connection, values: dict[str, Any]) -> None:
    role = Role(values["role"])
    if values["language"] not in LANGUAGES:
        raise NotPossible(
            WhyNobody.LANGUAGE.say(known=" or ".join(LANGUAGES), language=values["language"])
        )
    if values["timezone"] not in available_timezones():
        raise NotPossible(WhyNobody.TIMEZONE.say(timezone=values["timezone"]))
    company_id = values["company_id"]
    if company_id is None and role in (Role.AGENT, Role.SUPERVISOR):
        raise NotPossible(WhyNobody.NEEDS_COMPANY.say(role=role.value))
    if company_id is not None and not connection.scalar(
        select(company.c.id).where(company.c.id == company_id)
    ):
        raise NotPossible(WhyNobody.NO_COMPANY_ID.say(id=company_id))
    if values["agent_id"] is not None:
        theirs = connection.scalar(
            select(agent.c.company_id).where(agent.c.id == values["agent_id"])
        )
        if theirs is None or theirs != company_id:
            raise NotPossible(WhyNobody.SAME_COMPANY.say())
    elif role is Role.AGENT:
        raise NotPossible(WhyNobody.NEEDS_AGENT.say())


def _keep_an_administrator(connection: Connection, before: Row[Any], after: dict[str, Any]) -> None:
    was = before.active and before.role == Role.ADMINISTRATOR and before.company_id is None
    is_ = after["active"] and after["role"] == Role.ADMINISTRATOR and after["company_id"] is None
    if not was or is_:
        return
    others = connection.scalar(
        select(func.count())
        .select_from(app_user)
        .where(
            app_user.c.role == Role.ADMINISTRATOR.value,
            app_user.c.company_id.is_(None),
            app_user.c.active,
            app_user.c.id != before.id,
        )
    )
    if not others:
        raise NotPossible(WhyNobody.LAST_ADMINISTRATOR.say())


def list_users(connection: Connection, company_id: int | None = None) -> list[User]:
    """The users, of one company or of all, by name."""
    query = _USERS.order_by(app_user.c.name, app_user.c.id)
    if company_id is not None:
        query = query.where(app_user.c.company_id == company_id)
    return [_user(row) for row in connection.execute(query)]


def load_user(connection: Connection, user_id: int) -> User | None:
    """The user, None where there is none."""
    row = connection.execute(_USERS.where(app_user.c.id == user_id)).first()
    return None if row is None else _user(row)


def user_by_email(connection: Connection, email: str) -> User:
    """The user of that address. Raises NotPossible."""
    row = connection.execute(_USERS.where(app_user.c.email == email.strip().casefold())).first()
    if row is None:
        raise NotPossible(WhyNobody.NO_USER.say(email=email))
    return _user(row)


# --- one-time links ------------------------------------------------------------------------------


def new_link(connection: Connection, user_id: int, actor: str, now: datetime) -> str:
    """What a link to choose a password by holds, told this once. Earlier ones are void."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        update(user_link)
        .where(user_link.c.user_id == user_id, user_link.c.used_at.is_(None))
        .values(used_at=now)
    )
    connection.execute(
        insert(user_link).values(
            id=hashed(token), user_id=user_id, created_at=now, expires_at=now + LINK_LIFE
        )
    )
    note(connection, "user.link", user_id, actor, now)
    return token


def link_user(connection: Connection, token: str, now: datetime) -> User | None:
    """Whose link it is, None where it is none, was used, or is too old."""
    row = connection.execute(
        select(user_link.c.user_id)
        .join(app_user, app_user.c.id == user_link.c.user_id)
        .where(
            user_link.c.id == hashed(token),
            user_link.c.used_at.is_(None),
            user_link.c.expires_at > now,
            app_user.c.active,
        )
    ).first()
    return None if row is None else load_user(connection, row.user_id)


def use_link(connection: Connection, token: str, password_hash: str, now: datetime) -> int:
    """Set the password that was chosen (``hash_password``), once; whoever was logged in as them is
    no longer. The user. Raises NotPossible where the link is none, was used, or is too old."""
    user = link_user(connection, token, now)
    used = connection.execute(
        update(user_link)
        .where(user_link.c.id == hashed(token), user_link.c.used_at.is_(None))
        .values(used_at=now)
    )
    if user is None or used.rowcount != 1:
        raise NotPossible(WhyNobody.LINK_USED.say())
    set_values(connection, user.id, password_hash=password_hash, failures=0, locked_until=None)
    end_sessions(connection, user.id, now)
    note(connection, "user.password", user.id, f"user:{user.id}", now)
    return user.id


def hash_password(password: str) -> str:
    """As it is kept. Takes a good part of a tenth of a second: never within a transaction."""
    return HASHER.hash(password)


# --- what both this and logging in need ---------------------------------------------------------


def end_sessions(connection: Connection, user_id: int, now: datetime) -> int:
    """Log a user out everywhere; how many sessions that ended."""
    return connection.execute(
        update(web_session)
        .where(web_session.c.user_id == user_id, web_session.c.ended_at.is_(None))
        .values(ended_at=now)
    ).rowcount


def set_values(connection: Connection, user_id: int, **values: Any) -> None:
    """Columns of a user, as they are; nothing is checked."""
    connection.execute(update(app_user).where(app_user.c.id == user_id).values(**values))


def hashed(token: str) -> str:
    """As sessions and links are kept."""
    # 256 random bits: no salt and no slow hash would make them harder to guess.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


_USERS = (
    select(app_user, company.c.name.label("company"), agent.c.login.label("agent"))
    .outerjoin(company, company.c.id == app_user.c.company_id)
    .outerjoin(agent, agent.c.id == app_user.c.agent_id)
)


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        company_id=row.company_id,
        company=row.company,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        language=row.language,
        timezone=row.timezone,
        agent_id=row.agent_id,
        agent=row.agent,
        active=row.active,
        has_password=row.password_hash is not None,
        second_factor=row.totp_secret is not None,
        locked_until=row.locked_until,
        last_seen_at=row.last_seen_at,
    )


def note(
    connection: Connection,
    action: str,
    user_id: int,
    actor: str,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """An audit row about a user, without their name."""

    def plain(values: dict[str, Any] | None) -> dict[str, Any] | None:
        return values and {k: "..." if k == "name" else v for k, v in values.items()}

    audit.record(
        connection,
        actor=actor,
        action=action,
        target=f"user:{user_id}",
        now=now,
        before=plain(before),
        after=plain(after),
    )
