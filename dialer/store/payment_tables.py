"""The tables of payments: visits of a `pay` node, submissions to gateways, refunds, the books. Part
of ``dialer.store.tables``."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    false,
)

from dialer.store.schema import metadata, own_id, ref
from dialer.store.types import BigId, Json, Personal, UtcDateTime

pay_session = Table(
    "pay_session",
    metadata,
    # One visit of a `pay` node. Made by the flow's process, moved on by the process that hears
    # cards. Nothing of a card but the last four digits, and those only once it was accepted.
    Column("id", String(32), primary_key=True),
    Column("attempt_id", String(32), ForeignKey("attempt.id"), nullable=False, index=True),
    ref("account_id", "account", index=True),
    Column("node", String(64), nullable=False),
    Column("language", String(5), nullable=False),
    Column("spec", Json, nullable=False),  # dialer.domain.payment.PaySpec
    Column("step", String(30)),  # PayStep reached
    Column("agreed_minor", BigId),  # the amount agreed to; kept for the next call
    Column("last_four", String(4)),
    Column("seconds", Json),  # PayStep -> seconds of entry, as measured
    Column("errors", Json),  # PayError -> count
    Column("result", String(40)),  # PayResult; null: not over, or its process died
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    # Taken while an agent talks: what the agent wants of it (PayWish), and that one looks on.
    Column("wish", String(10)),
    Column("watched", Boolean, nullable=False, server_default=false()),
)

payment = Table(
    "payment",
    metadata,
    # One submission to a gateway, committed with its reservation before anything leaves. ``id`` is
    # the idempotency key.
    Column("id", String(32), primary_key=True),
    Column("order_ref", String(12), nullable=False, unique=True),
    ref("company_id", "company", index=True),
    ref("account_id", "account", index=True),
    Column("session_id", String(32), ForeignKey("pay_session.id"), index=True),
    Column("attempt_id", String(32), ForeignKey("attempt.id"), index=True),
    Column("source", String(8), nullable=False),  # PaymentSource
    Column("gateway", String(20), nullable=False),
    Column("mode", String(10), nullable=False),  # PaymentMode
    Column("amount_minor", BigId, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("state", String(15), nullable=False),  # PaymentState
    Column("outcome", String(20)),  # PaymentOutcome, the last one known
    Column("brand", String(15)),
    Column("last_four", String(4)),
    Column("fingerprint", String(64)),  # keyed hash of the number, key outside the database
    Column("number", Personal(20)),  # the telephone, for velocity
    Column("provider_ref", String(120)),
    Column("auth_code", String(40)),
    Column("reason", String(60)),
    Column("token", String(120)),  # tokenise: the gateway's
    Column("created_at", UtcDateTime, nullable=False),
    Column("send_before", UtcDateTime, nullable=False),  # nobody sends the card after this
    Column("sending_at", UtcDateTime),
    Column("settled_at", UtcDateTime),
    Column("captured_at", UtcDateTime),
    Column("look_ups", Integer, nullable=False, default=0),
    Column("next_look_up_at", UtcDateTime),
    Column("looked_up_at", UtcDateTime),
    Column("disputed_at", UtcDateTime),
    CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
    Index("ix_payment_state", "state", "next_look_up_at"),
    Index("ix_payment_fingerprint", "fingerprint", "created_at"),
    Index("ix_payment_number", "number", "created_at"),
    Index("ix_payment_provider", "gateway", "provider_ref"),
    Index("ix_payment_created", "created_at", "id"),
    Index("ix_payment_company_created", "company_id", "created_at", "id"),
)

refund = Table(
    "refund",
    metadata,
    Column("id", String(32), primary_key=True),  # also the idempotency key
    Column("payment_id", String(32), ForeignKey("payment.id"), nullable=False, index=True),
    Column("kind", String(8), nullable=False),  # refund, void
    Column("amount_minor", BigId, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("state", String(10), nullable=False),  # created, sending, + RefundState
    Column("forgive", Boolean, nullable=False, default=False),  # given back and not owed again
    Column("reason", String(200), nullable=False),
    Column("actor", String(100), nullable=False),
    Column("provider_ref", String(120)),
    Column("provider_reason", String(60)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sending_at", UtcDateTime),
    Column("settled_at", UtcDateTime),
    Column("look_ups", Integer, nullable=False, default=0),
    Column("next_look_up_at", UtcDateTime),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
)

ledger_entry = Table(
    "ledger_entry",
    metadata,
    # Double entry: the entries of a transaction add up to nothing. Only ever added to.
    own_id(),
    Column("transaction", String(80), nullable=False),  # e.g. reserve:<payment>, settle:<payment>
    ref("account_id", "account", index=True),
    Column("book", String(10), nullable=False),  # dialer.domain.ledger.Book
    Column("minor", BigId, nullable=False),  # signed
    Column("currency", String(3), nullable=False),
    Column("payment_id", String(32), ForeignKey("payment.id"), index=True),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("transaction", "book"),
)

payment_event = Table(
    "payment_event",
    metadata,
    # Every webhook, look-up and change of state, as it came; a repeat changes nothing.
    own_id(),
    Column("payment_id", String(32), ForeignKey("payment.id"), index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(20), nullable=False),  # state, webhook, look_up, refund
    Column("key", String(160), nullable=False, unique=True),
    Column("detail", Json),
)
