"""Tokens of programs: made, revoked, found by what their holder has.

Only a hash is kept, so that a copy of the database opens nothing. Every change leaves an audit row.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from dialer.domain.api import Scope
from dialer.store import audit
from dialer.store.companies import NotPossible
from dialer.store.refusals import Why
from dialer.store.tables import api_token, company

PREFIX = "dlr_"
"""What every token begins with, so that one that was left lying about is recognised."""
LONGEST_NAME = 100
SEEN_EVERY = timedelta(minutes=1)
"""How exactly the database knows when a token was last used."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token, without itself. ``company_id``: None opens every company."""

    id: int
    company_id: int | None
    company: str | None
    name: str
    scopes: tuple[Scope, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def opens(self, now: datetime) -> bool:
        """Neither revoked nor too old."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def sees(self, company_id: int | None) -> bool:
        """Whether something of that company is there for it."""
        return self.company_id is None or self.company_id == company_id


def create_token(
    connection: Connection,
    *,
    company_id: int | None,
    name: str,
    scopes: Collection[Scope],
    actor: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[int, str]:
    """Make one: its id, and the token itself, told this once. Raises NotPossible."""
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise NotPossible(Why.KEY_NAME.say(most=LONGEST_NAME))
    if not scopes:
        raise NotPossible(Why.NO_SCOPES.say())
    if expires_at is not None and expires_at <= now:
        raise NotPossible(Why.KEY_OVER.say())
    token = PREFIX + secrets.token_urlsafe(32)
    rights = [scope.value for scope in Scope if scope in scopes]
    made: int = connection.execute(
        insert(api_token)
        .values(
            company_id=company_id,
            name=name,
            token_hash=_hash(token),
            scopes=rights,
            created_by=actor[:100],
            created_at=now,
            expires_at=expires_at,
        )
        .returning(api_token.c.id)
    ).scalar_one()
    after: dict[str, Any] = {"company_id": company_id, "scopes": rights}
    if expires_at is not None:
        after["expires_at"] = expires_at.isoformat()
    _note(connection, "api_key.create", made, actor, now, after)
    return made, token


def revoke_token(connection: Connection, token_id: int, actor: str, now: datetime) -> None:
    """It opens nothing from now on. Raises NotPossible where it is not there or was revoked."""
    changed = connection.execute(
        update(api_token)
        .where(api_token.c.id == token_id, api_token.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if changed.rowcount != 1:
        raise NotPossible(Why.NO_KEY.say(id=token_id))
    _note(connection, "api_key.revoke", token_id, actor, now, None)


def list_tokens(connection: Connection, company_id: int | None = None) -> list[ApiToken]:
    """The newest first; of one company, or all."""
    query = _TOKENS.order_by(api_token.c.id.desc())
    if company_id is not None:
        query = query.where(api_token.c.company_id == company_id)
    return [_token(row) for row in connection.execute(query)]


def load_token(connection: Connection, token_id: int) -> ApiToken | None:
    """None where there is none."""
    row = connection.execute(_TOKENS.where(api_token.c.id == token_id)).first()
    return None if row is None else _token(row)


def token_of(connection: Connection, text: str, now: datetime) -> ApiToken | None:
    """The one that this opens, None where it opens nothing (any more)."""
    hashed = _hash(text)
    row = connection.execute(_TOKENS.where(api_token.c.token_hash == hashed)).first()
    # Found by the index of its hash: what an attacker could time is no part of the token.
    if row is None or not hmac.compare_digest(row.token_hash, hashed):
        return None
    found = _token(row)
    return found if found.opens(now) else None


def note_use(connection: Connection, token_id: int, now: datetime) -> None:
    """That it was used just now."""
    connection.execute(update(api_token).where(api_token.c.id == token_id).values(last_used_at=now))


def _hash(token: str) -> str:
    # 256 random bits: no salt and no slow hash would make them harder to guess.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


_TOKENS = select(api_token, company.c.name.label("company")).outerjoin(
    company, company.c.id == api_token.c.company_id
)


def _token(row: Row[Any]) -> ApiToken:
    known = {scope.value: scope for scope in Scope}
    return ApiToken(
        id=row.id,
        company_id=row.company_id,
        company=row.company,
        name=row.name,
        scopes=tuple(known[one] for one in row.scopes if one in known),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def _note(
    connection: Connection,
    action: str,
    token_id: int,
    actor: str,
    now: datetime,
    after: dict[str, Any] | None,
) -> None:
    audit.record(
        connection, actor=actor, action=action, target=f"api_key:{token_id}", now=now, after=after
    )
