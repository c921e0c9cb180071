"""The tables of agents: who they are, when they sat at their desk, which debtors came to them,
which calls were agreed upon, and what is known of who answers. Part of ``dialer.store.tables``."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from dialer.store.schema import metadata, only, own_id, ref
from dialer.store.types import BigId, Json, Personal, UtcDateTime

agent = Table(
    "agent",
    metadata,
    own_id(),
    ref("company_id", "company", index=True),
    Column("login", String(64), nullable=False, unique=True),
    Column("name", Personal(200), nullable=False),
    Column("token_hash", String(64), unique=True),  # SHA-256; the token is told once, never kept
    Column("skills", Json, nullable=False),
    Column("languages", Json, nullable=False),
    Column("station", String(200), nullable=False),  # browser, sip:..., or a number in E.164
    Column("ringing", Boolean, nullable=False, default=False),
    Column("wrap_seconds", Float),  # null: the campaign's
    Column("active", Boolean, nullable=False, default=True),
    Column("created_at", UtcDateTime, nullable=False),
)

agent_session = Table(
    "agent_session",
    metadata,
    # From log-in to log-out; ``id`` is also the name of the seat's conference.
    Column("id", String(32), primary_key=True),
    ref("agent_id", "agent"),
    Column("node", String(32), nullable=False),
    Column("leg_token", String(32), nullable=False, unique=True),
    Column("state", String(12), nullable=False),  # AgentState
    Column("pause_code", String(40)),
    Column("since", UtcDateTime, nullable=False),  # of the state
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("end_reason", String(40)),
    Column("heartbeat_at", UtcDateTime, nullable=False),
    Index("ix_agent_session_open", "node", "ended_at"),
    Index("ix_agent_session_agent", "agent_id", "started_at"),
    # One desk at a time, whatever two pages or two nodes believe.
    Index("uq_agent_session_open", "agent_id", unique=True, **only("ended_at IS NULL")),
)

agent_state_log = Table(
    "agent_state_log",
    metadata,
    # Each change of state; a state lasts to the next row, the last one to the session's end.
    own_id(),
    Column("session_id", String(32), ForeignKey("agent_session.id"), nullable=False),
    Column("state", String(12), nullable=False),
    Column("pause_code", String(40)),
    Column("at", UtcDateTime, nullable=False),
    Column("attempt_id", String(32)),
    Index("ix_agent_state_log_session", "session_id", "at"),
)

agent_call = Table(
    "agent_call",
    metadata,
    # A debtor who comes to an agent, or waits for one. Open until ``left_at``.
    own_id(),
    Column("attempt_id", String(32), ForeignKey("attempt.id"), nullable=False, index=True),
    Column("session_id", String(32), ForeignKey("agent_session.id"), index=True),
    ref("agent_id", "agent", nullable=True),
    ref("company_id", "company"),
    ref("debtor_id", "debtor", index=True),
    ref("campaign_id", "campaign", nullable=True),
    Column("kind", String(12), nullable=False),  # AgentCallKind
    Column("reason", String(60), nullable=False, default=""),
    Column("skill", String(40), nullable=False, default=""),
    Column("priority", Integer, nullable=False, default=0),  # higher goes first
    Column("queued_at", UtcDateTime, nullable=False),
    Column("offered_at", UtcDateTime),
    Column("joined_at", UtcDateTime),  # they hear each other
    Column("left_at", UtcDateTime),  # of the talk, or of the queue
    Column("result", String(12)),  # AgentCallResult; null: waits
    Column("wrapped_at", UtcDateTime),
    Column("disposition", String(20)),
    Column("notes", Text),
    Column("transferred_from", BigId, ForeignKey("agent_call.id")),
    Index("ix_agent_call_agent", "agent_id", "queued_at"),
    Index("ix_agent_call_campaign", "campaign_id", "queued_at"),
    # Queued twice (the IVR before its event, the engine after a crash) is queued once; so is a
    # transfer, also where the one that it comes from was one.
    Index(
        "uq_agent_call_open",
        "attempt_id",
        "kind",
        unique=True,
        **only("left_at IS NULL AND transferred_from IS NULL"),
    ),
    Index("uq_agent_call_transfer", "transferred_from", unique=True, **only("left_at IS NULL")),
)

callback = Table(
    "callback",
    metadata,
    # A call agreed upon with the debtor.
    own_id(),
    ref("company_id", "company"),
    ref("debtor_id", "debtor", index=True),
    ref("account_id", "account"),
    ref("lead_id", "lead", nullable=True),
    ref("phone_id", "phone", nullable=True),
    Column("attempt_id", String(32), ForeignKey("attempt.id")),  # the call it was agreed in
    ref("agent_id", "agent", nullable=True),  # null: anybody's
    Column("due_at", UtcDateTime, nullable=False),
    Column("state", String(10), nullable=False),  # due, taken, done, cancelled
    Column("note", String(200), nullable=False, default=""),
    Column("made_by", String(80), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("taken_at", UtcDateTime),
    Column("taken_by", String(32)),  # the node that claimed it
    Column("made_attempt_id", String(32), ForeignKey("attempt.id"), index=True),  # the call placed
    Column("tries", Integer, nullable=False, default=0),
    Column("done_at", UtcDateTime),
    Index("ix_callback_due", "state", "due_at"),
    Index("ix_callback_agent", "agent_id", "state", "due_at"),
)

answer_model = Table(
    "answer_model",
    metadata,
    # dialer.domain.answering, as it was a minute ago at most.
    Column("company_id", BigId, ForeignKey("company.id"), primary_key=True, autoincrement=False),
    Column("state", Json, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
