"""Fields of a card that are keyed in twice: ``require_matching_inputs`` of a ``pay`` node."""

from __future__ import annotations

from datetime import date

import pytest
from pay_talk import BAD, TODAY, VISA, VISA_2, Player, begin
from payment_support import Till
from sqlalchemy import Engine, select, update
from world import World

from agi_scripts.pay_card import CardInHand
from dialer.config import Settings
from dialer.domain.payment import (
    CARD_FIELDS,
    DEFAULT_TIMES,
    Brand,
    FieldUse,
    PayError,
    PayResult,
    PaySpec,
    PayStep,
    PromptRule,
)
from dialer.payments.conversation import AskField, Entry, FieldKeyed, Question
from dialer.payments.entry import same
from dialer.payments.secret import SecretDigits
from dialer.store import pay_sessions
from dialer.store import tables as t

MATCHING = PaySpec(postal_code=FieldUse.OPTIONAL, matching=CARD_FIELDS)
CARD = f"{VISA} 0928 123"
TWICE = f"{VISA} {VISA} 0928 0928 123 123"
NUMBER, DATE, CODE, POSTAL = CARD_FIELDS


# --- the conversation ------------------------------------------------------------------------


def _entries(player: Player) -> list[str]:
    """Which entry of which field was asked, one after the other."""
    return [f"{one.step} {one.entry}" for one in player.asked]


def test_nothing_is_keyed_in_twice_by_itself() -> None:
    assert PaySpec().matching == ()
    player = Player(begin(PaySpec(postal_code=FieldUse.REQUIRED))).play(f"1 {CARD} 28013# 1")
    assert _entries(player) == [f"{step} only" for step in CARD_FIELDS]


def test_only_the_fields_that_are_named_are_keyed_in_twice() -> None:
    spec = PaySpec(matching=(PayStep.SECURITY_CODE,))
    player = Player(begin(spec)).play(f"1 {CARD} 123 1")
    assert _entries(player) == [
        "payment-card-number only", "expiration-date only", "security-code first",
        "security-code second",
    ]  # fmt: skip
    assert player.submitted == [48250]


def test_a_number_that_was_keyed_in_once_is_told_to_nobody() -> None:
    """Neither its last digits nor its brand: it is not accepted yet."""
    player = Player(begin(MATCHING)).play(f"1 {VISA}")
    assert (player.talk.last_four, player.talk.brand) == (None, None)
    player.give(player.meaning(VISA))
    assert (player.talk.last_four, player.talk.brand) == (VISA[-4:], Brand.VISA)


@pytest.mark.parametrize(
    ("answers", "error", "next_entry", "attempt"),
    [
        (VISA_2, PayError.INPUT_MATCHING_FAILED, Entry.FIRST, 2),
        (BAD, PayError.INPUT_MATCHING_FAILED, Entry.FIRST, 2),
        ("#", PayError.INPUT_MATCHING_FAILED, Entry.FIRST, 2),
        ("-", PayError.INPUT_TIMEOUT, Entry.SECOND, 2),
        ("!", PayError.KEYS_LOST, Entry.SECOND, 2),
        ("*", None, Entry.FIRST, 1),
        (f"* * * * * {VISA} *", PayError.INVALID_KEY, Entry.FIRST, 2),
    ],
)
def test_what_follows_a_second_entry_that_comes_to_nothing(
    answers: str, error: PayError | None, next_entry: Entry, attempt: int
) -> None:
    player = Player(begin(MATCHING)).play(f"1 {VISA} {answers}")
    assert isinstance(player.last, AskField)
    assert player.last.entry is next_entry
    assert player.talk.failures.get(Question.NUMBER, 0) + 1 == attempt
    noted = [one.error for one in player.noted if one.error]
    assert noted == ([error] if error else [])


def test_entries_that_differ_use_up_the_attempts_of_the_field_alone() -> None:
    spec = PaySpec(attempts={PayStep.EXPIRATION_DATE: 2}, matching=CARD_FIELDS)
    once = f"1 {VISA} {VISA} 0928 0929"
    assert Player(begin(spec)).play(once).result is None
    player = Player(begin(spec)).play(f"{once} 0928 0929")
    assert player.result is PayResult.TOO_MANY_FAILED_ATTEMPTS
    assert player.lines[-3] == "forgets the card"


