"""A mail server on this machine, as RFC 5321 has it, that can also behave badly."""

from __future__ import annotations

import base64
import socket
import socketserver
import threading
import time
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any


@dataclass
class Got:
    """A message that was taken: the envelope and the text."""

    sender: str
    to: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """Read by a mail program."""
        return BytesParser(policy=default).parsebytes(self.raw)


@dataclass
class Manners:
    """``refuse``: verb -> answer in place of the usual one. ``drop``: hang up at that verb
    (``TEXT``: when the whole text is there and is kept; ``HALF``: in the middle of it).
    ``slow``: seconds before the answer to a verb."""

    refuse: dict[str, str] = field(default_factory=dict)
    drop: str = ""
    slow: dict[str, float] = field(default_factory=dict)
    user: str = ""
    password: str = ""


class MailServer:
    """``with MailServer() as server: server.got``."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.sessions = 0
        self.manners = Manners()
        outer = self

        class Session(socketserver.StreamRequestHandler):
            timeout = 20

            def handle(self) -> None:
                outer.sessions += 1
                try:
                    _Talk(outer, self.rfile, self.wfile).run()
                except (OSError, EOFError):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Session)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> MailServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Talk:
    """One session."""

    def __init__(self, server: MailServer, rfile: Any, wfile: Any) -> None:
        self.server, self.manners = server, server.manners
        self.rfile, self.wfile = rfile, wfile
        self.sender, self.to = "", list[str]()
        self.known = not self.manners.user

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")
        self.wfile.flush()

    def run(self) -> None:
        if not self.answered("HELLO", "220 test ESMTP"):
            return
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            verb = verb.upper()
            if verb == "QUIT":
                self.say("221 bye")
                return
            if not self.answered(verb, self.usual(verb, rest)):
                return
            if verb == "DATA" and verb not in self.manners.refuse and not self.text():
                return

    def answered(self, verb: str, usual: str) -> bool:
        """False: we have hung up."""
        if self.manners.drop == verb:
            return False
        time.sleep(self.manners.slow.get(verb, 0.0))
        self.say(self.manners.refuse.get(verb, usual))
        return True

    def usual(self, verb: str, rest: str) -> str:
        match verb:
            case "EHLO":
                return "250-test\r\n250-AUTH PLAIN\r\n250 SIZE 10000000"
            case "AUTH":
                _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                self.known = (user, password) == (self.manners.user, self.manners.password)
                return "235 ok" if self.known else "535 5.7.8 wrong"
            case "MAIL":
                if not self.known:
                    return "530 5.7.0 who are you"
                self.sender, self.to = _address(rest), []
                return "250 ok"
            case "RCPT":
                self.to.append(_address(rest))
                return "250 ok"
            case "DATA":
                return "354 go on"
            case _:
                return "502 what"

    def text(self) -> bool:
        lines: list[bytes] = []
        while True:
            line = self.rfile.readline()
            if not line:
                raise EOFError
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
            if self.manners.drop == "HALF" and len(lines) > 5:
                return False
        if "TEXT" not in self.manners.refuse:
            self.server.got.append(Got(self.sender, self.to, b"".join(lines)))
        return self.answered("TEXT", "250 2.0.0 taken as 42")


def _address(rest: str) -> str:
    return rest[rest.index("<") + 1 : rest.index(">")]


def silent_port() -> tuple[socket.socket, int]:
    """A port at which nobody answers: whoever calls is never talked to."""
    one = socket.create_server(("127.0.0.1", 0))
    return one, one.getsockname()[1]
