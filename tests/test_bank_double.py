"""The simulated bank itself: if it were kind, tests of gateways would prove nothing."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests
from fixtures_bank import BankProcess, Catcher, make_card, make_order
from fixtures_messaging import wait_until

from dialer.domain.payment import Brand
from dialer.payments.gateway import Order
from dialer.simulation.bank.asking import Asking, Conflict, Presented, Refusal
from dialer.simulation.bank.conduct import CONDUCT
from dialer.simulation.bank.core import Bank
from dialer.simulation.bank.hooks import Hook, HookSender
from dialer.simulation.bank.records import LedgerFile, State
from dialer.simulation.cards import (
    BINS,
    CODES,
    Behaviour,
    behaviour_of,
    brand_of,
    card_number,
    expiry,
    luhn_digit,
    security_code,
    wrong_security_code,
)
from dialer.switch import names

# --- cards ---------------------------------------------------------------------------------


def test_every_behaviour_has_a_code_and_a_conduct() -> None:
    assert set(CODES.values()) == set(CONDUCT) == set(Behaviour)


@pytest.mark.parametrize("brand", BINS)
def test_numbers_carry_brand_behaviour_and_check_digit(brand: Brand) -> None:
    for behaviour in Behaviour:
        number = card_number(brand, behaviour, 77)
        assert len(number) == BINS[brand][1]
        assert (brand_of(number), behaviour_of(number)) == (brand, behaviour)
        assert luhn_digit(number[:-1]) == int(number[-1])
    numbers = {card_number(brand, "approve", n) for n in range(5000)}
    assert len(numbers) == 5000


def test_security_codes_are_never_the_wrong_one() -> None:
    for brand, length in ((Brand.VISA, 3), (Brand.AMEX, 4)):
        codes = {security_code(n, brand) for n in range(3000)}
        assert {len(code) for code in codes} == {length}
        assert wrong_security_code(brand) not in codes


# --- decisions -----------------------------------------------------------------------------


def asking(key: str = "k1", minor: int = 1000, mode: str = "charge") -> Asking:
    return Asking("test", key, "o1", minor, "EUR", mode)


def presented(behaviour: Behaviour = Behaviour.APPROVE, **changes: Any) -> Presented:
    month, year = expiry(date.today())
    values: dict[str, Any] = {
        "number": card_number(Brand.VISA, behaviour, 1),
        "month": month,
        "year": year,
        "security_code": "123",
        "moto": True,
    }
    return Presented(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"number": "4000000000000001"}, "incorrect_number"),
        ({"year": date.today().year - 1}, "expired_card"),
        ({"month": 13}, "invalid_expiry_month"),
        ({"security_code": "1234"}, "incorrect_cvc"),
        ({"security_code": "000"}, "incorrect_cvc"),
        (
            {"number": card_number(Brand.AMEX, "approve", 1), "security_code": "123"},
            "incorrect_cvc",
        ),
    ],
)
def test_what_any_bank_declines(changes: dict[str, Any], reason: str) -> None:
    charge = Bank().submit(asking(), presented(**changes)).charge
    assert charge is not None
    assert (charge.state, charge.reason) == (State.DECLINED, reason)


def test_a_card_is_good_to_the_end_of_its_month() -> None:
    today = date.today()
    charge = Bank().submit(asking(), presented(month=today.month, year=today.year)).charge
    assert charge is not None
    assert charge.state is State.APPROVED


def test_what_is_asked_wrongly_is_refused() -> None:
    bank = Bank()
    with pytest.raises(Refusal, match="moto_required"):
        bank.submit(asking(), presented(moto=False))
    with pytest.raises(Refusal, match="amount_invalid"):
        bank.submit(asking(minor=0), presented())
    assert bank.ledger()["charges"] == []
    assert len(bank.ledger()["attempts"]) == 2


def test_one_key_is_one_charge() -> None:
    bank = Bank()
    first, again = (bank.submit(asking(), presented()) for _ in (1, 2))
    assert (first.repeated, again.repeated) == (False, True)
    assert first.charge == again.charge
    with pytest.raises(Conflict):
        bank.submit(asking(minor=1001), presented())
    with pytest.raises(Conflict):
        bank.submit(asking(), presented(number=card_number(Brand.VISA, "approve", 2)))
    assert len(bank.ledger()["charges"]) == 1


def test_a_closed_key_charges_no_more_and_a_charged_one_is_not_closed() -> None:
    bank = Bank()
    assert bank.close("test", "k1").state is State.CLOSED
    with pytest.raises(Refusal, match="key_closed"):
        bank.submit(asking(), presented())
    bank.submit(asking("k2"), presented())
    assert bank.close("test", "k2").state is State.APPROVED


def test_a_late_decision_finds_the_key_closed_or_the_bank_reset() -> None:
    bank = Bank()
    for end in (lambda: bank.close("test", "k1"), bank.reset):
        finish = bank.submit(asking(), presented(Behaviour.LATE)).finish
        assert finish is not None
        end()
        assert finish() is None
        bank.reset()
    finish = bank.submit(asking(), presented(Behaviour.LATE)).finish
    assert finish is not None
    charge = finish()
    assert charge is not None
    assert charge.state is State.APPROVED


def test_soft_once_then_approved() -> None:
    bank = Bank()
    card = presented(Behaviour.SOFT_THEN_APPROVE)
    states = [bank.submit(asking(key), card).charge for key in ("k1", "k2")]
    assert [one.state for one in states if one] == [State.DECLINED, State.APPROVED]


def test_refunds_and_voids_have_limits() -> None:
    bank = Bank()
    charge = bank.submit(asking(), presented()).charge
    assert charge is not None
    assert bank.refund("test", charge.ref, "r1", 400) == bank.refund("test", charge.ref, "r1", 400)
    with pytest.raises(Conflict):
        bank.refund("test", charge.ref, "r1", 401)
    with pytest.raises(Refusal, match="amount_too_large"):
        bank.refund("test", charge.ref, "r2", 601)
    with pytest.raises(Refusal, match="charge_already_refunded"):
        bank.void("test", charge.ref, "v1")
    bank.refund("test", charge.ref, "r2", 600)
    with pytest.raises(Refusal, match="charge_already_refunded"):
        bank.refund("test", charge.ref, "r3", 1)


def test_a_charge_is_voided_on_its_day_only() -> None:
    bank = Bank()
    today, yesterday = (bank.submit(asking(key), presented()).charge for key in ("k1", "k2"))
    assert today is not None
    assert yesterday is not None
    bank.void("test", today.ref, "v1")
    bank.set_days(1)
    with pytest.raises(Refusal, match="void_too_late"):
        bank.void("test", yesterday.ref, "v2")


def test_an_authorisation_is_captured_once_and_within_it() -> None:
    bank = Bank()
    charge = bank.submit(asking(mode="authorise"), presented()).charge
    assert charge is not None
    assert not charge.state.moved
    with pytest.raises(Refusal, match="charge_not_captured"):
        bank.refund("test", charge.ref, "r1", 1)
    with pytest.raises(Refusal, match="amount_too_large"):
        bank.capture("test", charge.ref, 1001)
    assert bank.capture("test", charge.ref, 900).held_minor == 900
    with pytest.raises(Refusal, match="charge_not_authorised"):
        bank.capture("test", charge.ref, 100)


def test_the_ledger_file_survives_and_holds_no_number(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    bank, card = Bank(LedgerFile(path)), presented()
    charge = bank.submit(asking(), card).charge
    assert charge is not None
    bank.refund("test", charge.ref, "r1", 10)
    bank.put("stripe", "intent", "pi_1", {"status": "succeeded"})
    with path.open("a") as out:
        out.write('{"kind": "charge", "fa')  # the process died here
    again = Bank(LedgerFile(path))
    assert again.ledger()["charges"] == bank.ledger()["charges"]
    assert again.get("stripe", "intent", "pi_1") == {"status": "succeeded"}
    assert again.submit(asking(), card).repeated
    text = path.read_text()
    assert card.number not in text
    assert card.number[:-4] not in text
    assert card.sha256 in text


# --- the process ---------------------------------------------------------------------------


def pay(
    bank: BankProcess, order: Order, behaviour: Behaviour = Behaviour.APPROVE, **more: Any
) -> Any:
    """A charge at the test acquirer's face, as anybody could send it."""
    card = make_card(behaviour, unique=order.order_ref)
    secret = bank.settings().secret(names.SECRET_TEST_ACQUIRER)
    assert card.security_code is not None
    values: dict[str, Any] = {
        "order_ref": order.order_ref,
        "amount": order.amount.minor,
        "currency": order.amount.currency,
        "mode": "charge",
        "moto": True,
        "card": {
            "number": card.number.reveal_str(),
            "month": card.month,
            "year": card.year,
            "security_code": card.security_code.reveal_str(),
        },
    }
    return bank.session.post(
        f"{bank.url}/test/payments",
        json=values | more,
        headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": order.payment_id},
        timeout=10,
    )


