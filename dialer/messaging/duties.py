"""What a text to a debtor has to say, and what it may not: checked before it is changed.

Who we are and how to have no more of them: 12 CFR 1006.6(e) (an electronic message says how to
opt out), Spain's LSSI art. 20 to 22, and the carriers' own rules for STOP. To somebody who may be
another than the debtor, never that a debt is owed: 12 CFR 1006.2(j) and 1006.10, and in Spain what
the data protection authority holds of messages that others can read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from dialer.messaging.sms_length import sms_length
from dialer.messaging.templates import AFTER_PAYMENT

TO_THE_DEBTOR = frozenset({"payment_link", *AFTER_PAYMENT})
"""Texts for somebody who has said who they are; every other one is for whoever holds the phone."""
_DEBT = re.compile(
    r"deud|pago|pagar|debe|debid|import|saldo|venc|cobr|moros|recib(?!ir)|factur|impag|cuota|"
    r"debt|owe|owing|\bpay|amount|balance|\bdue\b|overdue|arrear|collect|\bbill|€|\beur\b",
    re.IGNORECASE,
)
_LINKS = re.compile(r"\S*https?://\S+")


class Duty(StrEnum):
    """What is asked of a text."""

    WHO = "who"
    BACK = "back"
    STOP = "stop"
    NO_DEBT = "no_debt"


@dataclass(frozen=True, slots=True)
class Found:
    """Whether a text does it; ``said``: the words that stand against it."""

    duty: Duty
    kept: bool
    said: str = ""


def duties_of(template: str, text: str, company: str, callback: str, link: str) -> list[Found]:
    """Of a text that is filled in for somebody, with what was filled in."""
    words = set(re.split(r"\W+", text))
    found = [
        Found(Duty.WHO, company in text),
        Found(Duty.BACK, callback in text or link in text),
        Found(Duty.STOP, {"STOP", "BAJA"} <= words),
    ]
    if template not in TO_THE_DEBTOR:
        own = _LINKS.sub(" ", text.replace(company, " "))
        debt = next((word for word in own.split() if _DEBT.search(word)), "")
        found.append(Found(Duty.NO_DEBT, not debt, debt.strip(".,;:!?¡¿()")))
    return found


def costly_letters(text: str) -> list[str]:
    """The letters for which it is not in the GSM alphabet: with one of them an SMS holds 70."""
    return sorted({letter for letter in text if sms_length(letter).encoding == "ucs2"})
