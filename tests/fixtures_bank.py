"""The simulated bank as a process of its own, who hears its webhooks, and gateways that use it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from fixtures_messaging import clean_environment

from dialer.config import ROOT, Settings, load_settings
from dialer.domain.model import Money
from dialer.domain.payment import Brand, PaymentMode, PaymentOutcome
from dialer.payments.gateway import Asked, Card, Gateway, Order, Reply
from dialer.payments.gateways import KNOWN, gateway_named
from dialer.payments.secret import SecretDigits
from dialer.simulation.cards import Behaviour, card_number, expiry, security_code

SHOP = "999008881"
LOCALLY_SET = ("STRIPE_", "REDSYS_", "TEST_ACQUIRER_", "KUSHKI_", "MERCADOPAGO_")


NAMES = [
    name
    for name, module in sorted(KNOWN.items())
    if importlib.util.find_spec(f"dialer.simulation.bank.faces.{module}")
]
"""Gateways that the simulated bank has a face for."""


class Catcher:
    """Hears webhooks and keeps them as they came."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Asked]] = []
        self.answers: list[int] = []
        """Statuses to answer with, the first one first; then always 200."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                form = dict(parse_qsl(body.decode("utf-8", "replace")))
                asked = Asked(dict(self.headers.items()), body, form)
                outer.heard.append((self.path, asked))
                self.send_response(outer.answers.pop(0) if outer.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """Hear nothing more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class BankProcess:
    """The double and its control."""

    def __init__(self, home: Path, public_url: str, *, silent: float = 30.0) -> None:
        self.home = home
        self.public_url = public_url
        ours = {k: v for k, v in clean_environment().items() if not k.startswith(LOCALLY_SET)}
        waits = ["--latency", "0", "--slow", "0.1", "--silent", str(silent)]
        hooks = ["--pause", "0.03", "--late", "0.2"]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "dialer.commands.acquirer_double"]
            + ["--port", "0", *waits, *hooks],
            cwd=ROOT,
            env={
                **ours,
                "DIALER_HOME": str(home),
                "DIALER_PUBLIC_URL": public_url,
                "REDSYS_MERCHANT_CODE": SHOP,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]
        self.session = requests.Session()

    def settings(self, **changes: Any) -> Settings:
        """Settings whose gateways all lead here."""
        values: dict[str, Any] = {
            "home": self.home,
            "public_url": self.public_url,
            "test_acquirer_api_base": self.url,
            "redsys_merchant_code": SHOP,
        }
        fields = {f"{name}_api_base": f"{self.url}/{name}" for name in KNOWN}
        values |= {name: base for name, base in fields.items() if name in Settings.model_fields}
        return load_settings(**(values | changes))

    def ledger(self) -> dict[str, Any]:
        """Everything the bank wrote down."""
        return dict(self.session.get(f"{self.url}/_bank/ledger", timeout=10).json())

    def charges(self, order: Order) -> list[dict[str, Any]]:
        """What it has under this order, by whichever of our names the gateway passed on."""
        ours = {order.order_ref, order.payment_id}
        return [c for c in self.ledger()["charges"] if ours & {c["order_ref"], c["key"]}]

    def charged(self, order: Order) -> list[dict[str, Any]]:
        """The charges of this order in which money moved."""
        return [one for one in self.charges(order) if one["charged"]]

    def hooks(self) -> dict[str, Any]:
        """Webhooks sent and waiting."""
        return dict(self.session.get(f"{self.url}/_bank/hooks", timeout=10).json())

    def post(self, what: str, **values: Any) -> requests.Response:
        """``/_bank/<what>`` with these values."""
        return self.session.post(f"{self.url}/_bank/{what}", json=values, timeout=30)

    def stop(self) -> None:
        """End the process."""
        self.session.close()
        self.process.terminate()
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="session")
def _catcher() -> Iterator[Catcher]:
    catcher = Catcher()
    yield catcher
    catcher.stop()


@pytest.fixture(scope="session")
def _bank_process(
    tmp_path_factory: pytest.TempPathFactory, _catcher: Catcher
) -> Iterator[BankProcess]:
    process = BankProcess(tmp_path_factory.mktemp("bank"), _catcher.url)
    yield process
    process.stop()


@pytest.fixture
def catcher(_catcher: Catcher) -> Catcher:
    """Who hears webhooks, having heard nothing."""
    _catcher.answers.clear()
    return _catcher


@pytest.fixture
def bank(
    _bank_process: BankProcess, catcher: Catcher, monkeypatch: pytest.MonkeyPatch
) -> BankProcess:
    """The bank, as new."""
    import os

    for name in os.environ:
        if name.startswith(LOCALLY_SET):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REDSYS_MERCHANT_CODE", SHOP)
    _bank_process.post("reset")
    catcher.heard.clear()
    return _bank_process


def gateway_at(bank: BankProcess, name: str, **changes: Any) -> Gateway:
    """That gateway, with the bank behind it."""
    assert name in KNOWN
    return gateway_named(bank.settings(**changes), name)


def make_order(
    minor: int = 12345, currency: str = "EUR", mode: PaymentMode = PaymentMode.CHARGE
) -> Order:
    """An order nobody had before."""
    return Order(
        payment_id=uuid.uuid4().hex,
        order_ref=f"{uuid.uuid4().int % 10**12:012d}",
        amount=Money(minor, currency),
        mode=mode,
        description="Acme 77",
        country="ES",
        language="es",
        created_at=datetime.now(UTC),
    )


def make_card(
    behaviour: Behaviour = Behaviour.APPROVE,
    brand: Brand = Brand.VISA,
    unique: str | int | None = None,
) -> Card:
    """A card that is treated so."""
    own = uuid.uuid4().hex if unique is None else unique
    month, year = expiry(date.today())
    return Card(
        SecretDigits(card_number(brand, behaviour, own)),
        month,
        year,
        SecretDigits(security_code(own, brand)),
    )


@pytest.fixture(params=NAMES)
def gateway(request: pytest.FixtureRequest, bank: BankProcess) -> Gateway:
    """Each gateway in turn."""
    return gateway_at(bank, request.param)


def order_for(gateway: Gateway, **what: object) -> Order:
    """An order in a currency that the gateway takes."""
    currencies = gateway.capabilities().currencies
    currency = "EUR" if not currencies or "EUR" in currencies else min(currencies)
    return replace(make_order(currency=currency), **what)  # type: ignore[arg-type]


def pay(gateway: Gateway, order: Order, card: Card) -> tuple[str | None, Reply]:
    """Prepare and submit; the reference and the reply."""
    ref = gateway.prepare(order)
    return ref, gateway.submit(order, ref, card)


def paid(gateway: Gateway, **what: object) -> tuple[Order, str]:
    """An approved order and its reference."""
    order = order_for(gateway, **what)
    ref, reply = pay(gateway, order, make_card())
    assert reply.outcome is PaymentOutcome.APPROVED
    return order, reply.provider_ref or ref or ""
