"""Debtors pay on a real Asterisk: real processes, real keys, a bank behind HTTP."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

from dialer.domain.payment import Brand, PaymentMode, PaySpec, PayStep, PayTimes
from dialer.speech.keys_heard import keys_in
from dialer.store import tables as t


def _two_cards(desk: PayDesk) -> Visit:
    bad, good = Plastic("stolen"), Plastic("approve")
    answers = good.answers(
        payment_card_number=[bad.number, good.number],
        security_code=[bad.code, good.code],
        result=["1", "2"],
    )
    return desk.pay(answers)


def _keyed_in_twice(desk: PayDesk) -> Visit:
    """The second time another number, then the same."""
    answers = AGAIN.answers(
        payment_card_number=[AGAIN.number, SLIP.number, AGAIN.number, AGAIN.number],
        security_code=[AGAIN.code, "*" + AGAIN.code, AGAIN.code],
    )
    return desk.pay(answers, spec=PaySpec(matching=MATCHING), language="en")


def _ends_at(step: str, keys: str) -> Callable[[PayDesk], Visit]:
    answers = HALF.answers(**{step: keys})
    return lambda desk: desk.pay(answers, hang_up_after=14)


HALF, ONE = Plastic("approve"), Plastic("approve")
AGAIN, SLIP = Plastic("approve"), Plastic("approve")
MATCHING = (PayStep.CARD_NUMBER, PayStep.SECURITY_CODE)
HUNG_UP = {
    "agree": _ends_at("agree", ""),
    "payment-card-number": _ends_at("payment_card_number", HALF.number[:9]),
    "expiration-date": _ends_at("expiration_date", HALF.expiry[:2]),
    "security-code": _ends_at("security_code", HALF.code[:1]),
    "confirm": _ends_at("confirm", ""),
}
CALLS: dict[str, Callable[[PayDesk], Visit]] = {
    "spanish": lambda desk: desk.pay(ONE.answers(result=["1", "2"])),
    "english": lambda desk: desk.pay(
        Plastic("approve", Brand.AMEX).answers(), language="en", way="b", record=True
    ),
    "paused": lambda desk: desk.pay(Plastic("approve").answers(), record=True, paused=True),
    "same card": lambda desk: desk.pay(ONE.answers()),
    "token": lambda desk: desk.pay(
        Plastic("approve").answers(), spec=PaySpec(mode=PaymentMode.TOKENISE)
    ),
    "two cards": _two_cards,
    "leaves": lambda desk: desk.pay(Plastic("insufficient_funds").answers(result="**")),
    "silent": lambda desk: desk.pay(Plastic("silent").answers()),
    "dropped": lambda desk: desk.pay(Plastic("dropped_after").answers()),
    "twice": _keyed_in_twice,
    "gone the second time": lambda desk: desk.pay(
        HALF.answers(payment_card_number=[HALF.number, HALF.number[:9]]),
        spec=PaySpec(matching=MATCHING),
        hang_up_after=14,
    ),
    **HUNG_UP,
}


@pytest.fixture(scope="module")
def visits(desk: PayDesk) -> dict[str, Visit]:
    """What became of all these calls, which were made side by side."""
    with ThreadPoolExecutor(7) as lines:
        made = dict(zip(CALLS, lines.map(lambda call: call(desk), CALLS.values()), strict=True))
    for visit in made.values():
        desk.wait_ended(visit)
    return made


def test_paid_in_spanish(desk: PayDesk, visits: dict[str, Visit]) -> None:
    visit = visits["spanish"]
    assert visit.returned
    session, (payment,) = desk.session(visit), desk.payments(visit)
    assert (session.result, session.step, session.last_four) == (
        "success", "result", ONE.number[-4:],
    )  # fmt: skip
    assert session.agreed_minor == payment.amount_minor == 12345
    assert set(session.seconds) == {"payment-card-number", "expiration-date", "security-code"}
    assert (payment.state, payment.brand, payment.gateway) == ("approved", "visa", "test")
    assert payment.auth_code
    assert len(payment.fingerprint) == 64
    assert desk.charged(visit) == 1
    assert desk.books(visit) == {"open": -12345, "pending": 0, "paid": 12345}
    receipts = desk.world.rows(t.message, account_id=visit.account_id)
    assert [one.template for one in receipts] == ["payment_receipt"]


def test_paid_in_english_with_tones_and_an_american_card(
    desk: PayDesk, visits: dict[str, Visit]
) -> None:
    assert desk.session(visits["english"]).result == "success"
    assert desk.payments(visits["english"])[0].brand == "amex"
    assert "not unmuted" not in desk.said()


def test_a_recording_that_the_agent_paused_stays_so(
    desk: PayDesk, visits: dict[str, Visit]
) -> None:
    kept = [json.loads(one) for one in desk.said().splitlines() if "stays paused" in one]
    assert [one["session"] for one in kept] == [visits["paused"].session_id]


def test_the_same_card_has_the_same_fingerprint_and_another_one_not(
    desk: PayDesk, visits: dict[str, Visit]
) -> None:
    names = ("spanish", "same card", "english")
    first, second, other = (desk.payments(visits[one])[0].fingerprint for one in names)
    assert first == second != other


def test_a_token_is_made_and_no_money_moves(desk: PayDesk, visits: dict[str, Visit]) -> None:
    assert desk.session(visits["token"]).result == "success"
    assert desk.payments(visits["token"])[0].token
    assert desk.books(visits["token"]).get("open", 0) == 0


def test_declined_for_good_and_then_by_another_card(
    desk: PayDesk, visits: dict[str, Visit]
) -> None:
    visit = visits["two cards"]
    first, second = desk.payments(visit)
    assert (first.state, first.outcome) == ("declined", "declined-hard")
    assert (second.state, second.outcome) == ("approved", "approved")
    assert desk.session(visit).result == "success"
    assert desk.charged(visit) == 1


def test_declined_and_the_debtor_leaves(desk: PayDesk, visits: dict[str, Visit]) -> None:
    visit = visits["leaves"]
    assert visit.returned
    assert desk.session(visit).result == "caller-interrupted-with-star"
    assert [one.state for one in desk.payments(visit)] == ["declined"]
    assert desk.charged(visit) == 0
    assert desk.books(visit)["open"] == 0


@pytest.mark.parametrize("step", HUNG_UP)
def test_a_hang_up_in_the_middle_of_a_field_charges_nothing(
    desk: PayDesk, visits: dict[str, Visit], step: str
) -> None:
    visit = visits[step]
    assert not visit.returned
    session = desk.session(visit)
    assert (session.result, session.step) == ("caller-hung-up", step)
    assert desk.payments(visit) == []


def test_after_a_hang_up_nothing_is_left_and_it_is_resumed(
    desk: PayDesk, visits: dict[str, Visit]
) -> None:
    assert found_in_memory(desk.pid, shapes(HALF.number)) == []
    again = desk.pay(HALF.answers(), account=visits["confirm"].account_id)
    assert desk.session(again).result == "success"
    assert desk.session(again).agreed_minor == 12345


def test_who_hangs_up_while_it_is_charged_has_paid(desk: PayDesk) -> None:
    visit = desk.pay(Plastic("silent").answers(), meanwhile=desk.cut_while_charging)
    desk.wait_ended(visit)
    assert desk.session(visit).result == "success"
    assert not visit.returned
    assert [one.state for one in desk.payments(visit)] == ["approved"]
    assert desk.charged(visit) == 1


def test_a_silent_bank_is_in_doubt_and_never_guessed(
    desk: PayDesk, visits: dict[str, Visit]
) -> None:
    visit = visits["silent"]
    assert visit.returned
    assert desk.session(visit).result == "gateway-timeout-unknown"
    (payment,) = desk.payments(visit)
    assert (payment.state, payment.outcome) == ("unknown", "unknown")
    assert payment.next_look_up_at is not None
    assert desk.books(visit) == {"open": -12345, "pending": 12345}


def test_a_lost_connection_is_in_doubt(desk: PayDesk, visits: dict[str, Visit]) -> None:
    assert desk.session(visits["dropped"]).result == "gateway-timeout-unknown"
    assert desk.payments(visits["dropped"])[0].state == "unknown"


def test_a_number_that_was_not_the_same_twice_is_keyed_in_anew(
    desk: PayDesk, visits: dict[str, Visit]
) -> None:
    visit = visits["twice"]
    session, (payment,) = desk.session(visit), desk.payments(visit)
    assert session.result == "success"
    assert session.errors == {"input-matching-failed": 1}
    assert (payment.state, payment.last_four) == ("approved", AGAIN.number[-4:])
    assert desk.charged(visit) == 1
    assert found_in_memory(desk.pid, shapes(AGAIN.number) + shapes(SLIP.number)) == []


def test_who_hangs_up_at_the_second_entry_leaves_nothing_of_the_first(
    desk: PayDesk, visits: dict[str, Visit]
) -> None:
    visit = visits["gone the second time"]
    session = desk.session(visit)
    assert (session.result, session.step) == ("caller-hung-up", "payment-card-number")
    assert session.last_four is None, "it was not accepted"
    assert session.seconds["payment-card-number"] > 1, "the first entry was heard"
    assert desk.payments(visit) == []
    assert found_in_memory(desk.pid, shapes(HALF.number)) == []


def test_nothing_is_asked_of_who_owes_nothing(desk: PayDesk, visits: dict[str, Visit]) -> None:
    again = desk.pay(Plastic("approve").answers(), account=visits["spanish"].account_id)
    assert desk.session(again).result == "nothing-owed"
    assert desk.payments(again) == []


def test_no_card_while_asterisk_writes_keys_down(desk: PayDesk, visits: dict[str, Visit]) -> None:
    desk.line.instance.rx("logger add channel keys.log dtmf")
    try:
        visit = desk.pay(Plastic("approve").answers())
        nothing = desk.pay(Plastic("approve").answers(), account=visits["spanish"].account_id)
    finally:
        desk.line.instance.rx("logger remove channel keys.log")
    assert desk.session(visit).result == "card-entry-unavailable"
    assert desk.payments(visit) == []
    assert desk.session(nothing).result == "nothing-owed", "who owes nothing needs no card"


def test_no_further_field_once_asterisk_writes_keys_down(desk: PayDesk) -> None:
    card = Plastic("approve")

    def switch_on(visit: Visit) -> None:
        desk.wait_step(visit, "expiration-date")
        desk.line.instance.rx("logger add channel later.log dtmf")

    # The date is keyed in only when it is asked for again: by then the log is on.
    spec = PaySpec(times={PayStep.EXPIRATION_DATE: PayTimes(4, 2)})
    answers = card.answers(expiration_date=["", card.expiry])
    try:
        visit = desk.pay(answers, spec=spec, meanwhile=switch_on)
    finally:
        desk.line.instance.rx("logger remove channel later.log")
    assert desk.session(visit).result == "card-entry-unavailable"
    assert desk.session(visit).step == "expiration-date"
    assert desk.payments(visit) == []


def test_a_recording_begun_between_two_fields_does_not_hear_the_next(desk: PayDesk) -> None:
    card = Plastic("approve")
    wave = desk.settings.home / "begun-late.wav"

    def record(visit: Visit) -> None:
        desk.wait_step(visit, "expiration-date")
        channels = desk.line.instance.rx("core show channels concise").splitlines()
        for channel in (line.split("!")[0] for line in channels if "!" in line):
            desk.line.instance.rx(f"mixmonitor start {channel} {wave}")

    spec = PaySpec(times={PayStep.EXPIRATION_DATE: PayTimes(4, 2)})
    answers = card.answers(expiration_date=["", card.expiry])
    visit = desk.pay(answers, spec=spec, meanwhile=record, way="b")
    assert desk.session(visit).result == "success"
    # The last key of the call is in it (it did record), once Asterisk has closed the file.
    until(lambda: keys_in(wave).endswith("2"), "the recording holds the last key")
    heard = keys_in(wave)
    assert card.expiry not in heard and card.code not in heard


def test_the_number_is_in_memory_while_it_is_heard_and_not_afterwards(desk: PayDesk) -> None:
    card = Plastic("approve")
    wanted = shapes(card.number)
    seen: list[list[bytes]] = []

    def look(visit: Visit) -> None:
        desk.wait_step(visit, "confirm")
        seen.append(found_in_memory(desk.pid, wanted))

    # Time to look: the confirmation is only given when it is asked for again.
    spec = PaySpec(times={PayStep.CONFIRM: PayTimes(4, 2)})
    visit = desk.pay(card.answers(confirm=["", "1"]), spec=spec, meanwhile=look)
    assert desk.session(visit).result == "success"
    assert seen == [[card.number.encode()]], "one bytearray, and the search finds it"
    for pid in (desk.pid, *children_of(desk.pid)):
        assert found_in_memory(pid, wanted) == []
    assert files_with(desk.settings.home, [visit.session_id.encode()]), "the search finds"
    assert files_with(desk.settings.home, wanted[:1] + wanted[4:6]) == []


def files_with(folder: Path, wanted: list[bytes]) -> list[str]:
    """Files that hold one of these, but for the telephone's own book. Searched by a process of its
    own: who opens and closes the file of a SQLite database loses the locks on it."""
    patterns = [part for one in wanted for part in ("-e", one.decode())]
    done = subprocess.run(
        ["grep", "-rlaF", "--exclude-dir=book", *patterns, str(folder)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("moment", ["while it is keyed in", "while it is charged"])
def test_killed(desk: PayDesk, moment: str) -> None:
    charging = moment == "while it is charged"
    card = Plastic("silent" if charging else "approve")

    def kill(visit: Visit) -> None:
        wanted = "payment-processing" if charging else "expiration-date"
        desk.wait_step(visit, wanted)
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
