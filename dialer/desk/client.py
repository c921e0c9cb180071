"""A small client of the agents' API, and the reference for others.

    with DeskClient("http://127.0.0.1:8080", token) as desk:
        desk.log_in()
        desk.ready()
        for event in desk.events():
            ...

Every command that changes something carries an ``Idempotency-Key``: where a connection breaks, it
is sent again and done once. Commands and events may be used from different threads.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from dialer.desk import models
from dialer.tls import trusted

AGENT = "/api/v1/agent"
SUPERVISOR = "/api/v1/supervisor"
SECONDS = 5.0
"""Above the three that the API takes at most."""
SILENCE = 25.0
"""An event stream that says nothing for so long, not even that it is alive, is dead."""
FIRST_WAIT = 0.2
LONGEST_WAIT = 5.0
TRIES = 3


class DeskError(Exception):
    """The API said no. ``code`` and ``detail`` as in its problem details; ``done``: "no" or
    "unknown" where a command got no answer; ``retry_after`` in seconds."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None) -> None:
        self.status = status
        self.code = str(problem.get("code", f"http_{status}"))
        self.detail = str(problem.get("detail", ""))
        self.done = str(problem.get("done", ""))
        self.errors: Sequence[Mapping[str, str]] = problem.get("errors", [])
        self.retry_after = retry_after
        super().__init__(f"{status} {self.code} {self.detail}".strip())


class Away(DeskError):
    """The API itself could not be reached."""

    def __init__(self, why: str) -> None:
        super().__init__(503, {"code": "unreachable", "detail": why, "done": "unknown"}, None)


@dataclass(frozen=True, slots=True)
class DeskEvent:
    """One event. ``id`` is where to go on from; empty for a ``gap`` and an ``end``."""

    id: str
    type: str
    data: Mapping[str, Any]


class ApiClient:
    """What both kinds of client share."""

    def __init__(
        self, base_url: str, token: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url.rstrip("/"),
            headers={"Authorization": f"Bearer {token}"},
            timeout=SECONDS,
            transport=transport,
            trust_env=False,
            verify=trusted(),
        )
        self._closed = threading.Event()
        self._listening: set[socket.socket] = set()

    def close(self) -> None:
        """End event streams (within a moment) and connections."""
        self._closed.set()
        for one in list(self._listening):
            try:
                one.shutdown(socket.SHUT_RDWR)  # whoever reads from it wakes up
            except OSError:
                pass  # it is gone already
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def request(
        self, method: str, path: str, body: models.Request | None = None, key: str | None = None
    ) -> dict[str, Any]:
        """One request; what it answers. Sent again, with the same key, where the connection broke.

        Raises DeskError, Away.
        """
        headers = {"Idempotency-Key": key or uuid.uuid4().hex} if method != "GET" else {}
        content = None
        if body is not None:
            content = body.model_dump_json(exclude_none=True)
            headers["Content-Type"] = "application/json"
        for left in reversed(range(TRIES)):
            try:
                answer = self._http.request(method, path, content=content, headers=headers)
                break
            except httpx.TransportError as error:
                if left == 0 or self._closed.is_set():
                    raise Away(type(error).__name__) from error
                self._closed.wait(FIRST_WAIT)
        if answer.is_success:
            return dict(answer.json()) if answer.content else {}
        raise _error(answer)

    def follow(
        self, path: str, after: str | None, on_end: Callable[[DeskEvent], bool]
    ) -> Iterator[DeskEvent]:
        """Events, across broken connections, each once, until one of which ``on_end`` is true.

        Raises DeskError where the API says that there is nothing to listen to (any more).
        """
        seen, wait = after, FIRST_WAIT
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                for event in self._listen(path, seen):
                    if event.type == "end":
                        return
                    seen = event.id or seen
                    yield event
                    if on_end(event):
                        return
            except (httpx.TransportError, httpx.StreamError, RuntimeError):
                pass  # closed by us, or broken: the loop tells
            except DeskError as error:
                if error.status not in (429, 502, 503, 504):
                    raise
                wait = max(wait, error.retry_after or 0)
            wait = FIRST_WAIT if time.monotonic() - began > LONGEST_WAIT else wait
            self._closed.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    def _listen(self, path: str, seen: str | None) -> Iterator[DeskEvent]:
        headers = {"Accept": "text/event-stream"}
        if seen is not None:
            headers["Last-Event-ID"] = seen
        timeout = httpx.Timeout(SECONDS, read=SILENCE)
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
                raise _error(answer)
            line = answer.extensions["network_stream"].get_extra_info("socket")
            self._listening.add(line)
            try:
                if not self._closed.is_set():
                    yield from parse_events(answer.iter_lines())
            finally:
                self._listening.discard(line)


