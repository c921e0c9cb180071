"""``menu``: a question with one key for an answer."""

from __future__ import annotations

from typing import Literal

from dialer.flow.nodes.base import Exit, ExitKind, Move, Spoken, unexpected
from dialer.flow.nodes.question import Question, Retry
from dialer.flow.values import Input, Keys, State, TimedOut


class Menu(Question):
    """``keys``: key -> node, or ``repeat``."""

    type: Literal["menu"]
    on_wrong_key: Retry = Retry()

    def answer(self, name: str, state: State, given: Input) -> Move:
        """A key of the menu, another key, or none."""
        match given:
            case Keys(digits):
                return self.press(name, state, digits[0], self.on_wrong_key)
            case TimedOut():
                return self.fail(name, state, self.on_timeout)
        raise unexpected(name, given)

    def exits(self) -> tuple[Exit, ...]:
        """By key, by time-out, by wrong key."""
        found = list(self.key_exits())
        if self.on_timeout.then:
            found.append(Exit(ExitKind.TIMEOUT, self.on_timeout.then))
        if self.on_wrong_key.then:
            found.append(Exit(ExitKind.WRONG_KEY, self.on_wrong_key.then))
        return tuple(found)

    def spoken(self) -> tuple[Spoken, ...]:
        """The question and what is said before it is asked again."""
        return (*super().spoken(), *self.on_wrong_key.say)
