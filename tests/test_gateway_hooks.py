"""Webhooks of gateways as they reach the web application: verified, repeated, out of order."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fixtures_bank import BankProcess, Catcher, gateway_at, make_card
from fixtures_messaging import wait_until
from flask.testing import FlaskClient
from payment_support import OWED, Till
from sqlalchemy import Engine
from world import World

from dialer.domain.payment import PaymentState
from dialer.payments.gateway import Asked
from dialer.payments.orders import order_of
from dialer.simulation.cards import Behaviour
from dialer.store import tables as t
from web import create_app

HOOK = "/hooks/pay/test"


@pytest.fixture
def till(database: Engine, bank: BankProcess) -> Till:
    return Till(World(database), bank.settings())


@pytest.fixture
def client(till: Till) -> FlaskClient:
    return create_app(till.settings, till.engine).test_client()


def submitted(till: Till, bank: BankProcess, behaviour: Behaviour) -> str:
    """A card was sent, and its answer never came here."""
    key = till.send()
    with till.engine.connect() as c:
        order = order_of(c, key)
    gateway_at(bank, "test").submit(order, None, make_card(behaviour))
    return key


def heard(catcher: Catcher, key: str, count: int = 2) -> list[Asked]:
    """All of one payment: that it was received, and what became of it."""

    def of_it() -> list[tuple[str, Asked]]:
        return [(path, asked) for path, asked in catcher.heard if key.encode() in asked.body]

    wait_until(lambda: len(of_it()) >= count)
    assert {path for path, _ in of_it()} == {HOOK}
    return [asked for _, asked in of_it()]


def post(client: FlaskClient, asked: Asked, path: str = HOOK, body: bytes | None = None) -> int:
    headers = {k: v for k, v in asked.headers.items() if k.lower() not in ("host", "connection")}
    return client.post(path, data=asked.body if body is None else body, headers=headers).status_code


def test_a_webhook_settles_a_payment_once(
    till: Till, bank: BankProcess, catcher: Catcher, client: FlaskClient
) -> None:
    key = submitted(till, bank, Behaviour.APPROVE)
    _received, asked = heard(catcher, key)
    assert [post(client, asked) for _ in range(3)] == [200, 200, 200]
    assert till.payment(key).state is PaymentState.APPROVED
    assert till.stands() == (0, 0, OWED)
    assert till.messages() == ["payment_receipt"]
    assert len(till.world.rows(t.payment_event, kind="webhook")) == 1
    assert till.audit() == []


def test_a_decline_by_webhook_frees_the_money(
    till: Till, bank: BankProcess, catcher: Catcher, client: FlaskClient
) -> None:
    key = submitted(till, bank, Behaviour.STOLEN)
    _received, asked = heard(catcher, key)
    assert post(client, asked) == 200
    assert till.payment(key).state is PaymentState.DECLINED
    assert till.stands() == (OWED, 0, 0)


def test_one_for_a_payment_that_nobody_knows_is_kept(
    till: Till, bank: BankProcess, catcher: Catcher, client: FlaskClient
) -> None:
    key = submitted(till, bank, Behaviour.APPROVE)
    _received, asked = heard(catcher, key)
    with till.engine.begin() as c:
        c.execute(t.ledger_entry.delete())
        c.execute(t.payment_event.delete())
        c.execute(t.payment.delete())
    assert post(client, asked) == 200
    (event,) = till.world.rows(t.payment_event)
    assert (event.payment_id, event.detail["payment_id"]) == (None, key)


@pytest.mark.parametrize(
    "change",
    [
        {"X-Acquirer-Signature": ""},
        {"X-Acquirer-Signature": "t=1,v1=00"},
        {"X-Acquirer-Signature": "t=99999999999,v1=" + "0" * 64},
        {},
    ],
)
def test_what_the_gateway_did_not_sign_is_refused_without_a_word(
    till: Till,
    bank: BankProcess,
    catcher: Catcher,
    client: FlaskClient,
    change: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = submitted(till, bank, Behaviour.APPROVE)
    _received, asked = heard(catcher, key)
    headers = {k: v for k, v in asked.headers.items() if k.lower() != "host"} | change
    body = asked.body if change else asked.body + b" "
    with caplog.at_level(logging.DEBUG):
        answer = client.post(HOOK, data=body, headers=headers)
    assert (answer.status_code, answer.text) == (400, "Bad Request\n")
    assert till.payment(key).state is PaymentState.SENDING
    assert till.world.rows(t.payment_event, kind="webhook") == []
    assert key not in caplog.text and "v1=" not in caplog.text


def test_other_paths_and_sizes(client: FlaskClient) -> None:
    assert client.post("/hooks/pay/nobody").status_code == 404
    assert client.get(HOOK).status_code == 405
    assert client.post(HOOK, data=b"x" * 70_000).status_code == 413
    assert client.post(HOOK).status_code == 400
    assert client.post("/hooks/pay/redsys", data={"Ds_Signature": "x"}).status_code == 400


def test_a_gateway_that_is_not_set_up_is_asked_to_come_again(till: Till) -> None:
    unset = till.settings.model_copy(update={"test_acquirer_api_base": ""})
    client = create_app(unset, till.engine).test_client()
    assert client.post(HOOK).status_code == 503


@pytest.mark.database("sqlite")
def test_while_the_database_is_away_the_gateway_is_asked_to_come_again(
    till: Till,
    bank: BankProcess,
    catcher: Catcher,
    client: FlaskClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = submitted(till, bank, Behaviour.APPROVE)
    _received, asked = heard(catcher, key)
    with till.engine.begin() as c:
        c.exec_driver_sql("ALTER TABLE payment_event RENAME TO away")
    with caplog.at_level(logging.INFO):
        assert post(client, asked) == 503
    assert "webhook not written down" in caplog.text and "INSERT" not in caplog.text
    with till.engine.begin() as c:
        c.exec_driver_sql("ALTER TABLE away RENAME TO payment_event")
    assert post(client, asked) == 200
    assert till.payment(key).state is PaymentState.APPROVED


@pytest.mark.parametrize("behaviour", [Behaviour.TWICE, Behaviour.DISORDERED])
def test_webhooks_twice_and_in_the_wrong_order(
    till: Till, bank: BankProcess, catcher: Catcher, client: FlaskClient, behaviour: Any
) -> None:
    key = submitted(till, bank, behaviour)
    for asked in heard(catcher, key, 4 if behaviour is Behaviour.TWICE else 2):
        assert post(client, asked) == 200
    assert till.payment(key).state is PaymentState.APPROVED
    assert (till.stands(), till.audit()) == ((0, 0, OWED), [])
