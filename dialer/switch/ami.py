"""The link to one Asterisk: typed events out of one queue, calls placed, nothing sent twice.

    link = AmiLink(host=..., port=..., user=..., secret=..., node="node1")
    await link.connect()                  # keeps itself connected from now on
    event = await link.events.get()       # SwitchReady, then CallEvents
    await link.originate(OriginateRequest(...))

What reaches the queue comes in the order of the wire; callbacks only parse and enqueue. While
there is no connection, ``originate`` refuses and the engine reconciles after the next
``SwitchReady`` with ``live_channels``.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from panoramisk.message import Message

from dialer.domain import events as ev
from dialer.logs import get_logger
from dialer.switch.ami_connection import Connection
from dialer.switch.originate import OriginateRefused, OriginateRequest
from dialer.switch.parsing import Garbage, moment, parse_event

__all__ = ["AmiLink", "OriginateRefused", "OriginateRequest"]

log = get_logger(__name__)

_LOGIN_SECONDS = 10.0
_BOOT_SECONDS = 60.0
_ANSWER_SECONDS = 5.0
_LIST_SECONDS = 10.0
_PING_EVERY = 5.0
_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
_REFUSED_SECONDS = 5.0
_EVENT_GRACE = 2.0
"""Asterisk tells the failure of an Originate by another thread than the call's own events, and
often first: so long it is waited for a sign that there was a call."""


class AmiLink:
    """AMI of one node, kept connected. All methods belong to one event loop."""

    def __init__(self, *, host: str, port: int, user: str, secret: str, node: str) -> None:
        self.host, self.port, self.user, self.node = host, port, user, node
        self._secret = secret
        self.events: asyncio.Queue[ev.SwitchEvent] = asyncio.Queue()
        self.garbage = 0
        """Messages that were not understood, since the start."""
        self._connection: Connection | None = None
        self._ready = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._started_at = ""  # Asterisk's own words on when it started
        # Asked for and not yet seen on the wire: their failure is told as OriginateFailed.
        self._unseen: set[str] = set()

    @property
    def connected(self) -> bool:
        """Whether calls can be placed now."""
        return self._connection is not None

    async def connect(self) -> None:
        """Begin to keep the connection; returns at once. ``SwitchReady`` tells when it is there.

        A wrong secret or an Asterisk that is not there is logged and tried again.
        """
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name="ami")

    async def wait_ready(self, within: float) -> None:
        """Wait until calls can be placed, at most so many seconds. Raises TimeoutError."""
        async with asyncio.timeout(within):
            await self._ready.wait()

    async def close(self) -> None:
        """Leave; ``SwitchLost`` is the last event."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
            await asyncio.sleep(0)  # the transport closes in the loop's next turn

    # --- what the engine asks for --------------------------------------------------------

    async def originate(self, request: OriginateRequest) -> None:
        """Place a call and do not wait: what becomes of it comes as events.

        Raises OriginateRefused when nothing was sent (a bad value, no connection). What Asterisk
        itself refuses comes as ``OriginateFailed``; never both. When the connection is lost
        before the first event, whether the call was placed is told by ``live_channels``.
        """
        action = request.action()
        connection = self._connection
        if connection is None:
            raise OriginateRefused("there is no connection to Asterisk")
        self._unseen.add(request.attempt_id)
        # as_list=False: the response resolves the future at once, and OriginateResponse, which
        # panoramisk would keep to itself, comes as an event.
        future = connection.send_action(action, as_list=False)
        future.add_done_callback(lambda done: self._placed(request.attempt_id, done))

    async def redirect(self, attempt_id: str, context: str, exten: str) -> bool:
        """Send a call to another place of the dialplan; False when that was not possible."""
        return await self._do(
            {
                "Action": "Redirect",
                "Channel": _clean(attempt_id),
                "Context": _clean(context),
                "Exten": _clean(exten),
                "Priority": "1",
            }
        )

    async def hangup(self, attempt_id: str, cause: int = 16) -> bool:
        """End a call with a Q.850 cause; False when it was not there (any more)."""
        return await self._do(
            {"Action": "Hangup", "Channel": _clean(attempt_id), "Cause": str(int(cause))}
        )

    async def packets_received(self, attempt_id: str) -> int | None:
        """How many RTP packets came on this call so far; None when it cannot be told."""
        connection = self._connection
        if connection is None:
            return None
        action = {
            "Action": "Getvar",
            "Channel": _clean(attempt_id),
            "Variable": "CHANNEL(rtcp,rxcount)",
        }
        try:
            answer = await connection.ask(action, _ANSWER_SECONDS)
        except (OSError, TimeoutError):
            return None
        value = str(answer.get("Value") or "")
        return int(value) if value.isdigit() else None

    async def perform(self, action: dict[str, str | list[str]]) -> bool:
        """One action of ``dialer.switch.talking``; False where Asterisk refuses it, does not
        answer, or is not there. Raises ValueError for a value that would begin another header."""
        for value in action.values():
            for one in [value] if isinstance(value, str) else value:
                _clean(one)
        return await self._do(action)

    async def live_channels(self) -> dict[str, bool]:
        """The unique ids of all channels there are, and whether each was answered.

        Raises ConnectionError without a connection, TimeoutError when Asterisk does not answer.
        """
        connection = self._connection
        if connection is None:
            raise ConnectionError("there is no connection to Asterisk")
        answer = await connection.ask(
            {"Action": "CoreShowChannels"}, _LIST_SECONDS, whole_list=True
        )
        messages = answer if isinstance(answer, list) else [answer]
        if not messages or not messages[0].success:
            raise ConnectionError("Asterisk refuses to list its channels")
        return {
            one.uniqueid: one["ChannelState"] == "6"  # AST_STATE_UP
            for one in messages
            if one.event == "CoreShowChannel"
        }

    async def conference_members(self) -> dict[str, list[tuple[str, str]]]:
        """(unique id, channel) of everybody in each conference, by its name.

        Raises ConnectionError without a connection, TimeoutError when Asterisk does not answer.
        """
        found: dict[str, list[tuple[str, str]]] = {}
        for room in await self._listed({"Action": "ConfbridgeListRooms"}, "ConfbridgeListRooms"):
            name = room["Conference"]
            members = await self._listed(
                {"Action": "ConfbridgeList", "Conference": name}, "ConfbridgeList"
            )
            found[name] = [(one["Uniqueid"], one["Channel"]) for one in members]
        return found

    async def _listed(self, action: dict[str, Any], event: str) -> list[Message]:
        """A list; "no such" is an empty one."""
        connection = self._connection
        if connection is None:
            raise ConnectionError("there is no connection to Asterisk")
        answer = await connection.ask(action, _LIST_SECONDS, whole_list=None)
        messages = answer if isinstance(answer, list) else [answer]
        return [one for one in messages if one.event == event]

    async def _do(self, action: dict[str, Any]) -> bool:
        connection = self._connection
        if connection is None:
            return False
        try:
            answer = await connection.ask(action, _ANSWER_SECONDS)
        except (OSError, TimeoutError) as error:
            log.warning("ami_action_lost", action=action["Action"], error=str(error))
            return False
        return bool(answer.success)

    # --- the connection ------------------------------------------------------------------

    async def _keep(self) -> None:
        """Connect, stay until it is lost, and again, for ever."""
        failures = 0
        while True:
            connection = Connection(
                host=self.host,
                port=self.port,
                user=self.user,
                secret=self._secret,
                on_event=self._on_event,
                on_garbage=self._on_garbage,
            )
            try:
                pause = await self._serve(connection)
                failures = 0
            except (OSError, TimeoutError) as error:
                if failures == 0:
                    log.warning("ami_unreachable", node=self.node, error=str(error))
                pause = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]
                failures += 1
            except Exception:
                log.exception("ami_failed", node=self.node)  # a defect; the link must not die
                pause = _REFUSED_SECONDS
            finally:
                connection.close()
                if self._connection is not None:
                    self._connection = None
                    self._ready.clear()
                    self._unseen.clear()
                    self.events.put_nowait(ev.SwitchLost(self.node))
            await asyncio.sleep(pause)

    async def _serve(self, connection: Connection) -> float:
        """One connection from its login to its end; seconds to wait before the next one."""
        if not await connection.open(_LOGIN_SECONDS):
            log.error(
                "ami_login_refused",
                node=self.node,
                hint="the secret 'ami' differs from the one that Asterisk was started with",
            )
            return _REFUSED_SECONDS
        async with asyncio.timeout(_BOOT_SECONDS):
            await connection.booted.wait()
        restarted = await self._notice_restart(connection)
        self._connection = connection
        self._ready.set()
        self.events.put_nowait(ev.SwitchReady(self.node, restarted))
        log.info("ami_connected", node=self.node, restarted=restarted)
        while not connection.lost.is_set():
            try:
                async with asyncio.timeout(_PING_EVERY):
                    await connection.lost.wait()
            except TimeoutError:
                await connection.ask({"Action": "Ping"}, _ANSWER_SECONDS)
        log.warning("ami_lost", node=self.node)
        if connection.shut_down:
            self._started_at = "-"  # whatever answers next is another process
        return _RETRY_SECONDS[0]

    async def _notice_restart(self, connection: Connection) -> bool:
        """Whether this is another Asterisk process than the one before."""
        status = await connection.ask({"Action": "CoreStatus"}, _ANSWER_SECONDS)
        started = f"{status.corestartupdate} {status.corestartuptime}"
        restarted = self._started_at not in ("", started)
        self._started_at = started
        return restarted

    # --- what comes from the wire: only parses and enqueues, never raises ----------------

    def _on_event(self, name: str, message: Message) -> None:
        try:
            if name == "OriginateResponse":
                self._response(message)
                return
            event = parse_event(name, message)
        except (Garbage, KeyError, ValueError, TypeError, AttributeError):
            self._on_garbage()
            return
        if event is None:
            return
        self._unseen.discard(event.attempt_id)
        self.events.put_nowait(event)

    def _on_garbage(self) -> None:
        self.garbage += 1
        if self.garbage == 1 or self.garbage % 1000 == 0:
            log.warning("ami_garbage", node=self.node, count=self.garbage)

    def _response(self, message: Message) -> None:
        """OriginateResponse: only of interest for a call that no other event was seen of."""
        attempt_id = message["ActionID"]
        if message["Response"] == "Failure" and attempt_id in self._unseen:
            at = moment(message)
            asyncio.get_running_loop().call_later(_EVENT_GRACE, self._never_was, attempt_id, at)

    def _never_was(self, attempt_id: str, at: datetime) -> None:
        """Nothing was heard of that call: there was none."""
        if attempt_id in self._unseen:
            self._unseen.discard(attempt_id)
            reason = "Asterisk could not place it: see its messages.log"
            self.events.put_nowait(ev.OriginateFailed(attempt_id, at, reason))

    def _placed(self, attempt_id: str, done: asyncio.Future[Message]) -> None:
        """The response to Originate: queued, or refused."""
        if done.cancelled() or done.result().success or attempt_id not in self._unseen:
            return
        self._unseen.discard(attempt_id)
        reason = str(done.result().message)[:100] or "refused"
        self.events.put_nowait(ev.OriginateFailed(attempt_id, datetime.now(UTC), reason))


def _clean(value: str) -> str:
    """Refuse what would begin another header. Raises ValueError."""
    if "\r" in value or "\n" in value or not value:
        raise ValueError("a value for AMI is empty or has a line break in it")
    return value