@pytest.mark.parametrize("word", ["**", "x", "card-entry-unavailable"])
def test_a_first_entry_is_forgotten_by_whoever_does_not_go_on(word: str) -> None:
    player = Player(begin(MATCHING)).play(f"1 {VISA}")
    begun = len(player.lines)
    player.give(player.meaning(word))
    assert player.lines[begun] == "forgets the card"
    assert player.result is not None


def test_after_once_more_every_field_is_keyed_in_twice_again() -> None:
    player = Player(begin(MATCHING)).play(f"1 {TWICE} # 2 {VISA_2} {VISA_2} 0928 0928 123 123 # 1")
    assert player.submitted == [48250]
    assert len(_entries(player)) == 14


def test_rules_of_the_node_for_the_second_entry() -> None:
    number, differ = PayStep.CARD_NUMBER, (PayError.INPUT_MATCHING_FAILED,)
    rules = (
        PromptRule(number, ("pay_thanks",)),
        PromptRule(number, ("pay_left",), differ),
        PromptRule(number, ("pay_limit",), differ, attempts=(3,)),
        PromptRule(number, ("pay_retry",), second_entry=True),
        PromptRule(number, ("pay_link",), (PayError.INPUT_TIMEOUT,), second_entry=True),
    )
    spec = PaySpec(prompts=rules, matching=CARD_FIELDS)
    played = Player(begin(spec)).play(f"1 {VISA} {VISA_2} {VISA} {VISA_2}").prompts[3:]
    assert played == ["pay_thanks", "pay_retry", "pay_left", "pay_retry", "pay_limit"]
    heard = Player(begin(spec)).play(f"1 {VISA} - !").prompts[4:]
    assert heard == ["pay_retry", "pay_link", "pay_error_keys_lost", "pay_retry"]


# --- the digits ------------------------------------------------------------------------------


def _key_in(hand: CardInHand, step: PayStep, entry: Entry, digits: str) -> FieldKeyed:
    """A field keyed in; the digits that were heard are wiped in any case."""
    asked = AskField(step, DEFAULT_TIMES[step], Brand.VISA, FieldUse.OPTIONAL, entry)
    heard = SecretDigits(digits)
    with heard.reveal() as raw:
        verdict = hand.judge(asked, heard, tuple(Brand), TODAY)
        assert not any(raw), "what was heard is wiped"
    return verdict


def _first(hand: CardInHand) -> SecretDigits:
    assert hand.first is not None
    return hand.first


@pytest.mark.parametrize(
    ("step", "first", "second", "accepted"),
    [
        (NUMBER, VISA, VISA, True),
        (NUMBER, VISA, VISA_2, False),
        (NUMBER, VISA, VISA[:-1], False),
        (NUMBER, VISA, "", False),
        (DATE, "0928", "0928", True),
        (DATE, "928", "0928", True),
        (DATE, "0928", "0929", False),
        (DATE, "0928", "1328", False),
        (CODE, "123", "123", True),
        (CODE, "123", "132", False),
        (POSTAL, "28013", "28013", True),
        (POSTAL, "28013", "028013", False),
    ],
)
def test_only_the_same_twice_is_accepted(
    step: PayStep, first: str, second: str, accepted: bool
) -> None:
    hand = CardInHand()
    assert _key_in(hand, step, Entry.FIRST, first).problem is None
    with _first(hand).reveal() as kept:
        assert bytes(kept) == first.encode()
        verdict = _key_in(hand, step, Entry.SECOND, second)
        assert not any(kept), "the first entry is wiped, not only let go of"
    assert hand.first is None
    assert verdict.problem is (None if accepted else PayError.INPUT_MATCHING_FAILED)
    in_hand = (hand.number, hand.expiry, hand.security_code, hand.postal_code)
    assert [one is not None for one in in_hand] == [accepted and step is one for one in CARD_FIELDS]


def test_an_accepted_second_entry_is_what_is_handed_over() -> None:
    hand = CardInHand()
    for step, digits in zip(CARD_FIELDS, (VISA, "928", "123", "28013"), strict=True):
        _key_in(hand, step, Entry.FIRST, digits)
        accepted = _key_in(hand, step, Entry.SECOND, digits)
        if step is NUMBER:
            assert (accepted.brand, accepted.last_four) == (Brand.VISA, VISA[-4:])
    card = hand.hand_over()
    assert card.number.reveal_str() == VISA
    assert (card.month, card.year, card.postal_code) == (9, 2028, "28013")
    assert card.security_code is not None and card.security_code.reveal_str() == "123"


