"""The AGI protocol on a socket: pyst2's ``AGI`` made fit for a server of many sessions.

pyst2 as it is echoes every line (digits and all), installs a signal handler (not allowed in a
thread), does not know an inline HANGUP, and leaves a quotation mark or a line break in an
argument as it is. Here a hang-up, in whichever way it is told, is one exception: ``Gone``.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asterisk.agi import AGI, AGIHangup, AGIInvalidCommand, AGIUnknownError, AGIUsageError

from agi_scripts import metrics
from dialer.switch import names

GREETING_SECONDS = 5.0
"""Within this Asterisk has sent all it says about the channel; others are cut off."""
ANSWER_SECONDS = 300.0
"""The longest that one command may take: a prompt of three minutes and its question."""
LONGEST_LINE = 4096
MOST_LINES = 100
_SO_TIMESTAMPNS = 35  # socket(7); Python has no name for it
_TIME = struct.Struct("@ll")
_TIME_SPACE = socket.CMSG_SPACE(_TIME.size)

_REPLY = re.compile(r"^(\d{3})(?:[ -](.*))?$", re.DOTALL)
_RESULT = re.compile(r"result=(?P<result>\S*)(?: \((?P<data>.*)\))?(?: endpos=(?P<endpos>\d+))?")


class Gone(AGIHangup):  # type: ignore[misc]
    """The caller or Asterisk is gone."""


class Garbage(Exception):
    """Whatever connected does not speak AGI."""


class UnknownCall(Exception):
    """No attempt of ours: the channel was not made by the engine."""


class Lines:
    """Lines from a socket, each before a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self.arrived = time.monotonic()
        """When what was read last had come to this machine's kernel, however long it lay there."""
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:
            pass  # no socket of the network (a test's), or no such kernel: read is arrived

    def read(self, deadline: float) -> str:
        """One line without its end. Raises Gone at the end of the stream, TimeoutError at the
        deadline (``time.monotonic``), Garbage for a line too long."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > LONGEST_LINE:
                raise Garbage("a line too long")
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            try:
                some, told, _, _ = self._socket.recvmsg(LONGEST_LINE, _TIME_SPACE)
            except ConnectionError as error:
                raise Gone("the connection broke") from error
            if not some:
                raise Gone("the connection was closed")
            self.arrived = time.monotonic() - _age(told)
            self._buffer += some
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode("utf-8", "replace").rstrip("\r")

    def write(self, line: str) -> None:
        """Send one line. Raises Gone when nobody takes it."""
        try:
            self._socket.settimeout(GREETING_SECONDS)
            self._socket.sendall(line.encode() + b"\n")
        except OSError as error:
            raise Gone("the connection broke") from error


def _age(told: list[tuple[int, int, bytes]]) -> float:
    """Seconds since the data had come, by the kernel's stamp; 0 without one."""
    for level, kind, value in told:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(value) == _TIME.size:
            seconds, nanoseconds = _TIME.unpack(value)
            # The clock may have been set back meanwhile.
            return float(max(0.0, time.time() - seconds - nanoseconds / 1e9))
    return 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """``200 result=<result> (<data>) endpos=<endpos>``."""

    result: str
    data: str | None
    endpos: int | None


