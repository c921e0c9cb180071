"""Redsys's gateway after a payment: money given back, notices, links."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, date, datetime

import httpx
import pytest
from redsys_support import ORDER, PUBLISHED_KEY, Shop, shop

from dialer.domain.model import Money
from dialer.domain.payment import Brand, PaymentMode, PaymentOutcome
from dialer.payments.gateway import (
    Asked,
    BadWebhook,
    EventKind,
    GatewayError,
    RefundState,
)
from dialer.payments.gateways import redsys_wire
from dialer.simulation import cards

__all__ = ["shop"]

# --- money back ------------------------------------------------------------------------------


def test_a_refund_is_given_once_however_often_it_is_asked(shop: Shop) -> None:
    shop.pay(ORDER)
    gateway, ref = shop.gateway, ORDER.order_ref
    assert gateway.look_up_refund(ORDER, ref, "a" * 32) is None
    assert gateway.refund(ORDER, ref, "a" * 32, ORDER.amount).state is RefundState.DONE
    again = gateway.refund(ORDER, ref, "a" * 32, ORDER.amount)
    assert (again.state, again.reason) == (RefundState.UNKNOWN, "SIS0057")
    looked = gateway.look_up_refund(ORDER, ref, "a" * 32)
    assert looked is not None and looked.state is RefundState.DONE
    assert shop.bank.ledger()["charges"][0]["refunded_minor"] == ORDER.amount.minor


def test_a_part_is_given_back_once(shop: Shop) -> None:
    shop.pay(ORDER)
    assert not shop.gateway.capabilities().partial_refunds
    for _ in range(2):
        answer = shop.gateway.refund(ORDER, ORDER.order_ref, "a" * 32, Money(500, "EUR"))
        assert answer.state is RefundState.DONE
    assert shop.bank.ledger()["charges"][0]["refunded_minor"] == 500


def test_a_refund_whose_answer_is_lost_is_found(shop: Shop) -> None:
    shop.pay(ORDER)
    shop.bank.tell("dropped_after", operation="refund")
    lost = shop.gateway.refund(ORDER, ORDER.order_ref, "a" * 32, ORDER.amount)
    assert lost.state is RefundState.UNKNOWN
    looked = shop.gateway.look_up_refund(ORDER, ORDER.order_ref, "a" * 32)
    assert looked is not None and looked.state is RefundState.DONE


def test_a_charge_of_today_is_cancelled_and_one_of_yesterday_is_not(shop: Shop) -> None:
    shop.pay(ORDER)
    assert shop.gateway.void(ORDER, ORDER.order_ref, "a" * 32).state is RefundState.DONE
    again = shop.gateway.void(ORDER, ORDER.order_ref, "a" * 32)
    assert (again.state, again.reason) == (RefundState.UNKNOWN, "SIS0222")
    looked = shop.gateway.look_up_refund(ORDER, ORDER.order_ref, "a" * 32)
    assert looked is not None and looked.state is RefundState.DONE
    later = replace(ORDER, order_ref="5678AbCdEf01")
    shop.pay(later)
    shop.bank.set_days(1)
    refused = shop.gateway.void(later, later.order_ref, "b" * 32)
    assert (refused.state, refused.reason) == (RefundState.REFUSED, "SIS0072")


def test_an_authorisation_is_confirmed_in_part_and_confirming_it_again_changes_nothing(
    shop: Shop,
) -> None:
    order = replace(ORDER, mode=PaymentMode.AUTHORISE)
    assert shop.pay(order).outcome is PaymentOutcome.APPROVED
    too_much = shop.gateway.capture(order, order.order_ref, Money(1251, "EUR"))
    assert too_much.outcome is not PaymentOutcome.APPROVED
    for _ in range(2):
        taken = shop.gateway.capture(order, order.order_ref, Money(900, "EUR"))
        assert taken.outcome is PaymentOutcome.APPROVED
    assert shop.bank.ledger()["charges"][0]["captured_minor"] == 900


def test_an_authorisation_is_cancelled(shop: Shop) -> None:
    order = replace(ORDER, mode=PaymentMode.AUTHORISE)
    shop.pay(order)
    assert shop.gateway.void(order, order.order_ref, "a" * 32).state is RefundState.DONE
    refused = shop.gateway.capture(order, order.order_ref, order.amount)
    assert refused.outcome is not PaymentOutcome.APPROVED


# --- links and notices -----------------------------------------------------------------------


def _notice(shop: Shop, **changes: str) -> dict[str, str]:
    told = {
        "Ds_Date": "22%2F11%2F2026",
        "Ds_Hour": "10%3A30",
        "Ds_Amount": "1250",
        "Ds_Currency": "978",
        "Ds_Order": ORDER.order_ref,
        "Ds_MerchantCode": redsys_wire.TEST_SHOP,
        "Ds_Terminal": "001",
        "Ds_Response": "0000",
        "Ds_TransactionType": "0",
        "Ds_AuthorisationCode": "123456",
        **changes,
    }
    return redsys_wire.envelope(shop.gateway._key, told["Ds_Order"], told)


def test_a_notice_says_what_became_of_an_order(shop: Shop) -> None:
    event = shop.gateway.read_webhook(Asked({}, b"", _notice(shop)))
    assert (event.kind, event.order_ref, event.amount) == (
        EventKind.APPROVED, ORDER.order_ref, ORDER.amount,
    )  # fmt: skip
    assert event.at == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    assert event.reply is not None and event.reply.auth_code == "123456"
    assert event.event_id == shop.gateway.read_webhook(Asked({}, b"", _notice(shop))).event_id


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"Ds_Response": "0116"}, EventKind.DECLINED),
        ({"Ds_Response": "0116", "Ds_TransactionType": "38"}, EventKind.OTHER),
        ({"Ds_Response": "0000", "Ds_TransactionType": "38"}, EventKind.APPROVED),
        ({"Ds_Response": "0900", "Ds_TransactionType": "3"}, EventKind.REFUNDED),
        ({"Ds_Response": "0950", "Ds_TransactionType": "3"}, EventKind.REFUND_FAILED),
        ({"Ds_Response": "9998"}, EventKind.OTHER),
        ({"Ds_Response": ""}, EventKind.OTHER),
        ({"Ds_Response": "0400", "Ds_TransactionType": "9"}, EventKind.OTHER),
    ],
)
def test_kinds_of_notices(shop: Shop, changes: dict[str, str], kind: EventKind) -> None:
    assert shop.gateway.read_webhook(Asked({}, b"", _notice(shop, **changes))).kind is kind


def test_notices_that_are_not_redsys_s_are_refused(shop: Shop) -> None:
    good = _notice(shop)
    told = json.loads(base64.b64decode(good["Ds_MerchantParameters"]))
    richer = base64.b64encode(json.dumps({**told, "Ds_Amount": "1"}).encode()).decode()
    own = redsys_wire.envelope(PUBLISHED_KEY, ORDER.order_ref, told)
    for form in (
        {},
        {**good, "Ds_MerchantParameters": richer},
        {**good, "Ds_Signature": "x"},
        {**good, "Ds_MerchantParameters": "%%%"},
        own,
        _notice(shop, Ds_MerchantCode="111111111"),
    ):
        with pytest.raises(BadWebhook):
            shop.gateway.read_webhook(Asked({}, b"", form))


def test_a_paygold_link_is_made_once_and_can_be_paid(shop: Shop) -> None:
    expires = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
    link = shop.gateway.payment_link(ORDER, expires, "https://example.com/back")
    assert link is not None and "/sis/p2f?t=" in link
    kept = shop.bank.objects("redsys", "link")
    assert kept[0]["expires"] == "2026-12-01-13.00.00.000"
    with pytest.raises(GatewayError, match="SIS0051"):
        shop.gateway.payment_link(ORDER, expires, "https://example.com/back")
    assert shop.pay(ORDER).reason == "SIS0051"
    month, year = cards.expiry(date.today())
    form = {
        "t": link.partition("t=")[2],
        "pan": cards.card_number(Brand.VISA, "approve", 9),
        "expiry": f"{year % 100:02d}{month:02d}",
        "cvv2": cards.security_code(9),
    }
    assert httpx.post(f"{shop.base}/sis/p2f", data=form, trust_env=False).text == "approved"
