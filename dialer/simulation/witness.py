"""What the far side of the line saw: calls as the simulated network received them.

The product measures its own latencies with its own clock and events; this is the check from
outside, from the carrier's Asterisk: when the INVITE came in, which caller ID it showed, when the
call was over and who ended it.

    async with Witness(settings) as witness:
        ...
        redial = await witness.call("+34600000030", 2, within=10)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Self

from panoramisk.message import Message

from dialer.config import Settings
from dialer.switch import names
from dialer.switch.ami_connection import Connection
from dialer.switch.parsing import moment

_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class WitnessedCall:
    """One call at the carrier; ``number`` and ``caller_id`` as they were sent. Times are UTC.

    ``heard_at``: the far end heard something for the first time; only of those who listen for it
    (``steps.listen``). ``ended_by_dialer`` is whether the BYE or the CANCEL came from the dialer;
    None until it ends.
    """

    number: str
    caller_id: str
    invited_at: datetime
    answered_at: datetime | None = None
    heard_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by_dialer: bool | None = None


class Witness:
    """Collects calls from the carrier's AMI while the context is open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._calls: dict[str, WitnessedCall] = {}
        self._requested: set[str] = set()
        self._changed = asyncio.Event()
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        """Connect. Raises OSError or TimeoutError when the carrier is not there."""
        connection = Connection(
            host="127.0.0.1",
            port=self._settings.carrier_ami_port,
            user=names.CARRIER_AMI_USER,
            secret=self._settings.secret(names.SECRET_CARRIER_AMI),
            on_event=self._on_event,
            on_garbage=lambda: None,
        )
        try:
            if not await connection.open(_CONNECT_SECONDS):
                raise ConnectionRefusedError("the carrier refuses the witness: restart the carrier")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.close()
            await asyncio.sleep(0)  # the transport closes in the loop's next turn

    @property
    def calls(self) -> tuple[WitnessedCall, ...]:
        """All calls so far, in the order of their INVITEs."""
        return tuple(sorted(self._calls.values(), key=lambda call: call.invited_at))

    def calls_to(self, number: str) -> tuple[WitnessedCall, ...]:
        """The calls of one number, with or without plus sign."""
        digits = number.lstrip("+")
        return tuple(call for call in self.calls if call.number.lstrip("+") == digits)

    async def call(self, number: str, nth: int = 1, *, within: float) -> WitnessedCall:
        """Wait for the nth call of a number (from 1). Raises TimeoutError."""
        async with asyncio.timeout(within):
            while len(self.calls_to(number)) < nth:
                await self._next()
        return self.calls_to(number)[nth - 1]

    async def end_of(self, number: str, nth: int = 1, *, within: float) -> WitnessedCall:
        """Wait until the nth call of a number is over. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while len(self.calls_to(number)) < nth or (
                self.calls_to(number)[nth - 1].ended_at is None
            ):
                await self._next()
        return self.calls_to(number)[nth - 1]

    async def _next(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _on_event(self, name: str, message: Message) -> None:
        try:
            self._note(name, message)
        except (KeyError, ValueError, TypeError):
            return  # not of a call
        self._changed.set()

    def _note(self, name: str, message: Message) -> None:
        unique = message["Uniqueid"] if name != "FullyBooted" else ""
        if name == "Newchannel":
            self._calls[unique] = WitnessedCall(
                message["Exten"], message["CallerIDNum"], moment(message)
            )
        if unique not in self._calls:
            return
        call = self._calls[unique]
        if name == "Newstate" and call.answered_at is None:
            self._calls[unique] = replace(call, answered_at=moment(message))
        elif name == "ChannelTalkingStart" and call.heard_at is None:
            self._calls[unique] = replace(call, heard_at=moment(message))
        elif name == "HangupRequest":
            self._requested.add(unique)  # made for what the other side wants only
        elif name == "Hangup":
            self._calls[unique] = replace(
                call, ended_at=moment(message), ended_by_dialer=unique in self._requested
            )
