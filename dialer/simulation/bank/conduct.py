"""How the simulated bank decides and how it answers, by behaviour. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dialer.simulation.cards import Behaviour


class Verdict(StrEnum):
    """What is decided about a submission."""

    APPROVE = "approve"
    DECLINE = "decline"
    ACTION = "action"
    REFUSE = "refuse"
    NOTHING = "nothing"  # it never reaches the bank's books
    LATER = "later"  # decided when the answer is given


class Manner(StrEnum):
    """How the answer comes."""

    PLAIN = "plain"
    SLOW = "slow"
    SILENT = "silent"  # later than anybody waits
    DROP = "drop"  # the connection is cut
    RUBBISH = "rubbish"
    ERROR = "error"  # 500
    BUSY = "busy"  # 429


class Hooks(StrEnum):
    """How webhooks come."""

    ONCE = "once"
    TWICE = "twice"
    DISORDERED = "disordered"
    LATE = "late"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Conduct:
    """All three. ``reason`` is Stripe's word for a decline; faces translate it."""

    verdict: Verdict = Verdict.APPROVE
    manner: Manner = Manner.PLAIN
    hooks: Hooks = Hooks.ONCE
    reason: str | None = None


_DECLINED = Verdict.DECLINE
_NOTHING = Verdict.NOTHING

CONDUCT: dict[Behaviour, Conduct] = {
    Behaviour.APPROVE: Conduct(),
    Behaviour.INSUFFICIENT_FUNDS: Conduct(_DECLINED, reason="insufficient_funds"),
    Behaviour.DO_NOT_HONOUR: Conduct(_DECLINED, reason="do_not_honor"),
    Behaviour.SOFT_THEN_APPROVE: Conduct(_DECLINED, reason="insufficient_funds"),
    Behaviour.STOLEN: Conduct(_DECLINED, reason="stolen_card"),
    Behaviour.LOST: Conduct(_DECLINED, reason="lost_card"),
    Behaviour.NEEDS_ACTION: Conduct(Verdict.ACTION, reason="authentication_required"),
    Behaviour.SLOW: Conduct(manner=Manner.SLOW),
    Behaviour.SILENT: Conduct(manner=Manner.SILENT),
    Behaviour.LATE: Conduct(Verdict.LATER, Manner.SILENT),
    Behaviour.DROPPED_AFTER: Conduct(manner=Manner.DROP),
    Behaviour.DROPPED_BEFORE: Conduct(_NOTHING, Manner.DROP),
    Behaviour.RUBBISH: Conduct(manner=Manner.RUBBISH),
    Behaviour.RUBBISH_UNCHARGED: Conduct(_NOTHING, Manner.RUBBISH),
    Behaviour.ERROR_500: Conduct(_NOTHING, Manner.ERROR),
    Behaviour.ERROR_500_CHARGED: Conduct(manner=Manner.ERROR),
    Behaviour.BUSY: Conduct(_NOTHING, Manner.BUSY),
    Behaviour.CONFIGURATION: Conduct(Verdict.REFUSE, reason="merchant_not_allowed"),
    Behaviour.TWICE: Conduct(hooks=Hooks.TWICE),
    Behaviour.DISORDERED: Conduct(hooks=Hooks.DISORDERED),
    Behaviour.WEBHOOK_LATE: Conduct(hooks=Hooks.LATE),
    Behaviour.WEBHOOK_NEVER: Conduct(hooks=Hooks.NEVER),
}
