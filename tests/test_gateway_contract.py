"""What every gateway keeps to, against the simulated bank as a process over HTTP."""

from __future__ import annotations

import gc
import logging
import threading
from dataclasses import replace

import pytest
from fixtures_bank import (
    NAMES,
    BankProcess,
    Catcher,
    gateway_at,
    make_card,
    order_for,
    paid,
    pay,
)
from fixtures_messaging import free_port, wait_until

from dialer.domain.payment import PaymentOutcome
from dialer.payments.gateway import (
    Asked,
    BadWebhook,
    EventKind,
    Found,
    Gateway,
    GatewayError,
    Order,
    WebhookEvent,
)
from dialer.payments.gateways import KNOWN, gateway_named
from dialer.simulation.cards import Behaviour

OUTCOMES = {
    Behaviour.APPROVE: PaymentOutcome.APPROVED,
    Behaviour.SLOW: PaymentOutcome.APPROVED,
    Behaviour.INSUFFICIENT_FUNDS: PaymentOutcome.DECLINED_SOFT,
    Behaviour.DO_NOT_HONOUR: PaymentOutcome.DECLINED_SOFT,
    Behaviour.STOLEN: PaymentOutcome.DECLINED_HARD,
    Behaviour.LOST: PaymentOutcome.DECLINED_HARD,
    Behaviour.NEEDS_ACTION: PaymentOutcome.NEEDS_ACTION,
    Behaviour.CONFIGURATION: PaymentOutcome.CONFIGURATION_ERROR,
}
DOUBTFUL = {
    Behaviour.DROPPED_AFTER: True,
    Behaviour.DROPPED_BEFORE: False,
    Behaviour.RUBBISH: True,
    Behaviour.RUBBISH_UNCHARGED: False,
    Behaviour.ERROR_500: False,
    Behaviour.ERROR_500_CHARGED: True,
    Behaviour.BUSY: False,
}
"""Behaviour -> whether money moves."""
SIGNED_WITHOUT_BODY = ("mercadopago",)  # the name of the payment is signed, and then asked for
SIGNED_IN_FORM = ("redsys",)
SHORT = 1.0  # seconds of patience, where the bank is silent


def test_there_is_a_face_for_each_gateway_that_is_known() -> None:
    assert set(NAMES) == set(KNOWN)


@pytest.mark.parametrize("behaviour", OUTCOMES)
def test_outcomes(gateway: Gateway, bank: BankProcess, behaviour: Behaviour) -> None:
    order = order_for(gateway)
    _, reply = pay(gateway, order, make_card(behaviour))
    assert reply.outcome is OUTCOMES[behaviour]
    charged = bank.charged(order)
    if reply.outcome is PaymentOutcome.APPROVED:
        assert [one["minor"] for one in charged] == [12345]
        assert [one["currency"] for one in charged] == [order.amount.currency]
        assert reply.auth_code
    else:
        assert charged == []
        assert reply.reason


@pytest.mark.parametrize("behaviour", DOUBTFUL)
def test_what_is_doubtful_is_unknown_until_it_is_looked_up(
    gateway: Gateway, bank: BankProcess, behaviour: Behaviour
) -> None:
    order = order_for(gateway)
    ref, reply = pay(gateway, order, make_card(behaviour))
    assert reply.outcome is PaymentOutcome.UNKNOWN
    found = gateway.look_up(order, ref)
    if DOUBTFUL[behaviour]:
        assert found.found is Found.APPROVED
        assert found.reply is not None
        assert found.reply.outcome is PaymentOutcome.APPROVED
    else:
        assert found.found in (Found.ABSENT, Found.CLOSED)
    assert len(bank.charged(order)) == DOUBTFUL[behaviour]


