"""An agent's work in the browser, on the whole product: the page in a real Chromium, WebRTC, both
Asterisks, the engine, the payment process, the simulated bank and network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from desk_office import DeskOffice, Ear, open_desk_office
from desk_seat import LONG, SeatedAgent, seated
from desk_story_parts import DeskPage
from fixtures_stack import kill
from playwright.sync_api import Request, expect
from sqlalchemy import ColumnElement, func, select, update
from world import World

from dialer.domain.model import Detector, Disposition
from dialer.domain.payment import PaymentState
from dialer.simulation.debtor_cards import card_of
from dialer.simulation.personas import persona_of
from dialer.store import tables as t
from dialer.store.ledger import audit_books
from dialer.switch.portable import AsteriskBinary

pytestmark = pytest.mark.timeout(400)

TALKS, ASKS, PAYS = "says_a_tone", "says_a_tone_asked_for", "pays_with_agent_asked_for"
ALL_OF_IT = 12345
QUIET_DB = -50.0
"""Keys that can be heard are far above."""
PAID_WITHIN = 120.0


@pytest.fixture(scope="module")
def desks(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeskOffice]:
    with open_desk_office(tmp_path_factory.mktemp("story"), asterisk_binary) as one:
        yield one


def flow_campaign(desks: DeskOffice, persona: str) -> World:
    """A campaign of a flow, in which one may ask for a person. Nobody is called yet; and not all of
    them ever are: an engine goes home with its last debtor."""
    world = desks.campaign([persona, "no_answer"], fallback=(), retry={}, detector=Detector.NONE)
    with world.engine.begin() as c:
        later = datetime.now(UTC) + timedelta(hours=1)
        c.execute(update(t.lead).where(_of(world)).values(next_at=later))
    return world


def call_first(world: World) -> None:
    """Their time has come."""
    with world.engine.begin() as c:
        first = c.scalar(select(func.min(t.lead.c.id)).where(_of(world)))
        c.execute(update(t.lead).where(t.lead.c.id == first).values(next_at=datetime.now(UTC)))


def _of(world: World) -> ColumnElement[bool]:
    return t.lead.c.campaign_id == world.campaign_id


def test_a_debtor_asks_for_a_person_and_pays(desks: DeskOffice, tmp_path: Path) -> None:
    world = flow_campaign(desks, PAYS)
    with (
        desks.engine_process(world),
        seated(desks, world, tmp_path, language="es") as ana,
    ):
        _begins_to_work(ana)
        ear = _is_told_who_comes(ana)
        _takes_a_card(ana)
        _loads_the_page_anew(ana, ear)
        _ends_the_call(ana)
        _agrees_on_a_call(ana)
        _takes_the_next(ana)
        shown = ana.shown()
    _is_on_the_books(desks, world)
    _no_card_was_shown(desks, world, shown)


def _begins_to_work(ana: SeatedAgent) -> None:
    page = ana.page
    ana.desk.log_in(ana.url, ana.who)
    expect(page.locator("#sit-title")).to_have_text("Empezar a trabajar")
    expect(page.locator("#sit-down")).to_be_disabled()
    ana.desk.check_microphone("Se le oye bien.")
    page.wait_for_function("() => document.getElementById('mic-level').value > 0.1")
    page.uncheck("[name=skill][value=legal]")
    ana.sit()
    expect(page.locator("#state")).to_have_text("En descanso")
    ana.desk.line("line_up", LONG)
    expect(page.locator("#line")).to_have_text("Línea conectada")
    expect(page.locator("#day-calls")).to_have_text("0")
    page.click("#ready")
    ana.desk.state("available", LONG)
    call_first(ana.world)


def _is_told_who_comes(ana: SeatedAgent) -> Ear:
    """The story first, then the voice."""
    page = ana.page
    expect(page.locator("#who")).to_have_text("Debtor 1", timeout=60_000)
    expect(page.locator("#talk")).to_have_attribute("data-story", "before")
    ana.desk.state("talking", LONG)
    ana.hears()
    expect(page.locator("#kind")).to_contain_text("Desde la llamada automática")
    expect(page.locator("#marks")).to_contain_text("Identidad confirmada")
    expect(page.locator("#marks")).to_contain_text("Teclas en el menú: 1")
    expect(page.locator("#owed")).to_contain_text("123,45")
    expect(page.locator("#script-lines")).to_contain_text("Hola, Debtor 1. Soy Ana Ruiz")
    expect(page.locator("#heard-said")).to_contain_text("con Acme por un importe de 123,45")
    ear = ana.ear()
    ana.is_heard(ear)
    ana.desk.axe("talking")
    return ear


def _takes_a_card(ana: SeatedAgent) -> None:
    """The agent looks on: steps and dots, no tone, no digit."""
    page = ana.page
    paid = "() => hooks.ask('POST', '/call/disposition', { disposition: 'paid' })"
    assert page.evaluate(paid) == "unknown_disposition", "only money makes it so"
    ana.speak(False)  # the debtor would take it for a question
    ana.hears(there=False)  # the debtor has said what there was to say, and waits for questions
    page.fill("#pay-amount", "50,00")
    page.click("#pay-start")
    expect(page.locator("#pay-running")).to_be_visible(timeout=LONG * 1000)
    page.evaluate("() => { hooks.told.keys = -Infinity }")
    current = page.locator("#pay-steps [aria-current=step]")
    expect(current).to_have_text("Número de tarjeta", timeout=60_000)
    expect(page.locator("#pay-dots")).to_have_text(re.compile("•{4,}"), timeout=LONG * 1000)
    expect(page.locator("#pay-count")).to_contain_text("teclas")
    expect(page.locator("#hold")).to_be_disabled()
    assert page.evaluate("() => hooks.told.keys") < QUIET_DB, "the agent heard keys"
    ana.reload()  # the debtor goes on, and so does what is told of it
    expect(current).to_have_text("Código de seguridad", timeout=60_000)
    result = page.locator("#pay-result")
    expect(result).to_have_text("Pago con tarjeta: Pagado", timeout=PAID_WITHIN * 1000)
    assert page.evaluate("() => hooks.told.keys") < QUIET_DB, "the agent heard keys"
    ana.hears()  # they are together again
    assert page.input_value("#disposition") == "paid"


def _loads_the_page_anew(ana: SeatedAgent, ear: Ear) -> None:
    page = ana.page
    page.fill("#notes", "paga la mitad hoy")
    page.click("#save")
    expect(page.locator("#saved")).to_have_text("Guardado")
    ana.reload()
    ana.desk.state("talking", LONG)
    expect(page.locator("#who")).to_have_text("Debtor 1")
    expect(page.locator("#controls")).to_be_visible()
    expect(page.locator("#pay-result")).to_have_text("Pago con tarjeta: Pagado")
    expect(page.locator("#notes")).to_have_value("paga la mitad hoy")
    expect(page.locator("#heard-said")).to_contain_text("123,45")  # when it was said
    ana.desk.line("line_up", LONG)
    ana.hears()
    ana.is_heard(ear)


def _ends_the_call(ana: SeatedAgent) -> None:
    page = ana.page
    page.click("#hang-up")
    page.click("#sure-yes")
    ana.desk.state("wrap_up", LONG)
    expect(page.locator("#talk-state")).to_have_text("La llamada ha terminado")
    ana.hears(there=False)
    expect(page.locator("#wrap-left")).to_have_text(re.compile(r"Quedan \d+ s para terminar"))
    ana.desk.axe("finishing")


def _agrees_on_a_call(ana: SeatedAgent) -> None:
    """For the other half, in the calendar: a winter's day next year, at half past ten there."""
    page, year = ana.page, datetime.now(UTC).year + 1
    page.click("#callback")
    month = page.locator("#month")
    for _ in range(24):
        if month.inner_text() == f"enero de {year}":
            break
        page.click("#month-after")
    page.click(f"[data-day='{year}-01-15']")
    page.fill("#callback-time", "10:30")
    expect(page.locator("#callback-both")).to_contain_text("para el deudor (Europe/Madrid)")
    page.fill("#callback-note", "por la otra mitad")
    page.click("#callback-form [type=submit]")
    expect(page.locator("#agreed")).to_contain_text("por la otra mitad")


