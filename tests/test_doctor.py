"""Each check of the doctor, with the fault provoked; those of Asterisk in their own file."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

import pytest
import redis
from doctor_support import free_ports, settings_at, tells

from dialer.config import Settings
from dialer.local import doctor
from dialer.local.checks import machine, services
from dialer.local.checks.result import CheckResult, Status, Subject, ok
from dialer.local.redis_server import RedisInstance, ensure_redis
from dialer.store.db import migrate


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    for name in ("REDIS_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return Subject(settings_at(tmp_path / "home"))


# --- the machine ---------------------------------------------------------------------------


def test_a_host_name_that_is_slow_or_unknown(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "RESOLVE_SECONDS", 0.05)
    hang = threading.Event()
    tells(
        machine.host_name(subject, resolve=lambda _: hang.wait(20)),
        Status.FAULT,
        "no answer within",
        "/etc/hosts",
        socket.gethostname(),
    )
    hang.set()

    def unknown(_: str) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    tells(machine.host_name(subject, resolve=unknown), Status.FAULT, "Name or service not known")
    tells(machine.host_name(subject, resolve=lambda _: None), Status.OK)


def test_a_clock_that_is_wrong_or_left_alone(subject: Subject) -> None:
    def after_boot() -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC)

    tells(machine.clock(subject, now=after_boot), Status.FAULT, "1970")
    tells(machine.clock(subject, kernel_state=lambda: 5), Status.WARNING, "chrony")
    tells(machine.clock(subject, kernel_state=lambda: 0), Status.OK)
    tells(machine.clock(subject, zones=_no_zone), Status.FAULT, "Europe/Madrid", "tzdata")


def _no_zone(name: str) -> None:
    raise ZoneInfoNotFoundError(name)


def test_the_kernel_tells_the_state_of_its_clock() -> None:
    assert machine._kernel_state() in range(6)


def test_too_few_open_files(subject: Subject) -> None:
    tells(machine.open_files(subject, limit=lambda: 1024), Status.WARNING, "1024", "ulimit")
    tells(machine.open_files(subject, limit=lambda: 65536), Status.OK)


@pytest.mark.parametrize(
    ("first", "last", "status", "word"),
    [
        (20000, 24999, Status.OK, "2500 calls"),
        (24999, 20000, Status.FAULT, "empty"),
        (20000, 40000, Status.WARNING, "32768-60999"),
    ],
)
def test_rtp_ranges(tmp_path: Path, first: int, last: int, status: Status, word: str) -> None:
    ephemeral = tmp_path / "range"
    ephemeral.write_text("32768\t60999\n")
    settings = Settings(home=tmp_path, rtp_start=first, rtp_end=last)
    tells(machine.rtp_range(Subject(settings), ephemeral), status, word)


def test_a_port_within_the_rtp_range(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, rtp_start=5000, rtp_end=5999, sip_port=5160)
    tells(machine.rtp_range(Subject(settings)), Status.FAULT, "SIP 5160")


@contextlib.contextmanager
def _holder(port: int, *words: str) -> Iterator[None]:
    """Another process that listens on a TCP port, with ``words`` on its command line."""
    code = (
        "import socket, sys\n"
        f"s = socket.create_server(('127.0.0.1', {port}))\n"
        "print(flush=True)\nsys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd="/",
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.communicate()


def test_a_port_held_by_another_program_is_named(subject: Subject) -> None:
    tells(machine.ports(subject), Status.OK)
    with _holder(subject.settings.web_port):
        tells(
            machine.ports(subject),
            Status.FAULT,
            f"web {subject.settings.web_port}",
            "python",
            "DIALER_WEB_PORT",
        )
    with _holder(subject.settings.web_port, str(subject.settings.home)):
        tells(machine.ports(subject), Status.OK)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", subject.settings.sip_port))
        tells(machine.ports(subject, owner=lambda *_: None), Status.FAULT, "SIP", "another user")


# --- Redis, database, prompts --------------------------------------------------------------


@pytest.fixture
def own_redis(subject: Subject) -> Iterator[RedisInstance]:
    instance = ensure_redis(subject.settings)
    yield instance
    instance.stop()


def test_redis_that_is_away(subject: Subject) -> None:
    tells(services.redis_server(subject), Status.FAULT, "dialer redis")
    url = f"redis://:s3cret@127.0.0.1:{subject.settings.redis_port}/0"
    given = Subject(subject.settings.model_copy(update={"redis_url": url}))
    result = services.redis_server(given)
    tells(result, Status.FAULT, "REDIS_URL", f"127.0.0.1:{subject.settings.redis_port}")
    assert "s3cret" not in result.message


def test_redis_that_may_lose_messages(subject: Subject, own_redis: RedisInstance) -> None:
    tells(services.redis_server(subject), Status.OK)
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        tells(services.redis_server(subject), Status.WARNING, "allkeys-lru", "noeviction")
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "no")
        tells(services.redis_server(subject), Status.WARNING, "appendonly yes")
    tells(
        services.redis_server(subject, now=lambda: time.time() - 3600),
        Status.FAULT,
        "differs by 3600 s",
    )


def test_a_database_that_is_away_empty_or_old(tmp_path: Path, subject: Subject) -> None:
    def at(url: str) -> Subject:
        return Subject(subject.settings.model_copy(update={"database_url": url}))

    away = at(f"postgresql://u:s3cret@127.0.0.1:{free_ports(1)[0]}/dialer")
    result = services.database(away)
    tells(result, Status.FAULT, "DATABASE_URL", "127.0.0.1")
    assert "s3cret" not in result.message
    file = tmp_path / "d.db"
    tells(services.database(at(f"sqlite:///{file}")), Status.FAULT, "no tables", "dialer init")
    migrate(f"sqlite:///{file}")
    tells(services.database(at(f"sqlite:///{file}")), Status.OK)
    import sqlite3

    with contextlib.closing(sqlite3.connect(file)) as link, link:
        link.execute("UPDATE alembic_version SET version_num = '0000'")
    tells(services.database(at(f"sqlite:///{file}")), Status.FAULT, "version 0000", "dialer init")


def test_prompts_that_are_not_there(subject: Subject, tmp_path: Path) -> None:
    tells(services.prompts(subject), Status.FAULT, "cannot be played", "dialer prompts")
    broken = tmp_path / "flows/prompts"
    broken.mkdir(parents=True)
    (broken / "es.yaml").write_text("greeting: [not, a, text\n")
    settings = subject.settings.model_copy(update={"flows_dir": broken.parent})
    tells(services.prompts(Subject(settings)), Status.FAULT, "es.yaml")


# --- all together --------------------------------------------------------------------------


def test_without_a_running_asterisk_its_checks_are_left_out(tmp_path: Path) -> None:
    results = doctor.run_checks(settings_at(tmp_path), checks=())
    assert [(r.name, r.status) for r in results] == [("running Asterisk", Status.WARNING)]


def test_a_check_that_breaks_hides_no_other(tmp_path: Path) -> None:
    def broken(_: Subject) -> CheckResult:
        raise RuntimeError("debtor +34600111222")

    def fine(_: Subject) -> CheckResult:
        return ok("fine", "well")

    results = doctor.run_checks(
        settings_at(tmp_path), ask=lambda _: "", checks=(broken, fine), running_checks=()
    )
    assert [r.status for r in results] == [Status.FAULT, Status.OK]
    assert "34600111222" not in str(results)


def test_the_owner_of_a_port_is_found() -> None:
    port = free_ports(1)[0]
    assert machine.port_owner("tcp", port) is None
    with socket.create_server(("127.0.0.1", port)):
        owner = machine.port_owner("tcp", port)
    assert owner is not None
    assert owner.endswith(os.getcwd())
