"""The tables of reports by e-mail, and of the past of messages' texts. Part of
``dialer.store.tables``."""

from __future__ import annotations

from sqlalchemy import Column, Date, Index, Integer, String, Table, Text

from dialer.store.schema import metadata, own_id, ref
from dialer.store.types import Json, Personal, UtcDateTime

report_mail = Table(
    "report_mail",
    metadata,
    own_id(),
    ref("company_id", "company", nullable=True, index=True),  # null: every company
    ref("campaign_id", "campaign", nullable=True),  # null: all of them
    ref("owner_id", "app_user"),
    Column("hour_from", Integer, nullable=False, default=0),
    Column("hour_to", Integer, nullable=False, default=24),
    Column("format", String(8), nullable=False),  # csv, xlsx, pdf
    Column("every", String(8), nullable=False),  # dialer.domain.recurring.Every
    Column("hour", Integer, nullable=False),  # of ``timezone``
    Column("timezone", String(64), nullable=False),
    Column("language", String(5), nullable=False),
    Column("addresses", Json, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("paused_at", UtcDateTime),
    Column("removed_at", UtcDateTime),
    Index("ix_report_mail_due", "next_at"),
)

report_sending = Table(
    "report_sending",
    metadata,
    # One message to one address, written before anything leaves.
    own_id(),
    ref("report_mail_id", "report_mail", index=True),
    Column("key", String(120), nullable=False, unique=True),  # a run and an address: once
    Column("address", Personal(254), nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("state", String(10), nullable=False),  # dialer.domain.mail.SendingState
    Column("tries", Integer, nullable=False, default=0),
    Column("next_at", UtcDateTime, nullable=False),
    Column("error", String(200)),
    Column("receipt", String(200)),  # what the mail server said when it took it
    Column("created_at", UtcDateTime, nullable=False),
    Column("sending_at", UtcDateTime),
    Column("sent_at", UtcDateTime),
    Index("ix_report_sending_state", "state", "next_at"),
)

text_version = Table(
    "text_version",
    metadata,
    own_id(),
    Column("language", String(5), nullable=False),
    Column("template", String(40), nullable=False),
    Column("text", Text, nullable=False),
    ref("user_id", "app_user", nullable=True),  # null: found in the file
    Column("made_at", UtcDateTime, nullable=False),
    Index("ix_text_version_of", "language", "template", "id"),
)
