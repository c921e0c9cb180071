"""The whole product on one machine for benchmarks, and what its processes cost."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Engine, insert, text

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from world import World, plan  # noqa: E402

from dialer.config import Settings  # noqa: E402
from dialer.local.ports import with_free_ports  # noqa: E402
from dialer.local.postgres import PostgresServer  # noqa: E402
from dialer.local.stack import (  # noqa: E402
    ALL,
    ASTERISK,
    CARRIER,
    ENGINE,
    IVR,
    REDIS,
    TWILIO,
    WEB,
    WORKER,
    Simulation,
    Stack,
    environment,
)
from dialer.speech.render import ensure_company, ensure_prompts  # noqa: E402
from dialer.store import tables as t  # noqa: E402
from dialer.store.db import migrate, open_database  # noqa: E402
from dialer.switch.portable import ensure_asterisk  # noqa: E402

PARTS = (ASTERISK, ENGINE, IVR, WORKER, REDIS, WEB, CARRIER, TWILIO)
TICKS = os.sysconf("SC_CLK_TCK")
COMPANY = "Acme"


# --- figures ---------------------------------------------------------------------------------


def percentiles(values: Sequence[float]) -> dict[str, float | int | None]:
    """n, p50, p90, p99 and the greatest; of each the value that so many do not exceed."""
    ordered = sorted(values)
    found: dict[str, float | int | None] = {"n": len(ordered)}
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)):
        at = min(len(ordered) - 1, int(len(ordered) * share))
        found[name] = round(ordered[at], 2) if ordered else None
    return found


def machine() -> dict[str, Any]:
    """What was measured on, and what else it was doing."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), "unknown",
    )  # fmt: skip
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model,
        "python": platform.python_version(),
        "asterisk": ensure_asterisk().version,
        "load_before": round(os.getloadavg()[0], 2),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cpu_seconds(pid: int) -> float:
    """CPU of a process, its threads, its children that live and those that have ended.

    Raises nothing for one that is gone: it counts as 0.
    """
    found = 0.0
    children: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
        spent[int(entry.name)] = sum(int(one) for one in fields[11:15]) / TICKS
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        found += spent.get(one, 0.0)
        waiting += children.get(one, [])
    return found


