"""Every page in a real browser: it comes, says nothing wrong in the browser's log, has no barrier
that axe calls serious, and does not scroll sideways on a telephone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fixtures_browser import FLAGS, chromium
from pages_walk import NARROW, WIDE, Filled, PageOf, barriers, fill, log_in, pages, served, speak
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, sync_playwright

from dialer.config import Settings
from dialer.local.redis_server import RedisInstance
from dialer.store.db import migrate, open_database

LOOKS = [
    pytest.param("es", "light", WIDE, id="es-light-wide"),
    pytest.param("en", "dark", NARROW, id="en-dark-narrow"),
]


@pytest.fixture(scope="module")
def filled(
    tmp_path_factory: pytest.TempPathFactory, _redis_process: RedisInstance
) -> Iterator[Filled]:
    settings = Settings(home=tmp_path_factory.mktemp("pages"), redis_url=_redis_process.url)
    migrate(settings.database)
    engine = open_database(settings.database)
    yield fill(settings, engine, debtors=300, attempts=2500)
    engine.dispose()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield one
        one.close()


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("language", "theme", "size"), LOOKS)
def test_every_page(
    filled: Filled, browser: Browser, language: str, theme: str, size: tuple[int, int]
) -> None:
    wrong: list[str] = []
    speak(filled, language)
    with served(filled) as worker:
        # A desk has a telephone and an engine: it is looked at with both (test_desk_states).
        found = [page for page in pages(worker, filled) if not page.name.startswith("desk-")]
        assert {"access-account", "access-log_in"} <= {page.name for page in found}
        for who in sorted({page.who for page in found}):
            context = browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                locale=language,
                color_scheme="dark" if theme == "dark" else "light",
            )
            if who:
                log_in(context.new_page(), worker.url, who)
            for one in (one for one in found if one.who == who):
                wrong += _look(context, worker.url, one)
            context.close()
    assert wrong == []


def _look(context: BrowserContext, url: str, one: PageOf) -> list[str]:
    """What is wrong with a page."""
    wrong: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            wrong.append(f"{one.path}: the browser says {message.text}")

    page = context.new_page()
    page.on("console", heard)
    page.on("pageerror", lambda error: wrong.append(f"{one.path}: {error}"))
    answer = page.goto(url + one.path, wait_until="load")
    assert answer is not None
    if answer.status != 200:
        wrong.append(f"{one.path}: {answer.status}")
    wide = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    if wide > 1:
        wrong.append(f"{one.path}: {wide} pixels wider than the window")
    wrong += [f"{one.path}: {text}" for text in barriers(page)]
    page.close()
    return wrong
