"""Addresses in messages that name an account without showing it, and that nobody can guess."""

from __future__ import annotations

import hashlib

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode, bytes_to_int, int_to_bytes
from itsdangerous.exc import BadData
from itsdangerous.signer import HMACAlgorithm

from dialer.config import Settings

SECRET = "link_key"  # noqa: S105 - the name of a secret, not one
SIGNATURE_BYTES = 12  # 96 bits: short enough for an SMS, far beyond guessing over HTTP
LONGEST_TOKEN = 64


class _ShortHmac(HMACAlgorithm):
    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return super().get_signature(key, value)[:SIGNATURE_BYTES]


def make_link(settings: Settings, account_id: int) -> str:
    """The address for an account, for a message."""
    return f"{settings.link_base}/{make_token(settings, account_id)}"


def make_token(settings: Settings, account_id: int) -> str:
    """The last part of that address; about twenty characters."""
    return _signer(settings).sign(base64_encode(int_to_bytes(account_id))).decode()


def read_link(settings: Settings, token: str) -> int | None:
    """The account a token was made for; None for one that was not made here."""
    if len(token) > LONGEST_TOKEN:
        return None
    try:
        return bytes_to_int(base64_decode(_signer(settings).unsign(token)))
    except (BadSignature, BadData, UnicodeEncodeError):
        return None


def _signer(settings: Settings) -> Signer:
    return Signer(
        settings.secret(SECRET),
        salt="account-link",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
        algorithm=_ShortHmac(hashlib.sha256),
    )
