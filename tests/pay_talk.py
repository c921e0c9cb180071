"""Leads a payment conversation as the payment process does, with keys on paper."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cache

from flows import texts

from dialer.domain.model import Money
from dialer.domain.payment import (
    AmountChoice,
    Brand,
    PayError,
    PaymentOutcome,
    PayOffer,
    PayResult,
    PaySpec,
    PayStep,
)
from dialer.flow.prompts import prompt_texts
from dialer.flow.words import words
from dialer.payments.conversation import (
    Again,
    AmountKeyed,
    AskAmount,
    AskField,
    AskKey,
    Began,
    Chosen,
    Entry,
    FieldKeyed,
    Finish,
    ForgetCard,
    Given,
    HungUp,
    KeysLost,
    Leave,
    NoKey,
    Note,
    PayCommand,
    Refused,
    Say,
    Submit,
    Submitted,
    Talk,
    step,
)
from dialer.payments.entry import Verdict, amount_of, judge, rule_for, same
from dialer.payments.prompting import said

TODAY = date(2026, 3, 15)
VISA, VISA_2 = "4242424242424242", "4000056655665556"
MASTERCARD = "5555555555554444"
AMEX = "378282246310005"
DINERS = "36227206271667"
BAD = "4242424242424241"

ALL = tuple(AmountChoice)
REFUSALS = {"limit-reached", "nothing-owed", "card-entry-unavailable", "success"}


def begin(
    spec: PaySpec | None = None, whole: int = 48250, minimum: int = 5000,
    instalment: int | None = 16084, resumed: int | None = None, currency: str = "EUR",
    **others: bool,
) -> Began:  # fmt: skip
    """A debt of 482.50 with a plan, resumed or not."""
    offer = PayOffer(Money(whole, currency), minimum, instalment)
    return Began(spec or PaySpec(), offer, resumed, **others)


@cache
def _rendered(language: str) -> dict[str, str]:
    from flows import FLOWS

    return prompt_texts(FLOWS, language)


@dataclass
class Player:
    """One conversation. Words: keys; ``-`` no key, ``*``/``**`` as pressed, ``!`` keys lost, ``x``
    hung up; behind a submission an outcome (``approved:A1B2C3``) or a refusal."""

    began: Began
    language: str = "es"
    today: date = TODAY
    talk: Talk = field(default_factory=Talk)
    lines: list[str] = field(default_factory=list)
    last: PayCommand | None = None
    prompts: list[str] = field(default_factory=list)
    asked: list[AskField] = field(default_factory=list)
    noted: list[Note] = field(default_factory=list)
    first: bytearray = field(default_factory=bytearray)
    submitted: list[int] = field(default_factory=list)
    result: PayResult | None = None

    def play(self, answers: str) -> Player:
        """Begin and give all answers."""
        self.give(self.began)
        for word in answers.split():
            assert self.result is None, f"it was over before {word}"
            card = word.isdigit() and len(word) > 6
            self.lines.append(f"> {'(card number)' if card else word}")
            self.give(self.meaning(word))
        return self

    def give(self, given: Given) -> None:
        """One input; its commands are written down."""
        self.talk, commands = step(self.talk, given)
        for command in commands:
            self._note(command)
            self.last = command
            if isinstance(command, AskField):
                self.asked.append(command)
            elif isinstance(command, Note):
                self.noted.append(command)

    def meaning(self, word: str) -> Given:
        """The input that a word is at this point."""
        plain: dict[str, Given] = {
            "-": NoKey(), "*": Again(), "**": Leave(), "!": KeysLost(), "x": HungUp(),
        }  # fmt: skip
        if word in plain:
            return plain[word]
        if word in REFUSALS:
            return Refused(PayResult(word))
        match self.last:
            case Submit():
                outcome, _, code = word.partition(":")
                return Submitted(PaymentOutcome(outcome), code or None)
            case AskKey():
                return Chosen(word)
            case AskAmount():
                return AmountKeyed(amount_of(self._keyed(word, PayStep.AMOUNT, None)))
            case AskField() as asked:
                digits = self._keyed(word, asked.step, asked.brand)
                if asked.entry is Entry.SECOND and not same(
                    asked.step, self.first, digits, self.today
                ):
                    return FieldKeyed(asked.step, PayError.INPUT_MATCHING_FAILED)
                self.first = digits
                return judge(asked, digits, self.began.spec.brands, self.today)
        raise AssertionError(f"nothing is asked that {word} answers")

    def _keyed(self, word: str, at: PayStep, brand: Brand | None) -> bytearray:
        """Key by key; a field that does not end by itself ends by its time-out."""
        digits, rule = bytearray(), rule_for(at, brand)
        for place, key in enumerate(word.encode(), start=1):
            if key != ord("#"):
                digits.append(key)
            if rule(digits, key) is not Verdict.MORE:
                assert place == len(word), f"{at}: ended before its last key"
        return digits

    def _note(self, command: PayCommand) -> None:
        match command:
            case Say(lines):
                prompts, rendered = texts(self.language), _rendered(self.language)
                for line in lines:
                    sounds = said(prompts, line.prompt, line.values)
                    assert all(rendered[one.key] == one.text for one in sounds)
                    self.prompts.append(line.prompt)
                    self.lines.append(f"says {line.prompt}: {words(sounds)}")
            case AskKey(_, keys, times):
                self.lines.append(f"asks for one of [{keys}], {times.first:g} s")
            case AskAmount(times):
                self.lines.append(f"asks for an amount, {times.first:g}/{times.between:g} s")
            case AskField(at, times, _, use, entry):
                which = "" if entry is Entry.ONLY else f", {entry} entry"
                clocks = f"{times.first:g}/{times.between:g} s"
                self.lines.append(f"asks for {at} ({use}{which}), {clocks}")
            case ForgetCard():
                self.lines.append("forgets the card")
            case Submit(minor):
                self.submitted.append(minor)
                self.lines.append(f"submits {minor}")
            case Note(at, agreed, last_four, error):
                told = [str(one) for one in (agreed, last_four, error) if one is not None]
                self.lines.append(" ".join(["notes", at, *told]))
            case Finish(result):
                self.result = result
                self.lines.append(f"ends: {result}")


def transcripts(conversations: dict[str, tuple[Began, str]], language: str) -> Iterable[str]:
    """One text a conversation."""
    for name, (began, answers) in conversations.items():
        player = Player(began, language).play(answers)
        assert player.result is not None, f"{name}: does not end"
        yield f"== {name}\n" + "\n".join(player.lines) + "\n"
