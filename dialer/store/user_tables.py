"""The tables of those who work in the browser: users, their sessions, one-time links, and what a
second person has to agree to. Part of ``dialer.store.tables``."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table

from dialer.store.schema import metadata, own_id, ref
from dialer.store.types import Json, Personal, UtcDateTime

app_user = Table(
    "app_user",
    metadata,
    own_id(),
    ref("company_id", "company", nullable=True, index=True),  # null: every company
    Column("email", Personal(254), nullable=False, unique=True),  # lower case
    Column("name", Personal(200), nullable=False),
    Column("role", String(20), nullable=False),  # dialer.domain.access.Role
    Column("password_hash", String(200)),  # argon2id; null: none chosen yet
    Column("totp_secret", Personal(64)),  # null: no second factor
    Column("totp_used", Integer),  # number of the half-minute whose code was last taken
    Column("language", String(5), nullable=False),
    Column("timezone", String(64), nullable=False),
    ref("agent_id", "agent", nullable=True),  # who they are at a desk
    Column("active", Boolean, nullable=False, default=True),
    Column("failures", Integer, nullable=False, default=0),  # log-ins that failed in a row
    Column("locked_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime),
)

web_session = Table(
    "web_session",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of what the cookie holds
    ref("user_id", "app_user", index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("browser", String(200), nullable=False, default=""),
)

user_link = Table(
    "user_link",
    metadata,
    # A link to choose a password by, once: the first of a user, or a new one.
    Column("id", String(64), primary_key=True),  # SHA-256 of what the link holds
    ref("user_id", "app_user", index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
)

approval = Table(
    "approval",
    metadata,
    # Four eyes: what one user asks for and another one agrees to, or not.
    own_id(),
    ref("company_id", "company", nullable=True),
    Column("kind", String(20), nullable=False),  # dialer.domain.access.ApprovalKind
    Column("target", String(120), nullable=False),  # payment:<id>, campaign:<id>
    Column("detail", Json, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("asked_by", ForeignKey("app_user.id"), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("state", String(10), nullable=False),  # dialer.domain.access.ApprovalState
    Column("decided_by", ForeignKey("app_user.id")),
    Column("decided_at", UtcDateTime),
    Column("result", String(200)),
    Index("ix_approval_state", "state", "asked_at"),
)
