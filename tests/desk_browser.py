"""An agent's browser beside code that is not asynchronous: a Chromium of its own, whose page calls
in with what the API gave, and beats as long as it lives."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

from desk_office import BEAT_SECONDS, Member
from fixtures_browser import AgentBrowser, Block, agents_browser, microphone
from voice_peer import AGENT_HERTZ, DEBTOR_HERTZ

from dialer.desk import models
from dialer.desk.client import DeskError
from dialer.local.cardscan.places import family

T = TypeVar("T")
SOUND_BLOCKS = 15
"""So many blocks of 20 ms on end have a tone before it counts as heard."""


class DeskBrowser:
    """A context manager: the browser of one agent."""

    def __init__(self, member: Member, page_url: str, home: Path) -> None:
        self.member = member
        self._page_url = page_url
        self._said = microphone(home / f"said-{member.id}.wav", AGENT_HERTZ)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._held = AsyncExitStack()
        self.agent: AgentBrowser

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()
        self._do(self._held.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _open(self) -> None:
        self.agent = await self._held.enter_async_context(
            agents_browser(self._page_url, self._said)
        )
        await self.agent.page.expose_function("beat", self._beat)

    def _do(self, work: Coroutine[Any, Any, T], within: float = 40) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within)

    async def _beat(self) -> None:
        try:
            await asyncio.to_thread(self.member.client.heartbeat)
        except DeskError:
            pass  # the session is over

    # --- what the page does -----------------------------------------------------------------

    def call_in(self, told: models.LoggedIn) -> float:
        """Open the line as the API says; seconds until it was answered."""
        assert told.sip is not None
        return self._do(self._call_in(told.sip, told.leg_token))

    async def _call_in(self, sip: models.Sip, token: str) -> float:
        page = self.agent.page
        host = sip.url.rpartition("@")[2]
        how = {"ws": sip.ws, "user": sip.user, "password": sip.password, "host": host}
        await page.evaluate("(how) => phone.open(how)", how)
        await page.evaluate(
            "(every) => { window.beating = setInterval(() => window.beat(), every) }",
            BEAT_SECONDS * 1000,
        )
        return await self.agent.call(token)

    def reload(self) -> None:
        """The page is loaded anew: line and heartbeat are gone."""
        self._do(self._reload())

    async def _reload(self) -> None:
        await self.agent.page.reload()

    def heard(self, since: float) -> list[Block]:
        """What was heard since that Unix time."""
        return self._do(self.agent.heard(since))

    def say(self, *, on: bool) -> None:
        """Whether the agent says anything: a page that is muted sends silence."""
        how = "unmute" if on else "mute"
        self._do(self.agent.evaluate(f"() => phone.session.{how}({{ audio: true }})"))

    def line_ended(self) -> str | None:
        """Why the page's line ended; None while it is up."""
        ended: str | None = self._do(self.agent.evaluate("() => phone.ended"))
        return ended

    # --- what is heard ------------------------------------------------------------------------

    def first_sound(self, since: float, hertz: float = DEBTOR_HERTZ) -> float:
        """When (Unix time) a tone that lasts was heard first. Fails after 10 s."""
        return self._when(since, hertz, there=True)

    def quiet(self, since: float, hertz: float = DEBTOR_HERTZ) -> float:
        """The same of a tone that is not there."""
        return self._when(since, hertz, there=False)

    def _when(self, since: float, hertz: float, *, there: bool, within: float = 10) -> float:
        end = time.monotonic() + within
        while True:
            blocks = self.heard(since)
            run = 0
            for at, one in enumerate(blocks):
                run = run + 1 if one.has(hertz) is there else 0
                if run == SOUND_BLOCKS:
                    return blocks[at - SOUND_BLOCKS + 1].at
            assert time.monotonic() < end, f"{len(blocks)} blocks, {hertz:g} Hz is never {there}"
            time.sleep(0.1)

    # --- what goes wrong ----------------------------------------------------------------------

    def vanish(self) -> None:
        """The browser dies: no goodbye to anybody, no heartbeat, no sound."""
        self._do(self.agent.vanish())

    def freeze(self) -> None:
        """Stop all its processes: nothing is sent any more, no sound, no heartbeat, no SIP, and
        nothing is closed. To the far sides this is a network that is cut; what comes meanwhile
        waits in buffers of the kernel."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let them run again."""
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        """Of this browser: it alone says this file. Parents come first."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if f"--use-file-for-fake-audio-capture={self._said}".encode() in words and not any(
                word.startswith(b"--type=") for word in words
            ):
                return family(int(path.parent.name))
        return []
