"""Opening the database, and taking its schema to the present."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url

MIGRATIONS = Path(__file__).parent / "migrations"
SQLITE_BUSY_MS = 15_000  # longer than the ten seconds a backup may hold the file


def open_database(url: str) -> Engine:
    """An engine for SQLite (WAL) or PostgreSQL.

    A SQLite file's folder is made. Raises sqlalchemy.exc.ArgumentError for a URL that is none.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(
            parsed.update_query_dict({"options": _written_for_certain(parsed)}),
            pool_pre_ping=True,
            pool_size=8,
            max_overflow=8,
        )
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_MS / 1000})
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _written_for_certain(url: URL) -> str:
    """What the URL sets of the session, and that a commit is on disk when it returns, however the
    server is set: money leaves on the word of a row that a crash of the server must not undo."""
    given = url.query.get("options", "")
    options = given if isinstance(given, str) else " ".join(given)
    return f"{options} -c synchronous_commit=on".strip()


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    # The driver's own implicit BEGIN is deferred and fails at once where a reader turns writer
    # beside another writer; autocommit mode lets ``_sqlite_begin`` decide instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={SQLITE_BUSY_MS}",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    readonly = connection.get_execution_options().get("dialer_readonly", False)
    connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")


def _alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring the schema to the newest version; nothing happens where it is there already."""
    open_database(url).dispose()  # makes the folder of a SQLite file
    command.upgrade(_alembic(url), "head")


def schema_version(engine: Engine) -> tuple[str | None, str | None]:
    """(version of the database or None, newest version the code knows)."""
    head = ScriptDirectory.from_config(_alembic("")).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision(), head
