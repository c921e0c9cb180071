"""Redsys's gateway: signatures, codes, amounts, notices, and nothing of the card anywhere."""

from __future__ import annotations

import base64
import io
import logging
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from redsys_support import ORDER, PUBLISHED_KEY, Shop, card, shop

from dialer.config import ConfigError, load_settings
from dialer.domain.model import Money
from dialer.domain.payment import PaymentMode, PaymentOutcome
from dialer.payments.gateway import (
    Found,
    GatewayError,
)
from dialer.payments.gateways import redsys, redsys_codes, redsys_wire
from dialer.simulation import cards

__all__ = ["shop"]

# --- signatures ------------------------------------------------------------------------------


def test_an_answer_that_redsys_signed_in_its_test_environment_is_accepted() -> None:
    packed = (
        "eyJEc19BbW91bnQiOiIxMDAiLCJEc19DdXJyZW5jeSI6Ijk3OCIsIkRzX09yZGVyIjoiMTAwMjIxMjIzMTgiLCJE"
        "c19NZXJjaGFudENvZGUiOiI5OTkwMDg4ODEiLCJEc19UZXJtaW5hbCI6IjEiLCJEc19SZXNwb25zZSI6IjAwMDAi"
        "LCJEc19BdXRob3Jpc2F0aW9uQ29kZSI6IjA1MjcyNiIsIkRzX1RyYW5zYWN0aW9uVHlwZSI6IjAiLCJEc19TZWN1"
        "cmVQYXltZW50IjoiMiIsIkRzX0xhbmd1YWdlIjoiMSIsIkRzX0NhcmROdW1iZXIiOiI0NTQ4ODEqKioqKiowMDAz"
        "IiwiRHNfTWVyY2hhbnREYXRhIjoiIiwiRHNfQ2FyZF9Db3VudHJ5IjoiNzI0IiwiRHNfQ2FyZF9UeXBvbG9neSI6"
        "IkNPTlNVTU8iLCJEc19DYXJkX0JyYW5kIjoiMSIsIkRzX1Byb2Nlc3NlZFBheU1ldGhvZCI6Ijc4IiwiRHNfQ29u"
        "dHJvbF8xNzkwOTY4OTY0NTk4IjoiMTc5MDk2ODk2NDU5OCIsIkRzX0VDSSI6IjA1IiwiRHNfUmVzcG9uc2VfRGVz"
        "Y3JpcHRpb24iOiJPUEVSQUNJT04gQVVUT1JJWkFEQSJ9"
    )
    payload = {
        "Ds_SignatureVersion": "HMAC_SHA256_V1",
        "Ds_MerchantParameters": packed,
        "Ds_Signature": "jH4OTUXKiN6yt-AqyVBIov6xPvyFv5M8RnFk8uKeEFc=",
    }
    told = redsys_wire.read_signed(PUBLISHED_KEY, payload)
    assert (told["Ds_Order"], told["Ds_Response"]) == ("10022122318", "0000")
    changed = packed.replace("IxMDAi", "IxMDEi", 1)
    assert changed != packed
    for wrong in (
        {**payload, "Ds_MerchantParameters": changed},
        {**payload, "Ds_Signature": ""},
        {**payload, "Ds_SignatureVersion": "NONE"},
        {"Ds_MerchantParameters": packed},
        {},
    ):
        with pytest.raises(redsys_wire.BadAnswer):
            redsys_wire.read_signed(PUBLISHED_KEY, wrong)


def test_the_query_is_signed_as_one_that_redsys_took() -> None:
    body = redsys_wire.query(PUBLISHED_KEY, "999008881", "001", "260723890989", "0").decode()
    assert "<Signature>q7LbX1P32WQSisGT+A8ZV+fMeVJo6kR0OjYUBCxPkUI=</Signature>" in body


