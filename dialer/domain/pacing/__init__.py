"""How many calls to place now: with agents (a pacer for each dial mode) and without (a rate).

``make_pacer(name)`` builds one of the four dial modes; see docs/pacing.md for what each does.
A pacer is told what happened (``observe``) and asked what to do (``decide``). It keeps no clock
and throws no dice: the same events and floors give the same decisions.
"""

from __future__ import annotations

from dialer.domain.pacing.floor import (
    AgentSeat,
    AgentState,
    Decision,
    Event,
    Floor,
    Limits,
    Line,
    LineEnded,
    Outcome,
    Pacer,
    TalkEnded,
    WrapEnded,
)
from dialer.domain.pacing.making import PACERS, make_pacer
from dialer.domain.pacing.rate import CallRate, calls_to_claim

__all__ = [
    "PACERS",
    "AgentSeat",
    "AgentState",
    "CallRate",
    "Decision",
    "Event",
    "Floor",
    "Limits",
    "Line",
    "LineEnded",
    "Outcome",
    "Pacer",
    "TalkEnded",
    "WrapEnded",
    "calls_to_claim",
    "make_pacer",
]
