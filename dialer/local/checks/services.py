"""Checks of what the dialer works with: Redis, the database, the prompts."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy.exc import SQLAlchemyError

from dialer.local.checks.result import CheckResult, Subject, fault, ok, warning
from dialer.store.db import open_database, schema_version

CLOCK_SECONDS = 2.0
"""Two machines' clocks may differ by so much before contact hours and leases suffer."""


def redis_server(subject: Subject, now: Callable[[], float] = time.time) -> CheckResult:
    """Messages wait in Redis: it must answer and must not throw jobs away."""
    url = subject.settings.redis
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3) as client:
            client.ping()
            seconds, micros = client.time()
            told = _policy(client)
    except (RedisError, ValueError) as error:
        own = not subject.settings.redis_url
        return fault(
            "Redis",
            f"{_where(url)} does not answer ({type(error).__name__})",
            "`dialer redis` (or `dialer up`) starts the one of this installation"
            if own
            else "start it, or correct REDIS_URL",
        )
    drift = abs(now() - (float(seconds) + float(micros) / 1e6))
    if drift > CLOCK_SECONDS:
        return fault(
            "Redis",
            f"its clock differs by {drift:.0f} s from this machine's",
            "switch on time synchronisation on both machines",
        )
    if told.get("maxmemory-policy", "noeviction") != "noeviction":
        return warning(
            "Redis",
            "it may throw waiting messages away when its memory is full "
            f"(maxmemory-policy {told['maxmemory-policy']})",
            "set maxmemory-policy noeviction in redis.conf",
        )
    if told.get("appendonly") == "no":
        return warning(
            "Redis",
            "waiting messages would not outlive a restart of Redis (appendonly no)",
            "set appendonly yes in redis.conf",
        )
    return ok("Redis", f"{_where(url)} answers")


def _policy(client: redis.Redis) -> dict[str, str]:
    """The two settings that lose jobs; empty where a managed Redis does not tell."""
    try:
        told = client.config_get("maxmemory-policy") | client.config_get("appendonly")
    except ResponseError:
        return {}
    return {_text(name): _text(value) for name, value in told.items()}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _where(url: str) -> str:
    """Host and port of an address, without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.hostname else parts.path or url.split(":")[0]


def database(subject: Subject) -> CheckResult:
    """It must answer, with the tables of this version."""
    url = subject.settings.database
    where = _where(url)
    try:
        engine = open_database(url)
        try:
            current, newest = schema_version(engine)
        finally:
            engine.dispose()
    except (SQLAlchemyError, OSError) as error:
        return fault(
            "database",
            f"{where} cannot be opened ({type(error).__name__})",
            "start the database, or correct DATABASE_URL",
        )
    if current is None:
        return fault("database", f"{where} has no tables yet", "run `dialer init`")
    if current != newest:
        return fault(
            "database",
            f"its tables are of version {current}, this dialer needs {newest}",
            "run `dialer init`, which brings them up to date (back it up first); if it is "
            "newer than this dialer, update the dialer",
        )
    return ok("database", f"{where} answers, tables up to date")


def prompts(subject: Subject) -> CheckResult:
    """Every prompt that a flow can play must lie there as audio."""
    try:
        from dialer.speech.render import PromptError, missing_prompts
    except ImportError as error:
        return fault("prompts", f"the speech part cannot be loaded: {error}", "run `make setup`")
    try:
        missing = missing_prompts(subject.settings)
    except PromptError as error:
        return fault("prompts", str(error), "correct the texts in ivr_flows")
    if missing:
        shown = "; ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        return fault(
            "prompts",
            f"{len(missing)} cannot be played: {shown}",
            "run `dialer prompts` (or `make setup`)",
        )
    return ok("prompts", "all there")


CHECKS = (redis_server, database, prompts)