def _takes_the_next(ana: SeatedAgent) -> None:
    page = ana.page
    page.fill("#notes", "paga la mitad hoy, la otra en enero")
    page.click("#finish")
    ana.desk.state("available", LONG)
    expect(page.locator("#idle")).to_be_visible()
    expect(page.locator("#day-calls")).to_have_text("1")
    expect(page.locator("#day-money")).to_contain_text("50,00")
    expect(page.locator("#day-talked")).not_to_have_text("0")


def _is_on_the_books(desks: DeskOffice, world: World) -> None:
    (one,) = desks.attempts(world)
    assert (one.disposition, one.identity_confirmed) == (Disposition.PAID.value, True)
    (payment,) = world.rows(t.payment, attempt_id=one.id)
    assert (payment.state, payment.amount_minor) == (PaymentState.APPROVED.value, 5000)
    charges = [charge for charge in desks.bank()["charges"] if charge["key"] == payment.id]
    assert [charge["minor"] for charge in charges if charge["charged"]] == [5000]
    with desks.engine.connect() as c:
        assert audit_books(c) == []
    (call,) = desks.rows(world)
    assert (call.kind, call.result, call.disposition) == ("escalation", "served", "paid")
    assert call.notes == "paga la mitad hoy, la otra en enero"
    assert call.wrapped_at >= call.left_at
    (booked,) = world.rows(t.callback, company_id=world.company_id)
    assert (booked.agent_id, booked.note) == (call.agent_id, "por la otra mitad")
    assert booked.due_at == datetime(datetime.now(UTC).year + 1, 1, 15, 9, 30, tzinfo=UTC)


