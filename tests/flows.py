"""What the tests of flows share: the shipped flows, and a debtor."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

from dialer.domain.model import Money
from dialer.flow.model import Flow, load_named
from dialer.flow.prompts import Prompts, load_prompts
from dialer.flow.values import Facts

FLOWS = Path(__file__).parent.parent / "ivr_flows"
FACTOR = "5678"
TODAY = date(2026, 3, 10)


@cache
def shipped(name: str) -> Flow:
    """A flow that comes with the product."""
    return load_named(FLOWS, name)


@cache
def texts(language: str) -> Prompts:
    """The prompts that come with the product."""
    return load_prompts(FLOWS, language)


def facts(language: str = "es", variant: str = "") -> Facts:
    """A debtor; ``variant``: landline, named, undocumented, or cards."""
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
    raise ValueError(variant)
