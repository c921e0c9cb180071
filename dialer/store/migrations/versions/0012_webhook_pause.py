"""A webhook that is paused.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import dialer.store.types

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "webhook_endpoint",
        sa.Column("paused_at", dialer.store.types.UtcDateTime(), nullable=True),
    )


def downgrade() -> None:
    op.drop_column("webhook_endpoint", "paused_at")
