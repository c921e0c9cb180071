"""Debtors pay on a real Asterisk: real processes, real keys, a bank behind HTTP."""

from __future__ import annotations

import signal

from fixtures_payments import PayDesk, Plastic, Visit, found_in_memory, shapes, until

from dialer.domain.payment import Brand
from dialer.store import tables as t

AFTER = "wwwwww"
"""Until the outcome is being said."""


def test_paid_in_spanish(desk: PayDesk) -> None:
    card = Plastic("approve")
    visit = desk.pay(card.keys() + AFTER + "1www2")
    assert visit.returned
    session, (payment,) = desk.session(visit), desk.payments(visit)
    assert (session.result, session.step, session.last_four) == (
        "success", "result", card.number[-4:],
    )  # fmt: skip
    assert session.agreed_minor == payment.amount_minor == 12345
    assert set(session.seconds) == {"payment-card-number", "expiration-date", "security-code"}
    assert session.errors == {}
    assert (payment.state, payment.brand, payment.gateway) == ("approved", "visa", "test")
    assert payment.auth_code
    assert len(payment.fingerprint) == 64
    assert desk.charged(visit) == 1
    assert desk.books(visit)["open"] == -12345
    assert "payment_receipt" in {m.template for m in desk.world.rows(t.message)}


def test_paid_in_english_with_tones_and_an_american_card(desk: PayDesk) -> None:
    card = Plastic("approve", Brand.AMEX)
    visit = desk.pay(card.keys() + AFTER + "2", language="en", way="b", record=True)
    assert desk.session(visit).result == "success"
    assert desk.payments(visit)[0].brand == "amex"
    assert "not unmuted" not in desk.said()


def test_declined_for_good_and_then_by_another_card(desk: PayDesk) -> None:
    bad, good = Plastic("stolen"), Plastic("approve")
    again = good.keys()[4:]  # without the amount
    visit = desk.pay(bad.keys() + AFTER + "www" + "1" + "www" + again + AFTER + "2")
    first, second = desk.payments(visit)
    assert (first.state, first.outcome) == ("declined", "declined-hard")
    assert (second.state, second.last_four) == ("approved", good.number[-4:])
    assert desk.session(visit).result == "success"
    assert desk.charged(visit) == 1
