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
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from dialer.store.agent_tables import agent as agent
from dialer.store.agent_tables import agent_call as agent_call
from dialer.store.agent_tables import agent_session as agent_session
from dialer.store.agent_tables import agent_state_log as agent_state_log
from dialer.store.agent_tables import answer_model as answer_model
from dialer.store.agent_tables import callback as callback
from dialer.store.api_tables import api_token as api_token
from dialer.store.api_tables import webhook_delivery as webhook_delivery
from dialer.store.api_tables import webhook_endpoint as webhook_endpoint
from dialer.store.mail_tables import report_mail as report_mail
from dialer.store.mail_tables import report_sending as report_sending
from dialer.store.mail_tables import text_version as text_version
from dialer.store.payment_tables import ledger_entry as ledger_entry
from dialer.store.payment_tables import pay_session as pay_session
from dialer.store.payment_tables import payment as payment
from dialer.store.payment_tables import payment_event as payment_event
from dialer.store.payment_tables import refund as refund
from dialer.store.schema import metadata as metadata
from dialer.store.schema import only
from dialer.store.schema import own_id as _id
from dialer.store.schema import ref as _ref
from dialer.store.types import BigId, Json, Personal, UtcDateTime
from dialer.store.user_tables import app_user as app_user
from dialer.store.user_tables import approval as approval
from dialer.store.user_tables import user_link as user_link
from dialer.store.user_tables import web_session as web_session

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
    Column("start_at", UtcDateTime),  # a draft: the engine starts it then
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
    Column("mode", String(12), nullable=False, server_default="agentless"),  # DialMode
    Column("inbound", Boolean, nullable=False, server_default=false()),  # the debtor called
    Column("agent_joined_at", UtcDateTime),
    Column("abandoned_at", UtcDateTime),  # the safe-harbour message began
    Index("ix_attempt_open", "node", "state"),
    Index("ix_attempt_debtor", "debtor_id", "placed_at"),
    Index("ix_attempt_answered", "campaign_id", "answered_at", **only("answered_at IS NOT NULL")),
    Index("ix_attempt_campaign", "campaign_id", "placed_at"),
    Index("ix_attempt_ended", "campaign_id", "disposition", "placed_at"),  # reports
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
    Column("made_at", UtcDateTime, nullable=False, index=True),
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
    _ref("debtor_id", "debtor", index=True),
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
    _ref("company_id", "company", nullable=True),  # null: nobody's, or of more than one
    Column("actor", String(100), nullable=False),
    Column("action", String(60), nullable=False),  # campaign.start
    Column("target", String(120), nullable=False),  # campaign:12
    Column("before", Json),
    Column("after", Json),
    Index("ix_audit_actor", "actor", "id"),
    Index("ix_audit_company", "company_id", "id"),
    Index("ix_audit_target", "target", "id"),
)
