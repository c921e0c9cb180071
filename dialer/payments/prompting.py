"""Which prompts a payment conversation says, and their sounds.

By itself a step says what it asks for, before it what was wrong, and each time again it is longer
and slower. A node may replace what is asked, what was wrong, or what came of it (``PromptRule``):

- a rule fits where everything it names fits: the step, and of errors, attempts and brands those it
  has; the one that names most of the three wins, of equals the first;
- a rule that names errors replaces the line about the error and the question, one that does not
  replaces the question alone;
- the second entry of a field that is keyed in twice has rules of its own (``second_entry``): what
  asks for the first one would leave the debtor in the dark about why it is asked again;
- at the result a rule without errors is for a payment that was made, never for a decline;
- what else may be pressed (another amount, a person, a link) is always said behind it, for it
  depends on what is there.
"""

from __future__ import annotations

from collections.abc import Mapping

from dialer.domain.model import Money
from dialer.domain.payment import Brand, PayError, PaySpec, PayStep, PromptRule
from dialer.flow.errors import FlowError
from dialer.flow.fragments import Fragment
from dialer.flow.pay_prompts import AMEX, ERROR_PROMPTS, FIELD_PROMPTS, REPROMPTS, SECOND_PROMPTS
from dialer.flow.prompts import Prompts
from dialer.flow.words import say_amount, say_brand, say_code, say_digits
from dialer.payments.conversation_values import Value


def question_prompts(
    spec: PaySpec, step: PayStep, default: str, error: PayError | None, attempt: int,
    brand: Brand | None, *, second: bool = False,
) -> tuple[str, ...]:  # fmt: skip
    """What is said to ask: about the error first, then the question, ``default`` unless a rule
    of the node says otherwise. ``attempt`` counts from 1; ``second``: it is a second entry."""
    rules = [rule for rule in spec.prompts if rule.second_entry is second]
    rule = best_rule(rules, step, error, attempt, brand)
    if rule is not None and rule.errors:
        return rule.say
    about = () if error is None else (ERROR_PROMPTS[error],)
    return about + ((default,) if rule is None else rule.say)


def field_prompt(step: PayStep, attempt: int, brand: Brand | None, *, second: bool = False) -> str:
    """The default prompt of a field at an attempt, from 1."""
    amex = step is PayStep.SECURITY_CODE and brand is Brand.AMEX
    again = REPROMPTS[min(attempt, len(REPROMPTS)) - 1]
    if second:
        return SECOND_PROMPTS[step] + again
    return (AMEX if amex else FIELD_PROMPTS[step]) + again


def result_prompts(
    spec: PaySpec, default: str, error: PayError | None, attempt: int, brand: Brand | None
) -> tuple[str, ...]:
    """What is said of a payment that was made (no error) or declined; ``attempt``: which
    submission it was, from 1."""
    fitting = [rule for rule in spec.prompts if bool(rule.errors) == (error is not None)]
    rule = best_rule(fitting, PayStep.RESULT, error, attempt, brand)
    return (default,) if rule is None else rule.say


def best_rule(
    rules: list[PromptRule] | tuple[PromptRule, ...],
    step: PayStep,
    error: PayError | None,
    attempt: int,
    brand: Brand | None,
) -> PromptRule | None:
    """The most exact rule that fits, the first of equals."""
    fitting = [
        rule
        for rule in rules
        if rule.step is step
        and (not rule.errors or error in rule.errors)
        and (not rule.attempts or attempt in rule.attempts)
        and (not rule.brands or brand in rule.brands)
    ]
    return max(fitting, key=_exactness, default=None)


def _exactness(rule: PromptRule) -> int:
    return sum(map(bool, (rule.errors, rule.attempts, rule.brands)))


def said(prompts: Prompts, key: str, values: Mapping[str, Value]) -> list[Fragment]:
    """The sounds of a prompt with the values of its placeholders.

    Raises FlowError for an unknown prompt and for a placeholder without value, WordsError for a
    value without words.
    """
    sounds: list[Fragment] = []
    for part in prompts.prompt(key).parts:
        if isinstance(part, Fragment):
            sounds.append(part)
        elif part in values:
            sounds += _value(part, values[part], prompts.language)
        else:
            raise FlowError(f"prompt {key}: {{{part}}} has no value at this point of a payment")
    return sounds


def _value(name: str, value: Value, language: str) -> list[Fragment]:
    match value:
        case Money():
            return say_amount(value, language)
        case Brand():
            return say_brand(value, language)
    if name == "auth_code":
        return say_code(value, language)
    return say_digits(value, language)
