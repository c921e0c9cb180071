"""Logging in: password and second factor, guesses that wait, sessions of browsers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyotp
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import Connection, Engine, Row, insert, or_, select, update

from dialer.domain.access import SESSION_LIFE, Role, Viewer, session_ended, wait_after
from dialer.store.companies import NotPossible
from dialer.store.refusals import WhyNobody
from dialer.store.tables import app_user, web_session
from dialer.store.users import HASHER as HASHER
from dialer.store.users import hashed, note, set_values

_NOBODY = HASHER.hash(secrets.token_urlsafe(16))
"""Checked where there is no such user, so that an answer takes as long."""


@dataclass(frozen=True, slots=True)
class LogIn:
    """How a log-in ended. ``fault``: None where it succeeded, else ``wrong``, ``wait`` (until
    ``until``) or ``code`` (the second factor is wanted, or was wrong)."""

    user_id: int | None
    fault: str | None
    until: datetime | None = None


def log_in(engine: Engine, email: str, password: str, code: str, now: datetime) -> LogIn:
    """Check an address, a password and, where there is one, the second factor.

    Failures count (``wait_after``): while an account waits, nothing is checked. An unknown address
    takes as long and answers the same as a wrong password. The slow part is done outside of any
    transaction: nobody who writes waits for it.
    """
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        row = connection.execute(
            select(app_user).where(app_user.c.email == email.strip().casefold())
        ).first()
    if row is None or not row.active or row.password_hash is None:
        _verified(_NOBODY, password)
        return LogIn(None, "wrong")
    if row.locked_until is not None and row.locked_until > now:
        return LogIn(None, "wait", row.locked_until)
    step = None
    fault = None if _verified(row.password_hash, password) else "wrong"
    if fault is None and row.totp_secret is not None:
        step = _totp_step(row.totp_secret, code, row.totp_used, now)
        fault = "code" if step is None else None
    if fault == "code" and not code:
        return LogIn(None, fault)  # a question for it, no guess
    if fault is not None:
        return LogIn(None, fault, _count_failure(engine, row.id, now))
    fresh: dict[str, Any] = {}
    if HASHER.check_needs_rehash(row.password_hash):
        fresh["password_hash"] = HASHER.hash(password)
    with engine.begin() as connection:
        if step is not None and not _take_step(connection, row.id, step):
            return LogIn(None, "code")
        set_values(connection, row.id, failures=0, locked_until=None, last_seen_at=now, **fresh)
    return LogIn(row.id, None)


def user_of(connection: Connection, email: str) -> Row[Any] | None:
    """The active user with that address, for whoever has shown by other means that it is theirs."""
    return connection.execute(
        select(app_user).where(app_user.c.email == email.strip().casefold(), app_user.c.active)
    ).first()


def second_step(engine: Engine, user_id: int, code: str, now: datetime) -> LogIn:
    """The second factor alone, of somebody whose first one was somebody else's to check. Failures
    count as with a password."""
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        row = connection.execute(
            select(app_user).where(app_user.c.id == user_id, app_user.c.active)
        ).first()
    if row is None or row.totp_secret is None:
        return LogIn(None, "wrong")
    if row.locked_until is not None and row.locked_until > now:
        return LogIn(None, "wait", row.locked_until)
    step = _totp_step(row.totp_secret, code, row.totp_used, now)
    if step is None:
        return LogIn(None, "code", _count_failure(engine, user_id, now))
    with engine.begin() as connection:
        if not _take_step(connection, user_id, step):
            return LogIn(None, "code")
        set_values(connection, user_id, failures=0, locked_until=None, last_seen_at=now)
    return LogIn(user_id, None)


def _count_failure(engine: Engine, user_id: int, now: datetime) -> datetime | None:
    """One more log-in that failed; until when the account now waits."""
    with engine.begin() as connection:
        failures: int = connection.execute(
            update(app_user)
            .where(app_user.c.id == user_id)
            .values(failures=app_user.c.failures + 1)
            .returning(app_user.c.failures)
        ).scalar_one()
        wait = wait_after(failures)
        until = now + wait if wait else None
        set_values(connection, user_id, locked_until=until)
    return until


def _take_step(connection: Connection, user_id: int, step: int) -> bool:
    """A code counts once, whoever is quicker."""
    taken = connection.execute(
        update(app_user)
        .where(
            app_user.c.id == user_id,
            or_(app_user.c.totp_used.is_(None), app_user.c.totp_used < step),
        )
        .values(totp_used=step)
    )
    return taken.rowcount == 1


def _verified(hashed: str, password: str) -> bool:
    try:
        return HASHER.verify(hashed, password)
    except (Argon2Error, InvalidHashError):
        return False


def _totp_step(secret: str, code: str, used: int | None, now: datetime) -> int | None:
    """The half-minute whose code this is, one before and after included; None where it is none of
    them, or was taken already (RFC 6238, section 5.2)."""
    totp = pyotp.TOTP(secret)
    current = int(now.timestamp()) // totp.interval
    for step in (current, current - 1, current + 1):
        fits = pyotp.utils.strings_equal(totp.generate_otp(step), code.strip().replace(" ", ""))
        if fits and (used is None or step > used):
            return step
    return None


def set_second_factor(
    connection: Connection, user_id: int, secret: str | None, code: str, actor: str, now: datetime
) -> None:
    """Switch the second factor on (``secret``, with a first ``code`` made by it) or off (None).

    Raises NotPossible (``code``) where the code is not the secret's.
    """
    step = None
    if secret is not None:
        step = _totp_step(secret, code, None, now)
        if step is None:
            raise NotPossible(WhyNobody.CODE.say())
    set_values(connection, user_id, totp_secret=secret, totp_used=step)
    note(connection, "user.second_factor", user_id, actor, now, after={"on": secret is not None})


# --- sessions ------------------------------------------------------------------------------------


def open_web_session(connection: Connection, user_id: int, browser: str, now: datetime) -> str:
    """A session of the browser; what its cookie holds."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        insert(web_session).values(
            id=hashed(token),
            user_id=user_id,
            created_at=now,
            seen_at=now,
            expires_at=now + SESSION_LIFE,
            browser=browser[:200],
        )
    )
    return token


