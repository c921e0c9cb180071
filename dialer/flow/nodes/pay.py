"""``pay``: the debtor pays by card on the keypad. What Twilio's <Pay> is, and more.

The node only says what is wanted (``dialer.domain.payment.PaySpec``) and where to go with what
became of it; the keys of a card are heard by another process.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from dialer.domain.model import Outcome
from dialer.domain.payment import (
    CARD_FIELDS,
    DEFAULT_TIMES,
    UNHEARD,
    AmountChoice,
    Brand,
    FieldUse,
    PayError,
    PaymentMode,
    PayResult,
    PaySpec,
    PayStep,
    PayTimes,
    PromptRule,
)
from dialer.flow.nodes.base import (
    Exit,
    ExitKind,
    Go,
    Move,
    Node,
    NodeName,
    PromptKey,
    Spoken,
    Stay,
    Strict,
    unexpected,
)
from dialer.flow.pay_prompts import default_prompts
from dialer.flow.values import Conclude, Input, PaymentDone, State, TakePayment, Wait

STEPS: dict[str, PayStep] = {
    "amount_choice": PayStep.AMOUNT_CHOICE,
    "amount": PayStep.AMOUNT,
    "agree": PayStep.AGREE,
    "number": PayStep.CARD_NUMBER,
    "expiry": PayStep.EXPIRATION_DATE,
    "security_code": PayStep.SECURITY_CODE,
    "postal_code": PayStep.POSTAL_CODE,
    "confirm": PayStep.CONFIRM,
    "processing": PayStep.PROCESSING,
    "result": PayStep.RESULT,
}
"""Steps as flows name them; <Pay>'s own words (``payment-card-number``) are taken too."""

ASKED: tuple[PayStep, ...] = tuple(DEFAULT_TIMES)
"""Steps that wait for keys: those with clocks and attempts."""

PayExit = Literal[
    "paid", "declined", "agent", "link", "unknown", "unavailable", "limit", "nothing_owed",
    "cancelled", "failed",
]  # fmt: skip

EXIT_OF: dict[PayResult, PayExit] = {
    PayResult.SUCCESS: "paid",
    PayResult.DECLINED: "declined",
    PayResult.WANTS_AGENT: "agent",
    PayResult.WANTS_LINK: "link",
    PayResult.NEEDS_ACTION: "link",
    PayResult.GATEWAY_TIMEOUT_UNKNOWN: "unknown",
    PayResult.CARD_ENTRY_UNAVAILABLE: "unavailable",
    PayResult.PAYMENT_CONNECTOR_ERROR: "unavailable",
    PayResult.INTERNAL_ERROR: "unavailable",
    PayResult.LIMIT_REACHED: "limit",
    PayResult.NOTHING_OWED: "nothing_owed",
    PayResult.CALLER_INTERRUPTED_WITH_STAR: "cancelled",
    PayResult.TOO_MANY_FAILED_ATTEMPTS: "failed",
}
"""The way out for each result but ``caller-hung-up``, which ends the session."""

ERRORS_AT: dict[PayStep, frozenset[PayError]] = {
    PayStep.AMOUNT: frozenset({PayError.INVALID_AMOUNT}),
    PayStep.CARD_NUMBER: frozenset({PayError.INVALID_CARD_NUMBER, PayError.INVALID_CARD_TYPE}),
    PayStep.EXPIRATION_DATE: frozenset({PayError.INVALID_DATE}),
    PayStep.SECURITY_CODE: frozenset({PayError.INVALID_SECURITY_CODE}),
    PayStep.POSTAL_CODE: frozenset({PayError.INVALID_POSTAL_CODE}),
}
"""Errors of one step alone."""
ANYWHERE = frozenset({PayError.INPUT_TIMEOUT, PayError.INVALID_KEY, PayError.KEYS_LOST})
"""Errors of every step that waits for keys."""
MATCHING = frozenset({PayError.INPUT_MATCHING_FAILED})
"""Errors of fields that are keyed in twice."""
DECLINES = frozenset({PayError.DECLINED_SOFT, PayError.DECLINED_HARD})
AMOUNT_STEPS = (PayStep.AMOUNT_CHOICE, PayStep.AMOUNT, PayStep.AGREE)


def errors_at(step: PayStep, *, twice: bool = False) -> frozenset[PayError]:
    """The errors that select prompts at a step; ``twice``: it is keyed in twice."""
    if step is PayStep.RESULT:
        return DECLINES
    of_asked = ANYWHERE if step in ASKED else frozenset()
    return ERRORS_AT.get(step, frozenset()) | of_asked | (MATCHING if twice else frozenset())


def _step(value: Any) -> Any:
    return STEPS.get(value, value) if isinstance(value, str) else value


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _by_step(value: Any) -> Any:
    return {_step(k): v for k, v in value.items()} if isinstance(value, dict) else value


Step = Annotated[PayStep, BeforeValidator(_step)]
Attempt = Annotated[int, Field(ge=1, le=5)]
First = Annotated[float, Field(ge=1, le=30)]
Between = Annotated[float, Field(ge=1, le=15)]
ByStep = BeforeValidator(_by_step)


