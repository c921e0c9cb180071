"""What is Stripe's own: amounts, decline codes, settings. The rest is in test_gateway_contract."""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fixtures_bank import BankProcess, gateway_at, make_card, make_order

from dialer.config import ConfigError, load_settings
from dialer.domain.model import Money
from dialer.domain.payment import PaymentMode, PaymentOutcome
from dialer.payments.gateway import Found, GatewayError
from dialer.payments.gateways import choose, gateway_named
from dialer.payments.gateways.stripe import StripeGateway
from dialer.payments.gateways.stripe_words import (
    HARD_CODES,
    AmountError,
    Failure,
    auth_code,
    declined,
    from_stripe,
    to_stripe,
)
from dialer.simulation.cards import Behaviour


@pytest.mark.parametrize(
    ("minor", "currency", "stripe"),
    [
        (1250, "EUR", 1250),
        (1250, "CLP", 1250),  # no minor unit, here nor there
        (1250, "COP", 1250),
        (5, "ISK", 500),  # no minor unit, told in hundredths
        (5, "UGX", 500),
        (500, "MGA", 5),  # two digits in ISO 4217, none at Stripe
        (5120, "KWD", 5120),
    ],
)
def test_amounts_in_units_of_stripe(minor: int, currency: str, stripe: int) -> None:
    assert to_stripe(Money(minor, currency)) == stripe
    assert from_stripe(stripe, currency.lower()) == Money(minor, currency)


@pytest.mark.parametrize(
    ("minor", "currency"),
    [
        pytest.param(5124, "KWD", id="the last of three decimals is not 0"),
        pytest.param(501, "MGA", id="five to the unit, not a whole one"),
        pytest.param(1, "ZZZ", id="no currency that anybody knows"),
    ],
)
def test_amounts_are_never_rounded(minor: int, currency: str) -> None:
    with pytest.raises(AmountError):
        to_stripe(Money(minor, currency))


@pytest.mark.parametrize(
    ("code", "decline", "advice", "outcome"),
    [
        ("card_declined", "insufficient_funds", None, PaymentOutcome.DECLINED_SOFT),
        ("card_declined", "generic_decline", None, PaymentOutcome.DECLINED_SOFT),
        ("card_declined", "generic_decline", "do_not_try_again", PaymentOutcome.DECLINED_HARD),
        ("card_declined", "pickup_card", None, PaymentOutcome.DECLINED_HARD),
        ("expired_card", None, None, PaymentOutcome.DECLINED_HARD),
        ("incorrect_cvc", None, None, PaymentOutcome.DECLINED_SOFT),
        ("card_declined", "authentication_required", None, PaymentOutcome.NEEDS_ACTION),
        ("card_declined", "something_new", None, PaymentOutcome.DECLINED_SOFT),
    ],
)
def test_declines(
    code: str, decline: str | None, advice: str | None, outcome: PaymentOutcome
) -> None:
    failure = Failure(402, "card_error", code, decline, advice)
    as_dict = {"code": code, "decline_code": decline, "advice_code": advice}
    assert declined(failure, "pi_1").outcome is outcome
    assert declined(as_dict, "pi_1") == declined(failure, "pi_1")


def test_no_decline_is_both_hard_and_told_to_be_tried_again() -> None:
    again = {"try_again_later", "processing_error", "insufficient_funds", "issuer_not_available"}
    assert not HARD_CODES & again


def test_the_code_told_to_the_debtor() -> None:
    charge = {"authorization_code": "123456", "receipt_number": "1111-2222"}
    assert auth_code({"id": "pi_abcdef", "latest_charge": charge}) == "123456"
    assert auth_code({"id": "pi_abcdef", "latest_charge": {"receipt_number": "1-2"}}) == "1-2"
    assert auth_code({"id": "pi_abcdef", "latest_charge": "ch_1"}) == "ABCDEF"


