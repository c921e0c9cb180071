"""The throw-away PostgreSQL: from the machine, from packages, as root and not."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from dialer.local import postgres
from dialer.local.postgres import PostgresServer, PostgresUnavailable, Programs


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


def test_it_answers_on_its_socket_and_on_loopback(server: PostgresServer) -> None:
    server.execute("CREATE DATABASE calls")
    for url in (server.url("calls"), server.loopback_url("calls")):
        engine = create_engine(url)
        with engine.connect() as connection:
            row = connection.execute(
                text(
                    "SELECT current_database(), current_setting('fsync'),"
                    " current_setting('TimeZone')"
                )
            ).one()
        engine.dispose()
        assert tuple(row) == ("calls", "off", "UTC")


def test_it_does_not_run_as_root(server: PostgresServer) -> None:
    with psycopg.connect(host=str(server.folder), port=server.port, user="postgres") as link:
        row = link.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    assert (server.folder / "data").stat().st_uid != 0


def test_stopping_leaves_neither_process_nor_folder() -> None:
    server = PostgresServer()
    server.start()
    pid = int((server.folder / "data/postmaster.pid").read_text().split()[0])
    folder = server.folder
    server.stop()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    server.stop()  # a second time is no fault


def test_a_killed_server_comes_back_with_what_it_had_written() -> None:
    server = PostgresServer(synchronous_commit="on")
    server.start()
    try:
        server.execute("CREATE TABLE kept AS SELECT 7 AS n")
        port, parents = server.port, _parents()
        postmaster = int((server.folder / "data/postmaster.pid").read_text().split()[0])
        pids = {pid for pid, parent in parents.items() if parent == postmaster} | {postmaster}
        assert len(pids) > 3
        busy = psycopg.connect(host=str(server.folder), port=port, user="postgres")
        endless = b"SELECT sum(n) FROM (SELECT generate_series(1, 1000000000000) AS n) AS numbers"
        busy.pgconn.send_query(endless)  # one that sees nothing of what goes on around it
        pids.add(busy.info.backend_pid)
        server.kill()
        busy.close()
        assert not pids & set(_parents()), "something of it still runs"
        with pytest.raises(psycopg.OperationalError):
            server.execute("SELECT 1")
        server.restart()
        assert server.port == port
        with psycopg.connect(host=str(server.folder), port=port, user="postgres") as link:
            assert link.execute("SELECT n FROM kept").fetchone() == (7,)
            assert link.execute("SHOW synchronous_commit").fetchone() == ("on",)
    finally:
        server.stop()
    assert not server.folder.exists()


def _parents() -> dict[int, int]:
    """The process that started it, of all that run (and are not only waited for)."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, *_ = stat.read_text().rpartition(")")[2].split()
            if state not in "ZX":
                found[int(stat.parent.name)] = int(parent)
    return found


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_it_dies_with_the_process_that_started_it() -> None:
    code = (
        "from dialer.local.postgres import PostgresServer; import sys, time\n"
        "s = PostgresServer(); s.start()\n"
        "print(s.folder, open(s.folder / 'data/postmaster.pid').readline(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    folder, pid = parent.stdout.readline().split()
    handle = os.pidfd_open(int(pid))
    try:
        parent.send_signal(signal.SIGKILL)
        parent.wait(20)
        ready, _, _ = select.select([handle], [], [], 20)
        assert ready, "the server outlived the process that started it"
    finally:
        os.close(handle)
        parent.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def test_the_newest_version_is_found_where_debian_keeps_them(tmp_path: Path) -> None:
    for version in ("9", "15", "17"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            (folder / name).touch(0o755)
    (tmp_path / "17/bin/postgres").chmod(0o644)
    found = postgres.find_programs(path="", debian=tmp_path)
    assert found == Programs(tmp_path / "15/bin", {}), "17 has no server that can be run"
    assert postgres.find_programs(path="", debian=tmp_path / "none") is None


def test_a_failing_initdb_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o005)
    server = PostgresServer(Programs(tmp_path, {}))
    with pytest.raises(PostgresUnavailable, match="no space left"):
        server.start()
    assert not server.folder.exists()


def test_without_packages_the_message_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "read_sources", list)
    with pytest.raises(PostgresUnavailable, match="postgresql"):
        postgres.unpack_programs(cache=tmp_path)


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt")
def test_a_server_unpacked_from_packages_runs() -> None:
    """What a machine without PostgreSQL gets (fetched once, kept in the cache)."""
    server = PostgresServer(postgres.unpack_programs())
    server.start()
    try:
        with psycopg.connect(host=str(server.folder), port=server.port, user="postgres") as link:
            row = link.execute("SELECT count(*) FROM pg_timezone_names").fetchone()
        assert row is not None
    finally:
        server.stop()
