"""A telephone that answers and presses keys to the millisecond: ``python -m`` this, with a port.

Asterisk's own SendDTMF holds no key for less than 100 ms; impatient people and machines do. The
number that is dialled says what to press: ``<way><ms>x<gap>x<wait>x<keys>``, for example
``r60x40x1000x4111``: way ``r`` (RFC 4733), ``i`` (SIP INFO), ``t`` (tones in the speech) or ``b``
(events of RFC 4733 and tones); each key held for ``ms`` with ``gap`` ms between; the first one
``wait`` ms after the answer. ``h`` is the key ``#``, ``s`` is ``*``, ``w`` a pause of 500 ms.
The line is A-law, 20 ms a packet, and stays up until the far end hangs up.

What does not fit into a number stands in a book: with ``--book FOLDER`` the number 12 does what the
file ``FOLDER/12`` says, and then what ``FOLDER/12.1``, ``12.2`` and so on say, as soon as each of
them is there (not by SIP INFO).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dialer.simulation.sip_peer import SipMessage, SipPeer, parse_sip
from dialer.speech import g711
from dialer.speech.audio import to_linear
from dialer.speech.tones import KEYS, tone

PACKET_MS = 20
SAMPLES = 8 * PACKET_MS
PAUSE_MS = 500
LOOK_SECONDS = 0.02
_SILENCE = b"\xd5" * SAMPLES
_EVENTS = "0123456789*#"
_WRITTEN = {"h": "#", "s": "*", "w": "w"} | {digit: digit for digit in "0123456789"}
_NUMBER = re.compile(r"(?P<way>[ritb])(?P<ms>\d+)x(?P<gap>\d+)x(?P<wait>\d+)x(?P<keys>[0-9hsw]*)")


@dataclass(frozen=True, slots=True)
class Press:
    """What to press; times in milliseconds, multiples of 20 where keys travel with the speech."""

    way: str
    ms: int
    gap: int
    wait: int
    keys: str


def number_to_dial(way: str, ms: int, gap: int, wait: int, keys: str) -> str:
    """The number that makes the telephone press ``keys`` (``0-9*#``, ``w`` for a pause)."""
    written = {shown: letter for letter, shown in _WRITTEN.items()}
    return f"{way}{ms}x{gap}x{wait}x{''.join(written[key] for key in keys)}"


def read_number(user: str) -> Press | None:
    """What a dialled number says; None for another one."""
    found = _NUMBER.fullmatch(user)
    if found is None:
        return None
    keys = "".join(_WRITTEN[one] for one in found["keys"])
    return Press(found["way"], int(found["ms"]), int(found["gap"]), int(found["wait"]), keys)


def _tone_of(key: str, ms: int) -> bytes:
    low, high = KEYS[key]
    samples = tone((float(low), float(high)), ms / 1000)
    return g711.encode_a_law(to_linear(samples)).tobytes()


def _schedule(press: Press) -> Iterator[tuple[str, int]]:
    """(key or '', milliseconds) one after the other."""
    yield "", press.wait
    for key in press.keys:
        if key == "w":
            yield "", PAUSE_MS
        else:
            yield key, press.ms
            yield "", press.gap


class Line:
    """The speech of one call: a packet each 20 ms, with the keys in it or between it."""

    def __init__(self, press: Press, rtp: socket.socket, to: tuple[str, int]) -> None:
        self._rtp, self._to = rtp, to
        self._both = press.way == "b"
        self._begun = time.monotonic()
        self._sent = 0  # packets
        self._sequence = 0
        self._speech = bytearray()
        self._events: dict[int, tuple[int, int, int]] = {}  # packet -> event, packets, which one
        self.infos: list[tuple[float, str]] = []
        """Keys to be told by SIP, and when: as they are let go."""
        self.heard = 0
        """How often it was told to press more."""
        self.press(press)

    def press(self, press: Press) -> None:
        """Press these from now on, and nothing that was still to be pressed."""
        at = self._sent * PACKET_MS
        quiet = 8 * at - len(self._speech)
        self._speech += _SILENCE[:1] * max(0, quiet)
        del self._speech[8 * at :]
        self._events = {n: event for n, event in self._events.items() if n < self._sent}
        for key, ms in _schedule(press):
            if key and press.way == "i":
                self.infos.append(((at + ms) / 1000, key))
            if key and press.way in "rb":
                packets = ms // PACKET_MS
                for one in range(packets):
                    event = (_EVENTS.index(key), packets, one)
                    self._events[at // PACKET_MS + one] = event
            toned = key and press.way in "tb"
            self._speech += _tone_of(key, ms) if toned else _SILENCE[:1] * (8 * ms)
            at += ms

    def send_due(self, now: float) -> None:
        """Send every packet whose time has come; what is late goes at once."""
        while now >= self._begun + self._sent * PACKET_MS / 1000:
            event = self._events.get(self._sent)
            stamp = self._sent * SAMPLES
            if event is None or self._both:
                speech = bytes(self._speech[stamp : stamp + SAMPLES])
                self._packet(8, stamp, speech.ljust(SAMPLES, _SILENCE[:1]))
            if event is not None:
                self._event(stamp, *event)
            self._sent += 1

    def _event(self, now: int, code: int, packets: int, one: int) -> None:
        """RFC 4733: one time stamp for the whole event, its end said three times."""
        duration = (one + 1) * SAMPLES
        ends = one == packets - 1
        for again in range(3 if ends else 1):
            payload = struct.pack("!BBH", code, 10 | (0x80 if ends else 0), duration)
            self._packet(101, now - one * SAMPLES, payload, marker=one == 0 and not again)

    def _packet(self, kind: int, stamp: int, payload: bytes, *, marker: bool = False) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        head = struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), self._sequence, stamp, 7)
        try:
            self._rtp.sendto(head + payload, self._to)
        except OSError:
            pass  # the far end is gone; its BYE is under way

    def close(self) -> None:
        """No more packets."""
        self._rtp.close()


