"""The FastAGI server: a thread a session, and nothing that one session does reaches another.

A port scan, garbage, or a connection that says nothing costs one thread for a few seconds.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from agi_scripts import metrics
from agi_scripts.sounds import MissingSound
from agi_scripts.wire import Agi, Garbage, Gone, UnknownCall
from dialer import metrics as shared
from dialer.flow.errors import FlowError
from dialer.logs import about_attempt, get_logger
from dialer.switch import names

log = get_logger(__name__)


class Host(Protocol):
    """What the entries of a server share; safe for many threads."""

    def say_goodbye(self, agi: Agi) -> None:
        """End a session that cannot go on. Raises Gone."""


Entry = Callable[[Agi, Any], None]
"""Called with the channel and the host."""


def flow_entries() -> Mapping[str, Entry]:
    """The path of the request -> what runs, for the server that interprets flows."""
    # Not above: the server that hears cards serves neither, and loads as little as can be.
    from agi_scripts import abandoned, agent, flow, inbound, machine, waiting

    return {
        names.AGI_FLOW: flow.run,
        names.AGI_MACHINE: machine.run,
        names.AGI_QUEUE: waiting.run,
        names.AGI_ABANDONED: abandoned.run,
        names.AGI_AGENT: agent.run,
        names.AGI_INBOUND: inbound.run,
    }


MOST_SESSIONS = 2000
BACKLOG = 1024


class IvrError(Exception):
    """The server cannot start; the message says what to do."""


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = BACKLOG

    def __init__(self, address: tuple[str, int], handle: Callable[[socket.socket], None]) -> None:
        self._handle = handle
        super().__init__(address, socketserver.BaseRequestHandler)

    def finish_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self._handle(request)

    def handle_error(self, request: object, client_address: object) -> None:
        log.exception("session broke")


class AgiServer:
    """Serves the entries (those of flows unless told) on a port; ``port`` 0 takes a free one."""

    def __init__(
        self,
        ivr: Host,
        host: str,
        port: int,
        *,
        entries: Mapping[str, Entry] | None = None,
        most_sessions: int = MOST_SESSIONS,
    ) -> None:
        """Listens at once. Raises IvrError where the port is taken."""
        self._ivr = ivr
        self._entries = flow_entries() if entries is None else entries
        self._room = threading.BoundedSemaphore(most_sessions)
        self._active = 0
        self._idle = threading.Condition()
        try:
            self._listener = _Listener((host, port), self._connection)
        except OSError as error:
            raise IvrError(
                f"the IVR cannot listen on {host}:{port} ({error.strerror}): end the other "
                "process there or set DIALER_AGI_PORT (DIALER_PAYMENTS_AGI_PORT)"
            ) from error
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.server_address[1])

    @property
    def host(self) -> str:
        """The address it listens on."""
        return str(self._listener.server_address[0])

    @property
    def active(self) -> int:
        """Sessions going on now."""
        with self._idle:
            return self._active

    def start(self) -> None:
        """Answer from now on, from threads of its own."""
        self._thread.start()

    def close(self, *, drain: float = 0.0) -> bool:
        """Take no more sessions; wait ``drain`` seconds for those going on. Whether all ended."""
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()
        return self.wait_idle(drain)

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no session goes on; False where one still does after ``seconds``."""
        with self._idle:
            return self._idle.wait_for(lambda: self._active == 0, timeout=seconds)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- one connection -------------------------------------------------------------------

    def _connection(self, sock: socket.socket) -> None:
        if not self._room.acquire(blocking=False):
            metrics.CONNECTIONS.labels("refused").inc()
            log.error("session refused: too many at once")
            return
        with self._idle:
            self._active += 1
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            metrics.CONNECTIONS.labels(self._converse(sock)).inc()
        finally:
            self._room.release()
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def _converse(self, sock: socket.socket) -> str:
        try:
            agi = Agi(sock)
        except (Garbage, OSError) as error:
            log.info("connection dropped", why=str(error))
            return "garbage"
        with about_attempt(agi.attempt_id), shared.IVR_SESSIONS.track_inprogress():
            return self._session(agi)

    def _session(self, agi: Agi) -> str:
        """Run the entry; whatever goes wrong ends this call politely, and only this one."""
        try:
            try:
                entry_of(agi, self._entries)(agi, self._ivr)
                return "done"
            except (FlowError, MissingSound, UnknownCall) as error:
                log.error("session failed", why=str(error))
            except SQLAlchemyError as error:
                log.error("session failed: no database", why=type(error).__name__)
            except Gone:
                raise
            except Exception:
                log.exception("session failed")
            self._ivr.say_goodbye(agi)
            return "failed"
        except Gone:
            return "hung_up"
        except Exception:
            log.exception("no goodbye could be said")
            return "failed"


def entry_of(agi: Agi, entries: Mapping[str, Entry]) -> Entry:
    """The entry that the request names. Raises FlowError for a name that is none."""
    path = agi.env.get("agi_network_script") or urlsplit(agi.env.get("agi_request", "")).path
    name = path.strip("/").split("?")[0]
    if name not in entries:
        raise FlowError(f"the dialplan asks for {name!r}: there are {', '.join(entries)}")
    return entries[name]