class DeskClient(ApiClient):
    """An agent's desk. Each command returns what the engine says; raises DeskError."""

    session: str | None = None

    def log_in(
        self, *, ringing: bool | None = None, skills: Sequence[str] | None = None
    ) -> models.LoggedIn:
        """Sit down. The answer has what a browser needs to call in."""
        wish = models.Desk(ringing=ringing, skills=None if skills is None else list(skills))
        told = models.LoggedIn.model_validate(self.request("POST", f"{AGENT}/session", wish))
        self.session = told.session
        return told

    def now(self) -> models.SessionNow:
        """The desk as it is."""
        return models.SessionNow.model_validate(self.request("GET", f"{AGENT}/session"))

    def log_out(self) -> None:
        """Go home."""
        self.request("DELETE", f"{AGENT}/session")

    def story(self) -> dict[str, Any]:
        """The story of the debtor at the desk."""
        return self.request("GET", f"{AGENT}/call/story")

    def events(self, after: str | None = None) -> Iterator[DeskEvent]:
        """What the desk is told, from the session's beginning or after an event, until the
        log-out. A ``gap`` says that some are missing: ask ``now``."""
        return self.follow(
            f"{AGENT}/session/events",
            after,
            lambda event: event.type == "state" and event.data.get("state") == "logged_out",
        )

    def heartbeat(self) -> dict[str, Any]:
        """Say that the page is there; needed every few seconds."""
        return self._post("/session/heartbeat")

    def ready(self) -> dict[str, Any]:
        """Take calls."""
        return self._post("/session/ready")

    def pause(self, code: str) -> dict[str, Any]:
        """Take none, after the one that goes on."""
        return self._post("/session/pause", models.Pause(code=code))

    def wrap_done(self) -> dict[str, Any]:
        """The wrap-up is finished."""
        return self._post("/session/wrap/done")

    def new_leg(self) -> models.LoggedIn:
        """A fresh token for the browser's line."""
        return models.LoggedIn.model_validate(self._post("/session/leg"))

    def hang_up(self) -> dict[str, Any]:
        """End the call."""
        return self._post("/call/hang-up")

    def hold(self) -> dict[str, Any]:
        """The debtor hears music."""
        return self._post("/call/hold")

    def resume(self) -> dict[str, Any]:
        """Back from hold."""
        return self._post("/call/resume")

    def mute(self) -> dict[str, Any]:
        """The debtor does not hear the agent."""
        return self._post("/call/mute")

    def unmute(self) -> dict[str, Any]:
        """The debtor hears the agent again."""
        return self._post("/call/unmute")

    def dtmf(self, keys: str) -> dict[str, Any]:
        """Send keys to the far end."""
        return self._post("/call/dtmf", models.Dtmf(keys=keys))

    def transfer(
        self,
        kind: Literal["blind", "attended", "three_way"],
        *,
        agent: int | None = None,
        skill: str | None = None,
        number: str | None = None,
    ) -> dict[str, Any]:
        """Pass the call on, to exactly one of the three."""
        to = models.Target(agent=agent, skill=skill, number=number)
        return self._post("/call/transfer", models.Transfer(to=to, kind=kind))

    def complete_transfer(self) -> dict[str, Any]:
        """Leave the two of them alone."""
        return self._post("/call/transfer/complete")

    def cancel_transfer(self) -> dict[str, Any]:
        """Keep the call after all."""
        return self._post("/call/transfer/cancel")

    def disposition(self, disposition: str, notes: str = "") -> dict[str, Any]:
        """How the talk ended."""
        return self._post("/call/disposition", models.Dispose(disposition=disposition, notes=notes))

    def callback(self, due_at: datetime, *, own: bool = False, note: str = "") -> dict[str, Any]:
        """A call is agreed upon; ``due_at`` with its zone."""
        return self._post("/call/callback", models.Callback(due_at=due_at, own=own, note=note))

    def promise(self, due: date) -> dict[str, Any]:
        """The debtor promises to pay by that day."""
        return self._post("/call/promise", models.Promise(due=due))

    def link(self) -> dict[str, Any]:
        """Send the payment link."""
        return self._post("/call/link")

    def pay(self, amount_minor: int | None = None, currency: str | None = None) -> dict[str, Any]:
        """The debtor keys a card in; without an amount for all that is owed."""
        return self._post("/call/payment", models.Pay(amount_minor=amount_minor, currency=currency))

    def pay_again(self) -> dict[str, Any]:
        """Ask for the field again."""
        return self._post("/call/payment/again")

    def pay_cancel(self) -> dict[str, Any]:
        """Stop taking the card."""
        return self._post("/call/payment/cancel")

    def record_pause(self) -> dict[str, Any]:
        """Record no longer."""
        return self._post("/call/recording/pause")

    def record_resume(self) -> dict[str, Any]:
        """Record again."""
        return self._post("/call/recording/resume")

    def preview_call(self) -> dict[str, Any]:
        """Call the lead that is shown."""
        return self._post("/preview/call")

    def preview_skip(self) -> dict[str, Any]:
        """Show another."""
        return self._post("/preview/skip")

    def _post(self, path: str, body: models.Request | None = None) -> dict[str, Any]:
        return self.request("POST", AGENT + path, body)


