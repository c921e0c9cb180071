"""``send_link``: a link by SMS to the number that was called, where it takes SMS."""

from __future__ import annotations

from typing import ClassVar, Literal

from dialer.domain.model import Outcome
from dialer.flow.nodes.base import Exit, ExitKind, Go, Move, Node, NodeName
from dialer.flow.values import SendLink as SendLinkCommand
from dialer.flow.values import State


class SendLink(Node):
    """``not_mobile``: where to go when the number is not known to be a mobile's."""

    needs_identity: ClassVar[bool] = True
    asks_for_money: ClassVar[bool] = True

    type: Literal["send_link"]
    next: NodeName
    not_mobile: NodeName

    def enter(self, name: str, state: State) -> Move:
        """Send it, or say kindly that it cannot be sent."""
        if not state.known.takes_sms:
            return Go(state, self.not_mobile)
        return Go(state, self.next, (SendLinkCommand(name, Outcome.LINK_SENT),))

    def exits(self) -> tuple[Exit, ...]:
        """Sent, or not a mobile."""
        return (
            Exit(ExitKind.NEXT, self.next),
            Exit(ExitKind.UNAVAILABLE, self.not_mobile),
        )

    def outcomes(self) -> tuple[Outcome, ...]:
        """Link sent."""
        return (Outcome.LINK_SENT,)
