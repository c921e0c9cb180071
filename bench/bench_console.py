"""How soon each page of the console answers on a full database, and with how many queries.

    python bench/bench_console.py [--debtors 200000] [--attempts 1000000] [--postgres]
        [--rounds 15] [--home DIR] [--views 100] [--json FILE]

A company with a made-up past (``dialer.simulation.history``) in SQLite, or in a throw-away
PostgreSQL. Each page is asked for over HTTP on loopback, from one process with the server: time to
the first byte, p50 and the longest of the rounds after the first, which is shown beside. ``--home``
keeps the database there for another run. ``--views``: so many live views of today beside, and what
they cost: the server's processor time of ten seconds with none, one and all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, event

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fixtures_messaging import free_port, start_redis  # noqa: E402
from fixtures_site import PASSWORD  # noqa: E402
from pages_walk import Filled, PageOf, fill, filled_before, pages, served  # noqa: E402

from dialer.config import Settings  # noqa: E402
from dialer.local.postgres import PostgresServer  # noqa: E402
from dialer.store.db import migrate, open_database  # noqa: E402

LIVE = "/today/live"
AFTER = ("/flows/reminder/figures", "/caller-ids/figures", "/reports/figures")
"""What pages fetch after they are there, because it has to be counted."""
VIEW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Row:
    """One page: milliseconds to the first byte, queries, size."""

    path: str
    first_ms: float
    p50_ms: float
    longest_ms: float
    queries: int
    kib: float


class Counter:
    """Statements that go to the database."""

    def __init__(self, engine: Engine) -> None:
        self.count = 0
        event.listen(engine, "before_cursor_execute", self._one)

    def _one(self, *_: object) -> None:
        self.count += 1


def client_of(url: str, who: str) -> httpx.Client:
    """Logged in."""
    client = httpx.Client(base_url=url, timeout=60, trust_env=False)
    page = client.get("/log-in").text
    token = page.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]
    form = {"csrf_token": token, "email": f"{who}@example.com", "password": PASSWORD}
    answer = client.post("/log-in", data=form)
    assert answer.status_code == 302, answer.text
    return client


def measure(client: httpx.Client, page: PageOf, counter: Counter, rounds: int) -> Row:
    """Ask for a page again and again."""
    took = []
    queries = size = 0
    for _ in range(rounds + 1):
        counter.count = 0
        began = time.perf_counter()
        with client.stream("GET", page.path) as answer:
            took.append((time.perf_counter() - began) * 1000)
            size = len(answer.read())
            assert answer.status_code == 200, (page.path, answer.status_code)
        queries = counter.count
    first, rest = took[0], sorted(took[1:])
    return Row(
        page.path, round(first, 1), round(rest[len(rest) // 2], 1), round(rest[-1], 1), queries,
        round(size / 1024, 1),
    )  # fmt: skip


@contextmanager
def views(url: str, count: int) -> Iterator[None]:
    """So many live views of today, each read as a browser reads it."""
    stop = threading.Event()

    def look(client: httpx.Client) -> None:
        with client.stream("GET", LIVE) as answer:
            for _ in answer.iter_lines():
                if stop.is_set():
                    return

    clients = [client_of(url, "super") for _ in range(min(count, 1))]
    cookies = clients[0].cookies if clients else None
    threads = []
    for _ in range(count):
        client = httpx.Client(base_url=url, cookies=cookies, timeout=30, trust_env=False)
        threads.append(threading.Thread(target=look, args=(client,), daemon=True))
        threads[-1].start()
    try:
        yield
    finally:
        stop.set()
        for one in threads:
            one.join(15)


def cost(url: str, count: int, counter: Counter) -> dict[str, float]:
    """Processor seconds of this process (server and readers) and queries, for ten seconds."""
    with views(url, count):
        time.sleep(2)
        counter.count, began = 0, time.process_time()
        time.sleep(VIEW_SECONDS)
        return {
            "views": count,
            "processor_seconds": round(time.process_time() - began, 2),
            "queries": counter.count,
        }


def prepare(options: argparse.Namespace, home: Path, redis: str, held: ExitStack) -> Filled:
    """The database, made or found."""
    home.mkdir(parents=True, exist_ok=True)
    url = ""
    if options.postgres:
        server = PostgresServer()
        server.start()
        held.callback(server.stop)
        server.execute("CREATE DATABASE bench")
        url = server.url("bench")
    settings = Settings(home=home, redis_url=redis, database_url=url)
    migrate(settings.database)
    engine = open_database(settings.database)
    held.callback(engine.dispose)
    before = filled_before(settings, engine)
    if before is not None:
        return before
    began = time.monotonic()
    filled = fill(settings, engine, debtors=options.debtors, attempts=options.attempts)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    print(f"filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return filled


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--debtors", type=int, default=200_000)
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--views", type=int, default=100)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"debtors": options.debtors, "attempts": options.attempts}
    with tempfile.TemporaryDirectory(prefix="console-") as folder, ExitStack() as held:
        redis = start_redis(Path(folder) / "redis", free_port())
        held.callback(redis.stop)
        filled = prepare(options, options.home or Path(folder), redis.url, held)
        counter = Counter(filled.engine)
        with served(filled) as worker:
            rows = []
            for who in ("super", "admin", "agent"):
                client = client_of(worker.url, who)
                found = [one for one in pages(worker, filled) if one.who == who]
                if who == "super":
                    found += [PageOf(path, path, who) for path in AFTER]
                for page in found:
                    rows.append(measure(client, page, counter, options.rounds))
            result["pages"] = [vars_of(row) for row in rows]
            print("| page | first ms | p50 ms | longest ms | queries | KiB |")
            print("|---|---|---|---|---|---|")
            for row in rows:
                print("|", " | ".join(str(value) for value in vars_of(row).values()), "|")
            result["views"] = [cost(worker.url, n, counter) for n in (0, 1, options.views)]
            for one in result["views"]:
                print(one)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def vars_of(row: Row) -> dict[str, Any]:
    """Its fields by name."""
    return {name: getattr(row, name) for name in Row.__slots__}


if __name__ == "__main__":
    main()