def _no_card_was_shown(desks: DeskOffice, world: World, shown: str) -> None:
    """In no text of the page, no request, no word of SIP."""
    one = desks.attempts(world)[0]
    persona = persona_of(one.number)
    assert persona is not None
    card = card_of(one.number, persona.cards[0], one.placed_at.date())
    assert "Pagado" in shown and "/api/v1/agent/call/payment" in shown and "INVITE" in shown
    parts = {card.number[n : n + 8] for n in range(len(card.number) - 7)}
    telling = [part for part in parts if len(set(part)) > 2]  # zeros are everywhere
    assert len(telling) > 3 and [part for part in telling if part in shown] == []


def test_the_network_is_lost_in_a_call(desks: DeskOffice, tmp_path: Path) -> None:
    """For longer than a heartbeat: the page says so, and when it is over; the talk goes on."""
    world = desks.calls_for([TALKS, "no_answer"])
    with desks.engine_process(world), seated(desks, world, tmp_path) as ana:
        page = ana.page
        ana.log_in()
        ana.sit()
        page.click("#ready")  # before the line is up: ready as soon as it is
        ana.desk.state("talking", LONG)
        expect(page.locator("#trouble")).to_be_hidden()
        ana.hears()
        ear = ana.ear()
        ana.is_heard(ear)
        with page.expect_event("requestfailed", _heartbeat, timeout=LONG * 1000):
            page.context.set_offline(True)
            expect(page.locator("#trouble")).to_have_text("Connection lost: trying again")
        page.context.set_offline(False)
        with page.expect_event("requestfinished", _heartbeat, timeout=LONG * 1000):
            expect(page.locator("#trouble")).to_be_hidden(timeout=LONG * 1000)
        expect(page.locator("#state")).to_have_text("Talking")
        ana.desk.line()
        ana.hears()
        ana.is_heard(ear)
        page.click("#hang-up")
        page.click("#sure-yes")
        ana.desk.state("wrap_up", LONG)
    (call,) = desks.rows(world)
    assert call.result == "served"


def _heartbeat(request: Request) -> bool:
    return request.url.endswith("/session/heartbeat")


def test_the_engine_dies_in_a_call(desks: DeskOffice, tmp_path: Path) -> None:
    """The talk goes on, and the next engine's page has it."""
    world = desks.calls_for([TALKS, "no_answer"])
    with ExitStack() as held:
        engine = held.enter_context(desks.engine_process(world))
        ana = held.enter_context(seated(desks, world, tmp_path))
        page = ana.page
        ana.log_in()
        ana.sit()
        page.click("#ready")
        ana.desk.state("talking", LONG)
        page.fill("#notes", "calls back on Sunday")
        page.evaluate("() => { hooks.told.states = [] }")
        kill(engine)
        held.enter_context(desks.engine_process(world))
        page.wait_for_function(  # paused until the next one has looked who is there
            "() => hooks.told.states.includes('paused') && hooks.told.states.at(-1) === 'talking'",
            timeout=LONG * 1000,
        )
        expect(page.locator("#who")).to_have_text("Debtor 1")
        expect(page.locator("#notes")).to_have_value("calls back on Sunday")
        ana.desk.line(seconds=LONG)
        ana.hears()
        page.click("#hang-up")
        page.click("#sure-yes")
        ana.desk.state("wrap_up", LONG)
        expect(page.locator("#talk-state")).to_have_text("The call is over")
    (call,) = desks.rows(world)
    assert call.result == "served"


