"""A supervisor's morning, in a real browser on everything real: a list, a campaign, the redials as
they happen, a pause, a debtor's page, the reports. The engine is a process of its own that serves
whichever campaign is started."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import openpyxl
import pytest
from fixtures_site import make_user
from fixtures_stack import Office, open_office
from import_support import dni
from playwright.sync_api import expect
from sqlalchemy import select, update
from story_pages import Console, console_browser, follows, pdf_words

from dialer.domain.access import Role
from dialer.local.stack import ENGINE
from dialer.simulation.personas import named
from dialer.store import companies
from dialer.store import tables as t
from dialer.store.companies import NewCompany

pytestmark = pytest.mark.timeout(400)

NAME = "Recobro noviembre"
OTHERS = 22
SPOKEN = {
    "answered_abandoned": "Contestó y colgó",
    "promise": "Promesa de pago",
    "busy": "Ocupado",
}


def row(n: int, name: str, persona: str, amount: str = "1.234,56") -> str:
    """A debtor of the list, who lives at a mobile number and behaves like that."""
    number = 600_000_000 + n * 1000 + int(named(persona).code)
    document = dni(n * 10_000 + number % 10_000)  # its last digits are what the debtor keys in
    return f"{document};{name};{number};C-{n};{amount};31/12/2026"


HEAD = "DNI;Nombre;Llamar al;Contrato;Importe;Vencimiento"
ANA, LUIS = "Ana López Gil", "Luis Ruiz Sanz"
LIST = [
    HEAD,
    row(100, ANA, "hangs_up_then_listens"),
    row(101, LUIS, "hangs_up_always", "89,90"),
    row(102, "Eva Díaz Mora", "busy", "0"),
    row(100, ANA, "hangs_up_then_listens"),
    *(row(n, f"Otro Deudor {n}", "busy") for n in range(200, 200 + OTHERS)),
]


@dataclass
class Story:
    """One installation, the supervisor at a window, and what the database has."""

    office: Office
    user_id: int
    at: Console
    folder: Path
    campaign_id: int = 0
    seen: dict[str, Any] = field(default_factory=dict)

    def rows(self, table: Any, **where: Any) -> list[Any]:
        with self.office.engine.connect() as c:
            return list(c.execute(table.select().filter_by(**where)))

    def attempts(self) -> list[Any]:
        found = self.rows(t.attempt, campaign_id=self.campaign_id)
        return sorted(found, key=lambda one: one.placed_at)

    def debtor_id(self, name: str) -> int:
        return int(self.rows(t.debtor, name=name)[0].id)

    def calls_to(self, name: str) -> list[Any]:
        wanted = self.debtor_id(name)
        return [one for one in self.attempts() if one.debtor_id == wanted]


@pytest.fixture
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A company with a supervisor and nothing else; the engine runs and has nothing to do."""
    home = tmp_path_factory.mktemp("supervisor")
    # A short lease tells soon that the engine has let a paused campaign go.
    with open_office(home, lease_seconds=2.0) as office:
        with office.engine.begin() as c:
            new = NewCompany("Financiera Norte", "ES", "Europe/Madrid", "Acme", "+34910123400")
            company_id = companies.create_company(c, new, "test", datetime.now(UTC))
        user_id = make_user(office.engine, "sara", Role.SUPERVISOR, company_id)
        make_user(office.engine, "teo", Role.SUPERVISOR, company_id)
        with office.engine.begin() as c:
            c.execute(update(t.app_user).values(language="es"))
        office.stack.start(ENGINE)
        url = f"http://127.0.0.1:{office.settings.web_port}"
        with console_browser() as context:
            yield Story(office, user_id, Console(context, url), home)


def test_from_a_list_to_the_reports(story: Story) -> None:
    story.at.log_in("sara")
    make_a_pool(story)
    load_the_list(story)
    make_the_campaign(story)
    have_it_granted(story)
    start_and_watch(story)
    pause(story)
    look_at_the_debtor(story)
    read_the_reports(story)
    everything_is_on_record(story)
    assert story.at.faults == []


def make_a_pool(story: Story) -> None:
    at = story.at
    at.menu("Números de origen")
    at.page.get_by_text("Nuevo grupo").click()
    at.page.get_by_label("Nombre", exact=True).fill("principal")
    at.page.get_by_label("Números", exact=True).fill("910 123 401, 910 123 402, +34910123403")
    at.press("Crear el grupo")
    at.told("El grupo está creado")
    expect(at.page.get_by_role("region", name="Números de principal")).to_contain_text(
        "+34910123402"
    )


