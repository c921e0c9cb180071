"""How quick an import is, how much memory it takes, and how long it keeps other writers waiting.

    python -m bench.bench_import [rows] [--postgres] [--xlsx] [--alone]

Writes a file of made-up debtors (two phones each, amounts in Spanish notation) row by row, brings
the database to its schema, runs ``dialer import`` as a process of its own, twice, and prints JSON.
Meanwhile another connection writes one row every 20 ms and takes the time of each commit (not with
``--alone``: on SQLite every commit of another empties the page cache of the import).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
from sqlalchemy import Engine

from dialer.local.postgres import PostgresServer
from dialer.store import audit
from dialer.store.db import migrate, open_database

HEADER = (
    "documento", "nombre", "telefono1", "telefono2", "referencia", "importe", "moneda",
    "vencimiento", "email", "idioma",
)  # fmt: skip
LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def rows(count: int) -> Iterator[tuple[str, ...]]:
    """Made-up debtors, in no order of their keys."""
    chance = random.Random(7)
    for i in range(count):
        number = 10_000_000 + i * 7_919_117 % 80_000_000
        amount = chance.randrange(5_00, 20_000_00)
        yield (
            f"{number:08d}{LETTERS[number % 23]}",
            f"María Gómez Núñez {i}",
            f"6{i * 3_100_003 % 100_000_000:08d}",
            f"91{2_000_000 + i * 31_337 % 7_000_000:07d}",
            f"EXP-{i:08d}",
            f"{amount // 100:,}".replace(",", ".") + f",{amount % 100:02d}",
            "EUR",
            f"{chance.randint(1, 28):02d}/{chance.randint(1, 12):02d}/2026",
            f"debtor{i}@example.com",
            "es",
        )


def write(path: Path, count: int) -> None:
    """The file, of which only a row at a time is in memory."""
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("Deudores")
        sheet.append(HEADER)
        for row in rows(count):
            sheet.append(row)
        book.save(path)
        return
    with path.open("w", encoding="utf-8") as out:
        out.write(";".join(HEADER) + "\n")
        out.writelines(";".join(row) + "\n" for row in rows(count))


class Bystander(threading.Thread):
    """Another writer; ``waits`` are the milliseconds of its commits."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(daemon=True)
        self._engine = engine
        self._over = threading.Event()
        self.waits: list[float] = []

    def run(self) -> None:
        """Write until stopped."""
        while not self._over.wait(0.02):
            started = time.perf_counter()
            with self._engine.begin() as connection:
                audit.record(
                    connection, actor="bench", action="bench", target="-", now=datetime.now(UTC)
                )
            self.waits.append((time.perf_counter() - started) * 1000)

    def stop(self) -> dict[str, float]:
        """Its commits in figures."""
        self._over.set()
        self.join()
        waits = sorted(self.waits)
        share = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        found = {name: round(waits[int(len(waits) * at)], 1) for name, at in share.items()}
        return {"commits": len(waits), **found, "max": round(waits[-1], 1)}


def measure(path: Path, url: str, folder: Path, alone: bool) -> dict[str, Any]:
    """One ``dialer import`` in a process of its own."""
    engine = open_database(url)
    bystander = None if alone else Bystander(engine)
    if bystander is not None:
        bystander.start()
    environment = {**os.environ, "DIALER_HOME": str(folder), "DATABASE_URL": url}
    command = ["import", str(path), "--company", "Bench", "--country", "ES", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dialer", *command], env=environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    said = json.loads(process.stdout.read())
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    waits = bystander.stop() if bystander is not None else None
    engine.dispose()
    return {
        "exit": process.returncode,
        **{name: said[name] for name in ("rows", "new", "unchanged", "rejected")},
        "seconds": said["seconds"],
        "rows_per_second": said["rows_per_second"],
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
        "other_writer_ms": waits,
    }


@contextmanager
def database(postgres: bool, folder: Path) -> Iterator[str]:
    """The URL of a new one."""
    if not postgres:
        yield f"sqlite:///{folder / 'bench.db'}"
        return
    server = PostgresServer()
    server.start()
    try:
        server.execute("CREATE DATABASE bench")
        yield server.url("bench")
    finally:
        server.stop()


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--xlsx", action="store_true")
    parser.add_argument("--alone", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dialer-bench-") as name:
        folder = Path(name)
        path = folder / ("debtors.xlsx" if asked.xlsx else "debtors.csv")
        write(path, asked.rows)
        with database(asked.postgres, folder) as url:
            migrate(url)
            result = {
                "file_mib": round(path.stat().st_size / 2**20, 1),
                "first": measure(path, url, folder, asked.alone),
                "again": measure(path, url, folder, asked.alone),
            }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
