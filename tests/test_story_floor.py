"""A supervisor at the page of live calls, in a real browser: an agent at a SIP telephone sits down
and talks, the supervisor listens, whispers, joins, ends the call, and sends the agent on a break
and home. Who hears whom is told by tones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from desk_office import DeskOffice, Ear, Member, legs
from desk_tones import ANA, BOSS, DEBTOR, debtor_ear, ear_of, hang_up, hears
from fixtures_site import make_user
from playwright.sync_api import Locator, expect
from sqlalchemy import func, select, update
from story_pages import PATIENCE, Console, console_browser
from world import World

from dialer.domain.access import Role
from dialer.domain.model import Disposition
from dialer.store import tables as t

pytestmark = pytest.mark.timeout(300)

EVA = "Eva Gil"
TELEPHONE = "agent03"


@dataclass
class Story:
    """A supervisor at a window, and an agent of the company who has not come yet."""

    desks: DeskOffice
    world: World
    eva: Member
    user_id: int
    at: Console

    @property
    def row(self) -> Locator:
        """What the page has of the agent."""
        desks = self.at.page.locator("table").filter(has_text="Desde hace").first
        return desks.get_by_role("row").filter(
            has=self.at.page.get_by_role("rowheader", name=EVA, exact=True)
        )

    def press(self, name: str) -> None:
        """One of the agent's buttons; the page's live part may be new at any moment."""
        self.row.get_by_role("button", name=f"{name}: {EVA}").click()

    def confirm(self, name: str, question: str) -> None:
        """The same of one that asks first."""
        self.press(name)
        dialog = self.at.page.get_by_role("dialog")
        expect(dialog).to_contain_text(question)
        self.at.press(name, dialog)


@pytest.fixture
def story(desks: DeskOffice) -> Iterator[Story]:
    world = desks.calls_for(["says_a_tone", "no_answer"])
    with world.engine.begin() as c:  # an engine goes home with its last debtor: this one is late
        last = c.scalar(select(func.max(t.lead.c.id)))
        later = world.at + timedelta(hours=1)
        c.execute(update(t.lead).where(t.lead.c.id == last).values(next_at=later))
    who = f"rosa{world.company_id}"
    user_id = make_user(desks.engine, who, Role.SUPERVISOR, world.company_id)
    with (
        desks.engine_process(world),
        desks.desk(world, desks.phone("agent01")) as eva,
        console_browser() as context,
    ):
        with desks.engine.begin() as c:
            c.execute(update(t.agent).where(t.agent.c.id == eva.id).values(name=EVA))
            c.execute(update(t.app_user).where(t.app_user.c.id == user_id).values(language="es"))
        at = Console(context, f"http://127.0.0.1:{desks.settings.web_port}")
        at.log_in(who)
        yield Story(desks, world, eva, user_id, at)


def test_a_supervisor_at_the_live_calls(story: Story) -> None:
    story.at.menu("Llamadas en curso")
    expect(story.at.page.locator("#live")).to_contain_text("Ningún agente ha iniciado sesión")
    comes_and_talks(story)
    hear_them(story)
    end_the_call(story)
    send_home(story)
    everything_is_on_record(story)
    assert story.at.faults == []


def comes_and_talks(story: Story) -> None:
    """The page shows it as it happens, without being loaded again."""
    loaded = story.at.loaded_at()
    story.eva.log_in()
    expect(story.row).to_contain_text("En descanso")
    expect(story.row).to_contain_text("aún no está listo")
    story.eva.wait_line()
    story.eva.ready()
    expect(story.row).to_contain_text("Hablando")
    expect(story.row.get_by_role("link", name="Debtor 1")).to_be_visible()
    story.at.counts("Llamadas en curso", 1)
    assert story.at.loaded_at() == loaded


def hear_them(story: Story) -> None:
    """By a telephone of the supervisor's, which is typed in once."""
    desks = story.desks
    agent, debtor = ear_of(desks, "agent01"), debtor_ear(desks, story.world)
    hears(desks, debtor, {ANA}, PATIENCE)
    field = story.at.page.get_by_label("Su teléfono")
    field.fill("agent 03")
    story.press("Escuchar")
    story.at.told("Escriba su teléfono con el prefijo del país")
    assert desks.channels(TELEPHONE) == []
    field.fill(desks.phone(TELEPHONE))
    for what, told, agent_hears, debtor_hears in (
        ("Escuchar", "oirá a los dos y nadie le oirá a usted", {DEBTOR}, {ANA}),
        ("Susurrar", "solo le oirá el agente", {DEBTOR, BOSS}, {ANA}),
        ("Entrar", "hablará con los dos", {DEBTOR, BOSS}, {ANA, BOSS}),
    ):
        story.press(what)
        story.at.told(told)
        with on_the_telephone(story) as ear:
            hears(desks, ear, {ANA, DEBTOR}, PATIENCE)
            hears(desks, agent, agent_hears, PATIENCE)
            hears(desks, debtor, debtor_hears, PATIENCE)
            expect(story.row).to_contain_text("Hablando")
        hears(desks, agent, {DEBTOR}, PATIENCE)
        hears(desks, debtor, {ANA}, PATIENCE)