@pytest.mark.parametrize("step", CARD_FIELDS)
@pytest.mark.parametrize("everything", [True, False])
def test_a_first_entry_is_wiped_with_its_field_and_with_the_card(
    step: PayStep, everything: bool
) -> None:
    """`*` has the field forgotten; `**` and a hang-up all of it."""
    hand = CardInHand()
    digits = {NUMBER: VISA, DATE: "0928", CODE: "123", POSTAL: "28013"}[step]
    _key_in(hand, step, Entry.FIRST, digits)
    assert hand, "a card is being heard: recordings stay muted"
    with _first(hand).reveal() as kept:
        assert any(kept)
        hand.forget(None if everything else step)
        assert not any(kept)
    assert hand.first is None
    assert not hand


def test_a_first_entry_alone_is_no_card() -> None:
    hand = CardInHand()
    _key_in(hand, NUMBER, Entry.FIRST, VISA)
    with pytest.raises(ValueError, match="no whole card"):
        hand.hand_over()


def test_a_second_entry_without_a_first_one_is_not_accepted() -> None:
    """Whoever has lost the first entry may not believe the second."""
    found = _key_in(CardInHand(), NUMBER, Entry.SECOND, VISA)
    assert found.problem is PayError.INPUT_MATCHING_FAILED


def test_a_wrong_first_entry_is_not_kept_for_a_second() -> None:
    hand = CardInHand()
    assert _key_in(hand, NUMBER, Entry.FIRST, BAD).problem is PayError.INVALID_CARD_NUMBER
    assert hand.first is None


def test_an_optional_field_that_is_left_out_leaves_nothing_to_compare() -> None:
    hand = CardInHand()
    for step in (CODE, POSTAL):
        found = _key_in(hand, step, Entry.FIRST, "")
        assert (found.problem, found.left_out) == (None, True)
    assert hand.first is None
    assert not _key_in(hand, CODE, Entry.FIRST, "123").left_out


def test_dates_are_the_same_that_name_the_same_month() -> None:
    assert same(DATE, b"914", b"0914", date(2014, 3, 1))
    assert not same(DATE, b"914", b"0915", date(2014, 3, 1))
    assert not same(DATE, b"1399", b"1399", date(2014, 3, 1)), "no date is none, twice"
    assert not same(CODE, b"914", b"0914", date(2014, 3, 1))


# --- the node's wishes on their way to the payment process -----------------------------------


def test_it_survives_the_database(database: Engine) -> None:
    world = World(database)
    till = Till(world, Settings(_env_file=None))
    number_again = PromptRule(NUMBER, ("pay_retry",), second_entry=True)
    spec = PaySpec(matching=(NUMBER, CODE), prompts=(number_again,))
    new = pay_sessions.PaySession(
        id="a" * 32, attempt_id=till.attempt_id, account_id=till.account_id,
        node="pay", language="es", spec=spec, started_at=till.now,
    )  # fmt: skip
    with database.begin() as c:
        pay_sessions.open_session(c, new)
        found = pay_sessions.load_session(c, new.id)
    assert found is not None
    assert found.spec.matching == (NUMBER, CODE)
    assert found.spec.prompts == (number_again,)


def test_a_session_that_was_stored_before_asks_for_nothing_twice(database: Engine) -> None:
    """While the product is updated, calls of the version before are on the line."""
    till = Till(World(database), Settings(_env_file=None))
    row = t.pay_session.c
    with database.begin() as c:
        stored = c.execute(select(row.spec).where(row.id == till.session_id)).scalar_one()
        rule = {
            "step": "agree", "say": ["pay_agree"], "errors": ["input-matching-failed"],
            "attempts": [2], "brands": [],
        }  # fmt: skip
        before = {key: value for key, value in stored.items() if key != "matching"}
        assert len(before) == len(stored) - 1
        written = {**before, "prompts": [rule]}
        c.execute(update(t.pay_session).where(row.id == till.session_id).values(spec=written))
        found = pay_sessions.load_session(c, till.session_id)
    assert found is not None
    assert found.spec.matching == ()
    assert [one.second_entry for one in found.spec.prompts] == [False]
