"""The numbers the dialer shows about itself, defined once for every process.

Each process serves those it sets on its own loopback port (Prometheus text). Times are seconds,
as Prometheus has them; the reports of the database are in milliseconds. No label ever carries
personal data, and none has an unbounded set of values.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Bounds around the one second that a fallback may take."""

CALLS = Gauge("dialer_calls", "Attempts that are not over, by state.", ["state"])
"""``state``: created, dialling, ringing, answered."""

ATTEMPTS = Counter("dialer_attempts", "Attempts committed.", ["kind"])
"""``kind``: first, retry, redial."""

DISPOSITIONS = Counter("dialer_dispositions", "Attempts ended, by disposition.", ["disposition"])
"""Exposed as ``dialer_dispositions_total``."""

FALLBACK_SECONDS = Histogram(
    "dialer_fallback_seconds",
    "From the debtor's hang-up to the INVITE or to the SMS request leaving.",
    ["kind"],
    buckets=_FAST,
)
"""``kind``: redial, sms."""

FALLBACK_REFUSED = Counter(
    "dialer_fallback_refused", "Fallback steps not allowed, by kind and reason.", ["kind", "reason"]
)

AMI_LAG = Gauge(
    "dialer_ami_lag_seconds", "From Asterisk's own time of the newest event to its handling."
)
CONSUMER_QUEUE = Gauge("dialer_consumer_queue", "Events received and not handled yet.")
LOOP_LAG = Gauge("dialer_loop_lag_seconds", "How late a timer of the event loop came last.")

SWITCH_UP = Gauge("dialer_switch_up", "1 while the AMI connection is there and reconciled.")
IVR_SESSIONS = Gauge("dialer_ivr_sessions", "Flows being interpreted now.")
MESSAGES = Counter("dialer_messages", "Messages moved to a state.", ["state"])
"""Exposed as ``dialer_messages_total``; ``state`` as in ``domain.model.MessageState``."""

PAYMENT_LOOK_UPS = Counter(
    "dialer_payment_look_ups", "Payments asked about at a gateway, by answer.", ["gateway", "found"]
)
"""``found``: approved, declined, pending, absent, closed; away, not_set_up, failed; refund-*."""
PAYMENTS_UNRESOLVED = Gauge(
    "dialer_payments_unresolved", "Payments and refunds in doubt, by age.", ["kind", "age"]
)
"""``kind``: payment, refund; ``age``: minutes, hour, day (at least so long)."""
PAYMENTS_OLDEST = Gauge("dialer_payments_oldest_seconds", "Age of the oldest one in doubt.")
PAYMENTS_UNCAPTURED = Gauge(
    "dialer_payments_uncaptured", "Authorisations neither captured nor voided."
)

DESK_COMMANDS = Counter(
    "dialer_desk_commands", "Commands of agents and supervisors, by what came of them.",
    ["command", "result"],
)  # fmt: skip
"""``result``: done, refused, too_late, malformed, repeated, failed, overloaded."""
DESK_SECONDS = Histogram(
    "dialer_desk_seconds", "From the moment a command was asked to its answer.", buckets=_FAST
)
DESK_LOST = Counter(
    "dialer_desk_lost", "Events and answers for desks that were dropped.", ["what", "why"]
)
"""``what``: event, reply; ``why``: overflow (Redis away for long), refused, late, unreadable."""
DESK_STREAMS = Gauge("dialer_desk_streams", "Live views that this web process holds open.")
