"""Calls on which a telephone presses keys to the millisecond, and a session of AGI that hears them.

The product's Asterisk with its own configuration; in place of the carrier a ``KeySender``; in place
of the IVR a session of the test's.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from fixtures_switch import switch_settings

from agi_scripts.server import AgiServer
from agi_scripts.session import Ivr
from agi_scripts.wire import Agi
from dialer.config import ROOT, Settings
from dialer.switch import names
from dialer.switch.ami import AmiLink, OriginateRequest
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import AsteriskBinary
from dialer.switch.product import prepare_product

T = TypeVar("T")


@dataclass
class KeysLine:
    """``ring`` places calls; what each session returns or raises comes back."""

    settings: Settings
    instance: AsteriskInstance
    _sessions: dict[str, Callable[[Agi], object]] = field(default_factory=dict)
    _results: dict[str, object] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def ring(
        self,
        numbers: Sequence[str],
        session: Callable[[Agi], T],
        *,
        within: float = 40,
        record: bool = False,
    ) -> list[T]:
        """Call them all at once; the results in order. Raises what a session raised."""
        ids = [uuid.uuid4().hex for _ in numbers]
        self._sessions.update(dict.fromkeys(ids, session))
        asyncio.run(self._place(dict(zip(ids, numbers, strict=True)), record))
        with self._changed:
            done = self._changed.wait_for(lambda: set(ids) <= set(self._results), within)
        missing = sum(one not in self._results for one in ids)
        assert done, f"{missing} of {len(ids)} calls never ended"
        results = [self._results.pop(one) for one in ids]
        for one in results:
            if isinstance(one, BaseException):
                raise one
        return cast(list[T], results)

    def wait_for_silence(self) -> None:
        """Wait until no channel is left: recordings are closed then."""
        deadline = time.monotonic() + 15
        while "0 active channels" not in self.instance.rx("core show channels count"):
            assert time.monotonic() < deadline, "a channel does not end"
            time.sleep(0.05)

    async def _place(self, calls: dict[str, str], record: bool) -> None:
        settings = self.settings
        link = AmiLink(
            host="127.0.0.1", port=settings.ami_port, user=settings.ami_user,
            secret=settings.secret(names.SECRET_AMI), node=settings.node,
        )  # fmt: skip
        await link.connect()
        await link.wait_ready(15)
        variables = {names.VAR_DETECTOR: "none", names.VAR_RECORD: "1" if record else "0"}
        for attempt, number in calls.items():
            dialled = f"PJSIP/{number}@{names.DEFAULT_TRUNK}"
            await link.originate(
                OriginateRequest(attempt, dialled, "+34911000111", 20, variables=variables)
            )
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # until the last of them has been taken
        await link.close()

    def entry(self, agi: Agi, _ivr: Ivr) -> None:
        """The AGI server's."""
        result: object = None
        try:
            result = self._sessions.pop(agi.attempt_id)(agi)
        except BaseException as error:  # noqa: BLE001 - the test's to see
            result = error
        with self._changed:
            self._results[agi.attempt_id] = result
            self._changed.notify_all()


@contextmanager
def keys_line(home: Path, binary: AsteriskBinary, book: Path | None = None) -> Iterator[KeysLine]:
    """Start all of it; ``book``: of the telephone (see ``dialer.simulation.key_sender``)."""
    settings = switch_settings(home)
    line = KeysLine(settings, prepare_product(settings, binary))
    command = [sys.executable, "-m", "dialer.simulation.key_sender", str(settings.carrier_sip_port)]
    command += ["--book", str(book)] if book is not None else []
    sender = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert sender.stdout is not None and sender.stdout.readline() == b"ready\n"
        line.instance.start()
        entries = {names.AGI_FLOW: line.entry}
        nobody = cast(Ivr, None)
        with AgiServer(nobody, "127.0.0.1", settings.agi_port, entries=entries):
            yield line
    finally:
        line.instance.stop()
        sender.terminate()
        sender.wait(10)
        if sender.stdout is not None:
            sender.stdout.close()
