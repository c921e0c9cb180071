"""Agents' browsers in tests: a real Chromium with a page that is a telephone (``tests/browser``).

    with telephone_page() as page_url:
        async with agents_browser(page_url, microphone(file)) as browser:
            await browser.open(settings)
            await browser.call(token)            # Asterisk has answered
            await browser.heard()                # what came since, 20 ms at a time

What the browser says is a WAV file; what it hears is measured in the page, no sound card is needed.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import sys
import threading
import wave
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Error, Page, async_playwright
from voice_peer import AGENT_HERTZ, DEBTOR_HERTZ, OTHER_HERTZ

from dialer.config import Settings
from dialer.switch import names

PAGE = Path(__file__).resolve().parent / "browser"
BUNDLE = Path(sys.prefix) / "browser" / "phone.js"
TONES = (AGENT_HERTZ, DEBTOR_HERTZ, OTHER_HERTZ)
AUDIBLE = 0.01
"""Amplitude of a tone from which on it is heard: tones are said at 0.25, noise has a tenth of this
at most."""

FLAGS = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--metrics-recording-only",
    # Candidates are told as addresses: nobody here resolves names ending in .local.
    "--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter,OptimizationHints",
)


@dataclass(frozen=True, slots=True)
class Block:
    """20 ms of what a browser heard. ``at``: Unix time of its end; amplitudes, full scale is 1."""

    at: float
    loudness: float
    tones: tuple[float, ...]

    def has(self, hertz: float) -> bool:
        """Whether the tone is heard in it."""
        return self.tones[TONES.index(hertz)] > AUDIBLE


class AgentBrowser:
    """A page that is an agent's telephone."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def open(self, settings: Settings) -> None:
        """Microphone and websocket."""
        await self.page.evaluate(
            "(how) => phone.open(how)",
            {
                "ws": f"ws://{settings.bind}:{settings.http_port}/ws",
                "user": names.ENDPOINT_BROWSER,
                "password": settings.secret(names.SECRET_BROWSER_SIP),
                "host": settings.bind,
            },
        )

    async def call(self, number: str) -> float:
        """Call in; seconds until Asterisk had answered. Raises playwright's Error if refused."""
        took = await self.page.evaluate(
            "([number, tones]) => phone.call(number, tones)", [number, list(TONES)]
        )
        return float(took) / 1000

    async def heard(self, since: float = 0.0) -> list[Block]:
        """All that was heard since that Unix time."""
        blocks: list[Any] = await self.page.evaluate(
            "(since) => phone.heard.filter((one) => one[0] >= since)", since * 1000
        )
        return [Block(at / 1000, loud, tuple(tones)) for at, loud, *tones in blocks]

    async def evaluate(self, script: str) -> Any:
        """Something else of the page's."""
        return await self.page.evaluate(script)

    async def vanish(self) -> None:
        """The browser dies: no goodbye to anybody."""
        browser = self.page.context.browser
        assert browser is not None
        session = await browser.new_browser_cdp_session()
        with suppress(Error):  # there is nobody left to answer
            await session.send("Browser.crash")
        assert not browser.is_connected()


def chromium() -> str:
    """The browser's program. Fails the test where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail("there is no Chromium: on Debian or Ubuntu, apt-get install chromium")


def microphone(path: Path, hertz: float = AGENT_HERTZ, level: float = 0.25) -> Path:
    """A file for a browser to say: a tone, one second, again and again."""
    samples = level * np.sin(2 * np.pi * hertz * np.arange(48_000) / 48_000)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes((32767 * samples).astype(np.int16).tobytes())
    return path


class _Files(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        name = os.path.basename(path.partition("?")[0]) or "page.html"
        return str(BUNDLE if name == BUNDLE.name else PAGE / name)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def telephone_page() -> Iterator[str]:
    """The address of the page, on localhost: browsers give the microphone to no other."""
    if not BUNDLE.is_file():
        pytest.fail("the telephone is not put together: apt-get install nodejs npm, `make setup`")
    handler = functools.partial(_Files, directory=str(PAGE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/page.html"
        finally:
            server.shutdown()
            thread.join()


@asynccontextmanager
async def agents_browser(
    page_url: str, said: Path, *more: str, flags: Sequence[str] = FLAGS
) -> AsyncIterator[AgentBrowser]:
    """A browser of its own with the page open; ``said``: the file it says."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(),
            args=[*flags, f"--use-file-for-fake-audio-capture={said}", *more],
        )
        try:
            page = await browser.new_page()
            await page.goto(page_url)
            yield AgentBrowser(page)
        finally:
            await browser.close()