@pytest.mark.parametrize("name", NAMES)
def test_silence_is_unknown_and_the_charge_is_found(bank: BankProcess, name: str) -> None:
    gateway = gateway_at(bank, name, gateway_seconds=SHORT)
    order = order_for(gateway)
    ref, reply = pay(gateway, order, make_card(Behaviour.SILENT))
    assert reply.outcome is PaymentOutcome.UNKNOWN
    patient = gateway_at(bank, name)
    assert patient.look_up(order, ref).found is Found.APPROVED
    assert len(bank.charged(order)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_what_was_called_closed_is_never_charged_later(bank: BankProcess, name: str) -> None:
    """The request is still on its way when it is looked up."""
    gateway = gateway_at(bank, name, gateway_seconds=SHORT)
    order = order_for(gateway)
    ref, reply = pay(gateway, order, make_card(Behaviour.LATE))
    assert reply.outcome is PaymentOutcome.UNKNOWN
    found = gateway_at(bank, name).look_up(order, ref).found
    assert found in (Found.CLOSED, Found.ABSENT)
    bank.post("release")
    if found is Found.CLOSED:
        # What the bank was going to do it has done or refused once its answer is given; a later
        # order shows that it works on.
        paid(gateway_at(bank, name))
        assert bank.charged(order) == []
    else:
        wait_until(lambda: bank.charged(order))
        assert gateway_at(bank, name).look_up(order, ref).found is Found.APPROVED


@pytest.mark.parametrize("behaviour", [Behaviour.APPROVE, Behaviour.DROPPED_AFTER])
def test_the_same_payment_twice_is_charged_once(
    gateway: Gateway, bank: BankProcess, behaviour: Behaviour
) -> None:
    order = order_for(gateway)
    ref, first = pay(gateway, order, make_card(behaviour, unique=order.order_ref))
    again = gateway.submit(order, ref, make_card(behaviour, unique=order.order_ref))
    assert first.outcome in (PaymentOutcome.APPROVED, PaymentOutcome.UNKNOWN)
    assert again.outcome in (PaymentOutcome.APPROVED, PaymentOutcome.UNKNOWN)
    assert len(bank.charged(order)) == 1


def test_four_at_the_same_moment_are_charged_once(gateway: Gateway, bank: BankProcess) -> None:
    order = order_for(gateway)
    ref = gateway.prepare(order)
    together = threading.Barrier(4)
    replies = []

    def one() -> None:
        card = make_card(unique=order.order_ref)
        together.wait()
        replies.append(gateway.submit(order, ref, card))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bank.charged(order)) == 1
    allowed = {PaymentOutcome.APPROVED, PaymentOutcome.UNKNOWN}
    assert {reply.outcome for reply in replies} <= allowed
    assert gateway.look_up(order, ref).found is Found.APPROVED


def test_preparing_twice_is_preparing_once(gateway: Gateway) -> None:
    order = order_for(gateway)
    assert gateway.prepare(order) == gateway.prepare(order)


def test_a_payment_that_was_never_sent_is_not_charged(gateway: Gateway) -> None:
    order = order_for(gateway)
    ref = gateway.prepare(order)
    assert gateway.look_up(order, ref).found in (Found.CLOSED, Found.ABSENT)
    assert gateway.look_up(order_for(gateway), None).found in (Found.CLOSED, Found.ABSENT)


def test_a_declined_payment_is_found_declined(gateway: Gateway) -> None:
    order = order_for(gateway)
    ref, reply = pay(gateway, order, make_card(Behaviour.STOLEN))
    for _ in range(2):  # looking changes nothing
        found = gateway.look_up(order, ref)
        assert found.found is Found.DECLINED
        assert found.reply is not None
        assert (found.reply.outcome, found.reply.reason) == (reply.outcome, reply.reason)


def test_an_outage_is_an_error_that_passes(gateway: Gateway, bank: BankProcess) -> None:
    order = order_for(gateway)
    ref = gateway.prepare(order)
    for how in ("drop", "error"):
        bank.post("outage", how=how)
        with pytest.raises(GatewayError) as told:
            gateway.look_up(order, ref)
        assert told.value.passing
        submitted = gateway.submit(order, ref, make_card())
        assert submitted.outcome in (PaymentOutcome.UNKNOWN, PaymentOutcome.CONFIGURATION_ERROR)
    bank.post("outage", how=None)
    assert bank.charged(order) == []
    assert gateway.look_up(order, ref).found in (Found.CLOSED, Found.ABSENT)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_there_is_not_a_doubt(bank: BankProcess, name: str) -> None:
    """Where no connection comes about nothing was received."""
    nobody = f"http://127.0.0.1:{free_port()}"
    order = order_for(gateway_at(bank, name))
    ref = gateway_at(bank, name).prepare(order)
    settings = bank.settings().model_copy(
        update={
            field: nobody for field in type(bank.settings()).model_fields if "api_base" in field
        }
    )
    reply = gateway_named(settings, name).submit(order, ref, make_card())
    assert reply.outcome is PaymentOutcome.CONFIGURATION_ERROR
    assert reply.reason


# --- webhooks ------------------------------------------------------------------------------