def test_an_amount_stripe_cannot_take_is_refused_before_anything_leaves(bank: BankProcess) -> None:
    gateway = gateway_at(bank, "stripe")
    with pytest.raises(GatewayError, match="units of 10") as told:
        gateway.prepare(replace(make_order(), amount=Money(5124, "KWD")))
    assert not told.value.passing
    with pytest.raises(GatewayError):
        gateway.prepare(make_order(mode=PaymentMode.TOKENISE))


def test_a_card_is_never_sent_without_a_reference(bank: BankProcess) -> None:
    order = make_order()
    reply = gateway_at(bank, "stripe").submit(order, None, make_card())
    assert reply.outcome is PaymentOutcome.CONFIGURATION_ERROR
    assert bank.ledger()["attempts"] == []


@pytest.mark.parametrize("body", [b"[]", b"7", b'"pi_1"', b"null", b"{", b"{}", b"<html>", b""])
def test_no_answer_to_the_charge_itself_is_doubt_and_never_an_exception(body: bytes) -> None:
    """What the library makes of it holds the request: nothing of it may come out."""
    method = b'{"id": "pm_1", "object": "payment_method"}'

    class Nonsense(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said = method if self.path.endswith("/payment_methods") else body
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            base = f"http://127.0.0.1:{server.server_address[1]}"
            gateway = StripeGateway("sk_test_1", "whsec_1", base, 2.0)
            reply = gateway.submit(make_order(), "pi_1", make_card())
            with pytest.raises(GatewayError):
                gateway.prepare(make_order())
        finally:
            server.shutdown()
            thread.join()
    assert reply.outcome is PaymentOutcome.UNKNOWN


def test_what_needs_the_cardholder_is_canceled(bank: BankProcess) -> None:
    gateway, order = gateway_at(bank, "stripe"), make_order()
    ref = gateway.prepare(order)
    reply = gateway.submit(order, ref, make_card(Behaviour.NEEDS_ACTION))
    assert reply.outcome is PaymentOutcome.NEEDS_ACTION
    assert gateway.look_up(order, ref).found is Found.CLOSED


def test_without_a_key_it_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    settings = load_settings(home=tmp_path, stripe_api_base="")
    with pytest.raises(ConfigError, match="STRIPE_API_KEY"):
        gateway_named(settings, "stripe")
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    assert gateway_named(settings, "stripe").name == "stripe"


def test_gateways_by_name(tmp_path: Path) -> None:
    settings = load_settings(
        home=tmp_path, test_acquirer_api_base="", gateways={"ES": "redsys", "*": "stripe"}
    )
    with pytest.raises(ConfigError, match="TEST_ACQUIRER_API_BASE"):
        gateway_named(settings, "test")
    with pytest.raises(ConfigError, match="use one of"):
        gateway_named(settings, "piggybank")
    assert choose(settings, "test", "ES") == "test"
    assert choose(settings, None, "ES") == "redsys"
    assert choose(settings, None, "CL") == "stripe"
    assert choose(load_settings(home=tmp_path, gateways={}), None, "CL") is None


def test_the_library_is_the_official_one() -> None:
    """Its logger and its switch for printing are pinned by name: a new major may rename them."""
    import stripe._util as util

    assert importlib.metadata.version("stripe").split(".")[0] == "16"
    assert util.logger.name == "stripe"
    assert hasattr(util, "STRIPE_LOG")


def test_without_the_pins_the_number_would_be_in_the_log(
    bank: BankProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The control of the test that finds nothing left behind: it would find this."""
    monkeypatch.setattr("dialer.payments.gateways.stripe._silence", lambda: None)
    monkeypatch.setattr("dialer.payments.gateways.http.quiet", lambda: None)
    caplog.set_level(logging.DEBUG)
    gateway = gateway_at(bank, "stripe")
    caplog.set_level(logging.DEBUG, logger="stripe")
    order, card = make_order(), make_card()
    gateway.submit(order, gateway.prepare(order), card)
    assert card.number.reveal_str() in caplog.text
