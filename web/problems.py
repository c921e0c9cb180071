"""What the API says when it does not do what was asked: problem details (RFC 9457).

``code`` is for programs, ``title`` and ``detail`` are for people; ``errors`` names the fields that
were wrong; ``done`` says of a command that got no answer whether it may have been done all the
same. Nothing that came in is said back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Response
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from dialer.desk.wire import EngineAway, Reply

PROBLEM_JSON = "application/problem+json"
TYPE = "urn:dialer:problem:"


@dataclass
class Problem(Exception):
    """Raised wherever a request cannot be served; becomes the answer."""

    status: int
    code: str
    title: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def response(self) -> Response:
        """The answer."""
        body: dict[str, Any] = {
            "type": TYPE + self.code.replace("_", "-"),
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        if self.detail:
            body["detail"] = self.detail
        return Response(
            json.dumps({**body, **self.more}, ensure_ascii=False) + "\n",
            status=self.status,
            mimetype=PROBLEM_JSON,
            headers=dict(self.headers),
        )


ENGINE_ERRORS: dict[str, tuple[int, str]] = {
    "no_session": (404, "There is no such session"),
    "not_found": (404, "There is no such thing"),
    "no_such_agent": (404, "There is no such agent"),
    "unknown_agent": (403, "There is no such agent, or they are not active"),
    "not_allowed": (403, "That is not allowed"),
    "invalid": (422, "The engine does not take this"),
    "too_late": (503, "The engine came to it too late; nothing was done"),
    "overloaded": (503, "Too much is under way; nothing was done"),
    "switch_away": (503, "The telephone system is away"),
    "database_away": (503, "The database is away"),
    "malformed": (502, "The engine does not understand this version"),
    "internal": (502, "The engine failed at this"),
    "limit": (429, "Too much of it"),
}
"""Errors of the engine; any other is 409: it does not fit the state of things."""


def unauthorised() -> Problem:
    """No token, or none that is known."""
    return Problem(
        401,
        "unauthorised",
        "A valid token is needed",
        headers={"WWW-Authenticate": 'Bearer realm="dialer"'},
    )


def forbidden(detail: str) -> Problem:
    """A token that is known and has no right to this."""
    return Problem(403, "forbidden", "This is not yours", detail)


def no_session() -> Problem:
    """The agent is not logged in."""
    return Problem(404, "no_session", "You are not logged in", "POST a session first")


def invalid(error: ValidationError) -> Problem:
    """Fields that are wrong, by name, without what they held."""
    wrong = [
        {"field": ".".join(map(str, one["loc"])) or "body", "reason": one["msg"]}
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return Problem(422, "invalid", "Some fields are wrong", more={"errors": wrong[:20]})


def invalid_fields(wrong: Sequence[tuple[str, str]]) -> Problem:
    """The same for what no model checks: (field, reason)."""
    errors = [{"field": name, "reason": reason} for name, reason in wrong]
    return Problem(422, "invalid", "Some fields are wrong", more={"errors": errors})


def engine_away(error: EngineAway) -> Problem:
    """Nobody answered: again in a second, unless it may have been done."""
    done = "no" if error.done is False else "unknown"
    return Problem(
        503,
        "engine_away",
        "The engine does not answer",
        "Nothing was done." if done == "no" else "It may have been done: look at your session.",
        headers={"Retry-After": "1"},
        more={"done": done},
    )


def refused(reply: Reply) -> Problem:
    """The engine said no."""
    status, title = ENGINE_ERRORS.get(reply.error, (409, "That cannot be done now"))
    return Problem(
        status,
        reply.error,
        title,
        reply.detail,
        headers={"Retry-After": "1"} if status in (429, 503) else {},
        more={"done": "no"} if status == 503 else {},
    )


def redis_away() -> Problem:
    """What the API keeps in Redis cannot be read."""
    return Problem(
        503,
        "engine_away",
        "The engine cannot be reached",
        "Nothing was done.",
        headers={"Retry-After": "1"},
        more={"done": "no"},
    )


def of_http(error: HTTPException) -> Problem:
    """What Flask itself refuses: no such path, no such method, a body that is too long."""
    status = error.code or 500
    headers: dict[str, str] = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return Problem(status, f"http_{status}", error.name, headers=headers)


def failed() -> Problem:
    """Our fault; it is in the log."""
    return Problem(
        503, "failed", "Try again later", headers={"Retry-After": "1"}, more={"done": "unknown"}
    )