class Agi(AGI):  # type: ignore[misc]
    """One channel. Every command raises Gone when the far end is."""

    def __init__(self, sock: socket.socket) -> None:
        # Not AGI's own, which takes signals and writes to standard error.
        self.env: dict[str, str] = {}
        self.accepted_at = time.monotonic()
        self.first_prompt_at: float | None = None
        self._got_sighup = False
        self._lines = Lines(sock)
        self._answered_at: float | None = None
        self._patience: float | None = None
        self.turnaround = 0.0
        """Seconds from Asterisk's last answer to the command after it."""
        self._get_agi_env()

    @property
    def idle(self) -> float:
        """Seconds since Asterisk's last answer."""
        since = self.accepted_at if self._answered_at is None else self._answered_at
        return time.monotonic() - since

    @property
    def attempt_id(self) -> str:
        """The channel's unique id, which is the attempt's."""
        return self.env.get("agi_uniqueid", "")

    def _get_agi_env(self) -> None:
        deadline = self.accepted_at + GREETING_SECONDS
        for _ in range(MOST_LINES):
            try:
                line = self._lines.read(deadline)
            except TimeoutError:
                raise Garbage("said too little for too long") from None
            except Gone:
                raise Garbage("left before it had said anything") from None
            if not line:
                break
            name, colon, value = line.partition(":")
            if not colon or not name.startswith("agi_"):
                raise Garbage("is not Asterisk")
            self.env[name] = value.strip()
        if "agi_network_script" not in self.env and "agi_request" not in self.env:
            raise Garbage("is not Asterisk")

    def _quote(self, string: Any) -> str:
        """An argument in quotes. Raises ValueError for a line break: it would be a command."""
        text = str(string)
        if any(ord(c) < 32 for c in text):
            raise ValueError("a control character in an argument of AGI")
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def send_command(self, command: str, *args: Any) -> None:
        """Send a command; what the arguments need of quoting has been done."""
        line = " ".join([command, *map(str, args)])
        if "\n" in line or "\r" in line:
            raise ValueError("a line break in a command of AGI")
        if self._answered_at is not None:
            self.turnaround = time.monotonic() - self._answered_at
            metrics.TURNAROUND.observe(self.turnaround)
        self._lines.write(line)

    def get_result(self, stdin: Any = None) -> Reply:
        """The answer to the command just sent."""
        deadline = time.monotonic() + (self._patience or ANSWER_SECONDS)
        hung_up = False
        while True:
            line = self._read(deadline)
            if line == "HANGUP":  # comes on its own, before or between answers
                hung_up = True
                continue
            found = _REPLY.match(line)
            if found is None:
                raise Gone("an answer that is none")
            self._answered_at = self._lines.arrived
            reply = self._understand(found[1], found[2] or "", deadline)
            if hung_up:
                raise Gone("hung up")
            return reply

    def _understand(self, code: str, rest: str, deadline: float) -> Reply:
        if code == "200":
            found = _RESULT.search(rest)
            if found is None:
                raise AGIUnknownError(200, "an answer without a result")
            if found["result"] == "-1" or found["data"] == "hangup":
                raise Gone("hung up")
            endpos = found["endpos"]
            return Reply(found["result"], found["data"], int(endpos) if endpos else None)
        if code == "511":
            raise Gone("the channel is dead")
        if code == "510":
            raise AGIInvalidCommand(rest)
        if code == "520":
            while not self._read(deadline).startswith("520 "):
                pass
            raise AGIUsageError("a command with wrong arguments")
        raise AGIUnknownError(code, "an unknown answer")

    def _read(self, deadline: float) -> str:
        try:
            return self._lines.read(deadline)
        except TimeoutError:
            raise Gone("Asterisk answers no more") from None
        except Garbage as error:
            raise Gone("an answer that is none") from error

    # --- the few commands that are used ---------------------------------------------------

    def stream_file(self, filename: str, escape_digits: str = "", sample_offset: int = 0) -> str:
        """Play a file (path without ending); the key that stopped it, or ''."""
        return self.stream_from(filename, escape_digits, sample_offset)[0]

    def stream_from(self, filename: str, escape_digits: str, offset: int) -> tuple[str, int]:
        """``stream_file`` that also says where in the file it stopped (samples)."""
        self._note_first_prompt()
        reply: Reply = self.execute(
            "STREAM FILE", self._quote(filename), self._quote(escape_digits), offset
        )
        return "" if reply.result == "0" else chr(int(reply.result)), reply.endpos or 0

    def wait_for_digit(self, seconds: float, meanwhile: Callable[[], None] | None = None) -> str:
        """One key within so many seconds, or ''. ``meanwhile`` runs while Asterisk waits."""
        self.send_command("WAIT FOR DIGIT", max(1, round(seconds * 1000)))
        if meanwhile is not None:
            meanwhile()
        reply = self.get_result()
        return "" if reply.result == "0" else chr(int(reply.result))

    def get_data(self, filename: str, timeout: int = 6000, max_digits: int = 1) -> tuple[str, bool]:
        """Play a file and take keys, also over it: (keys, whether the time was up).

        ``timeout`` in ms, to the first key and between two. ``#`` ends and is not among the keys:
        ('', False) is a ``#`` alone.
        """
        self._note_first_prompt()
        reply: Reply = self.execute("GET DATA", self._quote(filename), timeout, max_digits)
        return reply.result, reply.data == "timeout"

    def appexec(self, application: str, options: str = "", *, within: float | None = None) -> str:
        """Run an application of the dialplan, which may take ``within`` seconds; its result."""
        self._patience = within
        try:
            reply: Reply = self.execute("EXEC", application, self._quote(options))
        finally:
            self._patience = None
        return reply.result

    def get_variable(self, name: str) -> str:
        """A channel variable, '' where it is not set."""
        reply: Reply = self.execute("GET VARIABLE", self._quote(name))
        return reply.data or ""

    def set_variable(self, name: str, value: str) -> None:
        """Set a channel variable; Asterisk tells it to whoever watches AGI: no secrets."""
        self.execute("SET VARIABLE", self._quote(name), self._quote(value))

    def answer(self) -> None:
        """Pick up."""
        self.execute("ANSWER")

    def music(self, *, on: bool, kind: str = names.MUSIC_DEFAULT) -> None:
        """Music of a class, or none, while keys are waited for. A file that is played ends it."""
        self.execute("SET MUSIC", "on" if on else "off", self._quote(kind))

    def go_on_at(self, context: str, extension: str) -> None:
        """Where the dialplan goes on when this session is over (priority 1)."""
        self.appexec("Goto", f"{context},{extension},1")

    def refuse(self, cause: int) -> None:
        """Hang up with a Q.850 cause. Raises Gone, always."""
        self.appexec("Hangup", str(cause))
        self.execute("HANGUP")
        raise Gone("refused")

    def _note_first_prompt(self) -> None:
        if self.first_prompt_at is None:
            self.first_prompt_at = time.monotonic()
            metrics.FIRST_PROMPT.observe(self.first_prompt_at - self.accepted_at)