class KeySender(SipPeer):
    """Answers every call that says what to press."""

    def __init__(self, port: int, book: Path | None = None) -> None:
        super().__init__(port=port)
        self._book = book
        self._looks_at = 0.0
        self._lines: dict[str, Line] = {}
        self._calls: dict[str, tuple[SipMessage, tuple[str, int]]] = {}
        self._cseq = 0

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            now = time.monotonic()
            for line in list(self._lines.values()):
                line.send_due(now)
            if self._book is not None and now >= self._looks_at:
                self._looks_at = now + LOOK_SECONDS
                self._look(self._book)
            await asyncio.sleep(0.002)

    def _look(self, book: Path) -> None:
        for call_id, line in self._lines.items():
            more = book / f"{self._calls[call_id][0].user}.{line.heard + 1}"
            if more.is_file():
                line.heard += 1
                press = read_number(more.read_text())
                if press is not None:
                    line.press(press)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Calls are answered at once; the rest is the peer's."""
        if not data[:1].isalpha():
            return
        message = parse_sip(data, time.time())
        if message.method == "INVITE":
            self._answer(message, addr)
        elif message.method in ("BYE", "CANCEL"):
            self._reply(message, "200 OK", addr)
            line = self._lines.pop(message.call_id, None)
            if line is not None:
                line.close()
        elif message.method not in ("", "ACK"):
            self._reply(message, "200 OK", addr)

    def _answer(self, invite: SipMessage, addr: tuple[str, int]) -> None:
        if invite.call_id in self._calls:
            return  # a repetition
        press = read_number(self._looked_up(invite.user))
        offered = re.search(r"^m=audio (\d+)", invite.body, re.MULTILINE)
        if press is None or offered is None:
            self._reply(invite, "404 Not Found", addr)
            return
        rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtp.bind(("127.0.0.1", 0))
        self._calls[invite.call_id] = (invite, addr)
        lines = ["SIP/2.0 200 OK"]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            lines.append(f"{name}: {invite.headers[name]}{';tag=key' if name == 'To' else ''}")
        lines += [f"Contact: <sip:127.0.0.1:{self.port}>", "Content-Type: application/sdp"]
        self._send(lines, _sdp(rtp.getsockname()[1], events=press.way in "rb"), addr)
        line = Line(press, rtp, ("127.0.0.1", int(offered[1])))
        self._lines[invite.call_id] = line
        for after, key in line.infos:
            self._later(after, self._info, invite.call_id, key, press.ms)

    def _looked_up(self, user: str) -> str:
        if self._book is None or not user.isdigit() or not (self._book / user).is_file():
            return user
        return (self._book / user).read_text()

    def _info(self, call_id: str, key: str, ms: int) -> None:
        if call_id not in self._lines:
            return
        invite, addr = self._calls[call_id]
        contact = re.search(r"<([^>]+)>", invite.headers["Contact"])
        target = contact[1] if contact else f"sip:{addr[0]}:{addr[1]}"
        self._cseq += 1
        lines = [
            f"INFO {target} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{self._cseq:x}k;rport",
            f"From: {invite.headers['To']};tag=key",
            f"To: {invite.headers['From']}",
            f"Call-ID: {call_id}",
            f"CSeq: {self._cseq} INFO",
            "Max-Forwards: 70",
            "Content-Type: application/dtmf-relay",
        ]
        self._send(lines, f"Signal={key}\r\nDuration={ms}\r\n", addr)


def _sdp(port: int, *, events: bool) -> str:
    kinds, told = ("8 101", "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n")
    if not events:
        kinds, told = "8", ""
    return (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {kinds}\r\na=rtpmap:8 PCMA/8000\r\n{told}a=sendrecv\r\n"
    )


async def serve(port: int, book: Path | None = None) -> None:
    """Answer calls on 127.0.0.1 until SIGTERM; says ``ready`` on standard output."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with KeySender(port, book) as sender:
        running = asyncio.create_task(sender.run())
        print("ready", flush=True)
        await over.wait()
        running.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--book", type=Path)
    asked = parser.parse_args()
    asyncio.run(serve(asked.port, asked.book))
