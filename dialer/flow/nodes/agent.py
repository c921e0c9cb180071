"""``agent``: the debtor wants a person, or needs one.

Where somebody works the debtor is handed over and the flow is over; the call goes on in the queue
of the dialplan. Where nobody does, that a person is wanted is noted, or the flow goes on elsewhere.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dialer.domain.model import Outcome
from dialer.flow.nodes.base import Exit, ExitKind, Go, Move, Node, NodeName, Stay, unexpected
from dialer.flow.values import Conclude, Escalate, HandedOver, Input, NobodyThere, State, Wait


class Agent(Node):
    """``next``: nobody is there; ``outcome`` is noted, and a person calls back. ``nobody`` instead:
    nobody is there, nothing is noted, and the flow goes on. ``skill``: which agents ("": all).
    ``reason``: what the agent is told of why; without it, where the debtor came from."""

    type: Literal["agent"]
    outcome: Literal["wants_agent", "callback"] = "wants_agent"
    next: NodeName | None = None
    nobody: NodeName | None = None
    skill: str = Field("", pattern=r"^[A-Za-z0-9_-]{0,40}$")
    reason: str = Field("", pattern=r"^[A-Za-z0-9_-]{0,60}$")
    priority: int = Field(0, ge=-9, le=9)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.next is None) == (self.nobody is None):
            raise ValueError("needs one of next (noted, somebody calls back) and nobody (goes on)")
        return self

    def enter(self, name: str, state: State) -> Move:
        """Ask for a person, where there may be one."""
        if not state.known.agents:
            return self._nobody(name, state)
        reason = (self.reason or state.why or name)[:60]
        asked = Escalate(name, self.skill, reason, self.priority)
        return Stay(state.with_(wait=Wait.AGENT, typed=""), (asked,))

    def answer(self, name: str, state: State, given: Input) -> Move:
        """The debtor waits for one now, or there is none."""
        match given:
            case HandedOver():
                over = state.with_(wait=Wait.NOTHING, outcome=state.outcome or Outcome.WANTS_AGENT)
                return Stay(over, ())
            case NobodyThere():
                return self._nobody(name, state)
        raise unexpected(name, given)

    def _nobody(self, name: str, state: State) -> Move:
        if self.next is not None:
            return Go(state, self.next, (Conclude(name, Outcome(self.outcome)),))
        assert self.nobody is not None, "one of the two is there"
        return Go(state, self.nobody)

    def exits(self) -> tuple[Exit, ...]:
        """Only where nobody is there; who is handed over has left the flow."""
        if self.next is not None:
            return (Exit(ExitKind.NEXT, self.next),)
        assert self.nobody is not None, "one of the two is there"
        return (Exit(ExitKind.UNAVAILABLE, self.nobody, "nobody"),)

    def outcomes(self) -> tuple[Outcome, ...]:
        """As configured, and that a person was wanted."""
        noted = (Outcome(self.outcome),) if self.next is not None else ()
        return tuple(dict.fromkeys((*noted, Outcome.WANTS_AGENT)))

    @property
    def about(self) -> str:
        """Which people, and how urgently."""
        skill = f"skill {self.skill}" if self.skill else ""
        reason = f"for {self.reason}" if self.reason else ""
        priority = f"priority {self.priority}" if self.priority else ""
        return ", ".join(filter(None, (skill, reason, priority)))
