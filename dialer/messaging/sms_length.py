"""How many SMS a text takes (3GPP TS 23.038, and the concatenation header of TS 23.040)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_ESCAPED = frozenset("\f^{}\\[~]|€")  # each takes two places, never parted


@dataclass(frozen=True, slots=True)
class SmsLength:
    """``units`` are septets (gsm7) or 16-bit units (ucs2); ``segments`` is what is paid for."""

    encoding: Literal["gsm7", "ucs2"]
    units: int
    segments: int


def sms_length(text: str) -> SmsLength:
    """The length of a text as SMS; an empty one takes one segment."""
    if all(c in _GSM7 or c in _GSM7_ESCAPED for c in text):
        widths = [2 if c in _GSM7_ESCAPED else 1 for c in text]
        return SmsLength("gsm7", sum(widths), _segments(widths, alone=160, joined=153))
    widths = [2 if ord(c) > 0xFFFF else 1 for c in text]
    return SmsLength("ucs2", sum(widths), _segments(widths, alone=70, joined=67))


def _segments(widths: list[int], *, alone: int, joined: int) -> int:
    if sum(widths) <= alone:
        return 1
    count, used = 1, 0
    for width in widths:
        if used + width > joined:
            count, used = count + 1, 0
        used += width
    return count
