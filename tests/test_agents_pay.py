"""A payment while an agent looks on: real processes, real keys.

The agent sees how many digits there are, may have a field asked again or the payment ended, and
sees no card.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from fixtures_payments import PayDesk, Plastic, Visit, until

from agi_scripts.digits import Ending, collect
from agi_scripts.pay_watch import AgentWatches
from agi_scripts.wire import Agi
from dialer.domain import events as ev
from dialer.domain.payment import AmountChoice, PayResult, PaySpec, PayStep, PayTimes
from dialer.payments.entry import card_number
from dialer.simulation.key_sender import number_to_dial
from dialer.store import pay_sessions
from dialer.store import tables as t
from dialer.store.pay_sessions import PaySession, PayWish
from dialer.switch import names
from dialer.switch.ami import AmiLink
from dialer.switch.ami_client import AmiClient, AmiFailed

CARD = "4539148803436467"
EVERY_AMOUNT = tuple(AmountChoice)


@contextmanager
def news(desk: PayDesk) -> Iterator[list[ev.PaymentProgress]]:
    """What the engine would hear of payments, in order."""
    heard: list[ev.PaymentProgress] = []
    ready, over = threading.Event(), threading.Event()
    settings = desk.settings

    async def listen() -> None:
        link = AmiLink(
            host="127.0.0.1", port=settings.ami_port, user=settings.ami_user,
            secret=settings.secret(names.SECRET_AMI), node=settings.node,
        )  # fmt: skip
        await link.connect()
        await link.wait_ready(15)
        ready.set()
        while not over.is_set():
            try:
                event = await asyncio.wait_for(link.events.get(), 0.1)
            except TimeoutError:
                continue
            if isinstance(event, ev.PaymentProgress):
                heard.append(event)
        await link.close()

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    try:
        assert ready.wait(20), "no AMI"
        yield heard
        time.sleep(0.3)  # what was told last is still on its way
    finally:
        over.set()
        thread.join(20)


def _wish(desk: PayDesk, visit: Visit, wish: PayWish) -> None:
    with desk.engine.begin() as c:
        assert pay_sessions.put_wish(c, visit.session_id, wish)


def _left(desk: PayDesk, visit: Visit) -> str | None:
    """The wish that nobody has taken."""
    found = desk.session(visit).wish
    return None if found is None else str(found)


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_debtor_pays_what_was_talked_about_and_the_agent_follows(
    desk: PayDesk, language: str
) -> None:
    card = Plastic("approve")
    with news(desk) as heard:
        visit = desk.pay(
            card.answers(), watched=True, agreed=5000, language=language,
            spec=PaySpec(amounts=EVERY_AMOUNT),
        )  # fmt: skip
    session, (payment,) = desk.session(visit), desk.payments(visit)
    assert visit.returned
    assert session.result == "success"
    assert (session.agreed_minor, payment.amount_minor, payment.state) == (5000, 5000, "approved")
    ours = [one for one in heard if one.attempt_id == visit.attempt_id]
    steps = [one.step for one in ours if one.step and one.digits is None]
    assert steps == [
        "agree", "payment-card-number", "expiration-date", "security-code", "confirm",
        "payment-processing", "result",
    ]  # fmt: skip
    counts = [one.digits for one in ours if one.step == "payment-card-number" and one.digits]
    assert counts == sorted(counts) and 2 <= len(counts) <= 16, counts
    assert max(counts) <= len(card.number)
    assert ours[-1].result == "success"
    # Moments and ids are numbers too, in which three digits come up by chance.
    said = re.sub(r"datetime\.datetime\([^)]*\)|attempt_id='[0-9a-f]+'", "", repr(heard))
    assert card.number not in said and card.code not in said and card.number[-4:] not in said


def test_the_whole_is_asked_about_where_no_amount_was_named(desk: PayDesk) -> None:
    visit = desk.pay(Plastic("approve").answers(), watched=True, spec=PaySpec(amounts=EVERY_AMOUNT))
    assert desk.payments(visit)[0].amount_minor == 12345


def test_never_more_than_is_owed(desk: PayDesk) -> None:
    visit = desk.pay(Plastic("approve").answers(), watched=True, agreed=99999)
    assert desk.payments(visit)[0].amount_minor == 12345
    again = desk.pay(
        Plastic("approve").answers(), watched=True, agreed=99999, account=visit.account_id
    )
    assert desk.session(again).result == "nothing-owed"
    assert desk.payments(again) == []


def test_no_card_of_somebody_who_has_not_proven_who_they_are(desk: PayDesk) -> None:
    began = time.monotonic()
    with news(desk) as heard:
        visit = desk.pay(Plastic("approve").answers(), watched=True, agreed=5000, identified=False)
    assert desk.session(visit).result == "card-entry-unavailable"
    assert desk.session(visit).step is None, "nothing was said or asked"
    assert visit.returned
    assert time.monotonic() - began < 10
    assert [one.result for one in heard if one.attempt_id == visit.attempt_id] == [
        "card-entry-unavailable"
    ]


def _after(
    desk: PayDesk, step: str, wish: PayWish, taken_within: float = 2.0
) -> tuple[Callable[[Visit], None], list[float]]:
    """Wish for something a moment after a question was asked; how long it took to be taken."""
    took: list[float] = []

    def do(visit: Visit) -> None:
        desk.wait_step(visit, step)
        time.sleep(2.5)  # keys are being pressed, or the question has been heard
        _wish(desk, visit, wish)
        began = time.monotonic()
        until(lambda: _left(desk, visit) is None, "nobody took the wish")
        took.append(time.monotonic() - began)
        assert took[0] < taken_within

    return do, took


def test_a_field_is_asked_again_while_it_is_keyed_in(desk: PayDesk) -> None:
    """The debtor has keyed in half of another number and hesitates."""
    card, slip = Plastic("approve"), Plastic("stolen")
    meanwhile, _ = _after(desk, "payment-card-number", PayWish.AGAIN)
    spec = PaySpec(times={PayStep.CARD_NUMBER: PayTimes(15, 12)})
    answers = card.answers()
    # The question asked again is no new step: the keys of the second try come behind a pause.
    answers["payment-card-number"] = slip.number[:9] + "w" * 12 + card.number
    visit = desk.pay(answers, watched=True, agreed=5000, spec=spec, meanwhile=meanwhile)
    session, (payment,) = desk.session(visit), desk.payments(visit)
    assert session.result == "success"
    assert (payment.last_four, payment.amount_minor) == (card.number[-4:], 5000)
    assert session.errors == {}, "it costs the debtor no attempt"


def test_a_payment_is_ended_while_nobody_presses_a_key(desk: PayDesk) -> None:
    meanwhile, took = _after(desk, "payment-card-number", PayWish.CANCEL)
    spec = PaySpec(times={PayStep.CARD_NUMBER: PayTimes(30, 12)})
    answers = Plastic("approve").answers(payment_card_number="")
    ended: list[float] = []

    def end(visit: Visit) -> None:
        meanwhile(visit)
        began = time.monotonic()
        until(lambda: desk.session(visit).result is not None, "it went on")
        ended.append(time.monotonic() - began)

    visit = desk.pay(answers, watched=True, agreed=5000, spec=spec, meanwhile=end)
    assert visit.returned
    assert desk.session(visit).result == "caller-interrupted-with-star"
    assert desk.payments(visit) == []
    assert took[0] + ended[0] < 3


def test_a_session_that_is_over_takes_no_wish(desk: PayDesk) -> None:
    visit = desk.pay(Plastic("approve").answers(agree="**"), watched=True, agreed=5000)
    with desk.engine.begin() as c:
        assert not pay_sessions.put_wish(c, visit.session_id, PayWish.AGAIN)


def test_of_two_who_look_one_takes_a_wish(desk: PayDesk) -> None:
    visit = desk.pay(Plastic("approve").answers(agree=""), watched=True, hang_up_after=3)
    with desk.engine.begin() as c:
        c.execute(t.pay_session.update().values(wish="again"))
        assert pay_sessions.take_wish(c, visit.session_id, PayWish.AGAIN)
        assert not pay_sessions.take_wish(c, visit.session_id, PayWish.AGAIN)
        assert pay_sessions.wished(c, visit.session_id) is None


# --- no key is lost ---------------------------------------------------------------------------

SENDERS = [number_to_dial(way, ms, 40, 600, CARD) for way in "ritb" for ms in (60, 80, 120, 200)]


def test_no_key_of_any_sender_is_lost_while_somebody_watches(
    desk: PayDesk,
) -> None:
    """Wishes are looked for and counts told, as in the payment process, while keys come in."""
    settings = desk.settings
    teller = AmiClient(
        host="127.0.0.1", port=settings.ami_port, user=settings.payments_ami_user,
        secret=settings.secret(names.SECRET_PAYMENTS_AMI),
    )  # fmt: skip
    worst: list[float] = []

    def tell(headers: Mapping[str, str]) -> None:
        teller.ask({"Action": "UserEvent", **headers})

    def session(agi: Agi) -> tuple[Ending, str]:
        row = PaySession(
            agi.attempt_id, agi.attempt_id, 1, "pay", "es", PaySpec(), datetime.now(UTC),
            watched=True,
        )  # fmt: skip
        watcher = AgentWatches(desk.engine, tell, row)
        try:
            found = collect(
                agi, (), card_number(), 4, 1.0,
                on_digit=lambda count: watcher.digits(PayStep.CARD_NUMBER, count),
                wishing=lambda: None if watcher.wish() is None else pytest.fail("a wish"),
            )  # fmt: skip
        finally:
            watcher.ended(PayResult.SUCCESS)
        worst.append(found.worst_turnaround)
        return found.verdict, found.digits.reveal_str()

    with news(desk) as heard:
        found = desk.line.ring(SENDERS, session)
        # Where the machine was too busy the field is void, which the debtor is told: once more.
        void = [n for n, (ending, _) in enumerate(found) if ending is Ending.LOST]
        assert len(void) <= 2, found
        for n in void:
            [found[n]] = desk.line.ring([SENDERS[n]], session)
    teller.close()
    assert found == [(Ending.DONE, CARD)] * len(SENDERS), "a wrong number was taken for right"
    told = {one.attempt_id for one in heard if one.digits}
    assert len(told) >= len(SENDERS), "each was told about"
    print(f"worst turnaround of a watched field: {max(worst) * 1000:.1f} ms")


# --- the watcher by itself --------------------------------------------------------------------


def _row() -> PaySession:
    return PaySession(
        "e" * 32, "f" * 32, 1, "pay", "es", PaySpec(), datetime.now(UTC), watched=True
    )


def test_whoever_is_slow_or_gone_holds_up_nobody(desk: PayDesk) -> None:
    entered, release = threading.Event(), threading.Event()

    def hang(_: Mapping[str, str]) -> None:
        entered.set()
        release.wait(20)
        raise AmiFailed("gone")

    watcher = AgentWatches(desk.engine, hang, _row())
    watcher.digits(PayStep.CARD_NUMBER, 1)
    assert entered.wait(5)
    began = time.monotonic()
    for count in range(2, 17):
        watcher.digits(PayStep.CARD_NUMBER, count)
        assert watcher.wish() is None
    watcher.step(PayStep.EXPIRATION_DATE, None, "1111")
    assert time.monotonic() - began < 0.05
    release.set()
    watcher.ended(PayResult.SUCCESS)


def test_counts_that_come_fast_are_told_as_the_last_of_them(desk: PayDesk) -> None:
    told: list[Mapping[str, str]] = []
    watcher = AgentWatches(desk.engine, told.append, _row())
    for count in range(1, 17):
        watcher.digits(PayStep.CARD_NUMBER, count)
    until(lambda: bool(told) and told[-1][names.H_DIGITS] == "16", "the last count is not told")
    watcher.ended(PayResult.SUCCESS)
    assert len(told) <= 3
    assert set(told[-1]) == {"UserEvent", "Uniqueid", "Kind", "Node", "Step", "Digits"}
