"""The least that can call through Asterisk: an AMI client that keeps no record and decides
nothing. What the product is held against."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

CALLER_ID = "+34910000000"


@dataclass(slots=True)
class BareCall:
    """One call; times are Asterisk's own stamps (Unix time), ``asked`` is ours."""

    number: str
    asked: float
    dialled: float | None = None
    answered: float | None = None
    hangup: float | None = None
    ended: float | None = None
    before: float | None = None
    """Of a redial: when the far end hung up the call before."""


class BareClient:
    """Originates into ``context`` and notes what becomes of it. ``async with BareClient(...)``.

    ``on_hangup`` hears of every call that the far end hangs up.
    """

    def __init__(
        self,
        port: int,
        secret: str,
        context: str,
        on_hangup: Callable[[BareCall], None] = lambda _call: None,
    ) -> None:
        self._port, self._secret, self._context = port, secret, context
        self._on_hangup = on_hangup
        self.calls: dict[str, BareCall] = {}
        self.ended = 0
        self.changed = asyncio.Event()
        """Set when one more has ended."""

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._send({"Action": "Login", "Username": "dialer", "Secret": self._secret})
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        await self._writer.wait_closed()

    def originate(self, number: str, variables: str = "", before: float | None = None) -> None:
        """Call a number through the trunk; ``variables`` is a line of AMI's, or nothing."""
        call_id = uuid.uuid4().hex
        self.calls[call_id] = BareCall(number, time.time(), before=before)
        self._send(
            {
                "Action": "Originate",
                "ActionID": call_id,
                "ChannelId": call_id,
                "Channel": f"PJSIP/{number}@carrier",
                "Context": self._context,
                "Exten": "s",
                "Priority": "1",
                "Async": "true",
                "CallerID": f'"" <{CALLER_ID}>',
                "Timeout": "20000",
                **({"Variable": variables} if variables else {}),
            }
        )

    def _send(self, action: Mapping[str, str]) -> None:
        text = "".join(f"{name}: {value}\r\n" for name, value in action.items())
        self._writer.write((text + "\r\n").encode())

    async def _read(self) -> None:
        await self._reader.readline()
        while True:
            text = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.split(": ", 1) for line in text.split("\r\n") if ": " in line)
            self._note(headers.get("Event", ""), headers)

    def _note(self, event: str, headers: Mapping[str, str]) -> None:
        key = "DestUniqueid" if event == "DialBegin" else "Uniqueid"
        call = self.calls.get(headers.get(key, ""))
        if event == "OriginateResponse" and headers.get("Response") == "Failure":
            refused = self.calls.get(headers.get("ActionID", ""))
            if refused is not None and refused.dialled is None and refused.ended is None:
                refused.ended = time.time()
                self._count()
        if call is None or call.ended is not None:
            return
        at = float(headers["Timestamp"])
        if event == "DialBegin":
            call.dialled = at
        elif event == "Newstate" and headers.get("ChannelState") == "6":
            call.answered = at
        elif event == "HangupRequest" and call.hangup is None:
            call.hangup = at
            self._on_hangup(call)
        elif event == "Hangup":
            call.ended = at
            self._count()

    def _count(self) -> None:
        self.ended += 1
        self.changed.set()


async def paced(rate: float, count: int, place: Callable[[int], None]) -> None:
    """``count`` times at ``rate`` a second; a late one does not make the next ones late."""
    began = time.monotonic()
    for index in range(count):
        ahead = began + index / rate - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        place(index)


async def until_ended(client: BareClient, count: int, seconds: float) -> None:
    """Until so many calls have ended, at most so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while client.ended < count:
                client.changed.clear()
                await client.changed.wait()