def viewer_of(connection: Connection, token: str, now: datetime) -> tuple[Viewer, datetime] | None:
    """Who a session is, and when it was last seen; None where it is over or its user inactive."""
    row = connection.execute(
        select(web_session.c.created_at, web_session.c.seen_at, web_session.c.ended_at, app_user)
        .join(app_user, app_user.c.id == web_session.c.user_id)
        .where(web_session.c.id == hashed(token), app_user.c.active)
    ).first()
    if row is None or session_ended(now, row.created_at, row.seen_at, row.ended_at):
        return None
    viewer = Viewer(
        user_id=row.id,
        name=row.name,
        email=row.email,
        role=Role(row.role),
        company_id=row.company_id,
        agent_id=row.agent_id,
        language=row.language,
        timezone=row.timezone,
    )
    return viewer, row.seen_at


def seen(connection: Connection, token: str, now: datetime) -> None:
    """Note that a session is in use."""
    connection.execute(
        update(web_session).where(web_session.c.id == hashed(token)).values(seen_at=now)
    )


def end_web_session(connection: Connection, token: str, now: datetime) -> None:
    """Log out."""
    connection.execute(
        update(web_session)
        .where(web_session.c.id == hashed(token), web_session.c.ended_at.is_(None))
        .values(ended_at=now)
    )


def open_web_sessions(connection: Connection, user_id: int, now: datetime) -> list[Row[Any]]:
    """The sessions of a user that are not over, newest first: id, created_at, seen_at, browser."""
    rows = connection.execute(
        select(web_session)
        .where(web_session.c.user_id == user_id, web_session.c.ended_at.is_(None))
        .order_by(web_session.c.created_at.desc())
    )
    return [row for row in rows if not session_ended(now, row.created_at, row.seen_at, None)]


def session_id(token: str) -> str:
    """What a session is kept as."""
    return hashed(token)
