"""The pure rules of money: states, the ledger's transactions, how often a card may be tried."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import NOW

from dialer.domain import ledger
from dialer.domain.ledger import Book
from dialer.domain.payment import PaymentMode, PaymentOutcome, PaymentState
from dialer.domain.payment_states import (
    News,
    RefundLife,
    Step,
    absence_believed,
    advance,
    advance_refund,
    look_up_wait,
    news_of,
)
from dialer.domain.velocity import Limit, Submission, VelocityLimits, limit_reached

S, N = PaymentState, News
UNPAID = (S.DECLINED, S.NOT_CHARGED, S.MISCONFIGURED)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (PaymentOutcome.APPROVED, S.APPROVED),
        (PaymentOutcome.DECLINED_SOFT, S.DECLINED),
        (PaymentOutcome.DECLINED_HARD, S.DECLINED),
        (PaymentOutcome.NEEDS_ACTION, S.NEEDS_ACTION),
        (PaymentOutcome.UNKNOWN, S.UNKNOWN),
        (PaymentOutcome.CONFIGURATION_ERROR, S.MISCONFIGURED),
    ],
)
def test_each_of_the_six_outcomes_has_its_state(
    outcome: PaymentOutcome, state: PaymentState
) -> None:
    assert advance(S.SENDING, news_of(outcome)) == Step(state)


@given(st.sampled_from(PaymentState))
def test_approved_wins_over_everything(state: PaymentState) -> None:
    assert advance(state, N.APPROVED) == Step(S.APPROVED, contradiction=state in UNPAID)


@given(st.sampled_from(News))
def test_nothing_takes_an_approval_back(news: News) -> None:
    said_otherwise = news in (N.DECLINED, N.NOT_CHARGED, N.MISCONFIGURED)
    assert advance(S.APPROVED, news) == Step(S.APPROVED, said_otherwise)


@given(st.lists(st.sampled_from(News), max_size=12))
def test_a_payment_that_has_settled_is_never_open_again(heard: list[News]) -> None:
    state, settled = S.CREATED, False
    for news in heard:
        state = advance(state, news).state
        assert not (settled and state.open)
        settled = not state.open
    assert (state is S.APPROVED) is (N.APPROVED in heard)


def test_a_card_that_may_have_left_is_never_called_unsent() -> None:
    assert advance(S.CREATED, N.NEVER_SENT).state is S.NOT_CHARGED
    assert advance(S.SENDING, N.NEVER_SENT).state is S.SENDING
    assert advance(S.UNKNOWN, N.NEVER_SENT).state is S.UNKNOWN
    assert advance(S.SENDING, N.LOST).state is S.UNKNOWN
    assert advance(S.UNKNOWN, N.SENT).state is S.UNKNOWN


@pytest.mark.parametrize("state", [S.SENDING, S.UNKNOWN])
@pytest.mark.parametrize("news", [N.UNKNOWN, N.LOST])
def test_doubt_heard_again_is_doubt_still(state: PaymentState, news: News) -> None:
    once = advance(state, news)
    assert advance(once.state, news) == advance(once.state, N.UNKNOWN) == Step(S.UNKNOWN)


def test_look_ups_grow_apart_and_never_end() -> None:
    waits = [look_up_wait(n).total_seconds() for n in range(8)]
    assert waits == [5, 15, 60, 300, 900, 3600, 3600, 3600]
    assert look_up_wait(100_000) == timedelta(hours=1)


def test_an_absence_is_believed_only_when_nothing_can_be_under_way() -> None:
    def believed(asked: float, sent: float | None) -> bool:
        sending = None if sent is None else NOW + timedelta(seconds=sent)
        return absence_believed(
            NOW + timedelta(seconds=asked), NOW + timedelta(seconds=90), sending, 15, 180
        )

    # 90 s to leave, 15 s for an answer, 180 s within the gateway's house.
    assert not believed(285, 3)
    assert believed(285.1, 3)
    assert not believed(285.1, 100)  # a clock that jumped: the later moment counts
    assert believed(295.1, 100)
    assert believed(285.1, None)


@given(st.lists(st.sampled_from(RefundLife), max_size=10))
def test_the_last_certain_word_on_a_refund_counts(said: list[RefundLife]) -> None:
    state = RefundLife.CREATED
    for one in said:
        state = advance_refund(state, one)
    certain = [one for one in said if one in (RefundLife.DONE, RefundLife.REFUSED)]
    assert state is certain[-1] if certain else state.open


def test_a_refund_that_waits_at_the_bank_is_not_made_unknown_again() -> None:
    assert advance_refund(RefundLife.PENDING, RefundLife.UNKNOWN) is RefundLife.PENDING
    assert advance_refund(RefundLife.UNKNOWN, RefundLife.PENDING) is RefundLife.PENDING


# --- ledger ------------------------------------------------------------------------------


def _sum(*moved: ledger.Transaction | None) -> dict[Book, int]:
    books = dict.fromkeys(Book, 0)
    for one in moved:
        for entry in one.entries if one else ():
            books[entry.book] += entry.minor
    return books


def test_entries_that_do_not_add_up_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        ledger.Transaction("x", (ledger.Entry(Book.OPEN, -1), ledger.Entry(Book.PAID, 2)))
    with pytest.raises(ValueError, match="two entries"):
        ledger.move("x", Book.OPEN, 3, (Book.PAID, 1), (Book.PAID, 2))


@given(
    st.lists(st.sampled_from(News), max_size=10),
    st.sampled_from([PaymentMode.CHARGE, PaymentMode.AUTHORISE]),
    st.integers(1, 10**9),
)
def test_whatever_is_heard_state_and_books_agree(
    heard: list[News], mode: PaymentMode, minor: int
) -> None:
    state, moved = S.CREATED, [ledger.reserve("p", minor)]
    for news in heard:
        after = advance(state, news).state
        one = ledger.settlement(state, after, mode, "p", minor)
        moved += [one] if one else []
        state = after
        books = _sum(*moved)
        assert (
            ledger.wrong_with_payment(mode, state, minor, books, captured=False, given_back=0)
            is None
        )
        assert ledger.balance(minor, "EUR", books).adds_up
    assert len({one.key for one in moved}) == len(moved)


def test_a_token_moves_no_money() -> None:
    moved = ledger.settlement(S.SENDING, S.APPROVED, PaymentMode.TOKENISE, "p", 0)
    assert moved is None


def test_a_part_captured_opens_the_rest() -> None:
    books = _sum(ledger.reserve("p", 100), ledger.capture("p", 100, 60))
    assert ledger.balance(100, "EUR", books) == ledger.Balance(100, 40, 0, 60, 0, "EUR")


def test_what_is_given_back_is_owed_again_unless_forgiven() -> None:
    paid = (ledger.reserve("p", 100), ledger.settle("p", 100))
    back = ledger.balance(100, "EUR", _sum(*paid, ledger.give_back("r", 30)), 30)
    assert (back.open, back.paid, back.refunded, back.forgiven) == (30, 70, 30, 0)
    gift = ledger.balance(100, "EUR", _sum(*paid, ledger.give_back("r", 30, forgive=True)), 30)
    assert (gift.open, gift.paid, gift.refunded, gift.forgiven) == (0, 70, 30, 30)
    assert back.adds_up and gift.adds_up


def test_money_taken_twice_shows_as_overpaid() -> None:
    books = _sum(
        ledger.reserve("a", 100), ledger.release("a", 100), ledger.reserve("b", 100),
        ledger.settle("b", 100), ledger.settle_late("a", 100),
    )  # fmt: skip
    stands = ledger.balance(100, "EUR", books)
    assert (stands.open, stands.paid, stands.overpaid) == (0, 200, 100)
    assert stands.adds_up


@pytest.mark.parametrize(
    ("state", "books"),
    [
        (S.UNKNOWN, {}),
        (S.DECLINED, {Book.PENDING: 100, Book.OPEN: -100}),
        (S.APPROVED, {Book.PENDING: 100, Book.OPEN: -100}),
        (S.APPROVED, {Book.PAID: 200, Book.OPEN: -200}),
        (S.DECLINED, {Book.PAID: 100, Book.OPEN: -100}),
    ],
)
def test_books_that_do_not_fit_the_state_are_named(
    state: PaymentState, books: dict[Book, int]
) -> None:
    assert ledger.wrong_with_payment(
        PaymentMode.CHARGE, state, 100, books, captured=False, given_back=0
    )


# --- velocity ----------------------------------------------------------------------------

NEW = Submission(NOW, 1, "+34600000001", "card")
LIMITS = VelocityLimits()


def _earlier(count: int, **changes: object) -> list[Submission]:
    """Submissions of the last hours that share nothing with ``NEW`` but ``changes``."""
    return [
        replace(
            Submission(NOW - timedelta(hours=1 + n), 100 + n, f"+3460000100{n}", f"other{n}"),
            **changes,  # type: ignore[arg-type]
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("limit", "allowed", "changes"),
    [
        (Limit.DEBT, 5, {"account_id": 1}),
        (Limit.PHONE, 5, {"number": NEW.number, "fingerprint": NEW.fingerprint, "account_id": 2}),
        (Limit.CARDS_OF_PHONE, 4, {"number": NEW.number}),
        (Limit.DEBTS_OF_CARD, 4, {"fingerprint": NEW.fingerprint}),
        (
            Limit.CARD_DECLINES,
            5,
            {
                "fingerprint": NEW.fingerprint,
                "account_id": 2,
                "outcome": PaymentOutcome.DECLINED_SOFT,
            },
        ),
    ],
)
def test_each_limit_refuses_the_one_after_it(
    limit: Limit, allowed: int, changes: dict[str, object]
) -> None:
    assert limit_reached(LIMITS, _earlier(allowed - 1, **changes), NEW) is None
    assert limit_reached(LIMITS, _earlier(allowed, **changes), NEW) is limit


def test_a_card_declined_for_good_is_not_tried_again_for_a_day() -> None:
    def after(hours: float) -> Limit | None:
        at = NOW - timedelta(hours=hours)
        hard = Submission(at, 9, None, "card", PaymentOutcome.DECLINED_HARD)
        return limit_reached(LIMITS, [hard], NEW)

    assert after(23.9) is Limit.HARD_DECLINE
    assert after(24) is None


def test_what_is_not_known_is_not_held_against_anybody() -> None:
    past = _earlier(20, number=None, fingerprint=None)
    assert limit_reached(LIMITS, past, replace(NEW, number=None, fingerprint=None)) is None
