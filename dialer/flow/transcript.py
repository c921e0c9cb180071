"""A session without telephony, written down: for people who try a flow, and for tests.

Answers are words: ``1`` or ``5678`` keys, ``-`` no key until the time is up, ``x`` hangs up,
``=success`` (or another ``PayResult``) what became of a payment, ``=agent`` and ``=nobody`` whether
somebody works when a person is asked for. A word with ``~``
before it comes while a prompt is being said that asks nothing (``~x``, ``~2``); without one such
a prompt is heard to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dialer.domain.payment import PayResult
from dialer.flow.errors import FlowError
from dialer.flow.fragments import words
from dialer.flow.interpreter import step
from dialer.flow.model import Flow
from dialer.flow.prompts import Prompts, spoken
from dialer.flow.values import (
    Collect,
    Command,
    Conclude,
    ConfirmIdentity,
    End,
    Escalate,
    Facts,
    HandedOver,
    HungUp,
    Input,
    Keys,
    MakePromise,
    NobodyThere,
    NoteKey,
    OptOut,
    PaymentDone,
    Said,
    Say,
    SendLink,
    Started,
    State,
    TakePayment,
    TimedOut,
    Wait,
)


class Session:
    """One session; after every step its state is put away as JSON and taken up again."""

    def __init__(self, flow: Flow, prompts: Prompts, facts: Facts) -> None:
        self._flow = flow
        self._prompts = prompts
        self._facts = facts
        self.state = State()

    def start(self) -> list[str]:
        """What happens first."""
        return self.give(Started(self._facts))

    def give(self, given: Input) -> list[str]:
        """Apply one input; what comes of it, a line each. Raises FlowError for one that cannot
        come here."""
        if self.state.wait is Wait.PAYMENT and not isinstance(given, PaymentDone | HungUp):
            raise FlowError(
                f"a payment is under way at {self.state.node}: answer what becomes of it, as "
                "=success or =declined, or x to hang up"
            )
        if self.state.wait is Wait.AGENT and not isinstance(
            given, HandedOver | NobodyThere | HungUp
        ):
            raise FlowError(
                f"a person is asked for at {self.state.node}: answer whether one works, as =agent "
                "or =nobody, or x to hang up"
            )
        state, commands = step(self._flow, self.state, given)
        lines = [line for command in commands for line in self._lines(command, state)]
        self.state = State.from_json(state.to_json())
        return lines

    @property
    def over(self) -> bool:
        """Whether nothing more can come."""
        return self.state.wait is Wait.NOTHING

    @property
    def asks(self) -> bool:
        """Whether it waits for keys, for the result of a payment, or for a person."""
        return self.state.wait in (Wait.KEYS, Wait.PAYMENT, Wait.AGENT)

    def _lines(self, command: Command, state: State) -> Iterator[str]:
        match command:
            case Say():
                for key in command.prompts:
                    yield f"says {key}: {words(spoken(self._prompts, key, state))}"
            case Collect():
                typed = f", {len(command.typed)} typed already" if command.typed else ""
                yield (
                    f"asks {command.node}: up to {command.max_digits} of [{command.keys}], "
                    f"{command.first_timeout:g} s{typed}"
                )
            case TakePayment():
                yield (
                    f"takes a payment at {command.node}: {command.spec.mode} "
                    f"{' or '.join(command.spec.amounts)}"
                )
            case Escalate():
                which = f", skill {command.skill}" if command.skill else ""
                which += f", priority {command.priority}" if command.priority else ""
                yield f"asks for a person at {command.node}: {command.reason}{which}"
            case NoteKey():
                yield f"notes key {command.key} at {command.node}"
            case ConfirmIdentity():
                yield "confirms the identity"
            case MakePromise():
                yield f"concludes {command.outcome} at {command.node}: by {command.due}"
            case OptOut():
                yield f"concludes {command.outcome} at {command.node}: no more calls and messages"
            case SendLink():
                yield f"concludes {command.outcome} at {command.node}: message with the link"
            case Conclude():
                yield f"concludes {command.outcome} at {command.node}"
            case End():
                yield "ends"


def as_input(word: str) -> Input:
    """The input that a word means. Raises FlowError for a word that is none."""
    if word == "-":
        return TimedOut()
    if word == "x":
        return HungUp()
    if word in ("=agent", "=nobody"):
        return HandedOver() if word == "=agent" else NobodyThere()
    if word.startswith("="):
        try:
            return PaymentDone(PayResult(word[1:]))
        except ValueError:
            results = ", ".join(PayResult)
            raise FlowError(
                f"{word!r} is no result of a payment: use one of {results} (for a person: =agent, "
                "=nobody)"
            ) from None
    if word and all(c in "0123456789*#" for c in word):
        return Keys(word)
    raise FlowError(
        f"{word!r} is no answer: keys (0-9, *, #), - for none, x to hang up, "
        "= and a result for a payment (=success), =agent or =nobody for a person"
    )


def play(flow: Flow, prompts: Prompts, facts: Facts, answers: Iterable[str]) -> list[str]:
    """A whole session with these answers; when they run out, the debtor hangs up.

    Raises FlowError for an answer that is none, and for one too many.
    """
    session = Session(flow, prompts, facts)
    lines = session.start()
    left = list(answers)
    while not session.over:
        if session.asks or (left and left[0].startswith("~")):
            word = left.pop(0) if left else "x"
            lines.append(f"> {word}")
            lines += session.give(as_input(word if session.asks else word[1:]))
        else:
            lines += session.give(Said())
    if left:
        raise FlowError(f"the session was over before the answer {left[0]!r}")
    return lines