class PayPrompt(Strict):
    """A prompt of the flow's own at a step, where all that is given fits."""

    for_: Step = Field(alias="for")
    say: Annotated[tuple[PromptKey, ...], BeforeValidator(_as_list), Field(min_length=1)]
    error: Annotated[tuple[PayError, ...], BeforeValidator(_as_list)] = ()
    attempt: Annotated[tuple[Attempt, ...], BeforeValidator(_as_list)] = ()
    card_type: Annotated[tuple[Brand, ...], BeforeValidator(_as_list)] = ()
    second_entry: bool = False

    @property
    def word(self) -> str:
        """The step as flows name it."""
        return _word(self.for_)

    def rule(self) -> PromptRule:
        """As the conversation takes it."""
        named = (self.error, self.attempt, self.card_type)
        return PromptRule(self.for_, self.say, *named, second_entry=self.second_entry)


class Pay(Node):
    """A number for ``attempts`` and the time-outs means every field; by field, the others keep
    their defaults. Ways out that are not given follow another one (see ``way``)."""

    question: ClassVar[bool] = True
    needs_identity: ClassVar[bool] = True
    asks_for_money: ClassVar[bool] = True

    type: Literal["pay"]
    amounts: Annotated[tuple[AmountChoice, ...], BeforeValidator(_as_list), Field(min_length=1)] = (
        AmountChoice.WHOLE,
    )
    mode: PaymentMode = PaymentMode.CHARGE
    brands: Annotated[tuple[Brand, ...], BeforeValidator(_as_list), Field(min_length=1)] = (
        Brand.VISA, Brand.MASTERCARD, Brand.AMEX,
    )  # fmt: skip
    security_code: FieldUse = FieldUse.REQUIRED
    postal_code: FieldUse = FieldUse.FORBIDDEN
    attempts: Annotated[Attempt | dict[PayStep, Attempt], ByStep] = 3
    first_timeout: Annotated[First | dict[PayStep, First] | None, ByStep] = None
    inter_timeout: Annotated[Between | dict[PayStep, Between] | None, ByStep] = None
    require_matching_inputs: Annotated[tuple[Step, ...], BeforeValidator(_as_list)] = ()
    submissions: int = Field(2, ge=1, le=3)
    prompts: tuple[PayPrompt, ...] = ()

    paid: NodeName
    unknown: NodeName
    link: NodeName
    agent: NodeName
    declined: NodeName | None = None
    unavailable: NodeName | None = None
    cancelled: NodeName | None = None
    failed: NodeName | None = None
    limit: NodeName | None = None
    nothing_owed: NodeName | None = None

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        """What can never be heard or asked is a mistake of the author."""
        for name in ("amounts", "brands", "require_matching_inputs"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"{name}: one is there twice: remove it")
        for step in self.require_matching_inputs:
            if step not in CARD_FIELDS:
                known = ", ".join(map(_word, CARD_FIELDS))
                raise ValueError(
                    f"require_matching_inputs: {_word(step)} is no field of a card: use {known}"
                )
            self._is_asked("require_matching_inputs", step)
        for name in ("attempts", "first_timeout", "inter_timeout"):
            given_by_step = getattr(self, name)
            for step in given_by_step if isinstance(given_by_step, dict) else ():
                if step not in ASKED:
                    raise ValueError(f"{name}: {_word(step)} waits for no key: remove it")
                self._is_asked(name, step)
        for prompt in self.prompts:
            self._can_be_said(prompt)
        selectors = Counter(
            (p.for_, p.error, p.attempt, p.card_type, p.second_entry) for p in self.prompts
        )
        for (step, *_), count in selectors.items():
            if count > 1:
                raise ValueError(f"prompts: two for {_word(step)} fit the same: make them one")
        return self

    def _is_asked(self, where: str, step: PayStep) -> None:
        absent = {
            PayStep.POSTAL_CODE: self.postal_code is FieldUse.FORBIDDEN,
            PayStep.SECURITY_CODE: self.security_code is FieldUse.FORBIDDEN,
        }
        if absent.get(step):
            raise ValueError(
                f"{where}: {_word(step)} is forbidden in this node: set {_word(step)}: required"
                " or optional, or remove it here"
            )
        if step in AMOUNT_STEPS and self.mode is PaymentMode.TOKENISE:
            raise ValueError(f"{where}: {_word(step)} is not asked by tokenise: remove it")
        if step is PayStep.AMOUNT and AmountChoice.PART not in self.amounts:
            raise ValueError(f"{where}: amount is only asked for a part: add part to amounts")
        if step is PayStep.AMOUNT_CHOICE and len(self.amounts) < 2:
            raise ValueError(f"{where}: amount_choice needs two amounts to choose from")

    def _can_be_said(self, prompt: PayPrompt) -> None:
        step, word = prompt.for_, _word(prompt.for_)
        self._is_asked("prompts", step)
        twice = step in self.require_matching_inputs
        if prompt.second_entry and not twice:
            raise ValueError(
                f"prompts: {word} is keyed in once: add it to require_matching_inputs, or remove"
                " second_entry"
            )
        # Of entries that differ, or of one that is wrong, the first is asked anew.
        possible = UNHEARD if prompt.second_entry else errors_at(step, twice=twice)
        for error in prompt.error:
            if error in MATCHING and step in CARD_FIELDS and not twice:
                raise ValueError(
                    f"prompts: {word} is keyed in once: add it to require_matching_inputs, or"
                    f" remove {error.value}"
                )
            if error not in possible:
                known = ", ".join(sorted(possible)) or "none"
                raise ValueError(f"prompts: {word} never has {error.value}: its errors are {known}")
        for attempt in prompt.attempt:
            by_submission = step in (PayStep.PROCESSING, PayStep.RESULT)
            most = self.submissions if by_submission else self._attempts_at(step)
            if attempt > most:
                limit = "submissions" if by_submission else "attempts"
                raise ValueError(
                    f"prompts: {word} has no attempt {attempt}: raise {limit} or remove it"
                )
        for brand in prompt.card_type:
            if brand not in self.brands:
                raise ValueError(f"prompts: {brand.value} is not accepted: add it to brands")

    def _attempts_at(self, step: PayStep) -> int:
        if isinstance(self.attempts, int):
            return self.attempts
        return self.attempts.get(step, 3)

    def spec(self) -> PaySpec:
        """What is handed to the process that hears cards."""
        return PaySpec(
            amounts=self.amounts,
            mode=self.mode,
            brands=self.brands,
            security_code=self.security_code,
            postal_code=self.postal_code,
            attempts={step: self._attempts_at(step) for step in ASKED},
            times={step: self._times_at(step) for step in ASKED},
            submissions=self.submissions,
            prompts=tuple(prompt.rule() for prompt in self.prompts),
            matching=self.require_matching_inputs,
        )

    def _times_at(self, step: PayStep) -> PayTimes:
        usual = DEFAULT_TIMES[step]
        return PayTimes(
            _of(self.first_timeout, step, usual.first),
            _of(self.inter_timeout, step, usual.between),
        )

    def way(self, name: PayExit) -> str:
        """The node of a way out.

        Where it is not given: after a refusal or a fault the link, at the limit a person; who
        owes nothing goes the way of a payment that is being looked up.
        """
        given: str | None = getattr(self, name)
        if given is not None:
            return given
        return {"limit": self.agent, "nothing_owed": self.unknown}.get(name, self.link)

    @property
    def most_asked(self) -> int:
        """How often the debtor can be asked in one visit: the amount once, the card for each
        submission."""
        once = sum(self._attempts_at(step) for step in AMOUNT_STEPS)
        each = sum(
            self._attempts_at(step) * (2 if step in self.require_matching_inputs else 1)
            for step in ASKED
            if step not in AMOUNT_STEPS
        )
        return once + self.submissions * each

    def enter(self, name: str, state: State) -> Move:
        """Hand the call over, where cards can be taken. Keys typed ahead are no part of a card."""
        state = state.with_(typed="")
        if not state.known.cards:
            return Go(state, self.way("unavailable"))
        return Stay(state.with_(wait=Wait.PAYMENT), (TakePayment(name, self.spec()),))

    def answer(self, name: str, state: State, given: Input) -> Move:
        """It is over."""
        if not isinstance(given, PaymentDone) or given.result not in EXIT_OF:
            raise unexpected(name, given)
        paid = given.result is PayResult.SUCCESS
        concluded = [Conclude(name, outcome) for outcome in self.outcomes() if paid]
        return Go(state, self.way(EXIT_OF[given.result]), tuple(concluded))

    def exits(self) -> tuple[Exit, ...]:
        """Paid, and the others by name."""
        others: tuple[PayExit, ...] = (
            "unknown", "link", "agent", "declined", "unavailable", "cancelled", "failed", "limit",
            "nothing_owed",
        )  # fmt: skip
        return (
            Exit(ExitKind.NEXT, self.paid, "paid"),
            *(Exit(ExitKind.RESULT, self.way(name), name) for name in others),
        )

    def spoken(self) -> tuple[Spoken, ...]:
        """What the conversation may say: the prompts given here, and all of its own."""
        given = [key for one in self.prompts for key in one.say]
        return tuple(Spoken(prompt=key) for key in dict.fromkeys([*given, *default_prompts()]))

    @property
    def about(self) -> str:
        """The mode and the amounts."""
        return f"{self.mode.value}: {' or '.join(self.amounts)}"

    def outcomes(self) -> tuple[Outcome, ...]:
        """Paid; nothing where no money moves."""
        return () if self.mode is PaymentMode.TOKENISE else (Outcome.PAID,)

    @property
    def settled(self) -> tuple[PayExit, ...]:
        """Ways behind which nobody may be asked for money."""
        ways: tuple[PayExit, ...] = ("unknown", "nothing_owed")
        return ways if self.mode is PaymentMode.TOKENISE else ("paid", *ways)


def _of(given: float | dict[PayStep, float] | None, step: PayStep, usual: float) -> float:
    if isinstance(given, dict):
        return given.get(step, usual)
    return usual if given is None else given


def _word(step: PayStep) -> str:
    return next(word for word, one in STEPS.items() if one is step)