def heard(
    gateway: Gateway, catcher: Catcher, order: Order, kind: EventKind
) -> tuple[WebhookEvent, Asked]:
    """The first webhook of that kind about this order, as it came."""

    def one() -> tuple[WebhookEvent, Asked] | None:
        for path, asked in list(catcher.heard):
            assert path == f"/hooks/pay/{gateway.name}"
            event = gateway.read_webhook(asked)
            ours = (order.payment_id, order.order_ref)
            if event.kind is kind and (event.payment_id in ours or event.order_ref in ours):
                return event, asked
        return None

    found = wait_until(one)
    assert isinstance(found, tuple)
    return found


def test_webhooks_say_what_was_charged(gateway: Gateway, catcher: Catcher) -> None:
    order, _ = paid(gateway)
    event, asked = heard(gateway, catcher, order, EventKind.APPROVED)
    assert event.amount == order.amount
    assert event.reply is not None
    assert event.reply.outcome is PaymentOutcome.APPROVED
    assert gateway.read_webhook(asked).event_id == event.event_id


def test_webhooks_say_what_was_declined(gateway: Gateway, catcher: Catcher) -> None:
    order = order_for(gateway)
    _, reply = pay(gateway, order, make_card(Behaviour.STOLEN))
    event, _ = heard(gateway, catcher, order, EventKind.DECLINED)
    assert event.reply is not None
    assert event.reply.outcome is reply.outcome


def test_a_webhook_that_was_touched_is_refused(gateway: Gateway, catcher: Catcher) -> None:
    order, _ = paid(gateway)
    _, asked = heard(gateway, catcher, order, EventKind.APPROVED)
    touched = [
        replace(asked, body=b"", form={}),
        replace(asked, body=b"\xff\x00", form={"x": "\xff"}),
    ]
    if gateway.name not in SIGNED_WITHOUT_BODY:
        body = asked.body.replace(b"1", b"2")
        touched.append(replace(asked, body=body, form=_touched(asked.form)))
    if gateway.name not in SIGNED_IN_FORM:
        touched.append(replace(asked, headers={}))
    for one in touched:
        with pytest.raises(BadWebhook) as told:
            gateway.read_webhook(one)
        assert order.order_ref not in str(told.value)


def _touched(form: object) -> dict[str, str]:
    assert isinstance(form, dict)
    return {name: str(value)[:-6] + "AAAAAA" for name, value in form.items()}


@pytest.mark.parametrize("name", ["stripe", "test"])
def test_an_old_webhook_is_refused(
    bank: BankProcess, catcher: Catcher, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = gateway_at(bank, name)
    order, _ = paid(gateway)
    _, asked = heard(gateway, catcher, order, EventKind.APPROVED)
    import time

    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 290)
    gateway.read_webhook(asked)
    monkeypatch.setattr(time, "time", lambda: now + 320)
    with pytest.raises(BadWebhook, match="five minutes"):
        gateway.read_webhook(asked)


# --- nothing of the card stays -------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour", [Behaviour.APPROVE, Behaviour.STOLEN, Behaviour.CONFIGURATION, *DOUBTFUL]
)
def test_nothing_of_the_card_is_left_behind(
    gateway: Gateway,
    behaviour: Behaviour,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With every logger as loud as it goes: no text, no exception that still lives."""
    monkeypatch.setenv("STRIPE_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    for loud in ("stripe", "httpx", "httpcore", "urllib3", "redsys"):
        caplog.set_level(logging.DEBUG, logger=loud)
    order, card = order_for(gateway), make_card(behaviour)
    number = card.number.reveal_str()
    assert card.security_code is not None
    code = f"cvc]={card.security_code.reveal_str()}"
    ref, reply = pay(gateway, order, card)
    card.wipe()
    out, err = capfd.readouterr()
    for text in (caplog.text, out, err, repr(reply), str(reply), repr(gateway), repr(card)):
        assert number not in text
        assert number[4:] not in text
        assert code not in text
    kept = [one for one in gc.get_objects() if isinstance(one, BaseException) and one.__traceback__]
    for error in kept:
        assert number not in _everything(error)


def _everything(error: BaseException) -> str:
    """The words of an exception and the values its frames hold."""
    parts = [repr(error), str(vars(error))]
    trace = error.__traceback__
    while trace is not None:
        if "dialer" in trace.tb_frame.f_code.co_filename:
            parts += [repr(value) for value in trace.tb_frame.f_locals.values()]
        trace = trace.tb_next
    return " ".join(parts)
