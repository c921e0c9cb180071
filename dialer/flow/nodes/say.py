"""``say``: prompts, then the next node. A key pressed over them answers the next question."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dialer.flow.nodes.base import (
    Exit,
    ExitKind,
    Go,
    Move,
    Node,
    NodeName,
    Spoken,
    SpokenList,
    say_and_wait,
    unexpected,
)
from dialer.flow.values import Input, Keys, Said, State


class SayNode(Node):
    """``barge_in: false`` for what must be heard to its end: keys are ignored meanwhile."""

    type: Literal["say"]
    say: SpokenList = Field(min_length=1)
    next: NodeName
    barge_in: bool = True

    def enter(self, name: str, state: State) -> Move:
        """Say it; skip it where there is nothing to say, or an answer has been typed ahead."""
        stay = say_and_wait(name, state, self.say, barge_in=self.barge_in)
        if not stay.commands or (state.typed and self.barge_in):
            return Go(state, self.next)
        return stay

    def answer(self, name: str, state: State, given: Input) -> Move:
        """It was said, or a key cut it short."""
        match given:
            case Said():
                return Go(state, self.next)
            case Keys(digits):
                return Go(state.with_(typed=digits), self.next)
        raise unexpected(name, given)

    def exits(self) -> tuple[Exit, ...]:
        """The next node."""
        return (Exit(ExitKind.NEXT, self.next),)

    def spoken(self) -> tuple[Spoken, ...]:
        """What it says."""
        return self.say