def test_a_dropped_connection_is_a_dropped_connection(bank: BankProcess) -> None:
    order = make_order()
    with pytest.raises(requests.ConnectionError):
        pay(bank, order, Behaviour.DROPPED_AFTER)
    assert len(bank.charged(order)) == 1


def test_strangers_are_not_served(bank: BankProcess) -> None:
    for path in ("/test/payments", "/stripe/v1/payment_intents", "/stripe/v1/payment_methods"):
        answer = bank.session.post(bank.url + path, data={}, timeout=10)
        assert answer.status_code == 401


def test_what_is_not_understood_is_said(bank: BankProcess) -> None:
    assert pay(bank, make_order(), amount="much").status_code == 400
    assert pay(bank, make_order(), moto=False).json() == {"error": "moto_required"}
    assert bank.post("behaviour", behaviour="kind").status_code == 400
    assert bank.post("behaviour").status_code == 400
    assert bank.post("outage", how="sometimes").status_code == 400


def test_an_outage_of_one_face_is_not_one_of_another(bank: BankProcess) -> None:
    bank.post("outage", how="error", faces=["stripe"])
    there = bank.session.post(f"{bank.url}/stripe/v1/payment_intents", data={}, timeout=10)
    assert there.status_code == 503
    assert pay(bank, make_order()).json()["state"] == "approved"
    bank.post("outage", how="drop")
    with pytest.raises(requests.ConnectionError):
        pay(bank, make_order())
    bank.post("outage", how=None)
    assert pay(bank, make_order()).json()["state"] == "approved"


