"""``end``: conclude, say goodbye, hang up."""

from __future__ import annotations

from typing import Literal

from dialer.domain.model import Outcome
from dialer.flow.nodes.base import Exit, Move, Node, Spoken, SpokenList, Stay, say, unexpected
from dialer.flow.values import Command, Conclude, Input, Keys, Said, State, Wait
from dialer.flow.values import End as EndCommand

Plain = Literal["wrong_person", "refused_identity", "wants_agent", "callback"]
"""Outcomes that are nothing but a conclusion; the others come of their own node types."""


class End(Node):
    """``outcome`` where this end means one. Without any so far, a session in which a key was
    pressed is ``incomplete``, any other ``no_input``."""

    type: Literal["end"]
    say: SpokenList = ()
    outcome: Plain | None = None

    def enter(self, name: str, state: State) -> Move:
        """The conclusion comes before the goodbye: who hangs up over it has concluded."""
        commands: tuple[Command, ...] = ()
        if self.outcome is not None:
            commands = (Conclude(name, Outcome(self.outcome)),)
        elif state.outcome is None:
            commands = (Conclude(name, Outcome.INCOMPLETE if state.keyed else Outcome.NO_INPUT),)
        goodbye = say(name, state, self.say, barge_in=False)
        if goodbye is None:
            return Stay(state.with_(wait=Wait.NOTHING), (*commands, EndCommand(name)))
        return Stay(state.with_(wait=Wait.SAID), (*commands, goodbye))

    def answer(self, name: str, state: State, given: Input) -> Move:
        """The goodbye was said."""
        if isinstance(given, Said | Keys):
            return Stay(state.with_(wait=Wait.NOTHING), (EndCommand(name),))
        raise unexpected(name, given)

    def exits(self) -> tuple[Exit, ...]:
        """None."""
        return ()

    def spoken(self) -> tuple[Spoken, ...]:
        """The goodbye."""
        return self.say

    def outcomes(self) -> tuple[Outcome, ...]:
        """Its own, where it has one."""
        return (Outcome(self.outcome),) if self.outcome else ()