class Others:
    """How much of the machine went to processes that are not the benchmark's, since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy, self._own = _busy(), cpu_seconds(os.getpid())

    def cores(self) -> float:
        """In cores, on average."""
        busy, own = _busy() - self._busy, cpu_seconds(os.getpid()) - self._own
        return round(max(0.0, busy - own) / (time.monotonic() - self._began), 2)


def _busy() -> float:
    """CPU seconds of the whole machine."""
    user, nice, system, _idle, _wait, hard, soft = (
        int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + hard + soft) / TICKS


def finish(result: dict[str, Any], path: Path | None) -> None:
    """Print as JSON, and write it where asked."""
    result["machine"]["cores_taken_by_others"] = OTHERS.cores()
    said = json.dumps(result, indent=2)
    print(said)
    if path is not None:
        path.write_text(said + "\n")


def tell(line: str) -> None:
    """What goes on, beside the JSON."""
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)


OTHERS = Others()


# --- the product -----------------------------------------------------------------------------


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="dialer-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settings_of(home: Path, trunk_port: int | None, url: str = "") -> Settings:
    """An installation in ``home`` with a trunk that takes all that is offered, on free ports.

    ``trunk_port``: of the SIP peer on 127.0.0.1; None for the simulated network.
    """
    settings = with_free_ports(
        Settings(home=home, database_url=url, rtp_start=10_000, rtp_end=20_999,
                 carrier_rtp_start=21_000, carrier_rtp_end=31_999)
    )  # fmt: skip
    home.mkdir(parents=True, exist_ok=True)
    trunk = {
        "name": "carrier",
        "address": f"127.0.0.1:{trunk_port or settings.carrier_sip_port}",
        "max_channels": 5000,
        "calls_per_second": 500,
    }
    (home / "trunks.yaml").write_text(yaml.safe_dump({"trunks": [trunk]}))
    return settings


class Office:
    """The product as it runs: campaigns made for it, and what its processes have cost."""

    def __init__(self, stack: Stack, engine: Engine, server: PostgresServer | None) -> None:
        self.stack = stack
        self.settings = stack.settings
        self.engine = engine
        self._server = server
        self._made = 0
        self._numbers = 0

    def campaign(self, leads: int, ending: str = "", **changes: Any) -> World:
        """A campaign that runs at once, with debtors of one mobile each.

        ``ending``: the last two digits of their numbers.
        """
        self._made += 1
        name = f"bench{self._made}"
        # It starts when its leads are there.
        world = World(
            self.engine, plan(**({"name": name} | changes)), at=datetime.now(UTC), company=name
        )
        with self.engine.begin() as c:
            self._state(c, world, "paused")
            first = (c.execute(text("SELECT max(id) FROM debtor")).scalar() or 0) + 1
            rows = range(first, first + leads)
            _fill(c, world, rows, ending)
        with self.engine.begin() as c:
            self._state(c, world, "running")
        return world

    def _state(self, c: Any, world: World, state: str) -> None:
        c.execute(
            t.campaign.update().where(t.campaign.c.id == world.campaign_id).values(state=state)
        )

    def stop(self, world: World) -> None:
        """No more calls for this campaign."""
        with self.engine.begin() as c:
            self._state(c, world, "stopped")

    def left(self, world: World) -> int:
        """Leads that are not done."""
        return self.number(
            "SELECT count(*) FROM lead WHERE campaign_id = :c AND state != 'done'", world
        )

    def number(self, query: str, world: World) -> int:
        """The one figure of a query about a campaign (``:c``)."""
        with self.engine.connect().execution_options(dialer_readonly=True) as connection:
            return int(connection.execute(text(query), {"c": world.campaign_id}).scalar_one())

    def wait_done(self, world: World, seconds: float) -> bool:
        """Until no lead is left, at most so long; whether that was so."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.left(world):
                return True
            time.sleep(0.25)
        return False

    def wait_sent(self, world: World, seconds: float) -> bool:
        """Until no message of the campaign waits to leave, at most so long."""
        until = time.monotonic() + seconds
        query = (
            "SELECT count(*) FROM message WHERE campaign_id = :c"
            " AND state IN ('pending', 'sending')"
        )
        while time.monotonic() < until:
            if not self.number(query, world):
                return True
            time.sleep(0.25)
        return False

    @contextmanager
    def another_worker(self) -> Iterator[None]:
        """One more process that sends messages."""
        given = environment(self.settings)
        env = os.environ | {key: value for key, value in given.items() if value is not None}
        with (self.settings.home / "log" / "worker-more.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dialer", WORKER, "--health-port", "0"],
                env=env, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)

    def attempts(self, world: World) -> list[Any]:
        """The campaign's attempts in the order they were placed."""
        query = (
            t.attempt.select()
            .where(t.attempt.c.campaign_id == world.campaign_id)
            .order_by(t.attempt.c.placed_at)
        )
        with self.engine.connect().execution_options(dialer_readonly=True) as connection:
            return list(connection.execute(query))

    def cpu(self) -> dict[str, float]:
        """CPU seconds of each part so far, its children included."""
        spent = {
            name: cpu_seconds(self.stack.supervisor.pid(name))
            for name in PARTS
            if name in self.stack.components
        }
        if self._server is not None:
            pid = (self._server.folder / "data" / "postmaster.pid").read_text().split()[0]
            spent["database"] = cpu_seconds(int(pid))
        return spent


def _fill(c: Any, world: World, ids: range, ending: str) -> None:
    now = datetime.now(UTC)
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
            {"debtor_id": n, "number": f"+346{n:0{8 - len(ending)}d}{ending}",
             "line_type": "mobile", "position": 0}
            for n in ids
        ],
    )  # fmt: skip
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


@contextmanager
def office(
    home: Path,
    *,
    trunk_port: int | None = None,
    postgres: bool = False,
    greeting_seconds: float = 0.0,
    arguments: dict[str, Sequence[str]] | None = None,
) -> Iterator[Office]:
    """The whole product, started and stopped; the simulated network where no peer is given.

    ``greeting_seconds``: the greetings are repeated in their files until they last so long.
    """
    with ExitStack() as held:
        server = None
        url = ""
        if postgres:
            server = PostgresServer()
            server.start()
            held.callback(server.stop)
            server.execute("CREATE DATABASE bench")
            url = server.url("bench")
        settings = settings_of(home, trunk_port, url)
        migrate(settings.database)
        ensure_prompts(settings)
        ensure_company(settings, COMPANY)
        for path in settings.prompts_dir.glob("*/greeting*.alaw"):
            sound = path.read_bytes()
            path.write_bytes(sound * max(1, math.ceil(greeting_seconds * 8000 / len(sound))))
        engine = open_database(settings.database)
        held.callback(engine.dispose)
        stack = Stack(
            settings,
            Simulation(network=trunk_port is None, twilio=True),
            only=ALL,
            arguments=arguments,
        )
        held.enter_context(stack)
        yield Office(stack, engine, server)


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """CPU seconds between two looks."""
    return {name: after[name] - before[name] for name in after}
