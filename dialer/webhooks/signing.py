"""The signature of a webhook: ``Dialer-Signature: t=<seconds>,v1=<hex>``.

``v1`` is the HMAC-SHA256 over ``<t>.<body>`` with the webhook's secret. The moment is part of it,
so that a delivery that somebody recorded cannot be played again later.
"""

from __future__ import annotations

import hashlib
import hmac

HEADER = "Dialer-Signature"
SECRET_SIGNING = "webhook_signing"
PREFIX = "whsec_"
TOLERANCE = 300


def secret_of(master: str, endpoint_id: int, salt: str) -> str:
    """An endpoint's secret. It is in no table: a copy of the database signs nothing."""
    text = f"{endpoint_id}:{salt}".encode()
    return PREFIX + hmac.new(master.encode(), text, hashlib.sha256).hexdigest()


def signature(secret: str, body: bytes, seconds: int) -> str:
    """The header."""
    signed = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    return f"t={seconds},v1={signed.hexdigest()}"


def verified(secret: str, body: bytes, header: str, now: float) -> bool:
    """Whether a delivery is ours and fresh: what a receiver does."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    moment = parts.get("t", "")
    if not moment.isdecimal() or abs(now - int(moment)) > TOLERANCE:
        return False
    return hmac.compare_digest(signature(secret, body, int(moment)), header)
