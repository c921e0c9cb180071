"""What goes into a payment conversation and what comes out of it, as values.

No value here can hold a card number or a security code: whoever leads the debtor (the payment
process) keeps the digits and gives the conversation verdicts on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from dialer.domain.model import Money
from dialer.domain.payment import (
    AmountChoice,
    Brand,
    FieldUse,
    PayError,
    PaymentOutcome,
    PayOffer,
    PayResult,
    PaySpec,
    PayStep,
    PayTimes,
)

Value = Money | Brand | str
"""What a placeholder stands for: an amount, a brand, or characters said one by one."""


# --- inputs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Began:
    """The conversation starts.

    ``spec``: of the node, with ``brands``, ``security_code`` and ``postal_code`` narrowed to what
    the gateway takes. ``resumed_minor``: the amount agreed to in an earlier call that broke off.
    ``link``/``person``: whether there is a link or a person to offer; ``receipt``: whether one
    goes out by message.
    """

    spec: PaySpec
    offer: PayOffer
    resumed_minor: int | None = None
    link: bool = True
    person: bool = True
    receipt: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answer to ``AskKey``: one key, perhaps one that was not among those asked for."""

    key: str


@dataclass(frozen=True, slots=True)
class AmountKeyed:
    """The answer to ``AskAmount`` in whole major units; None: only `#`, or far too many digits."""

    major: int | None


@dataclass(frozen=True, slots=True)
class FieldKeyed:
    """The verdict on the answer to ``AskField`` (see ``entry.judge``).

    ``brand`` and ``last_four`` with an accepted card number only. ``left_out``: an optional field
    was answered with nothing, so there is nothing to key in a second time.
    """

    step: PayStep
    problem: PayError | None = None
    brand: Brand | None = None
    last_four: str | None = None
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class NoKey:
    """Nothing at all was keyed in, in time."""


@dataclass(frozen=True, slots=True)
class Again:
    """`*`: the field is keyed anew, the question asked again."""


@dataclass(frozen=True, slots=True)
class Leave:
    """`**`: the debtor wants out."""


@dataclass(frozen=True, slots=True)
class KeysLost:
    """Keys may have been missed: what was keyed in is void."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of ``Submit``. ``auth_code``: what the debtor is told."""

    outcome: PaymentOutcome
    auth_code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It cannot go on and nothing was charged: the answer to ``Submit``, or at any other time
    (``limit-reached``, ``nothing-owed``, ``card-entry-unavailable``,
    ``payment-connector-error``, ``internal-error``)."""

    result: PayResult


@dataclass(frozen=True, slots=True)
class HungUp:
    """The debtor is gone. While a payment is on its way its outcome is still to be given."""


Given = (
    Began
    | Chosen
    | AmountKeyed
    | FieldKeyed
    | NoKey
    | Again
    | Leave
    | KeysLost
    | Submitted
    | Refused
    | HungUp
)


# --- commands --------------------------------------------------------------------------------
# To be carried out in order. The last one of every answer is the one that is waited for: one of
# AskKey, AskAmount, AskField, Submit (each answered by an input) or Finish (nothing more comes).


@dataclass(frozen=True, slots=True)
class Line:
    """A prompt and what its placeholders stand for."""

    prompt: str
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Say:
    """Say these prompts. Where an Ask is the next Say-or-Ask, a key cuts it short and is the first
    key of the answer; otherwise it is said to its end."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class AskKey:
    """One key of ``keys``. Answers: Chosen, NoKey, Again, Leave, KeysLost."""

    step: PayStep
    keys: str
    times: PayTimes


@dataclass(frozen=True, slots=True)
class AskAmount:
    """Whole major units, ended by `#`. Answers: AmountKeyed, NoKey, Again, Leave, KeysLost."""

    times: PayTimes


class Entry(StrEnum):
    """Which of the times it is that a field is keyed in."""

    ONLY = "only"
    FIRST = "first"  # of two that must be the same
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class AskField:
    """A field of the card; what was kept of this field before is wiped first.

    ``brand``: of the number before it. ``use``: required, or optional (`#` alone leaves it out).
    ``entry``: a FIRST one is kept until the SECOND one was held against it, and for nothing else;
    where they differ both are wiped, and that is the problem (``input-matching-failed``).
    Answers: FieldKeyed, NoKey, Again, Leave, KeysLost.
    """

    step: PayStep
    times: PayTimes
    brand: Brand | None = None
    use: FieldUse = FieldUse.REQUIRED
    entry: Entry = Entry.ONLY


@dataclass(frozen=True, slots=True)
class ForgetCard:
    """Wipe number, expiry, security code and postal code, at once."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Charge exactly this, in minor units (0: only a token is made). The lines that were said
    before it tell that it takes a moment. Answers: Submitted, Refused; HungUp may come before."""

    amount_minor: int


@dataclass(frozen=True, slots=True)
class Note:
    """How far it came, for the database and for whoever watches; None: as it was."""

    step: PayStep
    agreed_minor: int | None = None
    last_four: str | None = None
    error: PayError | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """It is over."""

    result: PayResult


PayCommand = Say | AskKey | AskAmount | AskField | ForgetCard | Submit | Note | Finish
PayCommands = tuple[PayCommand, ...]


# --- the state -------------------------------------------------------------------------------


class Question(StrEnum):
    """What the conversation waits for."""

    START = "start"
    RESUME = "resume"
    CHOICE = "choice"
    AMOUNT = "amount"
    AGREE = "agree"
    NUMBER = "number"
    EXPIRY = "expiry"
    SECURITY_CODE = "security-code"
    POSTAL_CODE = "postal-code"
    CONFIRM = "confirm"
    OUTCOME = "outcome"  # of a payment on its way
    CODE = "code"  # approved; the code may be heard again
    DECLINED = "declined"
    NOTHING = "nothing"  # it is over


@dataclass(frozen=True, slots=True)
class Talk:
    """Where a conversation stands.

    ``choices``: what of the debt may really be paid. ``proposed``: the amount the debtor is asked
    about; ``agreed``: the one agreed to. ``failures`` and ``repeats`` count, within the present
    round, by question: answers that came to nothing, and `*`. A decline or "once more" at the
    confirmation starts another round of the card; ``redone`` counts those that were asked for at
    the confirmation, ``submitted`` the submissions. ``card``: something of a card may be held.
    ``second``: the field in question was keyed in once and is to be keyed in once more.
    """

    question: Question = Question.START
    began: Began | None = None
    choices: tuple[AmountChoice, ...] = ()
    proposed: int = 0
    agreed: int | None = None
    brand: Brand | None = None
    last_four: str | None = None
    failures: Mapping[Question, int] = field(default_factory=dict)
    repeats: Mapping[Question, int] = field(default_factory=dict)
    redone: int = 0
    reconsidered: int = 0
    submitted: int = 0
    card: bool = False
    second: bool = False
    auth_code: str | None = None
    declined: PaymentOutcome | None = None
    gone: bool = False
    result: PayResult | None = None

    def with_(self, **changes: object) -> Talk:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def over(self) -> bool:
        """Nothing more comes."""
        return self.question is Question.NOTHING

    @property
    def known(self) -> Began:
        """What it began with."""
        if self.began is None:
            raise ValueError("the conversation has not begun")
        return self.began

    @property
    def spec(self) -> PaySpec:
        """What the node asks for."""
        return self.known.spec

    def money(self, minor: int) -> Money:
        """An amount in the currency of the debt."""
        return Money(minor, self.known.offer.whole.currency)
