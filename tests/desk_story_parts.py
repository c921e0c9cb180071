"""An agent's desk in a real Chromium: the page as it is served, a microphone that says a tone, and
ears in the page for what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fixtures_browser import FLAGS, chromium
from fixtures_site import PASSWORD
from playwright.sync_api import BrowserContext, Page, Request, expect, sync_playwright

AXE = Path(__file__).resolve().parent.parent / "web" / "static" / "vendor" / "axe.min.js"
expect.set_options(timeout=15_000)
NOT_AMONG = ("critical", "serious")
TELEPHONE = {"width": 390, "height": 844}

LISTEN = """(hertz) => {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(document.getElementById("far").srcObject).connect(analyser);
  window.loudness = () => {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const width = context.sampleRate / analyser.fftSize;
    const near = Math.round(hertz / width);
    return Math.max(...bins.slice(near - 2, near + 3));
  };
}"""
HEARD_DB = -50.0
"""A tone that is there is far above, one that is not far below."""


class DeskPage:
    """One agent's page. ``said``: all that its requests carried, for what must never be in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        self.said: list[str] = []
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda line: self._console(line.type, line.text))
        page.on("request", self._note)
        page.on("dialog", lambda dialog: dialog.accept())

    def _console(self, kind: str, text: str) -> None:
        if "Content Security Policy" in text or "Permissions policy" in text:
            self.faults.append(f"{kind}: {text}")

    def _note(self, request: Request) -> None:
        self.said.append(f"{request.method} {request.url} {request.post_data or ''}")

    def log_in(self, url: str, who: str) -> None:
        """By the form, and to the desk."""
        self.page.goto(f"{url}/log-in?next=/desk")
        self.page.fill("[name=email]", f"{who}@example.com")
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("main button[type=submit]")
        self.page.wait_for_url(f"{url}/desk")

    def check_microphone(self, hears: str = "You are heard well.") -> None:
        """Until the meter has heard something. A pure tone is noise, and taken out as such."""
        self.page.uncheck("#mic-clean")
        self.page.click("#mic-check")
        expect(self.page.locator("#mic-said")).to_have_text(hears)

    def state(self, wanted: str, seconds: float = 15) -> None:
        """Until the page shows that state."""
        expect(self.page.locator("#state")).to_have_attribute(
            "data-state", wanted, timeout=seconds * 1000
        )

    def line(self, wanted: str = "line_up", seconds: float = 15) -> None:
        """Until the page says so of its line."""
        expect(self.page.locator("#line")).to_have_attribute(
            "data-line", wanted, timeout=seconds * 1000
        )

    def listen(self, hertz: float) -> None:
        """Have ears for a tone, on the line that is up now."""
        self.page.evaluate(LISTEN, hertz)

    def hears(self, *, there: bool = True) -> None:
        """Until the tone is there, or not any more."""
        sign = ">" if there else "<"
        self.page.wait_for_function(f"() => window.loudness() {sign} {HEARD_DB}")

    def axe(self, state: str) -> None:
        """Nothing serious is wrong for those who see, hear or point differently."""
        if not self.page.evaluate("() => Boolean(window.axe)"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: dict[str, Any] = self.page.evaluate("() => axe.run(document)")
        serious = [
            (one["id"], [node["html"][:120] for node in one["nodes"]])
            for one in found["violations"]
            if one["impact"] in NOT_AMONG
        ]
        assert serious == [], f"{state}: {serious}"

    def fits(self, state: str) -> None:
        """Nothing sticks out to the side."""
        wide = self.page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{state}: {wide} px too wide"


@contextmanager
def desk_browser(said: Path, *flags: str, **options: Any) -> Iterator[BrowserContext]:
    """A browser of its own; ``said``: the file it says."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=[*FLAGS, f"--use-file-for-fake-audio-capture={said}", *flags],
        )
        try:
            allowed = {"permissions": ["microphone", "notifications"]}
            context = browser.new_context(locale="en-GB", **(allowed | options))
            yield context
        finally:
            browser.close()
