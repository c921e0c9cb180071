"""Mercado Pago's gateway against the simulated bank: a token, a payment, once; notices; refunds."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from dialer.config import ConfigError, load_settings
from dialer.domain.model import Money
from dialer.domain.payment import Brand, PaymentMode, PaymentOutcome
from dialer.payments.gateway import (
    Asked,
    BadWebhook,
    Card,
    EventKind,
    Found,
    GatewayError,
    Order,
    RefundState,
)
from dialer.payments.gateways import mercadopago, mercadopago_words
from dialer.payments.secret import SecretDigits
from dialer.simulation import cards
from dialer.simulation.bank.app import serving
from dialer.simulation.bank.core import Bank
from dialer.simulation.bank.desk import Desk, Waits
from dialer.simulation.bank.hooks import HookSender

ORDER = Order(
    payment_id="0123456789abcdef0123456789abcdef",
    order_ref="1234AbCdEf01",
    amount=Money(125_050, "MXN"),
    mode=PaymentMode.CHARGE,
    description="Cobranza SA - REF 77",
    country="MX",
    language="es",
    created_at=datetime(2026, 11, 22, tzinfo=UTC),
)
HELD = replace(ORDER, mode=PaymentMode.AUTHORISE)


class Shop:
    """The gateway with the simulated bank as its Mercado Pago."""

    def __init__(self, gateway: mercadopago.MercadoPago, bank: Bank, base: str, key: str) -> None:
        self.gateway, self.bank, self.base, self.webhook_secret = gateway, bank, base, key

    def pay(self, order: Order = ORDER, behaviour: str = "approve", **other: Any) -> Any:
        with_brand = other.get("brand", Brand.VISA)
        month, year = cards.expiry(date.today())
        card = Card(
            SecretDigits(other.get("number") or cards.card_number(with_brand, behaviour, 7)),
            month,
            year,
            SecretDigits(cards.security_code(7, with_brand)),
        )
        try:
            return self.gateway.submit(order, None, card)
        finally:
            card.wipe()

    def notice(self, ref: str, **changes: Any) -> Asked:
        """A notice of a payment, rightly signed."""
        body = {"id": 99, "type": "payment", "action": "payment.updated", "data": {"id": ref}}
        body |= changes
        text = f"id:{ref};request-id:r1;ts:1704908010;"
        mine = hmac.new(self.webhook_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        headers = {"X-Signature": f"ts=1704908010,v1={mine}", "X-Request-Id": "r1"}
        return Asked(headers, json.dumps(body).encode())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Served on a port of its own, with secrets that the installation made."""
    settings = load_settings(home=tmp_path, gateway_seconds=1.0)
    bank = Bank()
    desk = Desk(bank, HookSender("http://127.0.0.1:9/", 0.0, 0.0), settings, Waits(0.0, 0.0, 5.0))
    with serving(desk, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        base = f"http://127.0.0.1:{server.port}/mercadopago"
        ours = load_settings(home=tmp_path, gateway_seconds=1.0, mercadopago_api_base=base)
        try:
            yield Shop(
                mercadopago.from_settings(ours), bank, base, mercadopago.secrets_of(settings)[1]
            )
        finally:
            server.shutdown()
            thread.join()


def test_settings_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="MERCADOPAGO_PAYER_EMAIL"):
        mercadopago.from_settings(load_settings(home=tmp_path))
    with pytest.raises(ConfigError, match="MERCADOPAGO_ACCESS_TOKEN"):
        mercadopago.from_settings(
            load_settings(home=tmp_path, mercadopago_payer_email="pagos@example.com")
        )


