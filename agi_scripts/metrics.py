"""Numbers of the IVR beside those in ``dialer.metrics``; times in seconds."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

CONNECTIONS = Counter(
    "dialer_ivr_connections", "FastAGI connections, by how they ended.", ["ended"]
)
"""``ended``: done, hung_up, failed (a neutral goodbye was said), garbage, refused (too many)."""

FIRST_PROMPT = Histogram(
    "dialer_ivr_first_prompt_seconds",
    "From Asterisk's connection to the first prompt being asked for.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0),
)
TURNAROUND = Histogram(
    "dialer_ivr_turnaround_seconds",
    "From an answer of Asterisk to our next command; keys pressed meanwhile may be lost.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.3, 1.0),
)
EFFECT_SECONDS = Histogram(
    "dialer_ivr_effect_seconds",
    "Writing one conclusion of a flow to the database.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 15.0),
)

ENTRY_SECONDS = Histogram(
    "dialer_payment_entry_seconds",
    "Keying a field of a payment in, from the end of its prompt.",
    ["step"],
    buckets=(1, 2, 4, 6, 8, 10, 15, 20, 30, 45, 60, 90),
)
PAY_SESSIONS = Counter("dialer_pay_sessions", "Payments by keypad, by how they ended.", ["result"])
"""``result`` as in ``domain.payment.PayResult``."""
