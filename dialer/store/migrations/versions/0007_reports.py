"""Indexes for reports, the list of payments and the audit log.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_attempt_ended", "attempt", ["campaign_id", "disposition", "placed_at"]),
    ("ix_audit_actor", "audit", ["actor", "id"]),
    ("ix_audit_target", "audit", ["target", "id"]),
    ("ix_payment_company_created", "payment", ["company_id", "created_at", "id"]),
    ("ix_payment_created", "payment", ["created_at", "id"]),
    ("ix_promise_made_at", "promise", ["made_at"]),
)


def upgrade() -> None:
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns, unique=False)


def downgrade() -> None:
    for name, table, _columns in reversed(INDEXES):
        op.drop_index(name, table_name=table)
