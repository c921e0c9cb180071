"""A request that is sent again is done once: ``Idempotency-Key``.

The first answer is kept in Redis for ten minutes and given to every repeat. A repeat while the
first is still under way is told so (409); the same key with another request is a mistake of the
caller (422). What is known not to have been done is not kept: there a repeat may do it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from flask import Response
from redis import Redis
from redis.exceptions import RedisError

from dialer.logs import get_logger
from web.problems import Problem, failed, invalid_fields, redis_away

log = get_logger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
DESK_ONCE = "dialer:desk:once:"
KEPT_SECONDS = 600
RUNNING_SECONDS = 30
"""A web process that died over a request blocks its key for so long."""

_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_KEPT_HEADERS = ("Content-Type", "Retry-After")


class Once:
    """The answers that are kept, for all web processes on one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def answer(
        self, who: str, key: str | None, asked: bytes, do: Callable[[], Response]
    ) -> Response:
        """What ``do`` answers, or what it answered when ``who`` asked with this key before.

        ``asked``: the request, to tell a repeat from a reuse. Raises Problem.
        """
        if key is None:
            return do()
        if not _KEY.fullmatch(key):
            raise invalid_fields([(HEADER, "1 to 200 visible ASCII characters")])
        name = DESK_ONCE + hashlib.sha256(f"{who}\0{key}".encode()).hexdigest()
        mark = hashlib.sha256(asked).hexdigest()
        running = json.dumps({"asked": mark})
        try:
            if not self._redis.set(name, running, nx=True, ex=RUNNING_SECONDS):
                kept: Any = self._redis.get(name)
                return _repeated(kept, mark)
        except RedisError as error:
            raise redis_away() from error
        return self._first(name, mark, do)

    def _first(self, name: str, mark: str, do: Callable[[], Response]) -> Response:
        try:
            response = do()
        except Problem as problem:
            if problem.more.get("done") == "no" or problem.status == 429:
                self._keep(name, None)
                raise
            response = problem.response()
        except Exception:
            log.exception("request failed")
            response = failed().response()
        kept = {
            "asked": mark,
            "status": response.status_code,
            "body": response.get_data(as_text=True),
            "headers": {
                one: response.headers[one] for one in _KEPT_HEADERS if one in response.headers
            },
        }
        self._keep(name, json.dumps(kept))
        return response

    def _keep(self, name: str, value: str | None) -> None:
        try:
            if value is None:
                self._redis.delete(name)
            else:
                self._redis.set(name, value, ex=KEPT_SECONDS)
        except RedisError as error:
            log.warning("answer_not_kept", error=type(error).__name__)


def _repeated(kept: bytes | None, mark: str) -> Response:
    told: dict[str, Any] = json.loads(kept) if kept is not None else {"asked": mark}
    if told["asked"] != mark:
        raise Problem(422, "key_reused", "This key was used for another request")
    if "status" not in told:
        raise Problem(
            409,
            "still_running",
            "The first request with this key is still under way",
            headers={"Retry-After": "1"},
        )
    response = Response(told["body"], status=told["status"], headers=told["headers"])
    response.headers[REPLAYED] = "true"
    return response