def load_the_list(story: Story) -> None:
    """A column is named by hand; a bad row stays out and says why; one that comes twice is one."""
    at = story.at
    path = story.folder / "cartera.csv"
    path.write_text("\n".join(LIST) + "\n", "utf-8")
    at.menu("Listas")
    at.page.get_by_label("Archivo", exact=True).set_input_files(path)
    at.press("Examinarla")
    expect(at.page.get_by_role("alert")).to_have_text("Indique qué columna es: Teléfono.")
    assert at.page.get_by_role("button", name=re.compile("Cargar")).count() == 0
    at.page.get_by_label("Llamar al").select_option(label="Teléfono")
    at.press("Examinar otra vez")
    at.counts("Filas del archivo", len(LIST) - 1)
    at.counts("Se rechazarían", 1)
    look = at.card("Qué pasaría")
    expect(look).to_contain_text("1 × El importe es cero: no se debe nada")
    expect(look.get_by_role("row", name=re.compile(LUIS))).to_contain_text("89,90")
    at.press(f"Cargar {len(LIST) - 1} filas")
    expect(at.page.get_by_role("heading", name="Cargadas", exact=True)).to_be_visible()
    at.counts("Deudas nuevas", OTHERS + 2)
    at.counts("Sin cambios", 1)
    at.counts("Filas rechazadas", 1)
    rejects = at.download(
        at.page.get_by_role("link", name="Descargar estas filas"), "rejects-1.csv"
    )
    (bad,) = csv.DictReader(rejects.decode("utf-8-sig").splitlines(), delimiter=";")
    assert (bad["Nombre"], bad["import_status"]) == ("Eva Díaz Mora", "rechazada")
    assert bad["import_reasons"] == "El importe es cero: no se debe nada"


def make_the_campaign(story: Story) -> None:
    at = story.at
    at.page.get_by_role("link", name="Nueva campaña").click()
    page = at.page
    expect(page.get_by_role("heading", level=1)).to_have_text("Nueva campaña")
    page.get_by_label("Nombre", exact=True).fill(NAME)
    page.get_by_label("Lo que oyen los deudores").select_option("reminder")
    page.get_by_label("Números desde los que se llama").select_option("principal")
    page.get_by_label("Volver a llamar al momento desde otro número").check()
    page.get_by_label("Un número que ese teléfono no haya visto en tantos días").fill("7")
    page.get_by_label("Si no, un SMS, a un móvil").check()
    page.get_by_label("Horario, en la hora del deudor").fill("mon-sun 00:00-24:00")
    page.get_by_label("Llamadas y mensajes al día, como máximo").fill("10")
    page.get_by_label("En siete días, como máximo").fill("20")
    page.get_by_label("Llamadas por segundo, como máximo").fill("0.4")
    at.press("Ver lo que haría")
    would = at.card("Esto es lo que haría")
    expect(would).to_contain_text("se le vuelve a llamar al momento desde un número que")
    expect(would).to_contain_text("lun–dom 00:00–24:00")
    expect(would).to_contain_text(f"{OTHERS + 2} cuentas de la empresa")
    assert story.rows(t.campaign) == []  # only looked at
    at.press("Crearla")
    at.told(f"Está creada, con {OTHERS + 2} gestiones, y no llama a nadie")
    (made,) = story.rows(t.campaign)
    story.campaign_id = made.id
    assert (made.name, made.state) == (NAME, "draft")
    with story.office.engine.begin() as c:  # whichever day this runs on
        c.execute(update(t.campaign).values(plan=made.plan | {"holidays": []}))
    page.reload()


