"""How far Asterisk's own time stamps are from the wire.

The dialer takes DialBegin's Timestamp for the moment of an INVITE and HangupRequest's for the
moment of a BYE. This places calls to a bare SIP socket on this machine, which stamps what it
receives and sends with the same clock, and prints the differences. Also the way of an event from
Asterisk's stamp to the queue.

    python -m bench.ami_clock [calls a second] [calls]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import uuid
from datetime import datetime
from pathlib import Path

from dialer.config import load_settings
from dialer.domain import events as ev
from dialer.simulation.sip_peer import Behaviour, SipPeer
from dialer.switch import names
from dialer.switch.ami import AmiLink, OriginateRequest
from dialer.switch.portable import ensure_asterisk
from dialer.switch.product import prepare_product
from dialer.switch.trunks import load_trunks

SIP, AMI, AGI, RTP = 15560, 15538, 15573, 32000


async def _answer_agi(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (await reader.readline()) not in (b"", b"\n"):
        pass
    writer.write(b"WAIT FOR DIGIT 20000\n")
    await reader.readline()
    writer.close()


def _figures(name: str, values: list[float]) -> str:
    ordered = sorted(values)
    count = len(ordered)
    picks = [ordered[min(count - 1, int(count * part))] for part in (0.0, 0.5, 0.95, 0.99, 1.0)]
    return f"{name:34s} n={count:5d}  " + "  ".join(
        f"{label} {value * 1000:7.2f} ms"
        for label, value in zip(("min", "p50", "p95", "p99", "max"), picks, strict=True)
    )


async def measure(rate: float, calls: int) -> None:
    """Place ``calls`` at ``rate`` a second and print the distributions."""
    with tempfile.TemporaryDirectory(prefix="ami-clock-") as folder:
        async with SipPeer(Behaviour(ring=0.2, talk=0.8)) as peer:
            settings = load_settings(
                home=Path(folder),
                trunk=f"127.0.0.1:{peer.port}",
                sip_port=SIP,
                ami_port=AMI,
                agi_port=AGI,
                rtp_start=RTP,
                rtp_end=RTP + 3999,
            )
            instance = prepare_product(settings, ensure_asterisk())
            server = await asyncio.start_server(_answer_agi, "127.0.0.1", AGI, backlog=1000)
            await asyncio.to_thread(instance.start)
            try:
                await _run(settings.secret(names.SECRET_AMI), peer, rate, calls, settings.home)
            finally:
                await asyncio.to_thread(instance.stop)
                server.close()


async def _run(secret: str, peer: SipPeer, rate: float, calls: int, home: Path) -> None:
    trunk = load_trunks(load_settings(home=home, trunk=f"127.0.0.1:{peer.port}")).get("carrier")
    link = AmiLink(host="127.0.0.1", port=AMI, user="dialer", secret=secret, node="node1")
    await link.connect()
    await link.wait_ready(20)
    attempts: dict[str, str] = {}  # number -> attempt
    asked: dict[str, float] = {}
    seen: dict[tuple[str, type], datetime] = {}
    ways: list[float] = []

    async def listen() -> None:
        ended = 0
        while ended < calls:
            event = await link.events.get()
            if not isinstance(event, ev.CallEvent):
                continue
            ways.append(time.time() - event.at.timestamp())
            seen.setdefault((event.attempt_id, type(event)), event.at)
            ended += isinstance(event, ev.Ended | ev.OriginateFailed)

    listener = asyncio.create_task(listen())
    cpu = time.process_time()
    for index in range(calls):
        number, attempt = f"+346{index:08d}", uuid.uuid4().hex
        attempts[number] = attempt
        asked[attempt] = time.time()
        await link.originate(
            OriginateRequest(
                attempt,
                trunk.dial_string(number),
                trunk.caller_id_value("+34911000111"),
                20,
                variables={names.VAR_DETECTOR: "talk"},
            )
        )
        await asyncio.sleep(1 / rate)
    async with asyncio.timeout(30):
        await listener
    cpu = time.process_time() - cpu
    await link.close()

    invites = {m.call_id: m for m in reversed(peer.received) if m.method == "INVITE"}
    of_call = {call_id: attempts[m.user] for call_id, m in invites.items()}
    byes = {m.call_id: m for m in reversed(peer.sent) if m.method == "BYE"}
    oks = {m.call_id: m for m in peer.sent if "200 OK" in m.start and "INVITE" in m.headers["CSeq"]}

    def difference(messages: dict[str, object], kind: type) -> list[float]:
        found = []
        for call_id, message in messages.items():
            at = seen.get((of_call[call_id], kind))
            if at is not None:
                found.append(at.timestamp() - message.at)  # type: ignore[attr-defined]
        return found

    print(
        f"{calls} calls at {rate:g}/s, {len(invites)} INVITEs, garbage {link.garbage}, "
        f"our CPU {cpu / calls * 1000:.2f} ms a call (peer included)"
    )
    print(
        _figures(
            "INVITE received - originate called",
            [m.at - asked[of_call[c]] for c, m in invites.items()],
        )
    )
    print(_figures("DialBegin - INVITE received", difference(dict(invites), ev.DialBegun)))
    print(_figures("Newstate up - 200 sent", difference(dict(oks), ev.Answered)))
    print(_figures("HangupRequest - BYE sent", difference(dict(byes), ev.HangupRequested)))
    print(_figures("Hangup - BYE sent", difference(dict(byes), ev.Ended)))
    print(_figures("in the queue - event's stamp", ways))


if __name__ == "__main__":
    asyncio.run(
        measure(
            float(sys.argv[1]) if len(sys.argv) > 1 else 20.0,
            int(sys.argv[2]) if len(sys.argv) > 2 else 400,
        )
    )
