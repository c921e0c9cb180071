"""What the routes of agents and of supervisors are made of: a command's route, the question to the
engine, bodies and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Response, request
from pydantic import ValidationError
from redis import Redis
from sqlalchemy import Engine
from werkzeug.exceptions import HTTPException

from dialer.config import Settings
from dialer.desk import models
from dialer.desk.models import CommandName
from dialer.desk.wire import EngineAway, ask
from dialer.logs import get_logger
from web import problems
from web.agents_access import Access
from web.agents_events import Streams
from web.once import HEADER, Once
from web.problems import Problem

log = get_logger(__name__)

M = TypeVar("M", bound=models.Request)


@dataclass(frozen=True, slots=True)
class Route:
    """``POST path`` is the command ``do``; ``given`` is read from the body, ``args`` makes the
    command's arguments of it."""

    path: str
    do: CommandName
    says: str
    given: type[models.Request] = models.Nothing
    args: Callable[[Any], Mapping[str, Any]] | None = None

    def arguments(self, given: models.Request) -> Mapping[str, Any]:
        """The command's arguments."""
        return plain(given) if self.args is None else self.args(given)


class Desk:
    """What the views share."""

    def __init__(self, settings: Settings, engine: Engine, redis: Redis, streams: Streams) -> None:
        self.settings = settings
        self.engine = engine
        self.redis = redis
        self.streams = streams
        self.access = Access(settings, engine, redis)
        self.once = Once(redis)

    def ask(
        self, node: str, do: CommandName, session: str | None, args: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The engine's answer. Raises Problem."""
        try:
            reply = ask(self.redis, node, do, session, args)
        except EngineAway as error:
            log.warning("engine_away", command=do.value, why=str(error))
            raise problems.engine_away(error) from error
        if not reply.ok:
            raise problems.refused(reply)
        return reply.data

    def once_only(self, who: str, do: Callable[[], Response]) -> Response:
        """``do``, or the answer that an earlier request with the same key got."""
        asked = f"{request.method} {request.path}\n".encode() + request.get_data(cache=True)
        return self.once.answer(who, request.headers.get(HEADER), asked, do)

    def readonly(self) -> Any:
        """A connection that only reads."""
        return self.engine.connect().execution_options(dialer_readonly=True)


def explain(error: Exception) -> Response:
    """Whatever went wrong, as a problem."""
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, HTTPException):
        return problems.of_http(error).response()
    log.error("request failed", exc_info=error)
    return problems.failed().response()


def read_body(model: type[M]) -> M:
    """The body as this model has it. Raises Problem: 400, 415, 422."""
    raw = request.get_data(cache=True)
    if raw.strip() and request.mimetype != "application/json":
        raise Problem(415, "not_json", "Send application/json")
    try:
        return model.model_validate_json(raw if raw.strip() else b"{}")
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] == "json_invalid":
            raise Problem(400, "bad_json", "The body is not JSON") from error
        raise problems.invalid(error) from error


def plain(given: models.Request) -> dict[str, Any]:
    """As JSON has it, without nulls."""
    return given.model_dump(mode="json", exclude_none=True)


def as_json(answer: models.Answer, status: int = 200) -> Response:
    """The answer."""
    return Response(answer.model_dump_json() + "\n", status=status, mimetype="application/json")
