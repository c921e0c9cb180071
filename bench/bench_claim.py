"""How long one claim takes with many leads waiting.

    python bench/bench_claim.py [--leads 1000000] [--postgres | --database URL] [--json FILE]

Fills an empty database (SQLite in a temporary folder, a throw-away PostgreSQL with ``--postgres``,
or the one of the URL), then measures whole
claims as the engine makes them: claim, contexts, policy, caller ID, attempts, ledger, commit.
Prints JSON: seconds to fill, and per batch size the p50, p90 and p99 of a claim in ms.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, insert

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from world import World, plan  # noqa: E402

from dialer.engine.claiming import claim_and_commit  # noqa: E402
from dialer.local.postgres import PostgresServer  # noqa: E402
from dialer.store import leases  # noqa: E402
from dialer.store import tables as t  # noqa: E402
from dialer.store.db import migrate, open_database  # noqa: E402

CHUNK = 5_000


def fill(engine: Engine, world: World, count: int, now: datetime) -> None:
    """``count`` debtors with a phone, an account and a waiting lead each."""
    for first in range(1, count + 1, CHUNK):
        ids = range(first, min(first + CHUNK, count + 1))
        with engine.begin() as c:
            _rows(c, world, ids, now)


def _rows(c: Connection, world: World, ids: range, now: datetime) -> None:
    c.execute(
        insert(t.debtor),
        [
            {"id": n, "company_id": world.company_id, "document": f"{n:08d}", "name": "N",
             "country": "ES", "created_at": now}
            for n in ids
        ],
    )  # fmt: skip
    c.execute(
        insert(t.phone),
        [
            {"debtor_id": n, "number": f"+346{n:08d}", "line_type": "mobile", "position": 0}
            for n in ids
        ],
    )
    c.execute(
        insert(t.account),
        [
            {"id": n, "company_id": world.company_id, "debtor_id": n, "reference": f"R{n}",
             "amount_minor": 10_000, "currency": "EUR", "due_date": date(2026, 1, 1),
             "created_at": now, "updated_at": now}
            for n in ids
        ],
    )  # fmt: skip
    c.execute(
        insert(t.lead),
        [
            {"campaign_id": world.campaign_id, "debtor_id": n, "account_id": n,
             "state": "waiting", "next_at": now, "attempts": 0, "next_phone": 0}
            for n in ids
        ],
    )  # fmt: skip


def measure(
    engine: Engine, world: World, batch: int, rounds: int, now: datetime
) -> dict[str, float]:
    """p50, p90, p99 of ``rounds`` claims of ``batch`` leads, in ms."""
    running = world.running()
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        with engine.begin() as c:
            made, _ = claim_and_commit(
                c, running, owner="bench", node="node1", count=batch, now=now,
                new_id=lambda: uuid.uuid4().hex,
            )  # fmt: skip
        took.append((time.perf_counter() - start) * 1000)
        assert len(made) == batch
    took.sort()
    return {
        f"p{p}": round(took[min(len(took) - 1, int(len(took) * p / 100))], 2) for p in (50, 90, 99)
    }


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--database", help="SQLAlchemy URL of an empty database")
    parser.add_argument("--postgres", action="store_true", help="a throw-away server")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        url = args.database or f"sqlite:///{folder}/bench.db"
        if args.postgres:
            server = PostgresServer()
            server.start()
            held.callback(server.stop)
            server.execute("CREATE DATABASE bench")
            url = server.url("bench")
        migrate(url)
        engine = open_database(url)
        now = datetime.now(UTC)
        world = World(engine, plan(), at=now)
        start = time.perf_counter()
        fill(engine, world, args.leads, now)
        filled = time.perf_counter() - start
        with engine.begin() as c:
            leases.acquire(c, world.campaign_id, "bench", now, timedelta(hours=1))
        result = {
            "database": engine.dialect.name,
            "leads": args.leads,
            "fill_seconds": round(filled, 1),
            "claim_ms": {
                str(batch): measure(engine, world, batch, 200, now) for batch in (1, 5, 20)
            },
        }
        engine.dispose()
    text = json.dumps(result, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
