"""Commands of desks to the engine, over Redis: what they look like, and how one is asked.

A command is a JSON object on the list ``DESK_COMMANDS + node``; its one answer comes on the list
``DESK_REPLY + id``. The engine's side is ``dialer.desk.reader``.

Done at most once, and never late: one that is older than ``DESK_STALE_SECONDS`` is answered
``too_late``; one that was asked twice (a connection broke between) is done once; and whoever gives
up waiting takes the command back off the list where it still lies there, so that it is known not
to have been done. The ages are those of two machines' clocks: keep them in step.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, Self

from pydantic import ValidationError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from dialer.desk.models import WITHOUT_SESSION, CommandName, arguments
from dialer.switch.names import DESK_COMMANDS, DESK_REPLY, DESK_STALE_SECONDS

DESK_ALIVE: Final = "dialer:desk:alive:"
"""+ the node: there while its engine takes commands."""
ALIVE_SECONDS: Final = 5.0
"""The engine renews it each second."""

WITHIN: Final = 2.0
"""How long an answer is waited for, seconds."""
SOCKET_SECONDS: Final = 2.5
CONNECT_SECONDS: Final = 0.5
MAX_CONNECTIONS: Final = 10_000
"""No limit of its own (the client's default is a hundred): each live view holds one."""
MAX_COMMAND: Final = 32 * 1024
"""Bytes; the longest notes take half of it."""

TOO_LATE: Final = "too_late"
MALFORMED: Final = "malformed"
INTERNAL: Final = "internal"

_ID = re.compile(r"[0-9a-f]{32}")
_ERROR = re.compile(r"[a-z][a-z_]{0,39}")


class WireError(ValueError):
    """What came is no command, or no answer. ``command_id`` where at least that was readable; the
    message never repeats what came."""

    def __init__(self, message: str, command_id: str | None = None) -> None:
        super().__init__(message)
        self.command_id = command_id


class EngineAway(Exception):
    """Nobody answered. ``done``: False where it is certain that nothing was done, None where the
    engine may have done it and the answer did not come."""

    def __init__(self, why: str, done: bool | None) -> None:
        super().__init__(why)
        self.done = done


@dataclass(frozen=True, slots=True)
class Command:
    """One wish. ``args`` are validated JSON values (``dialer.desk.models.ARGUMENTS``): defaults
    are filled in, nulls left out, times ISO 8601 with their zone."""

    id: str
    name: CommandName
    session: str | None
    args: Mapping[str, Any]
    at: datetime

    def age(self, now: datetime) -> float:
        """Seconds since it was asked; negative where the clocks disagree."""
        return (now - self.at).total_seconds()

    def stale(self, now: datetime) -> bool:
        """Nobody waits for it any more, or its clock cannot be believed."""
        return abs(self.age(now)) > DESK_STALE_SECONDS


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer: ``data`` of what was done, or ``error`` (a code) and ``detail``."""

    ok: bool
    data: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    detail: str = ""

    @classmethod
    def done(cls, **data: Any) -> Self:
        """It was done."""
        return cls(True, data)

    @classmethod
    def refused(cls, error: str, detail: str = "") -> Self:
        """It was not, and why: ``error`` is a code in lower case, ``detail`` for people."""
        if not _ERROR.fullmatch(error):
            raise ValueError("an error is a word in lower case")
        return cls(False, {}, error, detail)


class Refused(Exception):
    """Raised by whoever handles a command, in place of ``Reply.refused``."""

    def __init__(self, error: str, detail: str = "") -> None:
        super().__init__(error)
        self.reply = Reply.refused(error, detail)


def make_command(
    name: CommandName | str, session: str | None, args: Mapping[str, Any], now: datetime
) -> Command:
    """A new command. Raises WireError for arguments that it does not take."""
    return _checked(
        {
            "id": uuid.uuid4().hex,
            "command": str(name),
            "session": session,
            "args": dict(args),
            "at": now.isoformat(),
        }
    )


def encode_command(command: Command) -> bytes:
    """As it lies on the list."""
    return json.dumps(
        {
            "id": command.id,
            "command": command.name.value,
            "session": command.session,
            "args": dict(command.args),
            "at": command.at.isoformat(),
        },
        separators=(",", ":"),
        allow_nan=False,
        ensure_ascii=False,
    ).encode()


def decode_command(data: bytes) -> Command:
    """Read what lay on the list. Raises WireError for whatever is not exactly a command."""
    return _checked(_object(data))


def encode_reply(reply: Reply) -> bytes:
    """As it lies on the reply's list. Raises WireError where ``data`` is no JSON."""
    if reply.ok:
        said = {**reply.data, "ok": True}
    else:
        said = {"ok": False, "error": reply.error, "detail": reply.detail}
    try:
        return json.dumps(said, separators=(",", ":"), allow_nan=False, default=_time).encode()
    except (TypeError, ValueError) as error:
        raise WireError("an answer that is no JSON") from error


def decode_reply(data: bytes) -> Reply:
    """Read an answer. Raises WireError."""
    said = _object(data, limit=None)
    ok = said.pop("ok", None)
    if ok is True:
        return Reply(True, said)
    error, detail = said.get("error"), said.get("detail", "")
    if ok is not False or not isinstance(error, str) or not isinstance(detail, str):
        raise WireError("no answer")
    return Reply(False, {}, error, detail)


def desk_redis(url: str) -> Redis:
    """A connection pool for ``ask``: whatever hangs ends within three seconds.

    One that breaks is tried once more; what is asked twice by that is done once.
    """
    return Redis.from_url(
        url,
        protocol=2,
        max_connections=MAX_CONNECTIONS,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=SOCKET_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )


def ask(
    redis: Redis,
    node: str,
    command: CommandName | str,
    session: str | None = None,
    args: Mapping[str, Any] | None = None,
    within: float = WITHIN,
) -> Reply:
    """Have the engine of ``node`` do something, and wait for its answer.

    ``within`` in seconds, below the connection's own limit (``desk_redis``). Raises WireError for
    a command that is none, EngineAway where no answer came.
    """
    made = make_command(command, session, args or {}, datetime.now(UTC))
    data, key = encode_command(made), DESK_COMMANDS + node
    begun = time.monotonic()
    try:
        if not redis.exists(DESK_ALIVE + node):
            raise EngineAway("the engine is not there", done=False)
    except RedisError as error:
        raise EngineAway(f"Redis: {type(error).__name__}", done=False) from error
    try:
        redis.rpush(key, data)
        left = max(0.05, within - (time.monotonic() - begun))
        answer: Any = redis.blpop([DESK_REPLY + made.id], timeout=left)
        if answer is None:
            taken_back = bool(redis.lrem(key, 1, data.decode()))
            raise EngineAway("the engine does not answer", done=False if taken_back else None)
        return decode_reply(answer[1])
    except RedisError as error:
        raise EngineAway(f"Redis: {type(error).__name__}", done=None) from error
    except WireError as error:
        raise EngineAway("the engine's answer makes no sense", done=None) from error


def _checked(said: dict[str, Any]) -> Command:
    command_id = said.get("id")
    if not isinstance(command_id, str) or not _ID.fullmatch(command_id):
        raise WireError("a command without an id")
    if set(said) != {"id", "command", "session", "args", "at"}:
        raise WireError("a command has id, command, session, args and at", command_id)
    try:
        name = CommandName(said["command"])
    except ValueError as error:
        raise WireError("an unknown command", command_id) from error
    session = said["session"]
    if name in WITHOUT_SESSION:
        if session is not None:
            raise WireError(f"{name.value} belongs to no session", command_id)
    elif not isinstance(session, str) or not _ID.fullmatch(session):
        raise WireError(f"{name.value} needs a session", command_id)
    try:
        args = arguments(name, said["args"])
    except (ValidationError, TypeError, ValueError) as error:
        raise WireError(f"{name.value} does not take these arguments", command_id) from error
    return Command(command_id, name, session, args, _moment(said["at"], command_id))


def _moment(said: object, command_id: str) -> datetime:
    try:
        at = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 2000 <= at.year <= 2200:
        raise WireError("a command without its time", command_id)
    return at.astimezone(UTC)


def _object(data: bytes, limit: int | None = MAX_COMMAND) -> dict[str, Any]:
    if limit is not None and len(data) > limit:
        raise WireError(f"{len(data)} bytes are too many")
    try:
        said = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WireError("no JSON") from error
    if not isinstance(said, dict):
        raise WireError("no JSON object")
    return said


def _no_constant(_name: str) -> object:
    raise ValueError("no number")


def _time(value: object) -> str:
    if isinstance(value, date):  # and datetime, which is one
        return value.isoformat()
    raise TypeError(type(value).__name__)
