"""When a campaign starts by itself.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dialer.store.types import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaign", sa.Column("start_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("campaign", "start_at")
