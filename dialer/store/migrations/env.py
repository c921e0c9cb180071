"""Alembic's entry: run by dialer.store.db, never from a shell."""

from __future__ import annotations

from alembic import context

from dialer.store.db import open_database
from dialer.store.tables import metadata

engine = open_database(context.config.attributes["url"])
with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
