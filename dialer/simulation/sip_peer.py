"""A SIP peer at a bare UDP socket: what Asterisk sends, stamped as it arrives.

Small on purpose: it answers (or refuses) calls, hangs up, and plays registrar. It exists to see
headers and to measure Asterisk's own time stamps from outside; the simulated network with its
personas is ``dialer.simulation.network``.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import Any, Self

_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-16\r\na=sendrecv\r\n"
)
_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One message; ``at`` is when the socket gave it (or took it), Unix time."""

    start: str
    headers: dict[str, str]
    body: str
    at: float

    @property
    def method(self) -> str:
        """INVITE, ACK, BYE, ...; empty for a response."""
        return "" if self.start.startswith("SIP/") else self.start.split(" ", 1)[0]

    @property
    def user(self) -> str:
        """The number in the request's URI."""
        match = re.match(r"\w+ sips?:([^@;]+)@", self.start)
        return match[1] if match else ""

    @property
    def call_id(self) -> str:
        """Which call it belongs to."""
        return self.headers.get("Call-ID", "")


def parse_sip(data: bytes, at: float) -> SipMessage:
    """A message from the wire; repeated headers keep the first (and all of Via)."""
    head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
    lines = head.split("\r\n")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        value = value.strip()
        if name in headers and name == "Via":
            headers[name] += f"\r\nVia: {value}"
        headers.setdefault(name, value)
    return SipMessage(lines[0], headers, body, at)


@dataclass(slots=True)
class Behaviour:
    """What the peer does with a call: rings, then answers and hangs up, or refuses.

    ``status`` other than 200 refuses. ``talk`` seconds after the ACK it sends BYE; None: never.
    ``realm`` asks for a password on REGISTER and INVITE (which it does not check).
    """

    status: str = "200 OK"
    ring: float = 0.0
    talk: float | None = None
    realm: str | None = None
    reason: str | None = None


@dataclass(slots=True)
class SipPeer(asyncio.DatagramProtocol):
    """``async with SipPeer() as peer``: listens on 127.0.0.1:``peer.port``.

    ``received`` and ``sent`` hold every message in order.
    """

    behaviour: Behaviour = field(default_factory=Behaviour)
    port: int = 0
    received: list[SipMessage] = field(default_factory=list)
    sent: list[SipMessage] = field(default_factory=list)
    _transport: asyncio.DatagramTransport | None = None
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _answered: dict[str, SipMessage] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", self.port)
        )
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)

    async def request(self, method: str, nth: int = 1, *, within: float = 10) -> SipMessage:
        """Wait for the nth request of a method (from 1). Raises TimeoutError."""
        async with asyncio.timeout(within):
            while len(found := [one for one in self.received if one.method == method]) < nth:
                self._changed.clear()
                await self._changed.wait()
        return found[nth - 1]

    # --- the wire ------------------------------------------------------------------------

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """One datagram is one message; sound comes to the same port and is passed over."""
        if not data[:1].isalpha():
            return
        message = parse_sip(data, time.time())
        self.received.append(message)
        self._changed.set()
        if message.method in ("INVITE", "REGISTER") and self._challenge(message, addr):
            return
        if message.method == "INVITE":
            self._invite(message, addr)
        elif message.method == "ACK" and self.behaviour.talk is not None:
            if message.call_id in self._answered:
                self._later(self.behaviour.talk, self._bye, message.call_id, addr)
        elif message.method == "CANCEL":
            self._reply(message, "200 OK", addr)
        elif message.method:
            extra = (f"Contact: {message.headers['Contact']};expires=600",) * (
                message.method == "REGISTER"
            )
            self._reply(message, "200 OK", addr, *extra)

    def _challenge(self, message: SipMessage, addr: tuple[str, int]) -> bool:
        if self.behaviour.realm is None or "Authorization" in message.headers:
            return False
        line = f'WWW-Authenticate: Digest realm="{self.behaviour.realm}", nonce="n1", qop="auth"'
        self._reply(message, "401 Unauthorized", addr, line)
        return True

    def _invite(self, message: SipMessage, addr: tuple[str, int]) -> None:
        if message.call_id in self._answered:
            return  # a repetition
        if self.behaviour.ring:
            self._reply(message, "180 Ringing", addr)
        self._later(self.behaviour.ring, self._final, message, addr)

    def _final(self, message: SipMessage, addr: tuple[str, int]) -> None:
        extra = (f"Reason: {self.behaviour.reason}",) if self.behaviour.reason else ()
        if self.behaviour.status.startswith("200"):
            self._answered[message.call_id] = message
            contact = f"Contact: <sip:127.0.0.1:{self.port}>"
            self._reply(message, self.behaviour.status, addr, contact, *extra, sdp=True)
        else:
            self._reply(message, self.behaviour.status, addr, *extra)

    def _bye(self, call_id: str, addr: tuple[str, int]) -> None:
        invite = self._answered[call_id]
        contact = re.search(r"<([^>]+)>", invite.headers["Contact"])
        target = contact[1] if contact else f"sip:{addr[0]}:{addr[1]}"
        lines = [
            f"BYE {target} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{time.monotonic_ns():x};rport",
            f"From: {invite.headers['To']};tag=peer",
            f"To: {invite.headers['From']}",
            f"Call-ID: {call_id}",
            "CSeq: 1 BYE",
            "Max-Forwards: 70",
        ]
        self._send(lines, "", addr)

    def _reply(
        self,
        message: SipMessage,
        status: str,
        addr: tuple[str, int],
        *extra: str,
        sdp: bool = False,
    ) -> None:
        lines = [f"SIP/2.0 {status}"]
        for name in _COPIED:
            tag = ";tag=peer" if name == "To" and "tag=" not in message.headers["To"] else ""
            lines.append(f"{name}: {message.headers[name]}{tag}")
        lines += extra
        if sdp:
            lines.append("Content-Type: application/sdp")
        self._send(lines, _SDP.format(port=self.port) if sdp else "", addr)

    def _send(self, lines: list[str], body: str, addr: tuple[str, int]) -> None:
        lines.append(f"Content-Length: {len(body)}")
        data = ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
        assert self._transport is not None
        self.sent.append(parse_sip(data, time.time()))
        self._transport.sendto(data, addr)

    def _later(self, delay: float, work: Any, *arguments: Any) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(delay, work, *arguments))
