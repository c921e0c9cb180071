"""The tables. A change here needs a migration in dialer/store/migrations (a test compares them).

Names are singular. Times are UTC. Amounts are minor units. A company (the creditor) owns its
debtors, campaigns and pools.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from dialer.store.types import BigId, Json, Personal, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[int]:
    return Column("id", BigId, primary_key=True, autoincrement=True)


def _ref(name: str, target: str, *, nullable: bool = False, index: bool = False) -> Column[int]:
    return Column(name, BigId, ForeignKey(f"{target}.id"), nullable=nullable, index=index)


company = Table(
    "company",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("country", String(2), nullable=False),  # ISO 3166, the default of its phones
    Column("timezone", String(64), nullable=False),
    Column("spoken_name", String(200), nullable=False),  # how the greeting says it
    Column("callback_number", String(20)),  # E.164, said in messages
    Column("created_at", UtcDateTime, nullable=False),
)

debtor = Table(
    "debtor",
    metadata,
    _id(),
    _ref("company_id", "company"),
    Column("document", Personal(64), nullable=False),  # normalised: upper case, no separators
    Column("name", Personal(200), nullable=False),
    Column("email", Personal(254)),
    Column("language", String(5)),  # es, en; null: the campaign's
    Column("timezone", String(64)),  # null: the campaign's default
    Column("country", String(2), nullable=False),
    Column("opted_out_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("company_id", "document"),
)

phone = Table(
    "phone",
    metadata,
    _id(),
    _ref("debtor_id", "debtor"),
    Column("number", Personal(20), nullable=False, index=True),  # E.164
    Column("line_type", String(20), nullable=False),
    Column("position", Integer, nullable=False),  # 0 is tried first
    Column("invalid_at", UtcDateTime),  # the network said: unallocated or changed
    Column("invalid_reason", String(40)),
    UniqueConstraint("debtor_id", "number"),
)

account = Table(
    "account",
    metadata,
    _id(),
    _ref("company_id", "company"),
    _ref("debtor_id", "debtor", index=True),
    Column("reference", String(64), nullable=False),
    Column("amount_minor", BigId, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("due_date", Date, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
    UniqueConstraint("company_id", "reference"),
)

caller_id_pool = Table(
    "caller_id_pool",
    metadata,
    _id(),
    _ref("company_id", "company"),
    Column("name", String(100), nullable=False),
    UniqueConstraint("company_id", "name"),
)

caller_id = Table(
    "caller_id",
    metadata,
    _id(),
    _ref("pool_id", "caller_id_pool"),
    Column("number", String(20), nullable=False),  # E.164, the company's own, can be called back
    UniqueConstraint("pool_id", "number"),
)

campaign = Table(
    "campaign",
    metadata,
    _id(),
    _ref("company_id", "company"),
    Column("name", String(100), nullable=False, unique=True),
    Column("state", String(12), nullable=False),  # CampaignState
    _ref("pool_id", "caller_id_pool"),
    Column("plan", Json, nullable=False),  # dialer.store.plans turns it into a CampaignPlan
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
)

lead = Table(
    "lead",
    metadata,
    _id(),
    _ref("campaign_id", "campaign"),
    _ref("debtor_id", "debtor", index=True),
    _ref("account_id", "account"),
    Column("state", String(10), nullable=False),  # LeadState
    Column("next_at", UtcDateTime, nullable=False),  # waiting: not before this
    Column("claim", String(32)),  # token of the claim that holds it
    Column("claimed_at", UtcDateTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_phone", Integer, nullable=False, default=0),  # index into the usable phones
    Column("last_disposition", String(20)),
    Column("closed_reason", String(40)),  # done: why
    UniqueConstraint("campaign_id", "account_id"),
    Index("ix_lead_hopper", "campaign_id", "state", "next_at", "id"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", String(32), primary_key=True),  # also channel id and AMI action id
    _ref("campaign_id", "campaign"),
    _ref("lead_id", "lead", index=True),
    _ref("debtor_id", "debtor"),
    _ref("phone_id", "phone"),
    Column("number", Personal(20), nullable=False),
    Column("caller_id", String(20), nullable=False),
    Column("trunk", String(64), nullable=False),
    Column("node", String(32), nullable=False),
    Column("flow", String(64), nullable=False),
    Column("follows", String(32), ForeignKey("attempt.id")),
    Column("fallback_index", Integer, nullable=False, default=-1),
    Column("state", String(10), nullable=False),  # AttemptState
    Column("placed_at", UtcDateTime, nullable=False),
    Column("dialled_at", UtcDateTime),
    Column("ringing_at", UtcDateTime),
    Column("answered_at", UtcDateTime),
    Column("first_key_at", UtcDateTime),
    Column("hangup_requested_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("hung_up_by_debtor", Boolean, nullable=False, default=False),
    Column("q850", Integer),
    Column("sip_status", Integer),
    Column("detection", String(10)),
    Column("detection_reason", String(200)),
    Column("last_node", String(64)),
    Column("last_prompt", String(64)),
    Column("keys", String(64), nullable=False, default=""),
    Column("identity_confirmed", Boolean, nullable=False, default=False),
    Column("outcome", String(20)),
    Column("disposition", String(20)),
    Column("failure", String(200)),
    Index("ix_attempt_open", "node", "state"),
    Index("ix_attempt_campaign", "campaign_id", "placed_at"),
    Index("ix_attempt_seen", "phone_id", "placed_at"),
)

flow_outcome = Table(
    "flow_outcome",
    metadata,
    # Written by the IVR before the engine is told; what a crashed engine reconciles from.
    Column("attempt_id", String(32), ForeignKey("attempt.id"), primary_key=True),
    Column("outcome", String(20), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("node", String(64)),
)

promise = Table(
    "promise",
    metadata,
    _id(),
    _ref("account_id", "account", index=True),
    Column("attempt_id", String(32), ForeignKey("attempt.id"), nullable=False, unique=True),
    Column("due", Date, nullable=False),
    Column("amount_minor", BigId, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
)

fallback = Table(
    "fallback",
    metadata,
    # One row for each step considered after an answered-abandoned attempt.
    _id(),
    Column("attempt_id", String(32), ForeignKey("attempt.id"), nullable=False),  # the abandoned
    Column("step", Integer, nullable=False),
    Column("kind", String(10), nullable=False),  # StepKind
    Column("refused", String(30)),  # Refusal; null: taken
    Column("at", UtcDateTime, nullable=False),
    Column("hangup_at", UtcDateTime),  # when the debtor hung up: the clock's start
    Column("made_attempt_id", String(32), ForeignKey("attempt.id"), index=True),
    Column("made_message_id", BigId, ForeignKey("message.id"), index=True),
    Column("latency_ms", Float),  # hang-up to the INVITE, or to the SMS request leaving
    UniqueConstraint("attempt_id", "step"),
)

contact = Table(
    "contact",
    metadata,
    # The ledger that the caps count: every attempt and every message, all channels.
    _id(),
    _ref("company_id", "company"),
    _ref("debtor_id", "debtor"),
    _ref("account_id", "account", nullable=True),
    Column("channel", String(10), nullable=False),  # Channel
    Column("at", UtcDateTime, nullable=False),
    Column("source", String(80), nullable=False, unique=True),  # attempt:<id> or message:<key>
    Index("ix_contact_caps", "debtor_id", "at"),
)

suppression = Table(
    "suppression",
    metadata,
    # Do-not-call: one list for voice and messages.
    _id(),
    _ref("company_id", "company"),
    Column("number", Personal(20), nullable=False),
    Column("reason", String(40), nullable=False),  # keypad, sms_stop, import, operator
    Column("source", String(80), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("company_id", "number"),
)

message = Table(
    "message",
    metadata,
    _id(),
    _ref("company_id", "company"),
    _ref("debtor_id", "debtor"),
    _ref("account_id", "account", nullable=True),
    _ref("campaign_id", "campaign", nullable=True),
    Column("attempt_id", String(32), ForeignKey("attempt.id")),
    Column("key", String(80), nullable=False, unique=True),  # idempotency key
    Column("channel", String(10), nullable=False),
    Column("number", Personal(20), nullable=False),
    Column("template", String(40), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(12), nullable=False),  # MessageState
    Column("tries", Integer, nullable=False, default=0),
    Column("next_at", UtcDateTime),  # pending after a passing failure: not before this
    Column("provider_id", String(64), unique=True),
    Column("error", String(200)),
    Column("permanent", Boolean, nullable=False, default=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sending_at", UtcDateTime),
    Column("requested_at", UtcDateTime),  # the HTTP request left
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_message_state", "state", "updated_at"),
)

message_event = Table(
    "message_event",
    metadata,
    # Every callback as it came, and every answer of a debtor; the state is derived.
    _id(),
    Column("message_id", BigId, ForeignKey("message.id"), index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(20), nullable=False),  # status, inbound
    Column("provider_key", String(120), nullable=False, unique=True),  # a repeat changes nothing
    Column("status", String(30)),
    Column("error", String(200)),
)

pay_session = Table(
    "pay_session",
    metadata,
    # One visit of a `pay` node. Made by the flow's process, moved on by the process that hears
    # cards. Nothing of a card but the last four digits, and those only once it was accepted.
    Column("id", String(32), primary_key=True),
    Column("attempt_id", String(32), ForeignKey("attempt.id"), nullable=False, index=True),
    _ref("account_id", "account", index=True),
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
)

payment = Table(
    "payment",
    metadata,
    # One submission to a gateway, committed with its reservation before anything leaves. ``id`` is
    # the idempotency key.
    Column("id", String(32), primary_key=True),
    Column("order_ref", String(12), nullable=False, unique=True),
    _ref("company_id", "company", index=True),
    _ref("account_id", "account", index=True),
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
    _id(),
    Column("transaction", String(80), nullable=False),  # e.g. reserve:<payment>, settle:<payment>
    _ref("account_id", "account", index=True),
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
    _id(),
    Column("payment_id", String(32), ForeignKey("payment.id"), index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(20), nullable=False),  # state, webhook, look_up, refund
    Column("key", String(160), nullable=False, unique=True),
    Column("detail", Json),
)

lease = Table(
    "lease",
    metadata,
    _ref("campaign_id", "campaign"),
    Column("owner", String(64), nullable=False),
    Column("fence", Integer, nullable=False),  # grows at each change of owner
    Column("expires_at", UtcDateTime, nullable=False),
    UniqueConstraint("campaign_id"),
)

import_batch = Table(
    "import_batch",
    metadata,
    _id(),
    _ref("company_id", "company"),
    Column("campaign_id", BigId, ForeignKey("campaign.id")),
    Column("file_name", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("rows", Integer, nullable=False, default=0),
    Column("accepted", Integer, nullable=False, default=0),
    Column("rejected", Integer, nullable=False, default=0),
    Column("unchanged", Integer, nullable=False, default=0),
)

audit = Table(
    "audit",
    metadata,
    # Every change of state by a person.
    _id(),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", String(60), nullable=False),  # campaign.start
    Column("target", String(120), nullable=False),  # campaign:12
    Column("before", Json),
    Column("after", Json),
)