@pytest.mark.parametrize(
    ("behaviour", "outcome", "reason", "found"),
    [
        ("approve", PaymentOutcome.APPROVED, None, Found.APPROVED),
        ("insufficient_funds", PaymentOutcome.DECLINED_SOFT, "cc_rejected_insufficient_amount",
         Found.DECLINED),
        ("stolen", PaymentOutcome.DECLINED_HARD, "cc_rejected_blacklist", Found.DECLINED),
        ("needs_action", PaymentOutcome.NEEDS_ACTION, "cc_rejected_3ds_mandatory", Found.DECLINED),
        ("configuration", PaymentOutcome.CONFIGURATION_ERROR, "mp-4", Found.ABSENT),
        ("dropped_after", PaymentOutcome.UNKNOWN, "no-answer", Found.APPROVED),
        ("dropped_before", PaymentOutcome.UNKNOWN, "no-answer", Found.ABSENT),
        ("rubbish", PaymentOutcome.UNKNOWN, "not-understood", Found.APPROVED),
        ("silent", PaymentOutcome.UNKNOWN, "no-answer", Found.APPROVED),
        ("error_500_charged", PaymentOutcome.UNKNOWN, "http-500", Found.APPROVED),
        ("busy", PaymentOutcome.UNKNOWN, "http-429", Found.ABSENT),
    ],
)  # fmt: skip
def test_a_day_at_the_bank(
    shop: Shop, behaviour: str, outcome: PaymentOutcome, reason: str | None, found: Found
) -> None:
    reply = shop.pay(behaviour=behaviour)
    assert (reply.outcome, reply.reason) == (outcome, reason)
    assert (reply.auth_code is not None) == (outcome is PaymentOutcome.APPROVED)
    looked = shop.gateway.look_up(ORDER, reply.provider_ref)
    assert looked.found is found
    assert (looked.reply is not None) == (found in (Found.APPROVED, Found.DECLINED))


def test_a_payment_asked_for_twice_is_charged_once(shop: Shop) -> None:
    first, second = shop.pay(), shop.pay()
    assert first == second and first.outcome is PaymentOutcome.APPROVED
    charges = shop.bank.ledger()["charges"]
    assert [(one["minor"], one["currency"]) for one in charges] == [(125_050, "MXN")]


def test_another_amount_under_the_same_key_is_in_doubt(shop: Shop) -> None:
    shop.pay()
    other = replace(ORDER, amount=Money(1, "MXN"))
    assert shop.pay(other).outcome is PaymentOutcome.UNKNOWN
    assert shop.gateway.look_up(other, None).found is Found.PENDING


def test_what_is_keyed_wrong_is_a_soft_decline(shop: Shop) -> None:
    reply = shop.pay(number="4000000000000000")
    assert (reply.outcome, reply.reason) == (
        PaymentOutcome.DECLINED_SOFT, "cc_rejected_bad_filled_card_number",
    )  # fmt: skip


def test_a_card_that_no_method_takes_is_not_sent(shop: Shop) -> None:
    reply = shop.pay(brand=Brand.JCB)
    assert (reply.outcome, reply.reason) == (PaymentOutcome.DECLINED_HARD, "card-not-taken")
    assert shop.bank.ledger()["attempts"] == []


@pytest.mark.parametrize("brand", [Brand.VISA, Brand.MASTERCARD, Brand.AMEX])
def test_brands(shop: Shop, brand: Brand) -> None:
    assert shop.pay(brand=brand).outcome is PaymentOutcome.APPROVED


def test_orders_by_telephone_only_where_that_was_agreed(tmp_path: Path) -> None:
    for agreed in (False, True):
        settings = load_settings(
            home=tmp_path,
            mercadopago_api_base="http://127.0.0.1:9/mercadopago",
            mercadopago_telephone=agreed,
        )
        assert mercadopago.from_settings(settings).capabilities().moto is agreed


def test_what_is_not_offered_is_not_sent(shop: Shop) -> None:
    capabilities = shop.gateway.capabilities()
    assert not capabilities.moto and capabilities.currencies == {"MXN"}
    for order in (
        replace(ORDER, mode=PaymentMode.TOKENISE),
        replace(ORDER, amount=Money(100, "ARS")),
    ):
        assert shop.pay(order).outcome is PaymentOutcome.CONFIGURATION_ERROR
    assert shop.bank.ledger()["attempts"] == []