class SupervisorClient(ApiClient):
    """A supervisor's view of the floor."""

    def floor(self) -> dict[str, Any]:
        """Agents, queue and calls as they are."""
        return self.request("GET", f"{SUPERVISOR}/floor")

    def events(self, after: str | None = None) -> Iterator[DeskEvent]:
        """What happens on the floor, from now on or after an event."""
        return self.follow(f"{SUPERVISOR}/events", after, lambda event: False)

    def listen(self, session: str, by: str) -> dict[str, Any]:
        """Hear a conversation on the telephone ``by``."""
        return self._post(session, "listen", models.Listen(by=by))

    def whisper(self, session: str, by: str) -> dict[str, Any]:
        """Speak to the agent alone."""
        return self._post(session, "whisper", models.Listen(by=by))

    def barge(self, session: str, by: str) -> dict[str, Any]:
        """Join a conversation."""
        return self._post(session, "barge", models.Listen(by=by))

    def pause(self, session: str, code: str) -> dict[str, Any]:
        """Pause an agent."""
        return self._post(session, "pause", models.Pause(code=code))

    def log_out(self, session: str) -> dict[str, Any]:
        """End an agent's session."""
        return self._post(session, "log-out", None)

    def _post(self, session: str, what: str, body: models.Request | None) -> dict[str, Any]:
        return self.request("POST", f"{SUPERVISOR}/sessions/{session}/{what}", body)


def parse_events(lines: Iterator[str]) -> Iterator[DeskEvent]:
    """Events out of the lines of a text/event-stream."""
    event_id, kind = "", "message"
    data: list[str] = []
    for line in lines:
        if line == "":
            if data:
                yield DeskEvent(event_id, kind, json.loads("\n".join(data)))
            event_id, kind, data = "", "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            event_id = value
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)


def _error(answer: httpx.Response) -> DeskError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    after = answer.headers.get("Retry-After", "")
    return DeskError(
        answer.status_code,
        problem if isinstance(problem, dict) else {},
        float(after) if after.isdigit() else None,
    )
