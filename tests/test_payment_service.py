"""Charged exactly once: the service's steps on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from payment_support import (
    ABSENT,
    APPROVED,
    CLOSED,
    FOUND,
    HARD,
    OWED,
    SOFT,
    UNKNOWN,
    Till,
)
from sqlalchemy import Engine
from world import World

from dialer.config import Settings, load_settings
from dialer.domain.model import LineType, Money, PaymentTerms
from dialer.domain.payment import (
    PaymentMode,
    PaymentOutcome,
    PaymentState,
    PayResult,
    PaySpec,
    PayStep,
)
from dialer.payments import service, texting
from dialer.payments.gateway import Found, LookUp, Reply
from dialer.payments.service import NotBegun, Settled, UnknownPaymentError
from dialer.store import pay_sessions
from dialer.store import payments as rows
from dialer.store import tables as t

S = PaymentState


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path, gateway_seconds=15, payment_settle_seconds=180)


@pytest.fixture
def till(database: Engine, settings: Settings) -> Till:
    return Till(World(database), settings)


def test_a_payment_from_intent_to_receipt(till: Till) -> None:
    key = till.begin()
    assert till.stands() == (0, OWED, 0)
    assert till.payment(key).state is S.CREATED
    assert till.mark_sending(key)
    assert till.payment(key).sending_at == till.now
    done = till.settle(key, APPROVED)
    assert (done.state, done.changed, done.contradiction) == (S.APPROVED, True, False)
    assert till.stands() == (0, 0, OWED)
    one = till.payment(key)
    assert (one.outcome, one.auth_code) == (PaymentOutcome.APPROVED, "A1B2C3")
    (outcome,) = till.world.rows(t.flow_outcome, attempt_id=till.attempt_id)
    assert (outcome.outcome, outcome.node) == ("paid", "card")
    (receipt,) = till.world.rows(t.message)
    assert (receipt.id, receipt.key) == (done.message_id, f"receipt:{key}")
    assert receipt.number == till.number
    assert "123,45 EUR" in receipt.body and "A1B2C3" in receipt.body and "4242" in receipt.body
    assert till.audit() == []


def test_the_order_is_the_same_whenever_it_is_asked_for(till: Till) -> None:
    with till.engine.begin() as c:
        begun = service.begin(c, till.request(), till.now)
        assert isinstance(begun, service.Begun)
        assert service.order_of(c, begun.payment_id) == begun.order
    assert begun.order.description == "Acme R1"
    assert (begun.order.country, begun.order.language) == ("ES", "es")
    assert begun.order.amount == Money(OWED, "EUR")


@pytest.mark.parametrize("times", [2, 5])
def test_settled_again_nothing_changes(till: Till, times: int) -> None:
    key = till.send()
    till.settle(key, APPROVED)
    for _ in range(times):
        assert till.settle(key, APPROVED) == Settled(S.APPROVED, False)
        assert till.look_up(key, FOUND) == Settled(S.APPROVED, False)
    assert till.stands() == (0, 0, OWED)
    assert till.messages() == ["payment_receipt"]
    assert till.audit() == []


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (SOFT, S.DECLINED),
        (HARD, S.DECLINED),
        (Reply(PaymentOutcome.NEEDS_ACTION), S.NEEDS_ACTION),
        (Reply(PaymentOutcome.CONFIGURATION_ERROR), S.MISCONFIGURED),
    ],
)
def test_no_money_no_entries_left(till: Till, reply: Reply, state: PaymentState) -> None:
    key = till.send()
    assert till.settle(key, reply) == Settled(state, True)
    assert till.stands() == (OWED, 0, 0)
    assert till.payment(key).outcome is reply.outcome
    assert till.world.rows(t.flow_outcome) == []
    assert till.audit() == []


def test_an_unknown_one_holds_its_money_until_it_is_known(till: Till) -> None:
    key = till.send()
    till.settle(key, UNKNOWN)
    assert till.stands() == (0, OWED, 0)
    second = till.try_begin()
    assert second == NotBegun(PayResult.NOTHING_OWED, "under_way")
    till.wait(60)
    assert till.look_up(key, FOUND).changed
    assert till.stands() == (0, 0, OWED)
    assert till.messages() == ["payment_receipt"]


def test_nothing_can_be_paid_twice(till: Till) -> None:
    till.pay()
    assert till.try_begin() == NotBegun(PayResult.NOTHING_OWED, "nothing_open")


def test_never_more_than_is_open(till: Till) -> None:
    till.pay(10_000)
    refused = till.try_begin(2346)
    assert refused == NotBegun(PayResult.NOTHING_OWED, "less_open", Money(2345, "EUR"))
    till.pay(2345, fingerprint="other")
    assert till.stands() == (0, 0, OWED)


def test_amounts_that_make_no_sense_are_refused(till: Till) -> None:
    for minor, mode in [(0, PaymentMode.CHARGE), (-5, PaymentMode.AUTHORISE), (5, "tokenise")]:
        with pytest.raises(ValueError, match="cannot be"):
            till.request(minor, mode=PaymentMode(mode))
    other = till.try_begin(amount=Money(5, "USD"))
    assert other == NotBegun(PayResult.INTERNAL_ERROR, "currency")
    with pytest.raises(UnknownPaymentError, match="account 999"):
        till.begin(account_id=999)
    assert till.world.rows(t.payment) == []


def test_a_card_is_not_sent_too_late_or_twice(till: Till) -> None:
    key = till.begin()
    till.wait(90.001)
    assert not till.mark_sending(key)
    till.wait(-1)
    assert till.mark_sending(key)
    assert not till.mark_sending(key)


def test_given_up_before_it_left(till: Till) -> None:
    key = till.begin()
    with till.engine.begin() as c:
        assert service.abandon(c, key, till.now) == Settled(S.NOT_CHARGED, True)
    assert not till.mark_sending(key)
    assert till.stands() == (OWED, 0, 0)
    sent = till.send()
    with till.engine.begin() as c:
        assert service.abandon(c, sent, till.now) == Settled(S.SENDING, False)
    assert till.stands() == (0, OWED, 0)
    assert till.audit() == []


def test_a_gateway_that_would_not_prepare(till: Till) -> None:
    key = till.begin()
    with till.engine.begin() as c:
        done = service.abandon(c, key, till.now, misconfigured=True)
    assert done == Settled(S.MISCONFIGURED, True)
    assert till.stands() == (OWED, 0, 0)


# --- what is believed, and when ----------------------------------------------------------


def test_an_absence_is_not_believed_too_early(till: Till) -> None:
    key = till.send()
    till.settle(key, UNKNOWN)
    till.wait(284)
    assert till.look_up(key, ABSENT) == Settled(S.UNKNOWN, False)
    assert till.payment(key).next_look_up_at == till.now + timedelta(seconds=15)
    till.wait(2)
    assert till.look_up(key, ABSENT).state is S.NOT_CHARGED
    assert till.stands() == (OWED, 0, 0)


def test_closed_is_believed_at_once(till: Till) -> None:
    key = till.send()
    assert till.look_up(key, CLOSED).state is S.NOT_CHARGED
    assert till.audit() == []


def test_look_ups_go_on_for_ever(till: Till) -> None:
    key = till.send()
    till.settle(key, UNKNOWN)
    waits = []
    for _ in range(9):
        due = till.payment(key).next_look_up_at
        assert due is not None
        waits.append((due - till.now).total_seconds())
        till.wait(waits[-1])
        with till.engine.begin() as c:
            assert [one.id for one in rows.due_look_ups(c, till.now)] == [key]
            service.postpone_look_up(c, key, "gateway_away", till.now)
            assert rows.due_look_ups(c, till.now) == []
    assert waits == [5, 15, 60, 300, 900, 3600, 3600, 3600, 3600]
    assert till.look_up(key, LookUp(Found.PENDING)) == Settled(S.UNKNOWN, False)


def test_money_is_real_whatever_we_believed(till: Till) -> None:
    key = till.send()
    till.look_up(key, CLOSED)
    done = till.settle(key, APPROVED)
    assert (done.state, done.changed, done.contradiction) == (S.APPROVED, True, True)
    assert till.stands() == (0, 0, OWED)
    with till.engine.connect() as c:
        kinds = [row.kind for row in rows.events_of(c, key)]
    assert kinds.count("contradiction") == 1
    assert till.audit() == []


def test_what_was_taken_twice_is_reported(till: Till) -> None:
    first = till.send()
    till.look_up(first, CLOSED)
    till.pay()
    assert till.settle(first, APPROVED).contradiction
    stands = till.balance()
    assert (stands.paid, stands.overpaid) == (2 * OWED, OWED)
    (line,) = till.audit()
    assert f"overpaid by {OWED} EUR" in line


def test_a_link_that_was_paid_after_the_debt_was(till: Till) -> None:
    """No state is contradicted, but it is money that was not owed."""
    link = till.send()
    till.settle(link, Reply(PaymentOutcome.NEEDS_ACTION, reason="link"))
    till.pay(10_000)
    done = till.settle(link, replace(APPROVED, provider_ref="page"))
    assert (done.state, done.changed, done.contradiction) == (S.APPROVED, True, True)
    assert till.balance().overpaid == 10_000
    with till.engine.connect() as c:
        (told,) = [row for row in rows.events_of(c, link) if row.kind == "contradiction"]
    assert told.detail == {"overpaid": 10_000, "currency": "EUR"}


def test_a_decline_after_an_approval_is_not_believed(till: Till) -> None:
    key = till.pay()
    assert till.look_up(key, LookUp(Found.DECLINED, SOFT)) == Settled(S.APPROVED, False, None, True)
    assert till.stands() == (0, 0, OWED)


# --- texts -------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [CLOSED, LookUp(Found.DECLINED, SOFT)])
def test_who_hung_up_in_doubt_gets_a_link_once(till: Till, said: LookUp) -> None:
    key = till.send()
    till.settle(key, UNKNOWN)
    till.hang_up()
    till.wait(60)
    done = till.look_up(key, said)
    assert till.messages() == [texting.LINK_TEMPLATE]
    assert done.message_id is not None
    till.look_up(key, said)
    assert till.messages() == [texting.LINK_TEMPLATE]


def test_who_is_still_in_the_call_is_told_there(till: Till) -> None:
    key = till.send()
    till.settle(key, UNKNOWN)
    till.look_up(key, CLOSED)
    assert till.messages() == []


def test_a_link_hours_later_would_say_nothing_true(till: Till) -> None:
    key = till.send()
    till.settle(key, UNKNOWN)
    till.hang_up()
    till.wait(texting.LINK_WITHIN.total_seconds() + 1)
    assert till.look_up(key, CLOSED).message_id is None
    assert till.messages() == []


def test_a_fixed_line_gets_no_text(database: Engine, settings: Settings) -> None:
    till = Till(World(database), settings, line_type=LineType.FIXED)
    till.pay()
    assert till.messages() == []
    assert till.stands() == (0, 0, OWED)


def test_a_text_that_cannot_be_written_does_not_stop_the_books(till: Till, tmp_path: Path) -> None:
    till.settings = till.settings.model_copy(update={"flows_dir": tmp_path / "nothing"})
    key = till.send()
    assert till.settle(key, APPROVED) == Settled(S.APPROVED, True, None)
    assert till.stands() == (0, 0, OWED)


# --- after a crash -----------------------------------------------------------------------


def test_what_a_crash_leaves_is_given_up_or_looked_up(till: Till) -> None:
    never_left, left = till.begin(1000), None
    other = Till(till.world, till.settings)
    left = other.send()

    def reconcile() -> tuple[int, int]:
        done = service.reconcile(till.engine, till.now, till.settings)
        return done.abandoned, done.unknown

    till.wait(90)
    assert reconcile() == (0, 0)
    till.wait(1)
    assert reconcile() == (1, 0)
    till.wait(15)
    assert reconcile() == (0, 1)
    assert reconcile() == (0, 0)
    assert till.payment(never_left).state is S.NOT_CHARGED
    assert till.stands() == (OWED, 0, 0)
    assert other.payment(left).state is S.UNKNOWN
    assert other.payment(left).next_look_up_at == till.now + timedelta(seconds=5)
    assert other.stands() == (0, OWED, 0)
    assert till.audit() == []


def test_a_payment_left_behind_does_not_bar_the_next_call(till: Till) -> None:
    first = till.begin()
    till.wait(91)
    with till.engine.connect() as c:
        offered = service.offer(c, till.account_id, PaymentTerms(), till.now)
    assert offered is not None and offered.whole == Money(OWED, "EUR")
    second = till.begin()
    assert till.payment(first).state is S.NOT_CHARGED
    assert till.payment(second).state is S.CREATED
    assert till.stands() == (0, OWED, 0)


def test_the_database_gone_between_intent_and_charge_sends_nothing(till: Till) -> None:
    """Without the commit of ``sending`` nobody may send; what was begun is free again later."""
    key = till.begin()
    connection = till.engine.connect()
    transaction = connection.begin()
    assert service.mark_sending(connection, key, till.now)
    connection.invalidate()  # the server hangs up before the commit
    connection.close()
    del transaction
    assert till.payment(key).state is S.CREATED
    till.wait(91)
    assert not till.mark_sending(key)
    assert service.reconcile(till.engine, till.now, till.settings).abandoned == 1
    assert till.stands() == (OWED, 0, 0)


def test_a_settlement_that_breaks_off_leaves_nothing_half_done(till: Till) -> None:
    key = till.send()
    with till.engine.connect() as c:
        service.settle(c, key, APPROVED, till.now, till.settings)  # and no commit
    assert till.payment(key).state is S.SENDING
    assert till.stands() == (0, OWED, 0)
    assert till.messages() == []
    assert till.settle(key, APPROVED).changed
    assert till.audit() == []


JUMPS = [-5, 0, 5]
"""Hours by which the clock is set, between two steps."""


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("said", ["reply", "crash", "absent, then reply"])
@pytest.mark.parametrize("before_answer", JUMPS)
@pytest.mark.parametrize("before_sending", JUMPS)
def test_a_clock_that_jumps_neither_loses_nor_doubles(
    till: Till, before_sending: int, before_answer: int, said: str
) -> None:
    key = till.begin(fingerprint=None)
    till.wait(3600 * before_sending)
    sent = till.mark_sending(key)
    assert sent is (before_sending <= 0), "its time to leave has passed, as far as anybody knows"
    till.wait(3600 * before_answer)
    service.reconcile(till.engine, till.now, till.settings)
    if sent:
        assert till.payment(key).state in (S.SENDING, S.UNKNOWN)
        assert isinstance(till.try_begin(fingerprint=None), NotBegun), "it is in doubt"
        if said == "absent, then reply":
            till.settle(key, UNKNOWN)
            till.look_up(key, ABSENT)
        if said != "crash":
            till.settle(key, APPROVED)
    till.wait(3600 * 24)
    service.reconcile(till.engine, till.now, till.settings)
    if till.payment(key).state.open:
        till.look_up(key, FOUND)
    assert till.payment(key).state is (S.APPROVED if sent else S.NOT_CHARGED)
    assert till.stands() == ((0, 0, OWED) if sent else (OWED, 0, 0))
    assert till.messages().count("payment_receipt") == sent
    assert till.audit() == []


def test_given_up_by_a_clock_ahead_is_not_sent_when_it_is_set_back(till: Till) -> None:
    first = till.begin(fingerprint=None)
    till.wait(3600 * 5)
    second = till.begin(fingerprint=None)
    till.wait(-3600 * 5)
    assert not till.mark_sending(first)
    assert till.mark_sending(second)
    till.settle(second, APPROVED)
    assert till.stands() == (0, 0, OWED)
    assert till.audit() == []


def test_an_amount_is_remembered_until_it_was_paid(till: Till) -> None:
    def agreed(result: PayResult | None, session_id: str) -> None:
        with till.engine.begin() as c:
            pay_sessions.open_session(
                c,
                pay_sessions.PaySession(
                    id=session_id, attempt_id=till.attempt_id, account_id=till.account_id,
                    node="card", language="es", spec=PaySpec(), started_at=till.now,
                ),
            )  # fmt: skip
            pay_sessions.note_progress(c, session_id, PayStep.CARD_NUMBER, agreed_minor=500)
            if result is not None:
                pay_sessions.end_session(c, session_id, result, till.now, seconds={}, errors={})

    def remembered() -> int | None:
        with till.engine.connect() as c:
            found = pay_sessions.earlier_session(c, till.account_id, till.now)
        return found.agreed_minor if found else None

    for session_id, result, wanted in (
        ("a" * 32, PayResult.CALLER_HUNG_UP, 500),
        ("b" * 32, PayResult.SUCCESS, None),
        ("c" * 32, None, 500),  # the process died
    ):
        till.wait(60)
        agreed(result, session_id)
        assert remembered() == wanted
    till.wait(86_400)
    assert remembered() is None