def test_it_behaves_as_told_so_often_as_told(bank: BankProcess) -> None:
    bank.post("behaviour", behaviour="stolen", times=2, face="test")
    states = [pay(bank, make_order()).json()["state"] for _ in range(3)]
    assert states == ["declined", "declined", "approved"]


def test_the_process_remembers_after_its_end(tmp_path: Path) -> None:
    order = make_order()
    first = BankProcess(tmp_path, "http://127.0.0.1:9")
    try:
        assert pay(first, order).json()["state"] == "approved"
    finally:
        first.stop()
    second = BankProcess(tmp_path, "http://127.0.0.1:9")
    try:
        assert len(second.charged(order)) == 1
        assert pay(second, order).json()["state"] == "approved"
        assert len(second.charged(order)) == 1
    finally:
        second.stop()


# --- webhooks ------------------------------------------------------------------------------


def kinds(catcher: Catcher, order: Order) -> list[str]:
    """The types of the webhooks about this order, as they came."""
    heard = [json.loads(asked.body) for _, asked in list(catcher.heard)]
    return [one["type"] for one in heard if one["payment"]["order_ref"] == order.order_ref]


IN_ORDER = ["payment.received", "payment.approved"]


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (Behaviour.APPROVE, IN_ORDER),
        (Behaviour.TWICE, [IN_ORDER[0]] * 2 + [IN_ORDER[1]] * 2),
        (Behaviour.DISORDERED, IN_ORDER[::-1]),
        (Behaviour.WEBHOOK_LATE, IN_ORDER),
        (Behaviour.STOLEN, ["payment.received", "payment.declined"]),
    ],
)
def test_webhooks_come_as_the_card_says(
    bank: BankProcess, catcher: Catcher, behaviour: Behaviour, expected: list[str]
) -> None:
    order = make_order()
    pay(bank, order, behaviour)
    wait_until(lambda: len(kinds(catcher, order)) >= len(expected))
    wait_until(lambda: bank.hooks()["waiting"] == 0)
    assert kinds(catcher, order) == expected


def test_a_webhook_may_never_come(bank: BankProcess, catcher: Catcher) -> None:
    order, later = make_order(), make_order()
    pay(bank, order, Behaviour.WEBHOOK_NEVER)
    pay(bank, later)
    wait_until(lambda: kinds(catcher, later) == IN_ORDER)
    assert kinds(catcher, order) == []


def test_a_webhook_that_is_not_taken_comes_again(bank: BankProcess, catcher: Catcher) -> None:
    order = make_order()
    catcher.answers.append(500)
    pay(bank, order)
    wait_until(lambda: len(kinds(catcher, order)) == 3)
    assert sorted(kinds(catcher, order)) == ["payment.approved", *["payment.received"] * 2]


def test_webhooks_go_to_this_machine_only() -> None:
    sender = HookSender("http://acquirer.example/hooks/pay/", 0.0, 0.0)
    try:
        sender.send([Hook("test", "e1", lambda: (b"", {}))], CONDUCT[Behaviour.APPROVE].hooks)
        wait_until(lambda: sender.sent()["sent"])
        assert sender.sent()["sent"][0]["status"] == "not_local"
    finally:
        sender.close()
