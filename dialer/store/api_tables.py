"""The tables of the API: tokens of programs, and what their webhooks are told. Part of
``dialer.store.tables``."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text, UniqueConstraint

from dialer.store.schema import metadata, own_id, ref
from dialer.store.types import Json, UtcDateTime

api_token = Table(
    "api_token",
    metadata,
    own_id(),
    ref("company_id", "company", nullable=True, index=True),  # null: every company
    Column("name", String(100), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),  # SHA-256
    Column("scopes", Json, nullable=False),  # dialer.domain.api.Scope
    Column("created_by", String(100), nullable=False),  # as the audit has it
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
)

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    own_id(),
    ref("company_id", "company", index=True),
    Column("url", String(500), nullable=False),
    Column("events", Json, nullable=False),  # dialer.domain.api.EventType
    Column("salt", String(64), nullable=False),  # the secret is made of it and of the home's
    Column("cursors", Json, nullable=False),  # source -> how far its rows were looked at
    Column("created_by", String(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("paused_at", UtcDateTime),  # what happens meanwhile waits in the outbox
    Column("removed_at", UtcDateTime),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    # The outbox: an event for an endpoint, written before anything leaves.
    own_id(),
    ref("endpoint_id", "webhook_endpoint"),
    Column("event_id", String(40), nullable=False),  # the same for each try
    Column("key", String(120), nullable=False),  # what happened: an event is told once
    Column("type", String(30), nullable=False),  # dialer.domain.api.EventType
    Column("body", Text, nullable=False),
    Column("state", String(10), nullable=False),  # pending, delivered, failed
    Column("tries", Integer, nullable=False, default=0),
    Column("next_at", UtcDateTime, nullable=False),
    Column("status", Integer),  # of the last answer
    Column("error", String(100)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("delivered_at", UtcDateTime),
    UniqueConstraint("endpoint_id", "key"),
    Index("ix_webhook_delivery_due", "state", "next_at"),
)
