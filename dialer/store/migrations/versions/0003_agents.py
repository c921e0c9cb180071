"""agents"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import dialer.store.types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("name", dialer.store.types.Personal(length=200), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column(
            "skills",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "languages",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("station", sa.String(length=200), nullable=False),
        sa.Column("ringing", sa.Boolean(), nullable=False),
        sa.Column("wrap_seconds", sa.Float(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", dialer.store.types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name=op.f("fk_agent_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent")),
        sa.UniqueConstraint("login", name=op.f("uq_agent_login")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_agent_token_hash")),
    )
    with op.batch_alter_table("agent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_agent_company_id"), ["company_id"], unique=False)

    op.create_table(
        "agent_session",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("agent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("node", sa.String(length=32), nullable=False),
        sa.Column("leg_token", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("pause_code", sa.String(length=40), nullable=True),
        sa.Column("since", dialer.store.types.UtcDateTime(), nullable=False),
        sa.Column("started_at", dialer.store.types.UtcDateTime(), nullable=False),
        sa.Column("ended_at", dialer.store.types.UtcDateTime(), nullable=True),
        sa.Column("end_reason", sa.String(length=40), nullable=True),
        sa.Column("heartbeat_at", dialer.store.types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_agent_session_agent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_session")),
        sa.UniqueConstraint("leg_token", name=op.f("uq_agent_session_leg_token")),
    )
    with op.batch_alter_table("agent_session", schema=None) as batch_op:
        batch_op.create_index("ix_agent_session_agent", ["agent_id", "started_at"], unique=False)
        batch_op.create_index("ix_agent_session_open", ["node", "ended_at"], unique=False)
        batch_op.create_index(
            "uq_agent_session_open",
            ["agent_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "agent_state_log",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("pause_code", sa.String(length=40), nullable=True),
        sa.Column("at", dialer.store.types.UtcDateTime(), nullable=False),
        sa.Column("attempt_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["agent_session.id"], name=op.f("fk_agent_state_log_session_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_state_log")),
    )
    with op.batch_alter_table("agent_state_log", schema=None) as batch_op:
        batch_op.create_index("ix_agent_state_log_session", ["session_id", "at"], unique=False)

    op.create_table(
        "agent_call",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("attempt_id", sa.String(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=True),
        sa.Column("agent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "debtor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("skill", sa.String(length=40), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("queued_at", dialer.store.types.UtcDateTime(), nullable=False),
        sa.Column("offered_at", dialer.store.types.UtcDateTime(), nullable=True),
        sa.Column("joined_at", dialer.store.types.UtcDateTime(), nullable=True),
        sa.Column("left_at", dialer.store.types.UtcDateTime(), nullable=True),
        sa.Column("result", sa.String(length=12), nullable=True),
        sa.Column("wrapped_at", dialer.store.types.UtcDateTime(), nullable=True),
        sa.Column("disposition", sa.String(length=20), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column(
            "transferred_from", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_agent_call_agent_id")),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name=op.f("fk_agent_call_attempt_id")
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_agent_call_campaign_id")
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["company.id"], name=op.f("fk_agent_call_company_id")
        ),
        sa.ForeignKeyConstraint(["debtor_id"], ["debtor.id"], name=op.f("fk_agent_call_debtor_id")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["agent_session.id"], name=op.f("fk_agent_call_session_id")
        ),
        sa.ForeignKeyConstraint(
            ["transferred_from"], ["agent_call.id"], name=op.f("fk_agent_call_transferred_from")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_call")),
    )
    with op.batch_alter_table("agent_call", schema=None) as batch_op:
        batch_op.create_index("ix_agent_call_agent", ["agent_id", "queued_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_agent_call_attempt_id"), ["attempt_id"], unique=False)
        batch_op.create_index("ix_agent_call_campaign", ["campaign_id", "queued_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_agent_call_debtor_id"), ["debtor_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_agent_call_session_id"), ["session_id"], unique=False)
        batch_op.create_index(
            "uq_agent_call_open",
            ["attempt_id", "kind"],
            unique=True,
            sqlite_where=sa.text("left_at IS NULL AND transferred_from IS NULL"),
            postgresql_where=sa.text("left_at IS NULL AND transferred_from IS NULL"),
        )
        batch_op.create_index(
            "uq_agent_call_transfer",
            ["transferred_from"],
            unique=True,
            sqlite_where=sa.text("left_at IS NULL"),
            postgresql_where=sa.text("left_at IS NULL"),
        )

    op.create_table(
        "callback",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "debtor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("lead_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("phone_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("attempt_id", sa.String(length=32), nullable=True),
        sa.Column("agent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("due_at", dialer.store.types.UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("made_by", sa.String(length=80), nullable=False),
        sa.Column("created_at", dialer.store.types.UtcDateTime(), nullable=False),
        sa.Column("taken_at", dialer.store.types.UtcDateTime(), nullable=True),
        sa.Column("taken_by", sa.String(length=32), nullable=True),
        sa.Column("made_attempt_id", sa.String(length=32), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("done_at", dialer.store.types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_callback_account_id")
        ),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_callback_agent_id")),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name=op.f("fk_callback_attempt_id")
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["company.id"], name=op.f("fk_callback_company_id")
        ),
        sa.ForeignKeyConstraint(["debtor_id"], ["debtor.id"], name=op.f("fk_callback_debtor_id")),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name=op.f("fk_callback_lead_id")),
        sa.ForeignKeyConstraint(
            ["made_attempt_id"], ["attempt.id"], name=op.f("fk_callback_made_attempt_id")
        ),
        sa.ForeignKeyConstraint(["phone_id"], ["phone.id"], name=op.f("fk_callback_phone_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callback")),
    )
    with op.batch_alter_table("callback", schema=None) as batch_op:
        batch_op.create_index("ix_callback_agent", ["agent_id", "state", "due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_callback_debtor_id"), ["debtor_id"], unique=False)
        batch_op.create_index("ix_callback_due", ["state", "due_at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_callback_made_attempt_id"), ["made_attempt_id"], unique=False
        )

    # Plainly, not by batch: SQLite would copy the whole table, and drop one that others refer to.
    op.add_column(
        "attempt",
        sa.Column("mode", sa.String(length=12), nullable=False, server_default="agentless"),
    )
    op.add_column(
        "attempt", sa.Column("inbound", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column(
        "attempt", sa.Column("agent_joined_at", dialer.store.types.UtcDateTime(), nullable=True)
    )
    op.add_column(
        "attempt", sa.Column("abandoned_at", dialer.store.types.UtcDateTime(), nullable=True)
    )
    op.create_index("ix_attempt_debtor", "attempt", ["debtor_id", "placed_at"], unique=False)
    op.create_index(
        "ix_attempt_answered",
        "attempt",
        ["campaign_id", "answered_at"],
        unique=False,
        sqlite_where=sa.text("answered_at IS NOT NULL"),
        postgresql_where=sa.text("answered_at IS NOT NULL"),
    )
    op.create_index("ix_message_debtor_id", "message", ["debtor_id"], unique=False)
    op.add_column("pay_session", sa.Column("wish", sa.String(length=10), nullable=True))
    op.add_column(
        "pay_session",
        sa.Column("watched", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_index("ix_message_debtor_id", "message")
    op.drop_column("pay_session", "watched")
    op.drop_column("pay_session", "wish")
    op.drop_index("ix_attempt_answered", "attempt")
    op.drop_index("ix_attempt_debtor", "attempt")
    op.drop_column("attempt", "abandoned_at")
    op.drop_column("attempt", "agent_joined_at")
    op.drop_column("attempt", "inbound")
    op.drop_column("attempt", "mode")
    with op.batch_alter_table("callback", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_callback_made_attempt_id"))
        batch_op.drop_index("ix_callback_due")
        batch_op.drop_index(batch_op.f("ix_callback_debtor_id"))
        batch_op.drop_index("ix_callback_agent")

    op.drop_table("callback")
    with op.batch_alter_table("agent_call", schema=None) as batch_op:
        batch_op.drop_index("uq_agent_call_transfer")
        batch_op.drop_index("uq_agent_call_open")
        batch_op.drop_index(batch_op.f("ix_agent_call_session_id"))
        batch_op.drop_index(batch_op.f("ix_agent_call_debtor_id"))
        batch_op.drop_index("ix_agent_call_campaign")
        batch_op.drop_index(batch_op.f("ix_agent_call_attempt_id"))
        batch_op.drop_index("ix_agent_call_agent")

    op.drop_table("agent_call")
    with op.batch_alter_table("agent_state_log", schema=None) as batch_op:
        batch_op.drop_index("ix_agent_state_log_session")

    op.drop_table("agent_state_log")
    with op.batch_alter_table("agent_session", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_agent_session_open",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index("ix_agent_session_open")
        batch_op.drop_index("ix_agent_session_agent")

    op.drop_table("agent_session")
    with op.batch_alter_table("agent", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_agent_company_id"))

    op.drop_table("agent")