def test_an_agent_who_is_rung_for_each_call(desks: DeskOffice, tmp_path: Path) -> None:
    """A tone and a notice of the desktop, without the debtor's name; and a promise at the end."""
    world = flow_campaign(desks, ASKS)
    with (
        desks.engine_process(world),
        seated(desks, world, tmp_path, permissions=["microphone"]) as ana,
    ):
        page = ana.page
        ana.log_in()
        ana.sit(ringing=True)
        page.wait_for_function("() => hooks.told.asked === 1")
        page.context.grant_permissions(["microphone", "notifications"])  # "Allow" was pressed
        ana.desk.line("line_rings")
        page.click("#ready")
        ana.desk.state("available", LONG)
        call_first(world)
        expect(page.locator("#answer")).to_be_visible(timeout=60_000)
        page.wait_for_function("() => hooks.told.rang > 0.05")
        page.wait_for_function("() => hooks.told.notices.length === 1")
        assert page.evaluate("() => hooks.told.notices") == [
            ["A call comes: From the automatic call", ""]
        ]
        expect(page.locator("#who")).to_have_text("Debtor 1")
        page.keyboard.press("Alt+Shift+A")
        ana.desk.state("talking", LONG)
        page.evaluate("() => { hooks.told.rang = 0 }")
        ana.hears()
        ana.is_heard(ana.ear())
        expect(page.locator("#talk-time")).to_have_text(re.compile("0:0[5-9]|0:[1-9]"))
        assert page.evaluate("() => hooks.told.rang") == 0, "it rings on"
        page.click("#hang-up")
        page.click("#sure-yes")
        ana.desk.state("wrap_up", LONG)
        ana.desk.line("line_rings")
        _concludes_with_a_promise(ana)
    (call,) = desks.rows(world)
    assert (call.kind, call.result, call.disposition) == ("escalation", "served", "promise")
    (one,) = desks.attempts(world)
    assert one.disposition == Disposition.PROMISE.value
    (promise,) = world.rows(t.promise, attempt_id=one.id)
    assert promise.due == date(datetime.now(UTC).year + 1, 1, 15)


def _concludes_with_a_promise(ana: SeatedAgent) -> None:
    page, year = ana.page, datetime.now(UTC).year + 1
    page.fill("#promise-date", f"{year}-01-15")
    page.click("#promise-form button")
    expect(page.locator("#saved")).to_have_text(f"Promise written down: 15 Jan {year}")
    page.click("#finish")
    ana.desk.state("available", LONG)
    expect(page.locator("#day-promises")).to_have_text("1")


def test_a_desk_is_opened_twice(desks: DeskOffice, tmp_path: Path) -> None:
    """The line is with the page that was opened last, and the other does not take it back by
    itself; a line that ends while the page cannot be told comes back."""
    world = flow_campaign(desks, TALKS)
    with desks.engine_process(world), seated(desks, world, tmp_path) as ana:
        ana.log_in()
        ana.sit()
        ana.desk.line(seconds=LONG)
        other = DeskPage(ana.page.context.new_page())
        other.page.goto(f"{ana.url}/desk")
        other.line(seconds=LONG)
        ana.desk.line("line_elsewhere", LONG)
        expect(ana.page.locator("#line")).to_have_text("Your line was opened elsewhere")
        ana.page.click("#line-again")
        ana.desk.line(seconds=LONG)
        other.line("line_elsewhere", LONG)
        other.page.close()
        assert other.faults == []

        ana.page.context.set_offline(True)
        ended = ana.lines()
        ana.end_lines()
        ana.page.context.set_offline(False)
        desks.wait("no new line came", lambda: bool(ana.lines() - ended), LONG)
        ana.desk.line(seconds=LONG)
