"""What every node type is: a checked piece of YAML with three answers.

``enter``: what happens when the session comes to it. ``answer``: what follows an input while it
waits there. ``exits``: where it can lead, which is all that the validator and the drawing know.
A new node type is one file here and one line in ``dialer.flow.nodes``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dialer.domain.model import Outcome
from dialer.flow.errors import FlowError
from dialer.flow.values import Command, Input, Say, State, Wait

NodeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
PromptKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Strict(BaseModel):
    """Frozen; an unknown word is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Spoken(Strict):
    """A prompt, or ``prompt`` when the fact ``when`` is known and ``otherwise`` when it is not."""

    prompt: PromptKey
    when: str | None = None
    otherwise: PromptKey | None = None

    @property
    def choices(self) -> tuple[tuple[str, str | None], ...]:
        """(prompt, the optional value that is known when it is said)."""
        first = ((self.prompt, self.when),)
        return first + (((self.otherwise, None),) if self.otherwise else ())

    def chosen(self, state: State) -> str | None:
        """The prompt to say now, or None for none."""
        if self.when is None or getattr(state.known, self.when, None) is not None:
            return self.prompt
        return self.otherwise


def _spoken_list(value: Any) -> Any:
    items = value if isinstance(value, list) else [value]
    return [{"prompt": item} if isinstance(item, str) else item for item in items]


SpokenList = Annotated[tuple[Spoken, ...], BeforeValidator(_spoken_list)]


class ExitKind(StrEnum):
    """Why a session leaves a node this way."""

    KEY = "key"
    NEXT = "next"
    TIMEOUT = "timeout"
    WRONG_KEY = "wrong_key"
    MATCHED = "matched"  # the identity is proven
    NO_MATCH = "no_match"
    UNAVAILABLE = "unavailable"
    RESULT = "result"  # what became of a payment; the label says which
    BACK = "back"  # counted: what makes a loop end


@dataclass(frozen=True, slots=True)
class Exit:
    """One way out; ``label`` is the key, or the result of a payment."""

    kind: ExitKind
    target: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Stay:
    """Give these commands and wait for an input."""

    state: State
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Go:
    """Give these commands and enter the next node."""

    state: State
    target: str
    commands: tuple[Command, ...] = field(default=())


Move = Stay | Go


class Node(Strict):
    """Base of the node types; ``type`` in the YAML picks the class."""

    question: ClassVar[bool] = False
    """It waits for keys of the debtor."""
    opts_out: ClassVar[bool] = False
    needs_identity: ClassVar[bool] = False
    """It says or does something about the debt: only for a proven identity."""
    asks_for_money: ClassVar[bool] = False
    """It lets the debtor pay, or promise to: never behind a payment made or not yet known."""
    gives: ClassVar[frozenset[str]] = frozenset()
    """Values that prompts may use behind this node."""

    type: str

    @property
    def most_asked(self) -> int:
        """How often the debtor can be asked for keys in one visit."""
        return 0

    def enter(self, name: str, state: State) -> Move:
        """The session comes to this node."""
        raise NotImplementedError

    def answer(self, name: str, state: State, given: Input) -> Move:
        """``given`` came while the session waits here."""
        raise unexpected(name, given)

    def exits(self) -> tuple[Exit, ...]:
        """Every way out."""
        raise NotImplementedError

    def spoken(self) -> tuple[Spoken, ...]:
        """Every prompt it can say."""
        return ()

    @property
    def about(self) -> str:
        """What it does, where neither its type nor its first prompt tells; ''."""
        return ""

    def outcomes(self) -> tuple[Outcome, ...]:
        """What it can conclude."""
        return ()


def say(name: str, state: State, spoken: tuple[Spoken, ...], *, barge_in: bool) -> Say | None:
    """The command for these prompts, or None where there is nothing to say."""
    chosen = tuple(key for one in spoken if (key := one.chosen(state)) is not None)
    return Say(name, chosen, barge_in) if chosen else None


def say_and_wait(name: str, state: State, spoken: tuple[Spoken, ...], *, barge_in: bool) -> Stay:
    """Say prompts and wait for their end."""
    command = say(name, state, spoken, barge_in=barge_in)
    return Stay(state.with_(wait=Wait.SAID), (command,) if command else ())


def unexpected(name: str, given: Input) -> FlowError:
    """An input that the node cannot be waiting for: a fault of the renderer, not of the flow."""
    return FlowError(f"node {name}: {type(given).__name__} came, which it does not wait for")
