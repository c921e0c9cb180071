"""What the tests of flows share: the shipped flows, and a debtor."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from dialer.domain.model import Money
from dialer.flow.model import Flow, load_named
from dialer.flow.prompts import Prompts, load_prompts
from dialer.flow.values import Facts

FLOWS = Path(__file__).parent.parent / "ivr_flows"
FACTOR = "5678"
TODAY = date(2026, 3, 10)


TEXTS = {
    "hello": "Hello from {company}. Press one or nine.",
    "digits": "The last four digits, please.",
    "debt": "You have {amount} to settle since {due_date}.",
    "choose": "Press one or nine.",
    "thanks": "Until {promise_date}.",
    "named": "Hello {debtor_name}.",
    "bye": "Goodbye.",
    "neutral_goodbye": "Goodbye.",
}
WAYS_OUT = {"on_timeout": {"then": "end"}, "on_wrong_key": {"then": "end"}}
SOUND: dict[str, Any] = {
    "name": "sound",
    "start": "hello",
    "nodes": {
        "hello": {"type": "menu", "say": "hello", "keys": {1: "who", 9: "out"}, **WAYS_OUT},
        "who": {
            "type": "identity", "say": "digits", "matched": "debt", "unavailable": "end",
            "on_no_match": {"then": "end"}, "on_timeout": {"then": "end"},
        },
        "debt": {"type": "say", "say": "debt", "next": "choose"},
        "choose": {
            "type": "menu", "say": "choose", "keys": {1: "promise", 9: "out", "*": "again"},
            **WAYS_OUT,
        },
        "again": {"type": "go_back", "to": "debt", "then": "end"},
        "promise": {"type": "promise", "in_days": 3, "next": "thanks"},
        "thanks": {"type": "end", "say": "thanks"},
        "out": {"type": "opt_out", "next": "end"},
        "end": {"type": "end", "say": "bye"},
    },
}  # fmt: skip
"""A flow in which each proof holds, and its texts: tests break one at a time."""


@cache
def shipped(name: str) -> Flow:
    """A flow that comes with the product."""
    return load_named(FLOWS, name)


@cache
def texts(language: str) -> Prompts:
    """The prompts that come with the product."""
    return load_prompts(FLOWS, language)


def facts(language: str = "es", variant: str = "") -> Facts:
    """A debtor; ``variant``: landline, named, undocumented, cards, agents, or
    undocumented_agents."""
    one = Facts(
        language=language,
        today=TODAY,
        company="Banco Ejemplo",
        amount=Money(123456, "EUR"),
        due_date=date(2026, 2, 1),
        factor=FACTOR,
        takes_sms=True,
        callback_number="+34910000000",
    )
    match variant:
        case "":
            return one
        case "landline":
            return replace(one, takes_sms=False)
        case "named":
            return replace(one, debtor_name="Carmen Ruiz")
        case "undocumented":
            return replace(one, factor=None)
        case "cards":
            return replace(one, cards=True)
        case "agents":
            return replace(one, cards=True, agents=True)
        case "undocumented_agents":
            return replace(one, factor=None, agents=True)
    raise ValueError(variant)
