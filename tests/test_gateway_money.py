"""Money taken later or given back, by every gateway, against the simulated bank."""

from __future__ import annotations

import uuid
from contextlib import suppress

from fixtures_bank import BankProcess, make_card, order_for, paid, pay

from dialer.domain.model import Money
from dialer.domain.payment import PaymentMode, PaymentOutcome
from dialer.payments.gateway import Gateway, GatewayError, RefundReply, RefundState

WHOLE_ONLY = ("redsys",)


def test_the_whole_is_given_back_once(gateway: Gateway, bank: BankProcess) -> None:
    order, ref = paid(gateway)
    key = uuid.uuid4().hex
    assert gateway.refund(order, ref, key, order.amount).state is RefundState.DONE
    again = gateway.refund(order, ref, key, order.amount)
    assert again.state in (RefundState.DONE, RefundState.REFUSED, RefundState.UNKNOWN)
    other = gateway.refund(order, ref, uuid.uuid4().hex, order.amount)
    assert other.state in (RefundState.REFUSED, RefundState.UNKNOWN)
    (charge,) = bank.charges(order)
    assert charge["refunded_minor"] == 12345


def test_refunds_stay_within_what_was_charged(gateway: Gateway, bank: BankProcess) -> None:
    if not gateway.capabilities().partial_refunds:
        assert gateway.name in WHOLE_ONLY
        return
    order, ref = paid(gateway)
    key = uuid.uuid4().hex
    for _ in range(2):
        part = gateway.refund(order, ref, key, Money(2345, order.amount.currency))
        assert part.state is RefundState.DONE
    too_much = gateway.refund(order, ref, uuid.uuid4().hex, Money(10001, order.amount.currency))
    assert too_much.state in (RefundState.REFUSED, RefundState.UNKNOWN)
    rest = gateway.refund(order, ref, uuid.uuid4().hex, Money(10000, order.amount.currency))
    assert rest.state is RefundState.DONE
    (charge,) = bank.charges(order)
    assert [one["minor"] for one in charge["refunds"]] == [2345, 10000]
    assert charge["held_minor"] == 0


def test_a_refund_whose_answer_is_lost_is_looked_up(gateway: Gateway, bank: BankProcess) -> None:
    order, ref = paid(gateway)
    bank.post("behaviour", behaviour="dropped_after", operation="refund", times=2)
    key = uuid.uuid4().hex
    lost = gateway.refund(order, ref, key, order.amount)
    assert lost.state in (RefundState.UNKNOWN, RefundState.DONE)
    found = gateway.look_up_refund(order, ref, key)
    assert found is not None
    assert found.state is RefundState.DONE
    (charge,) = bank.charges(order)
    assert charge["refunded_minor"] == 12345


def test_a_refund_that_never_arrived_is_not_found(gateway: Gateway, bank: BankProcess) -> None:
    order, ref = paid(gateway)
    bank.post("behaviour", behaviour="dropped_before", operation="refund", times=2)
    lost = gateway.refund(order, ref, uuid.uuid4().hex, order.amount)
    assert lost.state is RefundState.UNKNOWN
    assert gateway.look_up_refund(order, ref, uuid.uuid4().hex) is None
    (charge,) = bank.charges(order)
    assert charge["refunded_minor"] == 0


def test_what_is_authorised_is_captured_or_voided(gateway: Gateway, bank: BankProcess) -> None:
    able = gateway.capabilities()
    assert PaymentMode.AUTHORISE in able.modes
    if able.captures:
        order, ref = paid(gateway, mode=PaymentMode.AUTHORISE)
        assert bank.charged(order) == []
        taken = gateway.capture(order, ref, order.amount)
        assert taken.outcome is PaymentOutcome.APPROVED
        assert [one["captured_minor"] for one in bank.charged(order)] == [12345]
    if able.voids:
        order, ref = paid(gateway, mode=PaymentMode.AUTHORISE)
        key = uuid.uuid4().hex
        assert gateway.void(order, ref, key).state is RefundState.DONE
        again = gateway.look_up_refund(order, ref, key)
        assert isinstance(again, RefundReply)
        assert again.state is RefundState.DONE
        assert bank.charged(order) == []
        refused = gateway.capture(order, ref, order.amount)
        assert refused.outcome is not PaymentOutcome.APPROVED


def test_a_kept_card_moves_no_money(gateway: Gateway, bank: BankProcess) -> None:
    mode = PaymentMode.TOKENISE
    order = order_for(gateway, mode=mode, amount=Money(0, order_for(gateway).amount.currency))
    if mode in gateway.capabilities().modes:
        _, reply = pay(gateway, order, make_card())
        assert reply.outcome is PaymentOutcome.APPROVED
        assert reply.token
    else:
        with suppress(GatewayError):  # said before or when the card is given, and never done
            _, reply = pay(gateway, order, make_card())
            assert reply.outcome is PaymentOutcome.CONFIGURATION_ERROR
    assert bank.charged(order) == []
