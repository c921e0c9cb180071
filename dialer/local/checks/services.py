"""Checks of what the dialer works with: Redis, the database, the prompts."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy.exc import SQLAlchemyError

from dialer.local.checks.findings import Looked, Mend, Service
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
            Looked.REDIS,
            Service.SILENT.say(where=_where(url), error=type(error).__name__),
            Mend.OWN_REDIS if own else Mend.REDIS_URL,
        )
    drift = abs(now() - (float(seconds) + float(micros) / 1e6))
    if drift > CLOCK_SECONDS:
        return fault(
            Looked.REDIS,
            Service.DRIFTS.say(seconds=f"{drift:.0f}"),
            Mend.BOTH_CLOCKS,
        )
    policy = told.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        return warning(
            Looked.REDIS,
            Service.EVICTS.say(policy=policy),
            Mend.NOEVICTION,
        )
    if told.get("appendonly") == "no":
        return warning(
            Looked.REDIS,
            Service.FORGETS,
            Mend.APPENDONLY,
        )
    return ok(Looked.REDIS, Service.ANSWERS.say(where=_where(url)))


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
            Looked.DATABASE,
            Service.NOT_OPENED.say(where=where, error=type(error).__name__),
            Mend.DATABASE_URL,
        )
    if current is None:
        return fault(Looked.DATABASE, Service.NO_TABLES.say(where=where), Mend.INIT)
    if current != newest:
        return fault(
            Looked.DATABASE,
            Service.OTHER_TABLES.say(current=current, newest=newest),
            Mend.MIGRATE,
        )
    return ok(Looked.DATABASE, Service.TABLES_GOOD.say(where=where))


def prompts(subject: Subject) -> CheckResult:
    """Every prompt that a flow can play must lie there as audio."""
    try:
        from dialer.speech.render import PromptError, missing_prompts
    except ImportError as error:
        return fault(Looked.PROMPTS, Service.NO_SPEECH.say(why=str(error)), Mend.SETUP)
    try:
        missing = missing_prompts(subject.settings)
    except PromptError as error:
        return fault(Looked.PROMPTS, str(error), Mend.TEXTS)
    if missing:
        shown = "; ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        return fault(
            Looked.PROMPTS,
            Service.NOT_PLAYED.say(count=len(missing), which=shown),
            Mend.PROMPTS,
        )
    return ok(Looked.PROMPTS, Service.ALL_THERE)


CHECKS = (redis_server, database, prompts)
