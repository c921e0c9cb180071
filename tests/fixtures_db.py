"""Databases for tests: ``database_url`` runs a test once on SQLite and once on PostgreSQL.

One PostgreSQL server serves a test session and is gone with it, however the session ends; each
test gets a database of its own, copied from one that was migrated once. Mark a test with
``pytest.mark.database("sqlite")`` (or ``"postgresql"``) to run it on that one alone.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dialer.local.postgres import PostgresServer
from dialer.store.db import migrate, open_database

BACKENDS = ("sqlite", "postgresql")
TEMPLATE = "dialer_template"


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
    """A throw-away PostgreSQL with the migrated template in it."""
    server = PostgresServer()
    try:
        server.start()
        server.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(server.url(TEMPLATE))
        yield server
    finally:
        server.stop()
