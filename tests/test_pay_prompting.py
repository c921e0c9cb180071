"""The prompts of a payment: every language has them, and a node may say others."""

from __future__ import annotations

import pytest
from flows import FLOWS, texts

from dialer.domain.model import Money
from dialer.domain.payment import Brand, PayError, PaymentMode, PaySpec, PayStep, PromptRule
from dialer.flow.errors import FlowError
from dialer.flow.fragments import words
from dialer.flow.pay_prompts import (
    ERROR_PROMPTS,
    FIELD_PROMPTS,
    PAY_PLACEHOLDERS,
    SECOND_PROMPTS,
    default_prompts,
    must_say,
    placeholders_at,
)
from dialer.flow.prompts import prompt_texts
from dialer.payments.conversation_values import Value
from dialer.payments.prompting import best_rule, field_prompt, question_prompts, said

VALUES: dict[str, Value] = {
    "pay_amount": Money(48250, "EUR"), "minimum": Money(5000, "EUR"),
    "instalment": Money(16084, "EUR"), "brand": Brand.JCB, "last_four": "0505",
    "auth_code": "A1B2C3",
}  # fmt: skip
NUMBER = PayStep.CARD_NUMBER


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("key", sorted(default_prompts()))
def test_every_default_prompt_is_there_and_says_what_it_may(language: str, key: str) -> None:
    prompt = texts(language).prompt(key)
    assert set(prompt.placeholders) <= default_prompts()[key]
    assert prompt.discloses, "a payment speaks of the debt: discloses: true"
    rendered = prompt_texts(FLOWS, language)
    sounds = said(texts(language), key, VALUES)
    assert sounds
    assert all(rendered[one.key] == one.text for one in sounds)


@pytest.mark.parametrize("language", ["es", "en"])
def test_there_is_no_prompt_of_payments_that_nobody_says(language: str) -> None:
    there = {key for key in texts(language).by_key if key.startswith("pay_")}
    assert there == set(default_prompts())


@pytest.mark.parametrize("language", ["es", "en"])
def test_no_figures_are_left_to_the_voice(language: str) -> None:
    for key in default_prompts():
        assert not any(c.isdigit() for c in texts(language).prompt(key).text), key


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("step", list(FIELD_PROMPTS))
@pytest.mark.parametrize("brand", [Brand.VISA, Brand.AMEX])
def test_each_time_again_a_field_is_explained_at_greater_length(
    language: str, step: PayStep, brand: Brand
) -> None:
    lengths = [
        len(texts(language).prompt(field_prompt(step, attempt, brand)).text)
        for attempt in (1, 2, 3)
    ]
    assert lengths == sorted(set(lengths))
    assert field_prompt(step, 4, brand) == field_prompt(step, 3, brand)


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("step", list(SECOND_PROMPTS))
def test_likewise_where_it_is_keyed_in_a_second_time(language: str, step: PayStep) -> None:
    keys = [field_prompt(step, attempt, Brand.AMEX, second=True) for attempt in (1, 2, 3)]
    lengths = [len(texts(language).prompt(key).text) for key in keys]
    assert lengths == sorted(set(lengths))
    assert not {*keys} & {field_prompt(step, attempt, Brand.AMEX) for attempt in (1, 2, 3)}
    assert field_prompt(step, 5, None, second=True) == keys[2]


@pytest.mark.parametrize("error", list(PayError))
def test_every_error_has_a_prompt_of_its_own(error: PayError) -> None:
    assert ERROR_PROMPTS[error] in default_prompts()
    assert len(set(ERROR_PROMPTS.values())) == len(PayError)


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_amounts_agreed_to_and_confirmed_are_said(language: str) -> None:
    for key, step in (
        ("pay_agree", PayStep.AGREE), ("pay_agree_again", PayStep.AGREE),
        ("pay_resume", PayStep.AGREE),
        ("pay_confirm", PayStep.CONFIRM), ("pay_confirm_again", PayStep.CONFIRM),
    ):  # fmt: skip
        assert must_say(step) <= set(texts(language).prompt(key).placeholders)
    assert must_say(PayStep.CONFIRM, PaymentMode.TOKENISE) == {"last_four"}
    assert must_say(PayStep.CONFIRM) == {"pay_amount", "last_four"}
    for key in ("pay_confirm_token", "pay_confirm_token_again"):
        assert "pay_amount" not in texts(language).prompt(key).placeholders


