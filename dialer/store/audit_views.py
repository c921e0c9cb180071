"""The audit trail for those who read it: filtered, a page at a time, each company its own.

A row has its company from the moment it is written (``dialer.store.audit``). What is no company's
is seen only by those who see all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select

from dialer.store import tables as t
from dialer.store.audit_owner import things
from dialer.store.tables import audit

PAGE = 50
SCAN = 400
"""Rows of a download that are read at a time."""

USER = "user:"
OUTSIDE = "outside"
"""As an actor: whoever was not in a browser."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows; None does not narrow. ``seen_by``: the company of who reads, None for those who
    see all; ``company_id``: what they ask for. ``actor``: as it is kept, or ``OUTSIDE``. ``since``
    and ``until``: aware, ``until`` not included."""

    seen_by: int | None = None
    company_id: int | None = None
    actor: str | None = None
    action: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row with names. ``actor_name``: of a user; ``target_name``: how people call the target."""

    id: int
    at: datetime
    actor: str
    actor_name: str | None
    action: str
    target: str
    target_name: str | None
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Page:
    """``after_this``: what to continue from (``before`` of the next page); None at the end."""

    entries: list[Entry]
    after_this: int | None


def page(
    connection: Connection, wanted: Wanted, before: int | None = None, limit: int = PAGE
) -> Page:
    """The newest rows, or those older than the row ``before``."""
    rows = _rows(connection, wanted, before, limit + 1)
    found = list(_named(connection, wanted.seen_by, rows[:limit]))
    return Page(found, found[-1].id if len(rows) > limit else None)


def everything(connection: Connection, wanted: Wanted) -> Iterator[Entry]:
    """All of them, the newest first, for a download."""
    before: int | None = None
    while True:
        rows = _rows(connection, wanted, before, SCAN)
        yield from _named(connection, wanted.seen_by, rows)
        if len(rows) < SCAN:
            return
        before = rows[-1].id


def _rows(connection: Connection, wanted: Wanted, before: int | None, limit: int) -> list[Row[Any]]:
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    for condition in _conditions(wanted):
        query = query.where(condition)
    return list(connection.execute(query))


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    for company_id in (wanted.seen_by, wanted.company_id):
        if company_id is not None:
            yield audit.c.company_id == company_id
    if wanted.actor == OUTSIDE:
        yield audit.c.actor.not_like(f"{USER}%")
    elif wanted.actor is not None:
        yield audit.c.actor == wanted.actor
    if wanted.action is not None:
        # A whole kind of actions is asked for with a dot at the end.
        whole = wanted.action.endswith(".")
        yield (
            audit.c.action.startswith(wanted.action, autoescape=True)
            if whole
            else audit.c.action == wanted.action
        )
    if wanted.target is not None:
        yield audit.c.target == wanted.target
    if wanted.since is not None:
        yield audit.c.at >= wanted.since
    if wanted.until is not None:
        yield audit.c.at < wanted.until


def _named(
    connection: Connection, seen_by: int | None, rows: Sequence[Row[Any]]
) -> Iterator[Entry]:
    """With what people call who and what. Of what is another company's by now (a user who moved)
    no name is told."""
    texts = [text for row in rows for text in _texts(row.before, row.after)]
    known = things(connection, {*(one for row in rows for one in (row.target, row.actor)), *texts})

    def name(of: str) -> str | None:
        thing = known.get(of)
        if thing is None or (seen_by is not None and thing.company_id not in (None, seen_by)):
            return None
        return thing.name

    def spoken(values: Any) -> Any:
        """Who granted it, by name beside the number."""
        if not isinstance(values, dict):
            return values
        named = {key: name(one) for key, one in values.items() if isinstance(one, str)}
        return values | {key: f"{said} ({values[key]})" for key, said in named.items() if said}

    for row in rows:
        yield Entry(
            row.id, row.at, row.actor, name(row.actor), row.action, row.target, name(row.target),
            spoken(row.before), spoken(row.after),
        )  # fmt: skip


def _texts(*changes: Any) -> Iterator[str]:
    """Of a row's values those that may name something."""
    for values in changes:
        if isinstance(values, dict):
            yield from (one for one in values.values() if isinstance(one, str) and ":" in one)


def actors(connection: Connection, company_id: int | None) -> list[Row[Any]]:
    """Users to choose from (id, name): of a company, and those who see all, who act in it too."""
    columns = t.app_user.c
    query = select(columns.id, columns.name).order_by(columns.name, columns.id)
    if company_id is not None:
        query = query.where(or_(columns.company_id == company_id, columns.company_id.is_(None)))
    return list(connection.execute(query))
