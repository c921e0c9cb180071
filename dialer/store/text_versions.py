"""The texts of messages as they were: what each said, since when, and who changed it.

The file of texts is what counts; this is its past. A file that was changed by hand is noticed at
the next change, and what stood in it is kept as a version of nobody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from dialer.store import audit
from dialer.store.tables import app_user, text_version

KEPT = 50
"""Versions of a text that are shown."""


def note(
    connection: Connection,
    language: str,
    template: str,
    before: str,
    after: str,
    user_id: int,
    now: datetime,
    *,
    actor: str | None = None,
) -> int:
    """A change by a user; the number of the new version. ``actor``: for the audit, where it is a
    key of theirs."""
    last = connection.execute(
        select(text_version.c.text)
        .where(text_version.c.language == language, text_version.c.template == template)
        .order_by(text_version.c.id.desc())
        .limit(1)
    ).scalar()
    if last != before:
        _add(connection, language, template, before, None, now)
    made = _add(connection, language, template, after, user_id, now)
    audit.record(
        connection, actor=actor or f"user:{user_id}", action="text.change",
        target=f"text:{language}/{template}", now=now, before={"text": before},
        after={"text": after},
    )  # fmt: skip
    return made


def _add(
    connection: Connection,
    language: str,
    template: str,
    text: str,
    user_id: int | None,
    now: datetime,
) -> int:
    made: int = connection.execute(
        insert(text_version)
        .values(language=language, template=template, text=text, user_id=user_id, made_at=now)
        .returning(text_version.c.id)
    ).scalar_one()
    return made


def versions(connection: Connection, language: str, template: str) -> Sequence[Row[Any]]:
    """The newest first, with the name of who made it (None: found in the file)."""
    return connection.execute(
        select(text_version, app_user.c.name.label("by"))
        .outerjoin(app_user, app_user.c.id == text_version.c.user_id)
        .where(text_version.c.language == language, text_version.c.template == template)
        .order_by(text_version.c.id.desc())
        .limit(KEPT)
    ).all()


def find(connection: Connection, language: str, template: str, version_id: int) -> Row[Any] | None:
    """One of them."""
    return connection.execute(
        select(text_version).where(
            text_version.c.id == version_id,
            text_version.c.language == language,
            text_version.c.template == template,
        )
    ).first()
