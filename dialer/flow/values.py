"""What goes into the interpreter and what comes out of it, as values.

``State`` is small, frozen and JSON-serialisable: a session can be put away between any two steps
and taken up by another process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from pydantic import TypeAdapter

from dialer.domain.model import Money, Outcome
from dialer.domain.payment import PayResult, PaySpec


@dataclass(frozen=True, slots=True)
class Facts:
    """What a flow may know about the call.

    ``today`` is the debtor's own calendar day. ``company`` and ``debtor_name`` are as they are
    said. ``factor``: the last digits of the document, None where it has too few. ``debtor_name``
    is None unless a sound file of it exists. ``takes_sms``: the number called is a mobile's.
    ``amount``: what may be paid now. ``cards``: a card can be taken in this call. ``agents``:
    people may work here; whether one does is asked when one is wanted.
    """

    language: str
    today: date
    company: str
    amount: Money
    due_date: date
    factor: str | None = None
    takes_sms: bool = False
    debtor_name: str | None = None
    callback_number: str | None = None
    cards: bool = False
    agents: bool = False


class Wait(StrEnum):
    """What a session is waiting for."""

    START = "start"
    SAID = "said"  # a prompt is being said
    KEYS = "keys"  # a question has been asked
    PAYMENT = "payment"  # a card is being taken
    AGENT = "agent"  # a person is asked for
    NOTHING = "nothing"  # it is over


@dataclass(frozen=True, slots=True)
class State:
    """Where a session stands.

    ``asked`` and ``repeated`` count within the present visit of a question: askings that came to
    nothing, repeats asked for. ``missed``, factors that did not match, and ``gone_back``, how
    often each go-back was taken, count in the whole session, so that going back gives nobody more
    guesses. ``typed``: keys pressed ahead, not used yet. ``why``: the last question or payment that
    led on, or that came to nothing; what an agent is told.
    """

    wait: Wait = Wait.START
    node: str | None = None
    facts: Facts | None = None
    asked: int = 0
    missed: int = 0
    repeated: int = 0
    gone_back: tuple[tuple[str, int], ...] = ()
    visits: int = 0
    typed: str = ""
    keyed: bool = False
    identified: bool = False
    promised: date | None = None
    outcome: Outcome | None = None
    why: str = ""

    def with_(self, **changes: object) -> State:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def known(self) -> Facts:
        """The facts; only absent before the start."""
        if self.facts is None:
            raise ValueError("the session has not started")
        return self.facts

    def to_json(self) -> str:
        """For storage; holds personal data (amount, factor)."""
        return _STATE.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> State:
        """The state that ``to_json`` wrote. Raises pydantic.ValidationError for anything else."""
        return _STATE.validate_json(text)


_STATE = TypeAdapter(State)


# --- inputs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The call is up."""

    facts: Facts


@dataclass(frozen=True, slots=True)
class Keys:
    """The answer to a question, or keys pressed over a prompt; ``#`` alone where only that came."""

    digits: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No key came to a question."""


@dataclass(frozen=True, slots=True)
class Said:
    """A prompt was said to its end."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The far end is gone."""


@dataclass(frozen=True, slots=True)
class PaymentDone:
    """The taking of a payment is over."""

    result: PayResult


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The debtor waits for a person now; the flow is over and the call is not."""


@dataclass(frozen=True, slots=True)
class NobodyThere:
    """Nobody works who could be waited for."""


Input = Started | Keys | TimedOut | Said | HungUp | PaymentDone | HandedOver | NobodyThere


# --- commands --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command:
    """Something to be done, for the node that asks for it, in the order given."""

    node: str


@dataclass(frozen=True, slots=True)
class Say(Command):
    """Say these prompts (keys of the prompt file). A ``Collect`` behind it takes its answer from
    here on; without one, the next input is ``Said``, or ``Keys`` where ``barge_in``."""

    prompts: tuple[str, ...]
    barge_in: bool = True


@dataclass(frozen=True, slots=True)
class Collect(Command):
    """Wait for up to ``max_digits`` keys. ``typed`` are there already. Seconds: ``first_timeout``
    to the first key, ``inter_timeout`` between two. ``keys``: those that mean something."""

    keys: str
    max_digits: int
    first_timeout: float
    inter_timeout: float
    typed: str = ""


@dataclass(frozen=True, slots=True)
class TakePayment(Command):
    """Let the debtor pay by card; the next input is ``PaymentDone``, or ``HungUp``."""

    spec: PaySpec


@dataclass(frozen=True, slots=True)
class Escalate(Command):
    """Hand the debtor over to a person, which concludes ``wants_agent``; the next input is
    ``HandedOver``, ``NobodyThere`` or ``HungUp``. ``reason``: why, in a short word; ``priority``:
    higher goes first."""

    skill: str
    reason: str
    priority: int


@dataclass(frozen=True, slots=True)
class NoteKey(Command):
    """A choice was made; a factor's digits are ``x`` each."""

    key: str


@dataclass(frozen=True, slots=True)
class ConfirmIdentity(Command):
    """From here on the debt may be spoken of."""


@dataclass(frozen=True, slots=True)
class Conclude(Command):
    """The flow has come to this outcome; every effect below is a conclusion too."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class MakePromise(Conclude):
    """The debtor promised to pay by ``due``."""

    due: date


@dataclass(frozen=True, slots=True)
class SendLink(Conclude):
    """Send the link to the number that was called."""


@dataclass(frozen=True, slots=True)
class OptOut(Conclude):
    """No more calls and messages to this person and this number."""


@dataclass(frozen=True, slots=True)
class End(Command):
    """Hang up."""


Effect = ConfirmIdentity | Conclude