@contextmanager
def on_the_telephone(story: Story) -> Iterator[Ear]:
    """What the supervisor hears, until they put the receiver down."""
    desks = story.desks
    wait(story, "the telephone does not ring", lambda: bool(desks.channels(TELEPHONE)))
    yield ear_of(desks, TELEPHONE)
    hang_up(desks, TELEPHONE)
    wait(story, "the supervisor stays", lambda: not desks.channels(TELEPHONE))
    wait(story, "the supervisor is in the talk", lambda: legs(desks, story.eva) == 2)


def end_the_call(story: Story) -> None:
    """For both; the agent may still write it down."""
    desks, number = story.desks, story.desks.attempts(story.world)[0].number
    story.press("Pausar después")
    expect(story.row).to_contain_text("después, en descanso (por un supervisor)")
    expect(story.row).to_contain_text("Hablando")
    story.confirm("Terminar la llamada", "¿Terminar esta llamada para el deudor y el agente?")
    story.at.told("La llamada ha terminado.")
    loaded = story.at.loaded_at()
    expect(story.row).to_contain_text("Cerrando una llamada")
    story.at.counts("Llamadas en curso", 0)
    assert story.at.loaded_at() == loaded
    wait(story, "the debtor is on the line", lambda: not desks.channels(number))
    assert desks.channels("agent01"), "the agent's line stays up"
    (call,) = desks.attempts(story.world)
    assert call.disposition == Disposition.SPOKE.value


def send_home(story: Story) -> None:
    """When the agent has written it down, the break comes that was asked for while they talked."""
    expect(story.row).to_contain_text("después, en descanso (por un supervisor)")
    story.eva.client.wrap_done()
    expect(story.row).to_contain_text("En descanso")
    story.eva.ready()
    expect(story.row).to_contain_text("Disponible")
    story.press("Pausar")
    story.at.told("no recibe más llamadas hasta que vuelva a estar disponible")
    expect(story.row).to_contain_text("por un supervisor")
    story.eva.wait_for("paused", PATIENCE)
    story.confirm("Cerrar su sesión", "¿Cerrar la sesión de este agente?")
    story.at.told("Se ha cerrado la sesión del agente.")
    expect(story.row).to_have_count(0)
    expect(story.at.page.locator("#live")).to_contain_text("Ningún agente ha iniciado sesión")
    wait(story, "the agent's telephone is up", lambda: not story.desks.channels("agent01"))


def everything_is_on_record(story: Story) -> None:
    """Who did what at whose desk, in the database and on the page of the audit log."""
    (session,) = story.world.rows(t.agent_session, agent_id=story.eva.id)
    wanted = select(t.audit).where(t.audit.c.target == f"agent_session:{session.id}")
    with story.desks.engine.connect() as c:
        rows = c.execute(wanted.order_by(t.audit.c.id)).all()
    assert {one.actor for one in rows} == {f"user:{story.user_id}"}
    assert [one.action for one in rows] == [
        f"agent.{one}"
        for one in ("listen", "whisper", "barge", "pause", "hang_up", "pause", "log_out")
    ]
    assert TELEPHONE not in str(rows)
    story.at.menu("Registro de auditoría")
    log = story.at.page.locator("main")
    for said in ("Conversación escuchada", "Habló solo con un agente", "Agente desconectado"):
        expect(log).to_contain_text(said)


def wait(story: Story, what: str, condition: Callable[[], bool]) -> None:
    story.desks.wait(what, condition, PATIENCE)
