"""Pictures of every page: both languages, light and dark, wide and narrow.

    python tools/screenshots.py [--into docs/screenshots] [--look es-light-wide ...]
        [--debtors 2000] [--attempts 12000] [--only campaigns]

A company with a made-up past is served on a free port, and a real browser looks at each page as
somebody who may see it. Pictures of earlier runs with the same name are replaced.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fixtures_browser import FLAGS, chromium  # noqa: E402
from fixtures_messaging import free_port, start_redis  # noqa: E402
from pages_walk import NARROW, WIDE, Filled, fill, log_in, pages, served, speak  # noqa: E402

from dialer.config import Settings  # noqa: E402
from dialer.store.db import migrate, open_database  # noqa: E402

SIZES = {"wide": WIDE, "narrow": NARROW}
LOOKS = ["-".join(one) for one in product(("es", "en"), ("light", "dark"), SIZES)]
SETTLE_MS = 600
"""For charts and what is fetched after the page."""


def take(browser: Browser, filled: Filled, look: str, into: Path, only: str) -> int:
    """All pages in one look; how many."""
    language, theme, size = look.split("-")
    width, height = SIZES[size]
    speak(filled, language)
    folder = into / look
    folder.mkdir(parents=True, exist_ok=True)
    taken = 0
    with served(filled) as worker:
        found = [one for one in pages(worker, filled) if only in one.name]
        for who in sorted({one.who for one in found}):
            context = browser.new_context(
                viewport={"width": width, "height": height},
                locale=language,
                color_scheme="dark" if theme == "dark" else "light",
            )
            page = context.new_page()
            if who:
                log_in(page, worker.url, who)
            for one in (one for one in found if one.who == who):
                page.goto(worker.url + one.path, wait_until="load")
                page.wait_for_timeout(SETTLE_MS)
                page.screenshot(
                    path=folder / f"{one.name}.jpg", type="jpeg", quality=70, full_page=True
                )
                taken += 1
            context.close()
    return taken


def main() -> None:
    """Fill, serve, look."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "screenshots")
    parser.add_argument("--look", nargs="*", choices=LOOKS, default=LOOKS)
    parser.add_argument("--debtors", type=int, default=2_000)
    parser.add_argument("--attempts", type=int, default=12_000)
    parser.add_argument("--only", default="", help="pages with this in their name")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pages-") as folder, ExitStack() as held:
        redis = start_redis(Path(folder) / "redis", free_port())
        held.callback(redis.stop)
        settings = Settings(home=Path(folder), redis_url=redis.url)
        migrate(settings.database)
        engine = open_database(settings.database)
        held.callback(engine.dispose)
        filled = fill(settings, engine, debtors=options.debtors, attempts=options.attempts)
        playwright = held.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        held.callback(browser.close)
        for look in options.look:
            count = take(browser, filled, look, options.into, options.only)
            print(f"{look}: {count} pages in {options.into / look}")


if __name__ == "__main__":
    main()
