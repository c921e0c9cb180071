"""Whole payment conversations, word by word, in both languages.

``UPDATE_GOLDEN=1`` writes the files anew; the difference is then for people to read.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pay_talk import ALL, AMEX, BAD, DINERS, MASTERCARD, VISA, VISA_2, Player, begin, transcripts

from dialer.domain.payment import (
    CARD_FIELDS,
    AmountChoice,
    Brand,
    FieldUse,
    PayError,
    PaymentMode,
    PaymentOutcome,
    PayResult,
    PaySpec,
    PayStep,
    PromptRule,
)
from dialer.flow.pay_prompts import default_prompts
from dialer.payments.conversation import (
    Again,
    AmountKeyed,
    AskField,
    AskKey,
    Began,
    Chosen,
    FieldKeyed,
    ForgetCard,
    Given,
    HungUp,
    NoKey,
    Refused,
    Submit,
    Submitted,
    Talk,
    step,
)

GOLDEN = Path(__file__).parent / "golden"

CHOICE = PaySpec(amounts=ALL)
POSTAL = PaySpec(postal_code=FieldUse.REQUIRED)
OPTIONAL = PaySpec(security_code=FieldUse.OPTIONAL, postal_code=FieldUse.OPTIONAL)
APPROVED = Submitted(PaymentOutcome.APPROVED)
CARD = f"{VISA} 0928 123"
MATCHING = PaySpec(postal_code=FieldUse.OPTIONAL, matching=CARD_FIELDS)
TWICE = f"{VISA} {VISA} 0928 0928 123 123"

CONVERSATIONS: dict[str, tuple[Began, str]] = {
    "pays the whole amount": (begin(receipt=True), f"1 {CARD} 1 approved:A1B2C3 -"),
    "hears the code three times": (begin(), f"1 {CARD} 1 approved:004512 1 1 1"),
    "pays without a code": (begin(), f"1 {CARD} 1 approved"),
    "pays a part": (begin(CHOICE), f"2 100# 1 {MASTERCARD} 928# 999 1 approved:77 5"),
    "pays the first instalment": (begin(CHOICE), f"3 1 {AMEX} 0926 1234 1 approved:Z9 -"),
    "changes the amount": (begin(CHOICE), f"1 2 2 482# 1 {CARD} 1 approved"),
    "pays pesos without cents": (
        begin(CHOICE, 150000, 20000, None, currency="CLP"), f"2 50000# 1 {CARD} 1 approved",
    ),
    "resumes": (begin(CHOICE, resumed=10000), f"1 {CARD} 1 approved"),
    "resumes and wants another amount": (
        begin(CHOICE, resumed=10000), f"2 1 1 {CARD} 1 approved",
    ),
    "gives a postal code": (begin(POSTAL), f"1 {CARD} 28013# 1 approved"),
    "leaves out what is optional": (begin(OPTIONAL), f"1 {VISA} 0928 # # 1 approved"),
    "only authorises": (
        begin(PaySpec(mode=PaymentMode.AUTHORISE)), f"1 {CARD} 1 approved:55 -",
    ),
    "only leaves a card": (begin(PaySpec(mode=PaymentMode.TOKENISE)), f"{CARD} 1 approved"),
    "errs in the card number": (begin(), f"1 {BAD} 42# {BAD}"),
    "has a card that is not taken": (begin(), f"1 {DINERS} {CARD} 1 approved"),
    "errs in the date": (begin(), f"1 {VISA} 1328 0226 0446"),
    "errs in the security code": (begin(), f"1 {VISA} 0928 12# 1# 123 9"),
    "errs in the security code of an Amex": (begin(), f"1 {AMEX} 0928 123# 12# 1234 9"),
    "errs in the postal code": (begin(POSTAL), f"1 {CARD} 28# 1# 2#"),
    "errs in the amount": (begin(CHOICE), "2 49# 483# #"),
    "presses wrong keys": (begin(CHOICE), "5 1 7 # 0"),
    "presses nothing": (begin(CHOICE), "- - -"),
    "presses nothing at the card": (begin(), "1 - - -"),
    "was not heard": (begin(), f"1 ! {VISA} ! 0928 123 9"),
    "keys fields anew": (begin(), f"1 * {VISA} * 0928 * 123 * 1 approved"),
    "keys the card anew": (begin(), f"1 {CARD} 2 {VISA_2} 0929 321 1 approved"),
    "keys the card anew too often": (begin(), f"1 {CARD} 2 {CARD} 2 {CARD} 2"),
    "hesitates at the confirmation": (begin(), f"1 {CARD} - 1 approved"),
    "hesitates to leave a card": (
        begin(PaySpec(mode=PaymentMode.TOKENISE)), f"{CARD} 7 1 declined-soft 2",
    ),
    "keys everything in twice": (
        begin(MATCHING), f"1 {VISA} {VISA} 928# 0928 123 123 28013# 28013# 1 approved",
    ),
    "leaves out what would be keyed in twice": (begin(MATCHING), f"1 {TWICE} # 1 approved"),
    "does not key in the same number twice": (
        begin(MATCHING), f"1 {VISA} {VISA_2} {VISA_2} {VISA} {VISA} {BAD}",
    ),
    "does not key in the same date and code twice": (
        begin(MATCHING), f"1 {VISA} {VISA} 0928 0929 0929 0929 123 132 123 123 28013# 28# 28# # 9",
    ),
    "is not heard the second time": (begin(MATCHING), f"1 {VISA} - ! {VISA} 0928 - - -"),
    "is heard the second time in the end": (
        begin(MATCHING),
        f"1 {VISA} {VISA} 928# - ! 0928 123 ! - 123 28013# - - 28013# 1 approved",
    ),
    "corrects the second entry": (begin(MATCHING), f"1 {VISA} * {VISA_2} {VISA_2} 0928 **"),
    "leaves": (begin(), f"1 {VISA} **"),
    "leaves at the amount": (begin(CHOICE), "**"),
    "wants a person": (begin(CHOICE), "9"),
    "wants a person at the confirmation": (begin(), f"1 {CARD} 9"),
    "is declined and uses another card": (
        begin(), f"1 {CARD} 1 declined-soft 1 {MASTERCARD} 1027 321 1 approved:8X -",
    ),
    "is declined twice": (begin(), f"1 {CARD} 1 declined-soft 1 {CARD} 1 declined-hard 2"),
    "is declined for good and wants a person": (begin(), f"1 {CARD} 1 declined-hard 5 9"),
    "is declined and says nothing": (begin(), f"1 {CARD} 1 declined-soft - - -"),
    "is declined where nothing else is there": (
        begin(PaySpec(submissions=1), link=False, person=False), f"1 {CARD} 1 declined-soft",
    ),
    "must prove it to the bank": (begin(), f"1 {CARD} 1 needs-action"),
    "is not told by the bank": (begin(), f"1 {CARD} 1 unknown"),
    "meets a gateway that is set up wrong": (begin(), f"1 {CARD} 1 configuration-error"),
    "reaches the limit": (begin(), f"1 {CARD} 1 limit-reached"),
    "has paid meanwhile": (begin(), f"1 {CARD} 1 nothing-owed"),
    "owes nothing": (begin(whole=0), ""),
    "cannot be heard safely": (begin(), "1 card-entry-unavailable"),
    "hangs up at the card": (begin(), f"1 {VISA} x"),
    "hangs up while it is charged": (begin(), f"1 {CARD} 1 x approved:A1"),
    "hangs up while it is declined": (begin(), f"1 {CARD} 1 x declined-soft"),
    "hangs up and nobody knows": (begin(), f"1 {CARD} 1 x unknown"),
    "hangs up over the code": (begin(), f"1 {CARD} 1 approved:A1 x"),
}  # fmt: skip


@pytest.mark.parametrize("language", ["es", "en"])
def test_transcripts(language: str) -> None:
    found = "\n".join(transcripts(CONVERSATIONS, language))
    golden = GOLDEN / f"payment.{language}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def test_every_prompt_of_a_payment_is_heard_in_some_conversation() -> None:
    """Nobody finds a prompt in production that no conversation ever led to."""
    heard = set()
    for began, answers in CONVERSATIONS.values():
        heard |= set(Player(began).play(answers).prompts)
    assert set(default_prompts()) == heard


def _result(began: Began, answers: str) -> tuple[PayResult | None, list[int]]:
    player = Player(began).play(answers)
    return player.result, player.submitted


@pytest.mark.parametrize(
    ("offer", "choices"),
    [
        ({"minimum": 48201}, "139"),  # no whole euro between it and 482.50
        ({"minimum": 48200}, "1239"),
        ({"minimum": 0}, "1239"),
        ({"instalment": None}, "129"),
        ({"instalment": 48251}, "129"),
        ({"instalment": 48250}, "129"),  # the same as the whole
        ({"instalment": 0}, "129"),
        ({"person": False}, "123"),
    ],
)
def test_only_what_is_there_is_offered(offer: dict[str, int], choices: str) -> None:
    player = Player(begin(CHOICE, **offer)).play("")  # type: ignore[arg-type]
    assert isinstance(player.last, AskKey)
    assert player.last.keys == choices


def test_a_node_whose_choices_are_not_there_takes_the_whole() -> None:
    spec = PaySpec(amounts=(AmountChoice.INSTALMENT,))
    assert _result(begin(spec, instalment=None), f"1 {CARD} 1 approved") == (
        PayResult.SUCCESS, [48250],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("keyed", "minor"),
    [("50#", 5000), ("482#", 48200), ("50", 5000), ("0050#", 5000)],
)
def test_a_part_is_paid_in_whole_units(keyed: str, minor: int) -> None:
    assert _result(begin(CHOICE), f"2 {keyed} 1 {CARD} 1 approved")[1] == [minor]


def test_a_minimum_with_cents_is_the_next_whole_unit() -> None:
    player = Player(begin(CHOICE, minimum=5001)).play("2 50#")
    assert player.prompts[-2] == "pay_error_invalid_amount"
    assert "cincuenta y un euros" in player.lines[-3]


@pytest.mark.parametrize(
    ("resumed", "spec", "asked"),
    [
        (48250, PaySpec(), "pay_resume"),
        (48251, CHOICE, "pay_choice"),  # more than is owed now
        (4900, CHOICE, "pay_choice"),  # below the minimum
        (10000, PaySpec(), "pay_agree"),  # no part is offered here
        (16084, PaySpec(amounts=(AmountChoice.INSTALMENT,)), "pay_resume"),
        (0, CHOICE, "pay_choice"),
    ],
)
def test_an_amount_is_resumed_only_while_it_may_be_paid(
    resumed: int, spec: PaySpec, asked: str
) -> None:
    assert Player(begin(spec, resumed=resumed)).play("").prompts[0] == asked


def test_each_time_again_there_is_more_time() -> None:
    player = Player(begin()).play("1")
    times = []
    for _ in range(3):
        assert isinstance(player.last, AskField)
        times.append((player.last.times.first, player.last.times.between))
        player.give(NoKey())
    assert times == [(10, 5), (15, 7.5), (20, 10)]


def test_attempts_are_counted_for_each_field() -> None:
    spec = PaySpec(attempts={PayStep.EXPIRATION_DATE: 1, PayStep.CARD_NUMBER: 4})
    started = f"1 - - - {VISA}"
    assert Player(begin(spec)).play(started).result is None
    assert _result(begin(spec), f"{started} 1328")[0] is PayResult.TOO_MANY_FAILED_ATTEMPTS


def test_stars_without_end_come_to_an_end() -> None:
    assert _result(begin(), " ".join(["1", *"*" * 8]))[0] is PayResult.TOO_MANY_FAILED_ATTEMPTS


def test_going_back_to_the_amount_comes_to_an_end() -> None:
    played = " ".join(["1", "2"] * 4)
    assert _result(begin(CHOICE), played)[0] is PayResult.TOO_MANY_FAILED_ATTEMPTS


def test_after_a_decline_the_whole_card_is_asked_anew_with_new_attempts() -> None:
    player = Player(begin(POSTAL)).play(f"1 - - {CARD} 28013# 1 declined-soft 1 - -")
    assert player.result is None
    player.give(player.meaning(VISA))
    asked = [line for line in player.lines if line.startswith("asks for payment-card-number")]
    assert len(asked) == 6
    assert isinstance(player.last, AskField)
    assert player.last.step is PayStep.EXPIRATION_DATE


@pytest.mark.parametrize("word", ["9", "**", "x", "- - -", "limit-reached", "2"])
def test_a_card_is_forgotten_before_anything_else_is_said(word: str) -> None:
    player = Player(begin()).play(f"1 {CARD}")
    begun = len(player.lines)
    for one in word.split():
        player.give(player.meaning(one))
    after = [line for line in player.lines[begun:] if not line.startswith("notes")]
    last = after.index("forgets the card")
    assert not any(line.startswith("says pay_too_many") for line in after[:last])
    assert word == "- - -" or last == 0


def test_a_rule_of_the_node_is_said_in_place_of_the_default() -> None:
    number, result = PayStep.CARD_NUMBER, PayStep.RESULT
    rules = (
        PromptRule(number, ("pay_thanks",)),
        PromptRule(number, ("pay_left",), errors=(PayError.INVALID_CARD_NUMBER,)),
        PromptRule(number, ("pay_limit",), (PayError.INVALID_CARD_NUMBER,), attempts=(3,)),
        PromptRule(PayStep.SECURITY_CODE, ("pay_retry",), brands=(Brand.AMEX,)),
        PromptRule(result, ("pay_link",)),
        PromptRule(result, ("pay_unavailable",), errors=(PayError.DECLINED_HARD,)),
    )
    spec = PaySpec(prompts=rules)
    assert Player(begin(spec)).play("1 - ").prompts[2:] == [
        "pay_card_intro", "pay_thanks", "pay_error_input_timeout", "pay_thanks",
    ]  # fmt: skip
    assert Player(begin(spec)).play(f"1 {BAD} {BAD}").prompts[4:] == ["pay_left", "pay_limit"]
    assert Player(begin(spec)).play(f"1 {AMEX} 0928").prompts[-1] == "pay_retry"
    assert Player(begin(spec)).play(f"1 {VISA} 0928").prompts[-1] == "pay_security_code"
    assert Player(begin(spec)).play(f"1 {CARD} 1 approved").prompts[-2] == "pay_link"
    soft = Player(begin(spec)).play(f"1 {CARD} 1 declined-soft").prompts
    assert soft[-4:] == ["pay_declined_soft", "pay_retry", "pay_link", "pay_person"]
    hard = Player(begin(spec)).play(f"1 {CARD} 1 declined-hard").prompts
    assert hard[-4:] == ["pay_unavailable", "pay_other_card", "pay_link", "pay_person"]


@pytest.mark.parametrize(
    ("played", "given"),
    [
        (None, Chosen("1")),
        (None, HungUp()),
        ("", FieldKeyed(PayStep.CARD_NUMBER, None, Brand.VISA, "4242")),
        ("", AmountKeyed(1)),
        ("", begin()),
        ("1", Chosen("1")),
        ("1", FieldKeyed(PayStep.SECURITY_CODE)),
        ("1", FieldKeyed(PayStep.CARD_NUMBER)),
        ("1", Refused(PayResult.SUCCESS)),
        (f"1 {CARD} 1", Again()),
        (f"1 {CARD} 1", Chosen("1")),
    ],
)
def test_an_answer_to_what_was_not_asked_is_refused(played: str | None, given: Given) -> None:
    talk = Talk() if played is None else Player(begin()).play(played).talk
    with pytest.raises(ValueError, match="is no|comes with"):
        step(talk, given)


def test_a_submission_is_answered_once() -> None:
    player = Player(begin()).play(f"1 {CARD} 1 approved:A1")
    with pytest.raises(ValueError, match="is no answer"):
        player.give(APPROVED)
    assert player.submitted == [48250]


def test_the_card_is_forgotten_the_moment_its_outcome_is_known() -> None:
    player = Player(begin()).play(f"1 {CARD} 1")
    assert isinstance(player.last, Submit)
    _, commands = step(player.talk, APPROVED)
    assert isinstance(commands[0], ForgetCard)
