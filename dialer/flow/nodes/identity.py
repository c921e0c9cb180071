"""``identity``: the last digits of the document, before a word about the debt.

The digits typed are compared here and go nowhere else: they are noted as ``x`` each.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dialer.flow.nodes.base import Exit, ExitKind, Go, Move, NodeName, Spoken, unexpected
from dialer.flow.nodes.question import Question, Retry
from dialer.flow.values import ConfirmIdentity, Input, Keys, NoteKey, State, TimedOut

FACTOR_DIGITS = 4


def factor_of(document: str) -> str | None:
    """The last four digits among the characters of a document, None where there are fewer."""
    digits = "".join(c for c in document if c.isascii() and c.isdigit())
    return digits[-FACTOR_DIGITS:] if len(digits) >= FACTOR_DIGITS else None


class Identity(Question):
    """``matched`` is the only way to what discloses. ``attempts`` entries that do not match end
    it. ``unavailable``: the document has no four digits. A key of ``keys`` counts when it is
    pressed alone (then a time-out or ``#``)."""

    in_vain: ClassVar[str] = "no_identity"

    type: Literal["identity"]
    matched: NodeName
    attempts: int = Field(2, ge=1, le=3)
    on_no_match: Retry = Retry()
    unavailable: NodeName | None = None

    @property
    def wanted(self) -> int:
        """Four digits."""
        return FACTOR_DIGITS

    @property
    def most_asked(self) -> int:
        """Entries that do not match have their own count."""
        return super().most_asked + self.attempts

    def enter(self, name: str, state: State) -> Move:
        """Ask, unless there is nothing to compare with."""
        if state.known.factor is None and self.unavailable is not None:
            return Go(state.with_(typed="", why=self.in_vain), self.unavailable)
        return super().enter(name, state)

    def answer(self, name: str, state: State, given: Input) -> Move:
        """The right digits, others, a key of its own, or nothing."""
        match given:
            case TimedOut():
                return self.fail(name, state, self.on_timeout)
            case Keys(digits):
                return self._compare(name, state, digits)
        raise unexpected(name, given)

    def _compare(self, name: str, state: State, digits: str) -> Move:
        if len(digits) == 1 and (digits in self.keys or digits == "#"):
            return self.press(name, state, digits, self.on_timeout)
        noted = NoteKey(name, "x" * len(digits))
        if digits == state.known.factor:
            confirmed = state.with_(identified=True)
            return Go(confirmed, self.matched, (noted, ConfirmIdentity(name)))
        missed = state.missed + 1
        if missed < self.attempts:
            return self.ask(name, state.with_(missed=missed), self.on_no_match.say, noted)
        return self.leave(name, state, self.on_no_match, noted)

    def exits(self) -> tuple[Exit, ...]:
        """Matched, not matched, no key, and the keys of its own."""
        found = [Exit(ExitKind.MATCHED, self.matched), *self.key_exits()]
        for kind, target in (
            (ExitKind.TIMEOUT, self.on_timeout.then),
            (ExitKind.NO_MATCH, self.on_no_match.then),
            (ExitKind.UNAVAILABLE, self.unavailable),
        ):
            if target:
                found.append(Exit(kind, target))
        return tuple(found)

    def spoken(self) -> tuple[Spoken, ...]:
        """The question and what is said before it is asked again."""
        return (*super().spoken(), *self.on_no_match.say)
