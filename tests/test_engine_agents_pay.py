"""A card is keyed in while an agent talks with the debtor, end to end: API, engine, payment
process, the simulated bank, telephones on the simulated network. What the agent's telephone hears
is recorded there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from desk_office import DeskOffice, Ear, Member, legs, open_desk_office
from world import World

from dialer.desk.client import DeskError
from dialer.domain.model import Disposition
from dialer.domain.payment import PaymentState
from dialer.local.stack import PAYMENTS
from dialer.simulation.debtor_cards import KeyedCard, card_of
from dialer.simulation.personas import persona_of
from dialer.simulation.phones import phone_hertz
from dialer.simulation.talkers import TONE_HERTZ
from dialer.store import tables as t
from dialer.store.ledger import audit_books
from dialer.switch import names
from dialer.switch.ami_client import AmiClient
from dialer.switch.portable import AsteriskBinary

pytestmark = pytest.mark.timeout(400)

STEPS = [
    "agree", "payment-card-number", "expiration-date", "security-code", "confirm",
    "payment-processing", "result",
]  # fmt: skip


@pytest.fixture(scope="module")
def desks(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeskOffice]:
    with open_desk_office(tmp_path_factory.mktemp("paying"), asterisk_binary) as one:
        yield one


def talking(desks: DeskOffice, ana: Member, user: str) -> Ear:
    """At the desk, and with the debtor; what the agent hears from now on."""
    ana.log_in()
    ana.wait_line()
    ear = desks.listen(desks.channels(user)[0])
    ana.ready()
    ana.wait_for("talking")
    return ear


def paid(desks: DeskOffice, ana: Member, seconds: float = 90) -> str:
    """How the payment ended, as the desk was told."""
    desks.wait("the payment does not end", lambda: bool(results(ana)), seconds)
    return results(ana)[-1]


def results(ana: Member) -> list[str]:
    return [one["result"] for one in ana.of("payment") if one["result"]]


def steps(ana: Member) -> list[str]:
    return [one["step"] for one in ana.of("payment") if one["digits"] is None and not one["result"]]


def counts(ana: Member, step: str) -> list[int]:
    return [one["digits"] for one in ana.of("payment") if one["step"] == step and one["digits"]]


def together_again(desks: DeskOffice, ana: Member, times: int = 2) -> None:
    """Debtor and agent are in the agent's conference."""
    desks.wait("they are not together", lambda: len(ana.of("joined")) == times, 15)
    assert legs(desks, ana) == 2


def keyed(desks: DeskOffice, world: World) -> KeyedCard:
    """The card of the debtor who was called."""
    one = desks.attempts(world)[0]
    persona = persona_of(one.number)
    assert persona is not None
    return card_of(one.number, persona.cards[0], one.placed_at.date())


def books(desks: DeskOffice, world: World) -> tuple[Any, list[dict[str, Any]]]:
    """The one payment, and the bank's charges of it in which money moved."""
    (session,) = world.rows(t.pay_session, attempt_id=desks.attempts(world)[0].id)
    (payment,) = world.rows(t.payment, session_id=session.id)
    charges = [one for one in desks.bank()["charges"] if one["key"] == payment.id]
    with desks.engine.connect() as c:
        audited = audit_books(c)
    assert audited == []
    return payment, [one for one in charges if one["charged"]]


