"""Shared by the tests of Redsys: an order, a card, the gateway with the bank behind it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from dialer.config import load_settings
from dialer.domain.model import Money
from dialer.domain.payment import Brand, PaymentMode
from dialer.payments.gateway import (
    Card,
    Order,
)
from dialer.payments.gateways import redsys
from dialer.payments.secret import SecretDigits
from dialer.simulation import cards
from dialer.simulation.bank.app import serving
from dialer.simulation.bank.core import Bank
from dialer.simulation.bank.desk import Desk, Waits
from dialer.simulation.bank.hooks import HookSender

PUBLISHED_KEY = "sq7HjrUOBfKmC576ILgskD5srU870gJ7"
"""The key that Redsys's documents publish for its test shop."""
ORDER = Order(
    payment_id="0123456789abcdef0123456789abcdef",
    order_ref="1234AbCdEf01",
    amount=Money(1250, "EUR"),
    mode=PaymentMode.CHARGE,
    description="Cobros SA - REF 77",
    country="ES",
    language="es",
    created_at=datetime(2026, 11, 22, tzinfo=UTC),
)


class Shop:
    """The gateway with the simulated bank as its Redsys."""

    def __init__(self, gateway: redsys.Redsys, bank: Bank, base: str) -> None:
        self.gateway, self.bank, self.base = gateway, bank, base

    def pay(self, order: Order, behaviour: str = "approve", unique: int = 1) -> Any:
        with card(behaviour, unique) as one:
            return self.gateway.submit(order, order.order_ref, one)


@contextmanager
def card(behaviour: str = "approve", unique: int = 1) -> Iterator[Card]:
    """A made-up Visa that is treated so."""
    month, year = cards.expiry(date.today())
    one = Card(
        SecretDigits(cards.card_number(Brand.VISA, behaviour, unique)),
        month,
        year,
        SecretDigits(cards.security_code(unique)),
    )
    try:
        yield one
    finally:
        one.wipe()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Served on a port of its own; the key is the one the installation made."""
    settings = load_settings(home=tmp_path, gateway_seconds=1.0)
    bank = Bank()
    hooks = HookSender("http://127.0.0.1:9/", 0.0, 0.0)
    desk = Desk(bank, hooks, settings, Waits(0.0, 0.0, 5.0))
    with serving(desk, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        base = f"http://127.0.0.1:{server.port}/redsys"
        ours = load_settings(home=tmp_path, gateway_seconds=1.0, redsys_api_base=base)
        try:
            yield Shop(redsys.from_settings(ours), bank, base)
        finally:
            server.shutdown()
            thread.join()
