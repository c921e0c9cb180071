"""Debtors pay on a real Asterisk: real processes, real keys, a bank behind HTTP."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from fixtures_payments import (
    PayDesk,
    Plastic,
    Visit,
    children_of,
    found_in_memory,
    shapes,
    until,
)

from dialer.domain.payment import Brand, PaymentMode, PaySpec
from dialer.store import tables as t


def test_paid_in_spanish(desk: PayDesk) -> None:
    card = Plastic("approve")
    visit = desk.pay(card.answers(result=["1", "2"]))
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
    assert desk.books(visit) == {"open": -12345, "pending": 0, "paid": 12345}
    assert "payment_receipt" in {m.template for m in desk.world.rows(t.message)}


def test_paid_in_english_with_tones_and_an_american_card(desk: PayDesk) -> None:
    card = Plastic("approve", Brand.AMEX)
    visit = desk.pay(card.answers(), language="en", way="b", record=True)
    assert desk.session(visit).result == "success"
    assert desk.payments(visit)[0].brand == "amex"
    assert "not unmuted" not in desk.said()


def test_the_same_card_has_the_same_fingerprint_and_another_one_not(desk: PayDesk) -> None:
    card = Plastic("approve")
    plastics = [card, card, Plastic("approve")]
    with ThreadPoolExecutor(3) as calls:
        visits = list(calls.map(lambda one: desk.pay(one.answers()), plastics))
    first, second, other = (desk.payments(one)[0].fingerprint for one in visits)
    assert first == second != other


def test_a_token_is_made_and_no_money_moves(desk: PayDesk) -> None:
    spec = PaySpec(mode=PaymentMode.TOKENISE)
    visit = desk.pay(Plastic("approve").answers(), spec=spec)
    assert desk.session(visit).result == "success"
    assert desk.payments(visit)[0].token
    assert desk.books(visit).get("open", 0) == 0


def test_declined_for_good_and_then_by_another_card(desk: PayDesk) -> None:
    bad, good = Plastic("stolen"), Plastic("approve")
    answers = good.answers(
        payment_card_number=[bad.number, good.number],
        security_code=[bad.code, good.code],
        result=["1", "2"],
    )
    visit = desk.pay(answers)
    first, second = desk.payments(visit)
    assert (first.state, first.outcome) == ("declined", "declined-hard")
    assert (second.state, second.last_four) == ("approved", good.number[-4:])
    assert desk.session(visit).result == "success"
    assert desk.charged(visit) == 1


def test_declined_and_the_debtor_leaves(desk: PayDesk) -> None:
    visit = desk.pay(Plastic("insufficient_funds").answers(result="**"))
    assert visit.returned
    assert desk.session(visit).result == "caller-interrupted-with-star"
    assert [one.state for one in desk.payments(visit)] == ["declined"]
    assert desk.charged(visit) == 0
    assert desk.books(visit)["open"] == 0


def test_a_hang_up_in_the_middle_of_each_field_charges_nothing(desk: PayDesk) -> None:
    card = Plastic("approve")
    ends: list[dict[str, str | list[str]]] = [
        {"agree": ""},
        {"payment_card_number": card.number[:9]},
        {"expiration_date": card.expiry[:2]},
        {"security_code": card.code[:1]},
        {"confirm": ""},
    ]

    def call(end: dict[str, str | list[str]]) -> Visit:
        return desk.pay(card.answers(**end), hang_up_after=10)

    with ThreadPoolExecutor(len(ends)) as calls:
        made = list(calls.map(call, ends))
    visits = {next(iter(end)).replace("_", "-"): one for end, one in zip(ends, made, strict=True)}
    for step, visit in visits.items():
        desk.wait_ended(visit)
        assert not visit.returned
        session = desk.session(visit)
        assert (session.result, session.step) == ("caller-hung-up", step)
        assert desk.payments(visit) == []
    assert found_in_memory(desk.pid, shapes(card.number)) == []
    resumed = visits["confirm"]
    again = desk.pay(card.answers(), account=resumed.account_id)
    assert desk.session(again).result == "success"


def test_who_hangs_up_while_it_is_charged_has_paid(desk: PayDesk) -> None:
    visit = desk.pay(Plastic("silent").answers(), meanwhile=desk.cut_while_charging)
    desk.wait_ended(visit)
    assert desk.session(visit).result == "success"
    assert not visit.returned
    assert [one.state for one in desk.payments(visit)] == ["approved"]
    assert desk.charged(visit) == 1


def test_a_silent_bank_is_in_doubt_and_never_guessed(desk: PayDesk) -> None:
    visit = desk.pay(Plastic("silent").answers())
    assert visit.returned
    assert desk.session(visit).result == "gateway-timeout-unknown"
    (payment,) = desk.payments(visit)
    assert (payment.state, payment.outcome) == ("unknown", "unknown")
    assert payment.next_look_up_at is not None
    assert desk.books(visit) == {"open": -12345, "pending": 12345}


def test_a_lost_connection_is_in_doubt(desk: PayDesk) -> None:
    visit = desk.pay(Plastic("dropped_after").answers())
    assert desk.session(visit).result == "gateway-timeout-unknown"
    assert desk.payments(visit)[0].state == "unknown"


def test_nothing_is_asked_of_who_owes_nothing(desk: PayDesk) -> None:
    paid = desk.pay(Plastic("approve").answers())
    again = desk.pay(Plastic("approve").answers(), account=paid.account_id)
    assert desk.session(again).result == "nothing-owed"
    assert desk.payments(again) == []


def test_no_card_while_asterisk_writes_keys_down(desk: PayDesk) -> None:
    desk.line.instance.rx("logger add channel keys.log dtmf")
    try:
        visit = desk.pay(Plastic("approve").answers())
    finally:
        desk.line.instance.rx("logger remove channel keys.log")
    assert desk.session(visit).result == "card-entry-unavailable"
    assert desk.payments(visit) == []


def test_the_number_is_in_memory_while_it_is_heard_and_not_afterwards(desk: PayDesk) -> None:
    card = Plastic("approve")
    wanted = shapes(card.number)
    seen: list[list[bytes]] = []

    def look(visit: Visit) -> None:
        until(lambda: desk.session(visit).step == "confirm", "the card was never heard")
        seen.append(found_in_memory(desk.pid, wanted))

    visit = desk.pay(card.answers(), meanwhile=look)
    assert desk.session(visit).result == "success"
    assert seen == [[card.number.encode()]], "one bytearray, and the search finds it"
    for pid in (desk.pid, *children_of(desk.pid)):
        assert found_in_memory(pid, wanted) == []
    files = [one for one in desk.settings.home.rglob("*") if one.is_file()]
    for path in files:
        if "book" not in path.parts and "acquirer-double" not in path.parts:
            assert not any(one in path.read_bytes() for one in wanted[:6]), path


@pytest.mark.parametrize("moment", ["while it is keyed in", "while it is charged"])
def test_killed(desk: PayDesk, moment: str) -> None:
    charging = moment == "while it is charged"
    card = Plastic("silent" if charging else "approve")

    def kill(visit: Visit) -> None:
        wanted = "payment-processing" if charging else "expiration-date"
        until(lambda: desk.session(visit).step == wanted, "it never came so far")
        if charging:
            until(lambda: desk.charged(visit) == 1, "the bank never heard of it")
        desk.stop(signal.SIGKILL)

    try:
        visit = desk.pay(card.answers(), meanwhile=kill)
    finally:
        desk.start()
    assert visit.returned, "the flow has its call back"
    assert desk.session(visit).result is None
    states = [one.state for one in desk.payments(visit)]
    assert states == (["sending"] if charging else [])
    assert desk.books(visit).get("open", 0) == (-12345 if charging else 0)


def test_it_loads_little(desk: PayDesk) -> None:
    loaded = {
        row.split("/site-packages/")[1].split("/")[0]
        for row in desk.maps()
        if "/site-packages/" in row
    }
    assert not loaded & {"redis", "stripe", "twilio", "numpy", "flask"}


def test_what_it_says_has_no_digits_of_a_card(desk: PayDesk) -> None:
    """The log of everything above, at level debug."""
    said = desk.said()
    assert "payment session ended" in said
    assert "4000000" not in said
    assert "378282" not in said
