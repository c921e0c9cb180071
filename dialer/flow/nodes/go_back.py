"""``go_back``: the only way to lead back to an earlier node, and counted, so that it ends."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dialer.flow.nodes.base import Exit, ExitKind, Go, Move, Node, NodeName
from dialer.flow.values import State


class GoBack(Node):
    """To ``to`` for ``times`` times in a session, then to ``then``."""

    type: Literal["go_back"]
    to: NodeName
    times: int = Field(2, ge=1, le=5)
    then: NodeName

    def enter(self, name: str, state: State) -> Move:
        """Back, while there are times left."""
        counts = dict(state.gone_back)
        used = counts.get(name, 0)
        if used >= self.times:
            return Go(state, self.then)
        counts[name] = used + 1
        return Go(state.with_(gone_back=tuple(sorted(counts.items()))), self.to)

    def exits(self) -> tuple[Exit, ...]:
        """Back, or on."""
        return (Exit(ExitKind.BACK, self.to), Exit(ExitKind.NEXT, self.then))
