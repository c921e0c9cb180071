"""Who asks, and how often they may: the bearer token of a program."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import request
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine

from dialer.domain.api import Scope
from dialer.store import api_tokens
from dialer.store.api_tokens import SEEN_EVERY, ApiToken
from web.problems import Problem, redis_away, unauthorised

RATE = "dialer:api:rate:"
PER_MINUTE = 600
"""Requests of one token."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of the minute, for the headers."""

    limit: int
    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """The names that clients know."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.left),
            "RateLimit-Reset": str(self.seconds),
        }


def come_in(engine: Engine, now: datetime) -> ApiToken:
    """The token of this request. Raises Problem (401)."""
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        raise unauthorised()
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        found = api_tokens.token_of(connection, str(given.token), now)
    if found is None:
        raise unauthorised()
    if found.last_used_at is None or now - found.last_used_at >= SEEN_EVERY:
        with engine.begin() as connection:
            api_tokens.note_use(connection, found.id, now)
    return found


def needs(token: ApiToken, scope: Scope) -> None:
    """Raises Problem (403)."""
    if scope not in token.scopes:
        raise Problem(
            403,
            "scope",
            "The key has no right to this",
            f"It takes the scope {scope.value}.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )


def count(redis: Redis, token: ApiToken) -> Allowance:
    """One request more. Raises Problem: 429, or 503 where nobody can count."""
    moment = int(time.time())
    minute, left = divmod(moment, 60)
    seconds = 60 - left
    key = f"{RATE}{token.id}:{minute}"
    try:
        pipeline = redis.pipeline(transaction=True)
        pipeline.incr(key)
        pipeline.expire(key, 70)
        asked = int(pipeline.execute()[0])
    except RedisError as error:
        raise redis_away() from error
    found = Allowance(PER_MINUTE, max(0, PER_MINUTE - asked), seconds)
    if asked > PER_MINUTE:
        raise Problem(
            429,
            "too_many_requests",
            "Too many requests",
            f"At most {PER_MINUTE} a minute.",
            headers={"Retry-After": str(seconds), **found.headers},
        )
    return found


def moment() -> datetime:
    """This moment."""
    return datetime.now(UTC)
