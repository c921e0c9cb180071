"""``opt_out``: no more calls and messages to this person and this number."""

from __future__ import annotations

from typing import ClassVar, Literal

from dialer.domain.model import Outcome
from dialer.flow.nodes.base import Exit, ExitKind, Go, Move, Node, NodeName
from dialer.flow.values import OptOut as OptOutCommand
from dialer.flow.values import State


class OptOut(Node):
    """Takes effect at once; ``next`` confirms it."""

    opts_out: ClassVar[bool] = True

    type: Literal["opt_out"]
    next: NodeName

    def enter(self, name: str, state: State) -> Move:
        """Note it."""
        return Go(state, self.next, (OptOutCommand(name, Outcome.OPTED_OUT),))

    def exits(self) -> tuple[Exit, ...]:
        """The next node."""
        return (Exit(ExitKind.NEXT, self.next),)

    def outcomes(self) -> tuple[Outcome, ...]:
        """Opted out."""
        return (Outcome.OPTED_OUT,)
