"""``agent``: the debtor wants a person. Noted; a person calls back."""

from __future__ import annotations

from typing import Literal

from dialer.domain.model import Outcome
from dialer.flow.nodes.base import Exit, ExitKind, Go, Move, Node, NodeName
from dialer.flow.values import Conclude, State


class Agent(Node):
    """``outcome``: ``wants_agent``, or ``callback`` where nobody answers at once anyway."""

    type: Literal["agent"]
    outcome: Literal["wants_agent", "callback"] = "wants_agent"
    next: NodeName

    def enter(self, name: str, state: State) -> Move:
        """Note it."""
        return Go(state, self.next, (Conclude(name, Outcome(self.outcome)),))

    def exits(self) -> tuple[Exit, ...]:
        """The next node."""
        return (Exit(ExitKind.NEXT, self.next),)

    def outcomes(self) -> tuple[Outcome, ...]:
        """As configured."""
        return (Outcome(self.outcome),)