def test_an_outage(shop: Shop) -> None:
    shop.bank.set_outage("error")
    assert shop.pay().outcome is PaymentOutcome.CONFIGURATION_ERROR  # before anything was charged
    with pytest.raises(GatewayError) as raised:
        shop.gateway.look_up(ORDER, None)
    assert raised.value.passing


@pytest.mark.parametrize(
    ("value", "minor"),
    [(1250.5, 125_050), (0.07, 7), ("12.30", 1230), (3, 300), (9_999_999.99, 999_999_999)],
)
def test_amounts_are_read_exactly(value: object, minor: int) -> None:
    assert mercadopago_words.money(value, "MXN") == Money(minor, "MXN")


@pytest.mark.parametrize("value", [None, "x", 0.001, -1, [], True, "1e-999999999"])
def test_amounts_that_are_none(value: object) -> None:
    assert mercadopago_words.money(value, "MXN") is None


@pytest.mark.parametrize(
    ("minor", "text"), [(1, "0.01"), (100, "1.00"), (125_050, "1250.50"), (10**11, "1000000000.00")]
)
def test_amounts_are_written_exactly(minor: int, text: str) -> None:
    assert mercadopago_words.amount_text(Money(minor, "MXN")) == text


# --- afterwards ------------------------------------------------------------------------------


def test_refunds_are_given_once_each_and_found_by_their_ids(shop: Shop) -> None:
    ref = shop.pay().provider_ref
    gateway = shop.gateway
    assert gateway.look_up_refund(ORDER, ref, "a" * 32) is None
    for _ in range(2):
        done = gateway.refund(ORDER, ref, "a" * 32, Money(50, "MXN"))
        assert done.state is RefundState.DONE
    assert gateway.refund(ORDER, ref, "b" * 32, Money(50, "MXN")).state is RefundState.DONE
    assert shop.bank.ledger()["charges"][0]["refunded_minor"] == 100
    found = gateway.look_up_refund(ORDER, ref, "b" * 32)
    assert found is not None and found.state is RefundState.DONE
    assert gateway.look_up_refund(ORDER, ref, "c" * 32) is None
    too_much = gateway.refund(ORDER, ref, "d" * 32, ORDER.amount)
    assert (too_much.state, too_much.reason) == (RefundState.REFUSED, "mp-2063")


def test_a_refund_made_elsewhere_is_not_taken_for_ours(shop: Shop) -> None:
    ref = shop.pay().provider_ref
    shop.bank.refund("mercadopago", ref, "made in the account", 50, "12345")
    with pytest.raises(GatewayError, match="not made here"):
        shop.gateway.look_up_refund(ORDER, ref, "a" * 32)


def test_a_refund_whose_answer_is_lost_is_found(shop: Shop) -> None:
    ref = shop.pay().provider_ref
    shop.bank.tell("dropped_after", operation="refund")
    lost = shop.gateway.refund(ORDER, ref, "a" * 32, ORDER.amount)
    assert lost.state is RefundState.UNKNOWN
    found = shop.gateway.look_up_refund(ORDER, ref, "a" * 32)
    assert found is not None and found.state is RefundState.DONE
    assert shop.gateway.look_up(ORDER, ref).found is Found.APPROVED


def test_an_authorisation_is_taken_in_part_or_cancelled(shop: Shop) -> None:
    ref = shop.pay(HELD).provider_ref
    for _ in range(2):
        taken = shop.gateway.capture(HELD, ref, Money(100_000, "MXN"))
        assert taken.outcome is PaymentOutcome.APPROVED
    assert shop.bank.ledger()["charges"][0]["captured_minor"] == 100_000
    assert shop.gateway.void(HELD, ref, "a" * 32).state is RefundState.REFUSED
    other = replace(HELD, payment_id="f" * 32)
    ref = shop.pay(other).provider_ref
    for _ in range(2):
        assert shop.gateway.void(other, ref, "b" * 32).state is RefundState.DONE
    found = shop.gateway.look_up_refund(other, ref, "b" * 32)
    assert found is not None and found.state is RefundState.DONE


