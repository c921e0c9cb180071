"""The simulated Stripe keeps to Stripe's documentation where a double charge would hide."""

from __future__ import annotations

import threading

import requests
from fixtures_bank import BankProcess, make_card
from fixtures_messaging import wait_until

from dialer.simulation.cards import Behaviour
from dialer.switch import names


class StripeCaller:
    """Requests to the face of Stripe as they are on the wire."""

    def __init__(self, bank: BankProcess) -> None:
        self._bank = bank
        self._key = bank.settings().secret(names.SECRET_STRIPE_KEY)

    def post(self, path: str, key: str | None = None, **form: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._key}"}
        if key:
            headers["Idempotency-Key"] = key
        url = f"{self._bank.url}/stripe/v1/{path}"
        return self._bank.session.post(url, data=form, headers=headers, timeout=10)

    def method(self, behaviour: Behaviour) -> str:
        """A payment method of a new card."""
        card = make_card(behaviour)
        form = {
            "type": "card",
            "card[number]": card.number.reveal_str(),
            "card[exp_month]": str(card.month),
            "card[exp_year]": str(card.year),
        }
        return str(self.post("payment_methods", **form).json()["id"])

    def confirm(self, intent: str, behaviour: Behaviour, key: str) -> requests.Response:
        """A confirmation with a new card."""
        form = {"payment_method": self.method(behaviour)}
        form["payment_method_options[card][moto]"] = "true"
        return self.post(f"payment_intents/{intent}/confirm", key, **form)


def test_stripe_gives_the_first_answer_of_a_key_again(bank: BankProcess) -> None:
    stripe = StripeCaller(bank)
    first = stripe.post("payment_intents", "a", amount="100", currency="eur")
    again = stripe.post("payment_intents", "a", amount="100", currency="eur")
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    other = stripe.post("payment_intents", "a", amount="101", currency="eur")
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")


def test_stripe_declines_as_documented_and_takes_another_card(bank: BankProcess) -> None:
    stripe = StripeCaller(bank)
    intent = stripe.post("payment_intents", amount="100", currency="eur").json()["id"]
    no = stripe.confirm(intent, Behaviour.INSUFFICIENT_FUNDS, "a")
    error = no.json()["error"]
    assert (no.status_code, error["type"], error["code"]) == (402, "card_error", "card_declined")
    assert error["decline_code"] == "insufficient_funds"
    assert error["payment_intent"]["status"] == "requires_payment_method"
    yes = stripe.confirm(intent, Behaviour.APPROVE, "b")
    assert yes.json()["status"] == "succeeded"
    third = stripe.confirm(intent, Behaviour.APPROVE, "c")
    assert third.json()["error"]["code"] == "payment_intent_unexpected_state"
    canceled = stripe.post(f"payment_intents/{intent}/cancel")
    assert canceled.json()["error"]["code"] == "payment_intent_unexpected_state"


def test_stripe_says_409_while_a_key_is_being_worked_on(bank: BankProcess) -> None:
    stripe = StripeCaller(bank)
    intent = stripe.post("payment_intents", amount="100", currency="eur").json()["id"]
    form = {
        "payment_method": stripe.method(Behaviour.LATE),
        "payment_method_options[card][moto]": "true",
    }
    path = f"payment_intents/{intent}/confirm"
    answers: list[requests.Response] = []
    held = threading.Thread(target=lambda: answers.append(stripe.post(path, "k", **form)))
    held.start()
    wait_until(lambda: bank.ledger()["attempts"])
    busy = stripe.post(path, "k", **form)
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    bank.post("release")
    held.join(10)
    assert answers[0].json()["status"] == "succeeded"
    assert stripe.post(path, "k", **form).headers["Idempotent-Replayed"] == "true"


def test_stripe_wants_the_moto_flag(bank: BankProcess) -> None:
    stripe = StripeCaller(bank)
    intent = stripe.post("payment_intents", amount="100", currency="eur").json()["id"]
    method = stripe.method(Behaviour.APPROVE)
    answer = stripe.post(f"payment_intents/{intent}/confirm", payment_method=method)
    assert answer.status_code == 400
    assert bank.ledger()["charges"] == []
