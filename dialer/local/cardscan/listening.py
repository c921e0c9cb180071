"""Recorders of what goes over AMI and to Redis while calls are made: every byte is kept."""

from __future__ import annotations

import re
import socket
import threading
from collections import defaultdict
from typing import Self
from urllib.parse import urlsplit

from dialer.local.cardscan.matcher import Finding, Matcher

CONNECT_SECONDS = 10.0


class Recorder:
    """Connects, says ``greeting`` and keeps what is sent to it, until ``close``.

    A context manager. Raises OSError where nobody listens; ``trouble`` says afterwards whether
    the line was cut.
    """

    def __init__(self, name: str, host: str, port: int, greeting: bytes, expect: bytes) -> None:
        self.name = name
        self.trouble: str | None = None
        self._address = (host, port)
        self._greeting = greeting
        self._expect = expect
        self._kept = bytearray()
        self._accepted = threading.Event()
        self._closing = False
        self._socket = socket.socket()
        self._thread = threading.Thread(target=self._keep, name=f"recorder {name}", daemon=True)

    @property
    def kept(self) -> bytes:
        """What came so far."""
        return bytes(self._kept)

    def __enter__(self) -> Self:
        self._socket.settimeout(CONNECT_SECONDS)
        self._socket.connect(self._address)
        self._socket.settimeout(None)
        self._socket.sendall(self._greeting)
        self._thread.start()
        if not self._accepted.wait(CONNECT_SECONDS):
            self.trouble = "was not let in: nothing was recorded"
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
        self._thread.join(CONNECT_SECONDS)

    def _keep(self) -> None:
        while True:
            try:
                some = self._socket.recv(65536)
            except OSError:
                some = b""
            if not some:
                break
            self._kept += some
            if self._expect in self._kept:
                self._accepted.set()
        if not self._closing:
            self.trouble = "the line was cut while calls were made"


def ami_recorder(name: str, host: str, port: int, user: str, secret: str) -> Recorder:
    """One that is logged in as ``user`` and hears what that user hears."""
    login = f"Action: Login\r\nUsername: {user}\r\nSecret: {secret}\r\nEvents: on\r\n\r\n"
    return Recorder(name, host, port, login.encode(), b"Authentication accepted")


def redis_recorder(url: str) -> Recorder:
    """One that sees every command that Redis is sent, with its arguments: the payloads of jobs
    too, which are deleted when they are done."""
    parts = urlsplit(url)
    return Recorder(
        "Redis, every command", parts.hostname or "", parts.port or 6379, b"MONITOR\r\n", b"+OK"
    )


_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})|\\([abnrt\"\\])")
_PLAIN = {b"a": b"\a", b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def as_sent(monitored: bytes) -> bytes:
    """What MONITOR shows, as it was: compressed payloads can be unpacked then."""

    def plain(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return bytes((int(found[1], 16),))
        return _PLAIN.get(found[2], found[2])

    return _ESCAPED.sub(plain, monitored)


def search_events(matcher: Matcher, stream: bytes) -> list[Finding]:
    """Findings in an AMI stream, as it is and from keys that came one an event, put together by
    channel, event and header."""
    found = matcher.search_bytes(stream)
    digits: dict[tuple[bytes, ...], list[str]] = defaultdict(list)
    for event in stream.split(b"\r\n\r\n"):
        headers = [line.partition(b": ")[::2] for line in event.split(b"\r\n")]
        named = dict(headers)
        channel = named.get(b"Uniqueid") or named.get(b"Channel") or b""
        for name, value in headers:
            if len(value) == 1 and value.isdigit():
                digits[named.get(b"Event", b""), channel, name].append(value.decode())
        found += matcher.search_digit_lines(event.replace(b"\r\n", b" "))
    for keys in digits.values():
        found += matcher.search_digits("".join(keys))
    return list(dict.fromkeys(found))
