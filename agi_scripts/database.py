"""The database as a process with callers on the line uses it."""

from __future__ import annotations

from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from dialer.store.db import open_database


def open_for_calls(url: str) -> Engine:
    """The database, never waited for longer than a caller bears silence (PostgreSQL: 3 s to
    connect, 5 s a statement; SQLite waits for other writers as everywhere)."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.update_query_dict(
            {"connect_timeout": "3", "options": "-c statement_timeout=5000"}
        )
    return open_database(parsed.render_as_string(hide_password=False))


def database_problem(engine: Engine) -> str | None:
    """For the health page; None: it answers."""
    try:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return f"does not answer ({type(error).__name__}): check DATABASE_URL"
    return None
