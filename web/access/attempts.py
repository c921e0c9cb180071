"""How often one address may try to log in, whoever it names: guesses spread over many accounts."""

from __future__ import annotations

from datetime import datetime

from redis import Redis
from redis.exceptions import RedisError

from dialer.logs import get_logger

log = get_logger(__name__)

KEY = "dialer:web:log-in:"
PER_MINUTE = 30


def may_try(redis: Redis, address: str, now: datetime) -> bool:
    """Count a try. While Redis is away all may: the accounts still wait after failures."""
    key = f"{KEY}{address}:{int(now.timestamp()) // 60}"
    try:
        pipeline = redis.pipeline(transaction=True)
        pipeline.incr(key)
        pipeline.expire(key, 120)
        tried = int(pipeline.execute()[0])
    except RedisError as error:
        log.warning("log_in_not_counted", why=str(error))
        return True
    return tried <= PER_MINUTE