def test_a_debtor_pays_while_the_agent_looks_on(desks: DeskOffice) -> None:
    """Each key travels as an event and as a tone."""
    world, quiet = desks.calls_for(["pays_aloud_with_agent"]), desks.quiet_phone()
    with desks.engine_process(world), desks.desk(world, desks.phone(quiet)) as ana:
        ear = talking(desks, ana, quiet)
        began = time.monotonic()
        assert ana.client.pay(5000, "EUR")["payment"]
        assert paid(desks, ana) == "success"
        print(f"\n{time.monotonic() - began:.0f} s from the wish to the end")
        together_again(desks, ana)
        since = len(ear.heard()) / 8000
        desks.wait("the debtor is not heard any more", lambda: ear.loud(since) > 0.3, 15)
        ana.client.hang_up()
        ana.wait_for("wrap_up")
        desks.wait_finished(world, 30)
    assert steps(ana) == STEPS
    number = counts(ana, "payment-card-number")
    assert number == sorted(number) and 2 <= len(number) <= 16 and max(number) <= 16
    card = keyed(desks, world)
    told = repr(ana.events)
    assert card.number[:8] not in told and card.number[6:] not in told
    assert {*ana.of("payment")[0]} == {
        "type", "at", "attempt", "step", "digits", "error", "result",
    }  # fmt: skip
    assert ear.keys() == ""
    payment, charges = books(desks, world)
    assert (payment.state, payment.amount_minor) == (PaymentState.APPROVED.value, 5000)
    assert payment.last_four == card.number[-4:]
    assert [one["minor"] for one in charges] == [5000]
    (one,) = desks.attempts(world)
    assert one.disposition == Disposition.PAID.value


def test_a_field_is_asked_again_for_the_agent(desks: DeskOffice) -> None:
    world, quiet = desks.calls_for(["asked_again_by_agent"]), desks.quiet_phone()
    with desks.engine_process(world), desks.desk(world, desks.phone(quiet)) as ana:
        ear = talking(desks, ana, quiet)
        ana.client.pay()
        desks.wait(
            "the debtor keys in nothing", lambda: 9 in counts(ana, "payment-card-number"), 60
        )
        ana.client.pay_again()
        assert paid(desks, ana) == "success"
        together_again(desks, ana)
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    payment, charges = books(desks, world)
    assert payment.last_four == keyed(desks, world).number[-4:]
    assert [one["minor"] for one in charges] == [12345]
    (session,) = world.rows(t.pay_session, id=payment.session_id)
    assert session.errors == {}, "it costs the debtor no attempt"
    assert ear.keys() == ""


def test_the_agent_is_heard_and_hears_nothing_and_can_end_it(desks: DeskOffice) -> None:
    """Both of them say a tone."""
    user = "agent03"
    hertz = phone_hertz(user)
    world = desks.calls_for(["says_a_tone"])
    with desks.engine_process(world), desks.desk(world, desks.phone(user)) as ana:
        ear = talking(desks, ana, user)
        debtor = desks.listen(desks.channels(desks.attempts(world)[0].number)[0])
        desks.wait("the debtor is not heard", lambda: hears(ear, TONE_HERTZ), 8)
        ana.client.pay(5000, "EUR")
        with pytest.raises(DeskError, match="not_now"):
            ana.client.pay(5000, "EUR")
        with pytest.raises(DeskError, match="not_now"):
            ana.client.hold()
        desks.wait("nothing is asked", lambda: bool(steps(ana)), 20)
        desks.wait("the agent hears the debtor", lambda: not hears(ear, TONE_HERTZ), 8)
        begun = len(ear.heard())
        desks.wait("the debtor does not hear the agent", lambda: hears(debtor, hertz), 8)
        desks.wait("no silence comes", lambda: len(ear.heard()) - begun > 16000, 15)
        assert abs(ear.heard()[begun:]).max() < 0.002
        ana.client.pay_cancel()
        assert paid(desks, ana, 20) == "caller-interrupted-with-star"
        together_again(desks, ana)
        desks.wait("the debtor is not heard again", lambda: hears(ear, TONE_HERTZ), 8)
        desks.wait("the agent is not heard again", lambda: hears(debtor, hertz), 8)
        with pytest.raises(DeskError, match="not_now"):
            ana.client.pay_cancel()
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    assert world.rows(t.payment, attempt_id=desks.attempts(world)[0].id) == []


def hears(ear: Ear, hertz: float) -> bool:
    """For the last half second, and now."""
    return sum(level > 0.02 for level in ear.tone(hertz)[-25:]) > 20