def test_a_charge_cannot_be_cancelled(shop: Shop) -> None:
    ref = shop.pay().provider_ref
    refused = shop.gateway.void(ORDER, ref, "a" * 32)
    assert (refused.state, refused.reason) == (RefundState.REFUSED, "refund-instead")


# --- notices ---------------------------------------------------------------------------------


def test_a_notice_is_followed_by_asking_for_the_payment(shop: Shop) -> None:
    ref = shop.pay().provider_ref
    event = shop.gateway.read_webhook(shop.notice(ref))
    assert (event.kind, event.payment_id, event.amount, event.provider_ref) == (
        EventKind.APPROVED, ORDER.payment_id, ORDER.amount, ref,
    )  # fmt: skip
    assert event.event_id == "99" and event.reply is not None
    shop.gateway.refund(ORDER, ref, "a" * 32, Money(50, "MXN"))
    told = shop.gateway.read_webhook(shop.notice(ref))
    assert (told.kind, told.refund_id, told.amount) == (
        EventKind.REFUNDED, "a" * 32, Money(50, "MXN"),
    )  # fmt: skip


def test_a_declined_payment_is_told_too(shop: Shop) -> None:
    ref = shop.pay(behaviour="stolen").provider_ref
    event = shop.gateway.read_webhook(shop.notice(ref))
    assert event.kind is EventKind.DECLINED
    assert event.reply is not None and event.reply.outcome is PaymentOutcome.DECLINED_HARD


def test_notices_of_other_things_are_kept_and_do_nothing(shop: Shop) -> None:
    event = shop.gateway.read_webhook(shop.notice("55", type="topic_claims"))
    assert (event.kind, event.provider_ref) == (EventKind.OTHER, "55")


def test_notices_that_are_not_mercado_pago_s_are_refused(shop: Shop) -> None:
    good = shop.notice("123")
    signature = good.headers["X-Signature"]
    for wrong in (
        Asked({}, good.body),
        Asked({**good.headers, "X-Signature": signature[:-1] + "g"}, good.body),
        Asked({**good.headers, "X-Signature": signature.replace("1704", "1705")}, good.body),
        Asked({**good.headers, "X-Request-Id": "r2"}, good.body),
        Asked(good.headers, good.body.replace(b"123", b"124")),
        Asked(good.headers, b"{"),
        shop.notice("../v1/customers"),
    ):
        with pytest.raises(BadWebhook):
            shop.gateway.read_webhook(wrong)


def test_a_notice_whose_payment_cannot_be_fetched_is_told_again_later(shop: Shop) -> None:
    shop.bank.set_outage("error")
    with pytest.raises(GatewayError) as raised:
        shop.gateway.read_webhook(shop.notice("123"))
    assert raised.value.passing


def test_who_has_no_token_is_not_answered(shop: Shop) -> None:
    assert httpx.post(f"{shop.base}/v1/payments", json={}, trust_env=False).status_code == 401


@pytest.mark.parametrize(
    "behaviour", ["approve", "stolen", "rubbish", "dropped_after", "error_500"]
)
def test_nothing_of_the_card_is_logged_or_shown(
    shop: Shop, behaviour: str, capfd: pytest.CaptureFixture[str]
) -> None:
    number = cards.card_number(Brand.VISA, behaviour, 7)
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        reply = shop.pay(behaviour=behaviour)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    out, err = capfd.readouterr()
    seen = "\n".join([log.getvalue(), out, err, repr(reply), str(vars(shop.gateway))])
    for form in (number, number[:8], f'"{cards.security_code(7)}"'):
        assert form not in seen