def test_a_key_that_cannot_be_one_stops_the_start(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, redsys_secret_key="abc", redsys_merchant_code="1")
    with pytest.raises(ConfigError, match="REDSYS_SECRET_KEY"):
        redsys.from_settings(settings)
    given = load_settings(home=tmp_path, redsys_secret_key=PUBLISHED_KEY)
    assert redsys_wire.shop_key(given) == PUBLISHED_KEY
    made = redsys_wire.shop_key(load_settings(home=tmp_path))
    assert len(base64.b64decode(made)) == 24 and made != PUBLISHED_KEY
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "redsys_secret_key").write_text(PUBLISHED_KEY + "\n")
    assert redsys_wire.shop_key(load_settings(home=tmp_path, secrets_dir=folder)) == PUBLISHED_KEY


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "REDSYS_MERCHANT_CODE"),
        ({"redsys_merchant_code": "12345678901"}, "REDSYS_MERCHANT_CODE"),
        ({"redsys_merchant_code": "999008881", "redsys_terminal": "one"}, "REDSYS_TERMINAL"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, settings: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        redsys.from_settings(load_settings(home=tmp_path, **settings))


# --- codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (0, PaymentOutcome.APPROVED),
        (99, PaymentOutcome.APPROVED),
        (100, PaymentOutcome.DECLINED_SOFT),
        (101, PaymentOutcome.DECLINED_HARD),
        (116, PaymentOutcome.DECLINED_SOFT),
        (129, PaymentOutcome.DECLINED_SOFT),
        (174, PaymentOutcome.DECLINED_HARD),
        (190, PaymentOutcome.DECLINED_SOFT),
        (195, PaymentOutcome.NEEDS_ACTION),
        (900, PaymentOutcome.DECLINED_SOFT),
        (904, PaymentOutcome.CONFIGURATION_ERROR),
        (913, PaymentOutcome.UNKNOWN),
        (9912, PaymentOutcome.DECLINED_SOFT),
        (9998, PaymentOutcome.UNKNOWN),
    ],
)
def test_what_a_response_means(code: int, outcome: PaymentOutcome) -> None:
    assert redsys_codes.response_outcome(code) is outcome


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("SIS0042", PaymentOutcome.CONFIGURATION_ERROR),
        ("SIS0051", PaymentOutcome.UNKNOWN),
        ("SIS0295", PaymentOutcome.UNKNOWN),
        ("SIS0034", PaymentOutcome.UNKNOWN),
        ("SIS0071", PaymentOutcome.DECLINED_HARD),
        ("SIS0253", PaymentOutcome.DECLINED_SOFT),
        ("SIS0488", PaymentOutcome.CONFIGURATION_ERROR),
        ("anything", PaymentOutcome.UNKNOWN),
    ],
)
def test_what_an_error_means(code: str, outcome: PaymentOutcome) -> None:
    assert redsys_codes.error_outcome(code) is outcome


@pytest.mark.parametrize(
    ("behaviour", "outcome", "reason", "found"),
    [
        ("approve", PaymentOutcome.APPROVED, None, Found.APPROVED),
        ("insufficient_funds", PaymentOutcome.DECLINED_SOFT, "0116", Found.DECLINED),
        ("stolen", PaymentOutcome.DECLINED_HARD, "0209", Found.DECLINED),
        ("needs_action", PaymentOutcome.NEEDS_ACTION, "0195", Found.DECLINED),
        ("configuration", PaymentOutcome.CONFIGURATION_ERROR, "SIS0252", Found.ABSENT),
        ("dropped_after", PaymentOutcome.UNKNOWN, "no-answer", Found.APPROVED),
        ("dropped_before", PaymentOutcome.UNKNOWN, "no-answer", Found.ABSENT),
        ("rubbish", PaymentOutcome.UNKNOWN, "not-understood", Found.APPROVED),
        ("silent", PaymentOutcome.UNKNOWN, "no-answer", Found.APPROVED),
        ("error_500_charged", PaymentOutcome.UNKNOWN, "not-understood", Found.APPROVED),
        ("busy", PaymentOutcome.UNKNOWN, "not-understood", Found.ABSENT),
    ],
)
def test_a_day_at_the_bank(
    shop: Shop, behaviour: str, outcome: PaymentOutcome, reason: str | None, found: Found
) -> None:
    reply = shop.pay(ORDER, behaviour)
    assert (reply.outcome, reply.reason) == (outcome, reason)
    if outcome is PaymentOutcome.APPROVED:
        assert reply.provider_ref == ORDER.order_ref and reply.auth_code
    looked = shop.gateway.look_up(ORDER, ORDER.order_ref)
    assert looked.found is found
    assert (looked.reply is not None) == (found in (Found.APPROVED, Found.DECLINED))