def test_the_debtor_hangs_up_in_the_middle(desks: DeskOffice) -> None:
    """The agent is free again, and gets the next one."""
    world = desks.calls_for(["hangs_up_in_number_with_agent", "silent"])
    quiet = desks.quiet_phone()
    with desks.engine_process(world), desks.desk(world, desks.phone(quiet)) as ana:
        ear = talking(desks, ana, quiet)
        assert desks.attempts(world)[0].number[-2:] == "95"
        ana.client.pay(5000, "EUR")
        ana.wait_for("wrap_up", 60)
        assert max(counts(ana, "payment-card-number")) >= 9
        desks.wait("the line is gone", lambda: legs(desks, ana) == 1, 5)
        ana.client.wrap_done()
        ana.wait_for("talking")
        assert len(ana.of("joined")) == 2
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    first = desks.attempts(world)[0]
    (session,) = world.rows(t.pay_session, attempt_id=first.id)
    assert session.result == "caller-hung-up"
    assert world.rows(t.payment, session_id=session.id) == []
    assert ear.keys() == ""


def test_the_agents_line_dies_in_the_middle(desks: DeskOffice) -> None:
    """The payment goes on; then the debtor comes to somebody else."""
    world = desks.calls_for(["pays_with_agent"], terms={"wrap": 1.0})
    quiet = desks.quiet_phone()
    with (
        desks.engine_process(world),
        desks.desk(world, desks.phone(quiet)) as ana,
        desks.desk(world, desks.phone("agent04")) as eva,
    ):
        talking(desks, ana, quiet)
        ana.client.pay(5000, "EUR")
        desks.wait("nothing is keyed in", lambda: bool(counts(ana, "payment-card-number")), 60)
        desks.carrier.rx(f"channel request hangup {desks.channels(quiet)[0]}")
        eva.log_in()
        eva.wait_line()
        eva.ready()
        eva.wait_for("talking", 90)
        ana.wait_for("paused", 20)
        eva.client.hang_up()
        desks.wait_finished(world, 30)
    payment, charges = books(desks, world)
    assert payment.state == PaymentState.APPROVED.value
    assert [one["minor"] for one in charges] == [5000]
    assert [row.kind for row in desks.rows(world)] == ["predictive", "transfer"]
    assert desks.attempts(world)[0].disposition == Disposition.PAID.value


def test_no_card_is_taken_while_somebody_listens_to_the_debtor(desks: DeskOffice) -> None:
    world = desks.calls_for(["says_a_tone"])
    s = desks.settings
    with desks.engine_process(world), desks.desk(world, desks.phone("agent05")) as ana:
        talking(desks, ana, "agent05")
        attempt = desks.attempts(world)[0].id
        spy = AmiClient(
            host=s.switch_host, port=s.ami_port, user=s.ami_user, secret=s.secret(names.SECRET_AMI)
        )
        spy.ask(
            {
                "Action": "Originate",
                "Channel": f"PJSIP/{names.ENDPOINT_PHONES}/{desks.phone('agent06')}",
                "Application": "ChanSpy", "Data": f"PJSIP/{names.DEFAULT_TRUNK},q",
                "ChannelId": f"spy-{attempt}", "Async": "true", "Timeout": "5000",
            }
        )  # fmt: skip
        desks.wait("nobody spies", lambda: bool(desks.channels("agent06")), 8)
        time.sleep(0.5)
        ana.client.pay(5000, "EUR")
        assert paid(desks, ana, 20) == "card-entry-unavailable"
        together_again(desks, ana)
        spy.ask({"Action": "Hangup", "Channel": f"spy-{attempt}", "Cause": "16"})
        spy.close()
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    assert world.rows(t.payment, attempt_id=attempt) == []


def test_without_the_payment_process_they_are_together_again_at_once(desks: DeskOffice) -> None:
    """It ends sooner than the agent's line has left the conference."""
    world = desks.calls_for(["says_a_tone"])
    with desks.engine_process(world), desks.desk(world, desks.phone("agent07")) as ana:
        ear = talking(desks, ana, "agent07")
        desks.stack.stop(PAYMENTS)
        try:
            for times in (2, 3, 4):
                ana.client.pay()
                together_again(desks, ana, times)
                desks.wait("the debtor is not heard", lambda: hears(ear, TONE_HERTZ), 8)
            assert ana.state == "talking"
        finally:
            desks.stack.start(PAYMENTS)
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    assert [row.result for row in desks.rows(world)] == ["served"]
