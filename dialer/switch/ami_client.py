"""AMI for whoever asks and waits: one connection for many threads, made again when it is lost.

For the process that takes cards; the engine's link is ``dialer.switch.ami``.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping

CONNECT_SECONDS = 2.0
LONGEST_ANSWER = 1024 * 1024


class AmiFailed(Exception):
    """There is no answer, or none that can be understood; the message says which."""


class AmiRefused(AmiFailed):
    """Asterisk answers with an error; the message is its own."""


class AmiClient:
    """One connection; safe for threads. Nothing is sent before the first question."""

    def __init__(self, *, host: str, port: int, user: str, secret: str) -> None:
        self._address = (host, port)
        self._user, self._secret = user, secret
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._unread = b""

    def ask(self, action: Mapping[str, str], within: float = 2.0) -> tuple[dict[str, str], str]:
        """Send an action: (headers of the answer, the console's output where it has some).

        An action may be sent twice when Asterisk was restarted since the last one. Raises
        AmiRefused when Asterisk says no, AmiFailed when it does not answer in time.
        """
        deadline = time.monotonic() + within
        if not self._lock.acquire(timeout=within):
            raise AmiFailed("other questions to Asterisk were not answered in time")
        try:
            fresh = self._socket is None
            try:
                return self._exchange(action, deadline)
            except (OSError, EOFError):
                self._drop()
                if fresh:
                    raise
            return self._exchange(action, deadline)
        except (OSError, EOFError) as error:
            self._drop()
            why = "does not answer in time" if isinstance(error, TimeoutError) else "is not there"
            raise AmiFailed(f"AMI {why}") from error
        except BaseException as error:
            if not isinstance(error, AmiRefused):
                self._drop()  # what is still to come would be taken for the next answer
            raise
        finally:
            self._lock.release()

    def console(self, command: str, within: float = 2.0) -> str:
        """What the console answers to a command. Raises as ``ask``."""
        return self.ask({"Action": "Command", "Command": command}, within)[1]

    def close(self) -> None:
        """Leave."""
        with self._lock:
            self._drop()

    # --- the wire -------------------------------------------------------------------------

    def _exchange(self, action: Mapping[str, str], deadline: float) -> tuple[dict[str, str], str]:
        if self._socket is None:
            self._log_in(deadline)
        return self._send(action, deadline)

    def _log_in(self, deadline: float) -> None:
        self._unread = b""
        patience = min(CONNECT_SECONDS, max(0.01, deadline - time.monotonic()))
        self._socket = socket.create_connection(self._address, patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeting = self._read_until(b"\r\n", deadline)
        if not greeting.startswith(b"Asterisk Call Manager"):
            raise AmiFailed("what answers at AMI's port is not Asterisk")
        try:
            self._send(
                {
                    "Action": "Login",
                    "Username": self._user,
                    "Secret": self._secret,
                    "Events": "off",
                },
                deadline,
            )
        except AmiRefused as error:
            raise AmiFailed(
                f"Asterisk refuses the login of {self._user}: restart it with `dialer asterisk`"
            ) from error

    def _send(self, action: Mapping[str, str], deadline: float) -> tuple[dict[str, str], str]:
        lines = [f"{name}: {value}" for name, value in action.items()]
        if any("\r" in line or "\n" in line for line in lines):
            raise AmiFailed("a value for AMI has a line break in it")
        assert self._socket is not None
        self._socket.settimeout(max(0.01, deadline - time.monotonic()))
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while True:
            headers, output = _understood(self._read_until(b"\r\n\r\n", deadline))
            if "Response" in headers:
                break  # anything else is an event, which nobody here wants
        if headers["Response"] not in ("Success", "Goodbye"):
            raise AmiRefused(headers.get("Message", "refused") + (f": {output}" if output else ""))
        return headers, output

    def _read_until(self, end: bytes, deadline: float) -> bytes:
        assert self._socket is not None
        while end not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            some = self._socket.recv(65536)
            if not some:
                raise EOFError
            self._unread += some
            if len(self._unread) > LONGEST_ANSWER:
                raise AmiFailed("an answer of AMI that does not end")
        found, _, self._unread = self._unread.partition(end)
        return found

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._unread = b""


def _understood(message: bytes) -> tuple[dict[str, str], str]:
    headers: dict[str, str] = {}
    output: list[str] = []
    for line in message.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(": ")
        if name == "Output":
            output.append(value)
        else:
            headers.setdefault(name.rstrip(":"), value)
    return headers, "\n".join(output)