def test_an_order_is_charged_once_and_its_repeat_is_in_doubt(shop: Shop) -> None:
    assert shop.pay(ORDER).outcome is PaymentOutcome.APPROVED
    again = shop.pay(ORDER)
    assert (again.outcome, again.reason) == (PaymentOutcome.UNKNOWN, "SIS0051")
    assert shop.gateway.look_up(ORDER, None).found is Found.APPROVED
    assert len(shop.bank.ledger()["charges"]) == 1


@pytest.mark.parametrize(
    ("minor", "currency", "number"),
    [(1, "EUR", "978"), (99_999_999, "EUR", "978"), (1250, "CLP", "152"), (1250, "MXN", "484")],
)
def test_amounts_go_in_minor_units_and_currencies_as_numbers(
    shop: Shop, minor: int, currency: str, number: str
) -> None:
    order = replace(ORDER, amount=Money(minor, currency))
    assert shop.pay(order).outcome is PaymentOutcome.APPROVED
    charge = shop.bank.ledger()["charges"][0]
    assert (charge["minor"], charge["currency"]) == (minor, currency)
    assert str(redsys_wire.NUMBERS[currency]) == number


def test_what_is_not_offered_is_not_sent(shop: Shop) -> None:
    for order in (
        replace(ORDER, mode=PaymentMode.TOKENISE),
        replace(ORDER, amount=Money(100, "XYZ")),
    ):
        assert shop.pay(order).outcome is PaymentOutcome.CONFIGURATION_ERROR
    assert shop.bank.ledger()["attempts"] == []


def test_a_look_up_that_names_another_amount_is_not_believed(shop: Shop) -> None:
    assert shop.pay(ORDER).outcome is PaymentOutcome.APPROVED
    with pytest.raises(GatewayError, match="another amount"):
        shop.gateway.look_up(replace(ORDER, amount=Money(1251, "EUR")), None)


def test_an_outage_is_passing_for_look_ups_and_never_counts_as_not_charged(shop: Shop) -> None:
    shop.bank.set_outage("error")
    assert shop.pay(ORDER).outcome is PaymentOutcome.UNKNOWN
    with pytest.raises(GatewayError) as raised:
        shop.gateway.look_up(ORDER, None)
    assert raised.value.passing


def test_nobody_there_means_nothing_left(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, redsys_api_base="http://127.0.0.1:9")
    gateway = redsys.from_settings(settings)
    with card() as one:
        reply = gateway.submit(ORDER, None, one)
    assert (reply.outcome, reply.reason) == (PaymentOutcome.CONFIGURATION_ERROR, "unreachable")
    with pytest.raises(GatewayError):
        gateway.refund(ORDER, ORDER.order_ref, "f" * 32, ORDER.amount)


def test_another_key_is_a_mistake_of_ours(shop: Shop, tmp_path: Path) -> None:
    settings = load_settings(
        home=tmp_path, redsys_api_base=shop.base, redsys_secret_key=PUBLISHED_KEY
    )
    with card() as one:
        reply = redsys.from_settings(settings).submit(ORDER, None, one)
    assert (reply.outcome, reply.reason) == (PaymentOutcome.CONFIGURATION_ERROR, "SIS0042")


# --- nothing of the card ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour", ["approve", "stolen", "rubbish", "dropped_after", "error_500", "silent"]
)
def test_nothing_of_the_card_is_logged_or_shown(
    shop: Shop, behaviour: str, capfd: pytest.CaptureFixture[str]
) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with card(behaviour, 4711) as one:
            number, code = one.number.reveal_str(), f"{cards.security_code(4711)}"
            reply = shop.gateway.submit(ORDER, None, one)
            shown = [repr(one), str(one), repr(shop.gateway), repr(reply), str(vars(shop.gateway))]
        try:
            shop.gateway.look_up(ORDER, None)
        except GatewayError:
            shown.append(traceback.format_exc())
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    out, err = capfd.readouterr()
    seen = "\n".join([log.getvalue(), out, err, *shown])
    packed = [base64.b64encode(b" " * shift + number.encode()).decode() for shift in range(3)]
    for form in (number, *(text[4:-4] for text in packed), f'"{code}"', "Ds_MerchantParameters"):
        assert form not in seen
