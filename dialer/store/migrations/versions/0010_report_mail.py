"""Reports that are sent by e-mail.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import dialer.store.types

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _id(name: str, *, nullable: bool = False, own: bool = False) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, autoincrement=own or "auto", nullable=nullable)


def _at(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, dialer.store.types.UtcDateTime(), nullable=nullable)


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
    op.create_table(
        "report_mail",
        _id("id", own=True),
        _id("company_id", nullable=True),
        _id("campaign_id", nullable=True),
        _id("owner_id"),
        sa.Column("hour_from", sa.Integer(), nullable=False),
        sa.Column("hour_to", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("every", sa.String(length=8), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("addresses", json, nullable=False),
        _at("next_at", nullable=False),
        _at("created_at", nullable=False),
        _at("paused_at"),
        _at("removed_at"),
        sa.ForeignKeyConstraint(
            ["company_id"], ["company.id"], name=op.f("fk_report_mail_company_id")
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_report_mail_campaign_id")
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["app_user.id"], name=op.f("fk_report_mail_owner_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_mail")),
    )
    op.create_index(op.f("ix_report_mail_company_id"), "report_mail", ["company_id"])
    op.create_index("ix_report_mail_due", "report_mail", ["next_at"])
    op.create_table(
        "report_sending",
        _id("id", own=True),
        _id("report_mail_id"),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        _at("next_at", nullable=False),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.Column("receipt", sa.String(length=200), nullable=True),
        _at("created_at", nullable=False),
        _at("sending_at"),
        _at("sent_at"),
        sa.ForeignKeyConstraint(
            ["report_mail_id"], ["report_mail.id"], name=op.f("fk_report_sending_report_mail_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_sending")),
        sa.UniqueConstraint("key", name=op.f("uq_report_sending_key")),
    )
    op.create_index(op.f("ix_report_sending_report_mail_id"), "report_sending", ["report_mail_id"])
    op.create_index("ix_report_sending_state", "report_sending", ["state", "next_at"])


def downgrade() -> None:
    op.drop_table("report_sending")
    op.drop_table("report_mail")