def test_a_decline_does_not_shame() -> None:
    for language, shaming in (
        ("es", ("rechaz", "deneg", "fondos", "saldo", "inválid")),
        ("en", ("reject", "refus", "funds", "declin", "invalid")),
    ):
        for key in ("pay_declined_soft", "pay_declined_hard", "pay_declined_end", "pay_limit"):
            text = texts(language).prompt(key).text.lower()
            assert not any(word in text for word in shaming), (language, key)


def test_what_may_be_spoken_of_grows_with_what_is_known() -> None:
    for step in PayStep:
        for mode in PaymentMode:
            assert must_say(step, mode) <= placeholders_at(step, mode) <= PAY_PLACEHOLDERS
    assert "brand" not in placeholders_at(NUMBER)
    assert "brand" in placeholders_at(PayStep.SECURITY_CODE)
    assert "pay_amount" not in placeholders_at(PayStep.CONFIRM, PaymentMode.TOKENISE)


def test_values_are_said_in_words() -> None:
    assert words(said(texts("es"), "pay_confirm", VALUES)) == (
        "Va a pagar cuatrocientos ochenta y dos euros con cincuenta céntimos con su tarjeta "
        "jota ce be que termina en cero cinco cero cinco Si es correcto, pulse uno."
    )
    assert words(said(texts("en"), "pay_auth_code", VALUES)) == (
        "The authorisation code is A one B, two C three"
    )


def test_a_value_that_is_not_there_is_told() -> None:
    with pytest.raises(FlowError, match="auth_code} has no value"):
        said(texts("es"), "pay_auth_code", {})
    with pytest.raises(FlowError, match="there is no 'pay_nothing'"):
        said(texts("es"), "pay_nothing", {})


RULES = (
    PromptRule(NUMBER, ("any",)),
    PromptRule(NUMBER, ("timeout",), errors=(PayError.INPUT_TIMEOUT,)),
    PromptRule(NUMBER, ("third",), attempts=(3,)),
    PromptRule(NUMBER, ("third timeout",), errors=(PayError.INPUT_TIMEOUT,), attempts=(3, 4)),
    PromptRule(PayStep.EXPIRATION_DATE, ("amex",), brands=(Brand.AMEX,)),
)


@pytest.mark.parametrize(
    ("step", "error", "attempt", "brand", "say"),
    [
        (NUMBER, None, 1, None, "any"),
        (NUMBER, PayError.KEYS_LOST, 2, None, "any"),
        (NUMBER, PayError.INPUT_TIMEOUT, 2, None, "timeout"),
        (NUMBER, PayError.KEYS_LOST, 3, None, "third"),
        (NUMBER, PayError.INPUT_TIMEOUT, 3, None, "third timeout"),
        (PayStep.EXPIRATION_DATE, None, 1, Brand.AMEX, "amex"),
        (PayStep.EXPIRATION_DATE, None, 1, Brand.VISA, None),
        (PayStep.SECURITY_CODE, None, 1, Brand.AMEX, None),
    ],
)
def test_the_most_exact_rule_wins(
    step: PayStep, error: PayError | None, attempt: int, brand: Brand | None, say: str | None
) -> None:
    rule = best_rule(RULES, step, error, attempt, brand)
    assert (rule.say[0] if rule else None) == say
    backwards = best_rule(tuple(reversed(RULES)), step, error, attempt, brand)
    assert (backwards.say[0] if backwards else None) == say


def test_of_equally_exact_rules_the_first_wins() -> None:
    two = (PromptRule(NUMBER, ("one",)), PromptRule(NUMBER, ("two",)))
    best = best_rule(two, NUMBER, None, 1, None)
    assert best is two[0]


def test_a_rule_without_errors_leaves_what_was_wrong() -> None:
    spec = PaySpec(prompts=RULES)
    wrong = PayError.INVALID_CARD_NUMBER
    assert question_prompts(spec, NUMBER, "default", wrong, 2, None) == (
        "pay_error_invalid_card_number", "any",
    )  # fmt: skip
    timeout = PayError.INPUT_TIMEOUT
    assert question_prompts(spec, NUMBER, "default", timeout, 2, None) == ("timeout",)