def have_it_granted(story: Story) -> None:
    """It calls at all hours of every day, which one manager alone cannot want."""
    at = story.at
    stands = at.card("Menos estricta que las reglas del país")
    expect(stands).to_contain_text("lun–dom 00:00–24:00, cuando lo habitual es lun–vie 09:00–21:00")
    assert at.page.get_by_role("button", name="Iniciar", exact=True).count() == 0
    at.page.get_by_label("Por qué tiene que ser así").fill("Ensayo de noche con números propios")
    at.press("Solicitar aprobación")
    at.told("Podrá iniciarse cuando otra persona lo haya concedido")
    other = at.somebody_else()
    other.log_in("teo")
    other.menu("Aprobaciones")
    asked = other.page.get_by_role("row", name=re.compile(NAME))
    expect(asked).to_contain_text("Ensayo de noche con números propios")
    expect(asked).to_contain_text("Sara Example")
    other.confirm("Conceder", "¿Permitir que esta campaña sea menos estricta")
    other.told("Concedida. La campaña puede iniciarse.")
    other.context.close()
    at.page.reload()
    expect(stands).to_contain_text("Lo solicitó Sara Example y lo concedió Teo Example.")


def start_and_watch(story: Story) -> None:
    """What happens is seen as it happens: nobody loads a page again."""
    at = story.at
    floor = at.another()
    floor.page.goto(f"{at.url}/floor")
    floor.note_what_is_shown()
    expect(floor.page.locator("#live")).not_to_contain_text("El motor no responde")
    beside = at.another()
    beside.page.goto(at.page.url)
    expect(beside.page.get_by_role("button", name="Iniciar")).to_be_visible()
    began = beside.loaded_at()
    at.confirm("Iniciar", "¿Empezar a llamar ahora, dentro del horario que permite?")
    at.told(f"Estado de {NAME}: En marcha")
    loaded = at.loaded_at(), floor.loaded_at()
    expect(beside.page.get_by_role("button", name="Pausar")).to_be_visible()
    expect(beside.page.get_by_role("button", name="Iniciar")).to_have_count(0)
    assert beside.loaded_at() == began
    beside.page.close()
    floor.has_shown(ANA, "rellamada inmediata", "En línea")
    at.counts("Contestó y colgó", 3)  # once the one who listens then, twice the other
    became = at.card("Contestaron y colgaron: qué se hizo")
    expect(became).to_contain_text("Enviar un SMS en el acto")
    assert (
        at.pairs("Contestaron y colgaron: qué se hizo")[
            "Volver a llamar en el acto, desde otro número"
        ]
        == "2"
    )
    assert loaded == (at.loaded_at(), floor.loaded_at())
    floor.page.close()


def pause(story: Story) -> None:
    """Calls in the air go on to their end; then there are none, and there come no more."""
    at, office = story.at, story.office
    at.press("Pausar")
    at.told(f"Estado de {NAME}: En pausa")
    loaded = at.loaded_at()
    at.counts("Llamadas en curso", 0)
    expect(at.card("Cómo terminaron las llamadas")).to_contain_text("Promesa de pago")
    assert loaded == at.loaded_at()

    def let_go() -> bool:
        (held,) = story.rows(t.lease, campaign_id=story.campaign_id)
        return bool(held.expires_at < datetime.now(UTC))

    office.wait("the engine keeps a campaign that is paused", let_go, 30)
    office.wait("calls go on", lambda: all(one.disposition for one in story.attempts()), 60)
    story.seen["placed"] = [one.id for one in story.attempts()]
    never = [one for one in story.rows(t.lead, campaign_id=story.campaign_id) if not one.attempts]
    assert len(never) > 0, "all were called before the pause"


def look_at_the_debtor(story: Story) -> None:
    at, page = story.at, story.at.page
    at.menu("Deudores")
    page.get_by_label("Buscar un deudor").fill("Ana López")
    at.press("Buscar")
    page.get_by_role("link", name=ANA).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(ANA)
    first, second = story.calls_to(ANA)
    assert first.disposition == "answered_abandoned"
    assert second.disposition == "promise"
    assert second.follows == first.id
    assert first.caller_id != second.caller_id
    calls = page.locator("ol.line > li").filter(
        has=page.get_by_role("heading", name=re.compile("^Llamada "))
    )
    expect(calls).to_have_count(2)
    expect(calls.nth(0)).to_contain_text("Promesa de pago")
    expect(calls.nth(0)).to_contain_text("segunda llamada en el acto")
    expect(calls.nth(0)).to_contain_text(f"mostrando {second.caller_id}")
    expect(calls.nth(0)).to_contain_text("identidad confirmada")
    expect(calls.nth(1)).to_contain_text("Contestó y colgó")
    expect(calls.nth(1)).to_contain_text(f"mostrando {first.caller_id}")
    expect(calls.nth(1)).to_contain_text("colgó el deudor")
    expect(calls.nth(1)).to_contain_text(
        re.compile(r"Volver a llamar en el acto, desde otro número: hecho [\d.]+ ms después")
    )
    expect(page.locator("ol.line")).to_contain_text("Promesa de pago")
    expect(page.get_by_role("row", name=re.compile("C-100"))).to_contain_text("1.234,56")


