"""People at the console in a real Chromium, as it is served: what they see, in their language, and
what their browser complains of."""

from __future__ import annotations

import re
import time
import zlib
from base64 import a85decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fixtures_browser import FLAGS, chromium
from fixtures_site import PASSWORD
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

PATIENCE = 30.0
"""Seconds within which a page has to show something; a quiet machine takes a part of one."""

_NOTE_WHAT_IS_SHOWN = """() => {
  window.shown = new Set();
  const note = () => {
    for (const row of document.querySelectorAll("#live tr")) {
      window.shown.add(row.innerText.replace(/\\s+/g, " "));
    }
  };
  new MutationObserver(note).observe(document.getElementById("live"),
    {childList: true, subtree: true, characterData: true});
  note();
}"""


@contextmanager
def console_browser(language: str = "es-ES") -> Iterator[BrowserContext]:
    """A browser of its own, of somebody who reads ``language``."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            expect.set_options(timeout=1000 * PATIENCE)
            yield _context(browser, language)
        finally:
            expect.set_options(timeout=None)
            browser.close()


def _context(browser: Browser, language: str) -> BrowserContext:
    context = browser.new_context(locale=language, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(1000 * PATIENCE)
    return context


class Console:
    """One person's page. ``faults``: what the browser had to say against any of them."""

    def __init__(self, context: BrowserContext, url: str, faults: list[str] | None = None) -> None:
        self.context, self.url = context, url
        self.faults: list[str] = [] if faults is None else faults
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(f"{self.page.url}: {error}"))
        self.page.on("console", lambda line: self._heard(line.type, line.text))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(f"{self.page.url}: {text}")

    def another(self) -> Console:
        """One more window of the same person."""
        return Console(self.context, self.url, self.faults)

    def somebody_else(self) -> Console:
        """Another person at a browser of their own."""
        browser = self.context.browser
        assert browser is not None
        return Console(_context(browser, "es-ES"), self.url, self.faults)

    def log_in(self, who: str) -> None:
        """Through the form, in Spanish."""
        self.page.goto(f"{self.url}/")
        self.page.get_by_label("Correo electrónico").fill(f"{who}@example.com")
        self.page.get_by_label("Contraseña").fill(PASSWORD)
        self.page.get_by_role("button", name="Entrar").click()
        expect(self.page.get_by_role("navigation", name="Principal")).to_be_visible()

    def menu(self, name: str) -> None:
        """By the line of the menu; the page has it as its heading."""
        menu = self.page.get_by_role("navigation", name="Principal")
        menu.get_by_role("link", name=name, exact=True).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(name)

    def press(self, name: str, inside: Locator | None = None) -> None:
        """A button by what stands on it."""
        (inside or self.page).get_by_role("button", name=name, exact=True).click()

    def confirm(self, name: str, question: str) -> None:
        """A button that asks first: the question, and yes to it."""
        self.press(name)
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text(question)
        self.press(name, dialog)

    def told(self, text: str | re.Pattern[str]) -> None:
        """What the page announces after something was done."""
        expect(self.page.locator("#flashes")).to_contain_text(text)

    def counts(self, name: str, value: int) -> None:
        """Until the figure of that name is that; what stands below it is left out."""
        tile = f"//*[contains(@class, 'tile')][dt[normalize-space()='{name}']]"
        wanted = self.page.locator(f"xpath={tile}/dd[normalize-space(text()[1])='{value}']")
        says = self.page.locator(f"xpath={tile}/dd")
        try:
            expect(wanted).to_be_visible()
        except AssertionError:
            raise AssertionError(f"{name}: {says.all_inner_texts()}, not {value}") from None

    def card(self, title: str) -> Locator:
        """A part of the page by its heading."""
        heading = self.page.get_by_role("heading", name=title, exact=True)
        return self.page.locator(".card").filter(has=heading)

    def pairs(self, title: str) -> dict[str, str]:
        """What a card says of each of its terms."""
        card = self.card(title)
        terms, says = card.locator("dt").all_inner_texts(), card.locator("dd").all_inner_texts()
        return dict(zip(terms, says, strict=True))

    def download(self, link: Locator, name: str) -> bytes:
        """What a link gives, under that name."""
        with self.page.expect_download() as coming:
            link.click()
        assert coming.value.suggested_filename == name
        return coming.value.path().read_bytes()

    # --- live parts -------------------------------------------------------------------------

    def loaded_at(self) -> float:
        """When this page was loaded; another number after it was loaded again."""
        return float(self.page.evaluate("() => performance.timeOrigin"))

    def note_what_is_shown(self) -> None:
        """From now on the rows of the live part are kept, however short they are there."""
        self.page.evaluate(_NOTE_WHAT_IS_SHOWN)

    def has_shown(self, *words: str) -> None:
        """Until a row has had all these words at one time."""
        end = time.monotonic() + PATIENCE
        while True:
            rows: list[str] = self.page.evaluate("() => [...window.shown]")
            if any(all(one in row for one in words) for row in rows):
                return
            assert time.monotonic() < end, f"no row with {words} in {rows}"
            self.page.wait_for_timeout(200)


def pdf_words(made: bytes) -> list[str]:
    """The strings that a PDF of ours shows, in their order."""
    streams = b""
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", made, re.S):
        streams += zlib.decompress(a85decode(b"<~" + stream.strip(), adobe=True))
    return [_plain(one) for one in re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", streams, re.S)]


def _plain(text: bytes) -> str:
    def char(found: re.Match[bytes]) -> bytes:
        code = found[1]
        return bytes([int(code, 8)]) if code.isdigit() else code

    return re.sub(rb"\\([0-7]{3}|.)", char, text, flags=re.S).decode("cp1252")


def follows(words: list[Any], *wanted: Any) -> bool:
    """Whether these come one after the other."""
    size = len(wanted)
    return any(words[at : at + size] == list(wanted) for at in range(len(words) - size + 1))
