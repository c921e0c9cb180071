"""What questions share: keys, tries, repeats, and what happens when nothing useful comes.

Every asking is counted. ``tries`` askings that come to nothing end the question by the way out of
the last failure; ``repeats`` are those the debtor asked for with a key.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field

from dialer.flow.errors import FlowError
from dialer.flow.nodes.base import (
    Exit,
    ExitKind,
    Go,
    Move,
    Node,
    NodeName,
    Spoken,
    SpokenList,
    Stay,
    Strict,
    say,
)
from dialer.flow.values import Collect, Command, Keys, NoteKey, State, Wait

REPEAT: Final = "repeat"
"""As the target of a key: ask again. No node can have this name."""


def _keys_as_text(value: Any) -> Any:
    # YAML reads an unquoted 1 as a number, which is what people write.
    return {str(key): target for key, target in value.items()} if isinstance(value, dict) else value


KeyMap = Annotated[
    dict[Annotated[str, Field(pattern=r"^[0-9*]$")], NodeName], BeforeValidator(_keys_as_text)
]


class Retry(Strict):
    """What is said before the question is asked again, and where to go after the last try."""

    say: SpokenList = ()
    then: NodeName | None = None


class Question(Node):
    """A node that waits for keys."""

    question: ClassVar[bool] = True
    in_vain: ClassVar[str] = ""
    """What a question that came to nothing is called; its node's name where it has no word."""

    say: SpokenList = Field(min_length=1)
    keys: KeyMap = Field(default_factory=dict)
    tries: int = Field(3, ge=1, le=5)
    repeats: int = Field(3, ge=0, le=9)
    first_timeout: float = Field(6.0, ge=1, le=30)
    inter_timeout: float = Field(3.0, ge=1, le=15)
    on_timeout: Retry = Retry()

    @property
    def wanted(self) -> int:
        """How many keys an answer has."""
        return 1

    @property
    def most_asked(self) -> int:
        """How often it can be asked in one visit."""
        return self.tries + self.repeats

    def enter(self, name: str, state: State) -> Move:
        """Ask, or take what was pressed ahead over the prompt before."""
        typed, state = state.typed, state.with_(asked=0, repeated=0, typed="")
        if len(typed) >= self.wanted:
            return self.answer(name, state, Keys(typed))
        if typed:
            return Stay(state.with_(wait=Wait.KEYS), (self._collect(name, typed),))
        return self.ask(name, state, ())

    def ask(self, name: str, state: State, before: tuple[Spoken, ...], *noted: Command) -> Stay:
        """Say what comes ``before``, then the question, and wait for keys."""
        prompts = say(name, state, before + self.say, barge_in=True)
        saying = (prompts,) if prompts else ()
        return Stay(state.with_(wait=Wait.KEYS), (*noted, *saying, self._collect(name)))

    def _collect(self, name: str, typed: str = "") -> Collect:
        return Collect(
            name,
            keys="".join(sorted(self.keys)),
            max_digits=self.wanted,
            first_timeout=self.first_timeout,
            inter_timeout=self.inter_timeout,
            typed=typed,
        )

    def fail(self, name: str, state: State, way: Retry, *noted: Command) -> Move:
        """This asking came to nothing."""
        asked = state.asked + 1
        if asked < self.tries:
            return self.ask(name, state.with_(asked=asked), way.say, *noted)
        return self.leave(name, state, way, *noted)

    def leave(self, name: str, state: State, way: Retry, *noted: Command) -> Go:
        """The way out after the last try; a flow that passed the validator always has one."""
        if way.then is None:
            raise FlowError(f"node {name}: no way out after the last try; add its `then`")
        return Go(state.with_(why=self.in_vain or name), way.then, noted)

    def press(self, name: str, state: State, key: str, wrong: Retry) -> Move:
        """A key with a meaning of its own, or one that has none."""
        noted = NoteKey(name, key)
        target = self.keys.get(key)
        if target == REPEAT and state.repeated < self.repeats:
            return self.ask(name, state.with_(repeated=state.repeated + 1), (), noted)
        if target is None or target == REPEAT:
            return self.fail(name, state, wrong, noted)
        return Go(state.with_(why=name), target, (noted,))

    def key_exits(self) -> tuple[Exit, ...]:
        """The ways out by a key; a repeat leads nowhere else."""
        return tuple(
            Exit(ExitKind.KEY, target, key)
            for key, target in sorted(self.keys.items())
            if target != REPEAT
        )

    def spoken(self) -> tuple[Spoken, ...]:
        """The question, and what is said after a time-out."""
        return (*self.say, *self.on_timeout.say)
