"""The worker as a process: payments in doubt are settled beside the messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from fixtures_bank import BankProcess, gateway_at, make_card
from fixtures_messaging import TwilioDouble, free_port, make_message, wait_until
from payment_support import OWED, Till
from sqlalchemy import Engine, update
from world import World

from dialer.config import ROOT, Settings
from dialer.domain.payment import PaymentState
from dialer.payments.orders import order_of
from dialer.simulation.cards import Behaviour
from dialer.store import tables as t

pytestmark = pytest.mark.database("sqlite")

NUMBER = "+34600111222"
WORKING = ("--sweep-every", "0.1", "--look-up-after", "60")


@pytest.fixture
def worker(settings: Settings, bank: BankProcess) -> Iterator[int]:
    """A worker of this installation, whose gateway is the simulated bank; its health port."""
    port = free_port()
    environment = {
        "DIALER_HOME": str(bank.home),
        "DATABASE_URL": settings.database,
        "REDIS_URL": settings.redis,
        "TWILIO_API_BASE": settings.twilio_base,
        "TWILIO_ACCOUNT_SID": settings.twilio_sid,
        "TWILIO_AUTH_TOKEN": settings.twilio_token,
        "TEST_ACQUIRER_API_BASE": bank.url,
        "DIALER_GATEWAY_SECONDS": "60",
    }
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "dialer", "worker", "--health-port", str(port)]
        + [*WORKING],
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    yield port
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()


def test_a_gateway_that_hangs_holds_up_no_message_and_is_heard_in_the_end(
    database: Engine, bank: BankProcess, double: TwilioDouble, settings: Settings, worker: int
) -> None:
    world = World(database)
    till = Till(world, settings)
    with database.begin() as c:  # a number that the double takes
        c.execute(update(t.phone).values(number=NUMBER))
        c.execute(update(t.attempt).values(number=NUMBER))
    key = till.send()
    with database.connect() as c:
        order = order_of(c, key)
    reply = gateway_at(bank, "test").submit(order, None, make_card(Behaviour.DROPPED_AFTER))
    bank.post("behaviour", behaviour="silent", times=1, operation="look_up")
    till.settle(key, reply)  # long ago: a look-up is due at once
    till.hang_up()
    wait_until(lambda: _found(worker, "dialer_payments_unresolved") is not None)
    message = make_message(world, "+34600111333")
    wait_until(lambda: world.rows(t.message, id=message)[0].state in ("sent", "delivered"))
    assert till.payment(key).state is PaymentState.UNKNOWN
    health = requests.get(f"http://127.0.0.1:{worker}/health", timeout=5).json()
    assert "in doubt for more than an hour" in health["checks"]["in_doubt"]
    assert health["checks"]["payments"] is None
    bank.post("release")
    wait_until(lambda: till.payment(key).state is not PaymentState.UNKNOWN, 120)
    assert till.payment(key).state is PaymentState.APPROVED
    assert till.stands() == (0, 0, OWED)
    wait_until(lambda: [one for one in double.kept if "123,45 EUR" in one["body"]])


def _found(port: int, name: str) -> Any:
    """A line of the worker's metrics."""
    try:
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    except requests.ConnectionError:
        return None
    return next((line for line in text.splitlines() if line.startswith(name + "{")), None)