def read_the_reports(story: Story) -> None:
    """The page, the CSV, the workbook and the PDF say what the database says."""
    at, page = story.at, story.at.page
    at.menu("Informes")
    page.get_by_label("Campaña").select_option(label=NAME)
    at.press("Mostrar")
    ended = Counter(SPOKEN[one.disposition] for one in story.attempts())
    total = sum(ended.values())
    table = page.get_by_role("region", name="Cómo terminaron las llamadas")
    for name, count in ended.items():
        cells = table.get_by_role("row", name=re.compile(f"^{name}")).get_by_role("cell")
        expect(cells.first).to_have_text(str(count))
    read_each_table(story, ended)
    read_the_workbook(story, ended)
    words = pdf_words(at.download(page.get_by_role("link", name="PDF"), "report.pdf"))
    assert follows(words, "Todas las llamadas", str(total))
    for name, count in ended.items():
        assert follows(words, name, str(count)), f"{name}, {count}: {words}"
    assert any(re.fullmatch(r"Página 1 de \d", one) for one in words)


def read_each_table(story: Story, ended: Counter[str]) -> None:
    """As CSV."""
    at, total = story.at, sum(ended.values())
    expect(at.page.get_by_text("Contando…")).to_have_count(0)
    tables = {}
    for link in at.page.get_by_role("link", name=re.compile(" en CSV$")).all():
        key = PurePosixPath(urlsplit(link.get_attribute("href") or "").path).stem
        text = at.download(link, f"{key}.csv").decode("utf-8-sig")
        tables[key] = list(csv.DictReader(text.splitlines()))
        assert tables[key], key
    story.seen["downloads"] = len(tables) + 2
    outcomes = tables["outcomes"]
    assert {one["Resultado"]: int(one["Llamadas"]) for one in outcomes} == ended | {
        "Todas las llamadas": total
    }
    assert sum(float(one["Parte"]) for one in outcomes) == pytest.approx(2, abs=1e-5)
    answered = sum(one.answered_at is not None for one in story.attempts())
    talked = ended["Promesa de pago"]
    for key in ("days", "hours"):
        sums = [
            sum(int(one[name]) for one in tables[key])
            for name in ("Llamadas", "Contestadas", "Conversaciones")
        ]
        assert sums == [total, answered, talked], key
    assert sum(int(one["Deudores"]) for one in tables["effect"]) == 2, "who hung up at first"
    assert sum(int(one["Contactados"]) for one in tables["effect"]) == 1, "who listened then"


def read_the_workbook(story: Story, ended: Counter[str]) -> None:
    at = story.at
    made = at.download(at.page.get_by_role("link", name="Excel"), "report.xlsx")
    book = openpyxl.load_workbook(io.BytesIO(made))
    asked = {r[0]: r[1] for r in book["Informe"].iter_rows(max_col=2, values_only=True)}
    assert asked["Campaña"] == NAME
    calls = {r[0]: r[1] for r in book["Cómo terminaron las llamadas"].iter_rows(values_only=True)}
    assert {name: calls[name] for name in ended} == ended
    promised = sum(one.amount_minor for one in story.rows(t.promise))
    open_ones = [r for r in book["Promesas"].iter_rows(values_only=True) if r[0] == "Aún en plazo"]
    assert [(r[1], r[2], r[3]) for r in open_ones] == [("EUR", 1, promised / 100)]


def everything_is_on_record(story: Story) -> None:
    """Who did what; and nobody was called after the pause."""
    with story.office.engine.connect() as c:
        actor = f"user:{story.user_id}"
        done = Counter(c.scalars(select(t.audit.c.action).where(t.audit.c.actor == actor)))
    expected = {
        "import": 1, "import.rejects": 1, "campaign.create": 1, "campaign.start": 1,
        "campaign.pause": 1, "report.download": story.seen["downloads"],
    }  # fmt: skip
    assert {name: done[name] for name in expected} == expected
    assert [one.id for one in story.attempts()] == story.seen["placed"]
