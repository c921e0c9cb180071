"""Databases for tests: ``database_url`` runs a test once on SQLite and once on PostgreSQL.

One PostgreSQL server serves a test session and is gone with it, however the session ends; each
test gets a database of its own, copied from one that was migrated once. Mark a test with
``pytest.mark.database("sqlite")`` (or ``"postgresql"``) to run it on that one alone.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from dialer.store.db import migrate, open_database

BACKENDS = ("sqlite", "postgresql")
TEMPLATE = "dialer_template"
START_TRIES = 300  # of a tenth of a second


def pytest_configure(config: pytest.Config) -> None:
    """The marker that narrows ``database_url`` to one backend."""
    config.addinivalue_line("markers", "database(name): run on that database alone")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both databases for whatever asks for one."""
    if "_backend" not in metafunc.fixturenames:
        return
    marks = list(metafunc.definition.iter_markers("database"))
    names = [name for name in BACKENDS if all(name in mark.args for mark in marks)]
    metafunc.parametrize("_backend", names, indirect=True)


@pytest.fixture
def _backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_url(_backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """SQLAlchemy URL of an empty, migrated database of this test's own."""
    if _backend == "sqlite":
        target = tmp_path / "dialer.db"
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), target)
        yield f"sqlite:///{target}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"t_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An open engine on ``database_url``, closed after the test."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dialer.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A throw-away PostgreSQL on a Unix socket, with the migrated template in it."""
    server = PostgresServer()
    try:
        server.start()
        server.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(server.url(TEMPLATE))
        yield server
    finally:
        server.stop()


class PostgresServer:
    """One server in a folder of its own under the system's temporary folder.

    A socket path holds at most 107 bytes, hence not below pytest's own folders. The server
    refuses to run as root: then the user ``postgres`` (or ``nobody``) runs it.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dialer-pg-"))
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        """SQLAlchemy URL of one of its databases."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def execute(self, statement: str) -> None:
        """Run one administrative statement outside a transaction."""
        with self._connect() as connection:
            connection.execute(statement)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self.folder), user="postgres", dbname="postgres", autocommit=True
        )

    def start(self) -> None:
        """Make the cluster and wait until it answers; RuntimeError with its log if it does not."""
        data, log = self.folder / "data", self.folder / "log"
        drop = self._as_ordinary_user()
        make = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [*drop, _binary("initdb"), "-D", data, *make], cwd=self.folder, capture_output=True
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr.decode(errors='replace')}")
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "100",
        }
        flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*drop, _binary("postgres"), "-D", data, *flags],
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal ends it in order, through stop()
            )
        self._wait(log)

    def _wait(self, log: Path) -> None:
        assert self._process is not None
        for _ in range(START_TRIES):
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                try:
                    self._process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
                break
        raise RuntimeError(f"PostgreSQL does not start: {log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End the server and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(3)  # SIGQUIT: immediate, nothing here is kept
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _as_ordinary_user(self) -> list[str]:
        """The command in front: dies with this process, and another user where this is root."""
        setpriv = shutil.which("setpriv")
        if os.geteuid() != 0:
            return [setpriv, "--pdeathsig", "QUIT"] if setpriv else []
        if setpriv is None:
            raise RuntimeError("PostgreSQL does not run as root: install setpriv (util-linux)")
        user = _first_user("postgres", "nobody")
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        return [setpriv, *ids, "--pdeathsig", "QUIT"]


def _first_user(*names: str) -> pwd.struct_passwd:
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError(f"none of the users {', '.join(names)} exists to run PostgreSQL")


def _binary(name: str) -> str:
    """From the path, or the newest version where Debian keeps them."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True
    )
    for folder in [None, *folders]:
        found = shutil.which(name, path=None if folder is None else str(folder))
        if found:
            return found
    raise RuntimeError(f"{name} is missing: install PostgreSQL's server (postgresql on Debian)")
