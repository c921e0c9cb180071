"""A debtor's telephone that says a tone for as long as it lasts, and measures what it hears."""

from __future__ import annotations

import asyncio
import re
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dialer.simulation.sip_peer import SipMessage, SipPeer, parse_sip
from dialer.speech import g711

AGENT_HERTZ, DEBTOR_HERTZ, OTHER_HERTZ = 1000.0, 600.0, 1400.0
"""What agents, debtors and third parties say: tones that 20 ms tell apart."""
SAMPLES = 160
"""Of one packet, 20 ms."""
A_LAW = 8
_EVENTS = 101
_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-16\r\na=sendrecv\r\n"
)


def tone_in(samples: np.ndarray, hertz: float, rate: int = 8000) -> float:
    """How much of a tone there is: its amplitude, full scale is 1."""
    at = np.arange(len(samples)) / rate
    return float(2 / len(samples) * abs(np.sum(samples * np.exp(-2j * np.pi * hertz * at))))


@dataclass
class VoiceCall:
    """One call of a ``VoicePeer``. Times are Unix time."""

    invite: SipMessage
    address: tuple[str, int]
    answered: float
    rtp: asyncio.DatagramTransport
    sending: asyncio.Task[None]
    packets: list[tuple[float, bytes]] = field(default_factory=list)
    """When it came, and its A-law."""
    keys: list[int] = field(default_factory=list)
    """Codes of the telephone events heard, one a packet."""
    ended: float | None = None

    def heard(self, hertz: float, since: float = 0.0) -> list[tuple[float, float]]:
        """(when, how much of the tone) of each packet."""
        return [
            (
                at,
                tone_in(g711.decode_a_law(np.frombuffer(data, np.uint8)) / 32768, hertz),
            )
            for at, data in self.packets
            if at >= since and len(data) == SAMPLES
        ]

    def loudness(self, since: float, until: float = float("inf")) -> list[float]:
        """Of each packet, full scale is 1 (root of the mean square)."""
        return [
            float(np.sqrt(np.mean((g711.decode_a_law(np.frombuffer(d, np.uint8)) / 32768) ** 2)))
            for at, d in self.packets
            if since <= at < until
        ]


class _Rtp(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.call: VoiceCall | None = None

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self.call is None or len(data) < 12:
            return
        if data[1] & 0x7F == A_LAW:
            self.call.packets.append((time.time(), data[12:]))
        elif data[1] & 0x7F == _EVENTS:
            self.call.keys.append(data[12])


class VoicePeer(SipPeer):
    """Answers every call at once and says a tone into it: that of the number's first digit.

    ``hertz``: first digit -> tone. ``level``: its amplitude, full scale is 1.
    """

    def __init__(self, port: int, hertz: Mapping[str, float], level: float = 0.25) -> None:
        super().__init__(port=port)
        self.hertz, self.level = hertz, level
        g711.encode_a_law(np.zeros(1, np.int16))  # its table takes a moment: not in a call
        self.calls: dict[str, VoiceCall] = {}
        """By the number dialled."""
        self._called = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, number: str, within: float = 10) -> VoiceCall:
        """Wait until the number has been called and has answered."""
        async with asyncio.timeout(within):
            while number not in self.calls:
                self._called.clear()
                await self._called.wait()
        return self.calls[number]

    async def __aexit__(self, *about: object) -> None:
        for one in self.calls.values():
            self._over(one)
        await super().__aexit__(*about)

    def hang_up(self, call: VoiceCall) -> None:
        """Put the receiver down."""
        self._answered[call.invite.call_id] = call.invite
        self._bye(call.invite.call_id, call.address)
        self._over(call)

    # --- the wire -------------------------------------------------------------------------

    def _invite(self, message: SipMessage, addr: tuple[str, int]) -> None:
        if message.user not in self.calls:
            task = asyncio.ensure_future(self._answer(message, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.startswith(b"ACK "):
            return
        if not data.startswith(b"BYE "):
            super().datagram_received(data, addr)
            return
        message = parse_sip(data, time.time())
        self._reply(message, "200 OK", addr)
        for one in self.calls.values():
            if one.invite.call_id == message.call_id:
                self._over(one)

    async def _answer(self, invite: SipMessage, addr: tuple[str, int]) -> None:
        offered = re.search(r"^m=audio (\d+)", invite.body, re.MULTILINE)
        assert offered is not None
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            _Rtp, local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        lines = ["SIP/2.0 200 OK"]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            lines.append(f"{name}: {invite.headers[name]}{';tag=peer' if name == 'To' else ''}")
        lines += [f"Contact: <sip:127.0.0.1:{self.port}>", "Content-Type: application/sdp"]
        self._send(lines, _SDP.format(port=port), addr)
        hertz = self.hertz[invite.user.lstrip("+")[0]]
        to = ("127.0.0.1", int(offered[1]))
        sending = asyncio.ensure_future(self._speak(transport, to, hertz))
        call = VoiceCall(invite, addr, time.time(), transport, sending)
        protocol.call = call
        self.calls[invite.user] = call
        self._called.set()

    async def _speak(
        self, rtp: asyncio.DatagramTransport, to: tuple[str, int], hertz: float
    ) -> None:
        at = np.arange(SAMPLES) / 8000
        begun = time.monotonic()
        packet = 0
        while True:
            phase = 2 * np.pi * hertz * (at + packet * SAMPLES / 8000)
            wave = (32767 * self.level * np.sin(phase)).astype(np.int16)
            head = struct.pack("!BBHII", 0x80, A_LAW, packet & 0xFFFF, packet * SAMPLES, 7)
            rtp.sendto(head + g711.encode_a_law(wave).tobytes(), to)
            packet += 1
            await asyncio.sleep(max(0.0, begun + packet * 0.02 - time.monotonic()))

    def _over(self, call: VoiceCall) -> None:
        if call.ended is None:
            call.ended = time.time()
            call.sending.cancel()
            call.rtp.close()
