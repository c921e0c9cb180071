"""What the commands share: the database, the person at the keyboard, tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url

from dialer.config import ConfigError, Settings
from dialer.store.audit import operating_system_user
from dialer.store.db import open_database, schema_version

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
actor_option = click.option(
    "--actor",
    default=operating_system_user,
    show_default="the user logged in",
    help="Who does this, for the audit trail.",
)


def now() -> datetime:
    """This moment, aware UTC."""
    return datetime.now(UTC)


def require_database(settings: Settings) -> Engine:
    """The database, migrated to this version. Raises ConfigError saying what to do."""
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise ConfigError(f"nothing is set up in {settings.home} yet: run `dialer init`")
    engine = open_database(settings.database)
    have, newest = schema_version(engine)
    if have != newest:
        engine.dispose()
        raise ConfigError(
            f"the database is at version {have or 'none'} and this program at {newest}:"
            " run `dialer init`, which brings it up and keeps what is in it"
        )
    return engine


@contextmanager
def transaction(settings: Settings) -> Iterator[Connection]:
    """One transaction: committed at the end, undone by an exception."""
    engine = require_database(settings)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def reading(settings: Settings) -> Iterator[Connection]:
    """A connection that only reads: it holds no writer up."""
    engine = require_database(settings)
    try:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            yield connection
    finally:
        engine.dispose()


def write_json(value: Any) -> None:
    """One document, readable."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def write_json_lines(values: Iterable[Any]) -> None:
    """One line for each value."""
    for value in values:
        click.echo(json.dumps(value, ensure_ascii=False, default=str))


def console(stderr: bool = False) -> Console:
    """For people: colours on a terminal only; as wide as it needs to be in a pipe."""
    screen = Console(stderr=stderr, highlight=False)
    return screen if screen.is_terminal else Console(stderr=stderr, highlight=False, width=160)


def write_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table for people."""
    table = Table(*headings, title=title or None, title_justify="left", title_style="bold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console().print(table)


def warn(lines: Iterable[str]) -> None:
    """To standard error, so that what is piped stays clean."""
    for line in lines:
        click.echo(f"warning: {line}", err=True)


def say_unless_json(as_json: bool) -> Callable[[str], None]:
    """A way to tell people what happens; silent where a program listens."""
    return (lambda _line: None) if as_json else (lambda line: click.echo(line))
