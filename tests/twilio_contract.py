"""Twilio's public description of CreateMessage (API 2010-04-01), as far as a text message goes.

A hand-written table of facts: parameter -> (type, rule). ``From`` or ``MessagingServiceSid`` is
required, and one of ``Body``, ``MediaUrl``, ``ContentSid``; ``To`` always.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

LONGEST_BODY = 1600
ONE_OF = (("From", "MessagingServiceSid"), ("Body", "MediaUrl", "ContentSid"))
PHONE = re.compile(r"\+[1-9]\d{1,14}")
SENDER = re.compile(r"\+[1-9]\d{1,14}|\d{3,8}|[A-Za-z0-9 ]{1,11}")
BOOLEAN = re.compile("true|false")

RULES: Mapping[str, str] = {
    "To": "phone",
    "From": "sender",
    "Body": "body",
    "StatusCallback": "uri",
    "ApplicationSid": "AP",
    "MessagingServiceSid": "MG",
    "ContentSid": "HX",
    "ContentVariables": "text",
    "MaxPrice": "number",
    "ProvideFeedback": "boolean",
    "Attempt": "integer",
    "ValidityPeriod": "seconds",
    "ForceDelivery": "boolean",
    "ContentRetention": "retain|discard",
    "AddressRetention": "retain|obfuscate",
    "SmartEncoded": "boolean",
    "PersistentAction": "text",
    "ShortenUrls": "boolean",
    "ScheduleType": "fixed",
    "SendAt": "text",
    "SendAsMms": "boolean",
    "RiskCheck": "enable|disable",
    "MediaUrl": "uri",
}


def violations(form: Mapping[str, str]) -> list[str]:
    """What a form breaks; empty: it is as described."""
    wrong = [f"{name}: no such parameter" for name in form if name not in RULES]
    wrong += [f"{name}: {value!r}" for name, value in form.items() if not _fits(name, value)]
    wrong += [f"one of {names} is required" for names in ONE_OF if not any(map(form.get, names))]
    if "To" not in form:
        wrong.append("To is required")
    return wrong


def _fits(name: str, value: str) -> bool:
    rule = RULES.get(name, "text")
    if rule == "phone":
        return PHONE.fullmatch(value) is not None
    if rule == "sender":
        return SENDER.fullmatch(value) is not None
    if rule == "body":
        return 1 <= len(value) <= LONGEST_BODY
    if rule == "uri":
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    if rule == "seconds":
        return value.isdigit() and 1 <= int(value) <= 36_000
    if rule == "boolean":
        return BOOLEAN.fullmatch(value) is not None
    if rule in ("integer", "number"):
        return re.fullmatch(r"\d+(\.\d+)?", value) is not None
    if rule in ("AP", "MG", "HX"):
        return re.fullmatch(rf"{rule}[0-9a-fA-F]{{32}}", value) is not None
    return rule == "text" or re.fullmatch(rule, value) is not None
