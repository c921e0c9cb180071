"""Every page of the console, in a real browser: what the route table has, each as somebody who may
see it. Shared by the tests and by tools/screenshots.

    with served(home, database) as site:
        for page in pages(site): ...
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from desk_web import Worker
from fixtures_site import PASSWORD, make_user
from sqlalchemy import Engine, select, update
from werkzeug.datastructures import FileStorage

from dialer.config import Settings
from dialer.domain.access import Role
from dialer.domain.api import EventType
from dialer.domain.recurring import Every, run_on
from dialer.local.demo_campaign import demo_campaign
from dialer.local.launch import make_campaign
from dialer.simulation.history import fill_history
from dialer.store import companies, report_mails, webhooks
from dialer.store import tables as t
from dialer.store.agents import create_agent
from dialer.store.companies import NewCompany
from dialer.store.report_mails import Wanted
from dialer.store.webhooks import Event
from web.access.rules import OWN_DOORS, rule_of
from web.console.uploads import Uploads

COMPANY = "Financiera Sol"
WIDE, NARROW = (1280, 900), (390, 844)


@dataclass(frozen=True, slots=True)
class Filled:
    """A company with a past, and who works there (``PASSWORD`` opens for all)."""

    settings: Settings
    engine: Engine
    company_id: int
    campaign_id: int


@dataclass(frozen=True, slots=True)
class PageOf:
    """A page: its name for files, its path, and who looks."""

    name: str
    path: str
    who: str


def fill(settings: Settings, engine: Engine, *, debtors: int, attempts: int) -> Filled:
    """A company, its campaign with a past, its users."""
    now = datetime.now(UTC)
    new = NewCompany(
        name=COMPANY, country="ES", timezone="Europe/Madrid", spoken_name=COMPANY,
        callback_number="+34910000100",
    )  # fmt: skip
    with engine.begin() as connection:
        company_id = companies.create_company(connection, new, "test", now)
        wanted = demo_campaign("Recobro noviembre", 5).model_copy(update={"company": COMPANY})
        campaign_id, _ = make_campaign(connection, settings, wanted, "test", now)
        desk = create_agent(
            connection, company_id, "ana", {"name": "Ana Ruiz", "skills": ["payments"]}, "test", now
        )
    fill_history(engine, campaign_id, debtors=debtors, attempts=attempts, seed=1, now=now)
    for who, role, whose, agent in (
        ("admin", Role.ADMINISTRATOR, None, None),
        ("super", Role.SUPERVISOR, company_id, None),
        ("agent", Role.AGENT, company_id, desk),
    ):
        make_user(engine, who, role, whose, agent)
    return Filled(settings, engine, company_id, campaign_id)


def filled_before(settings: Settings, engine: Engine) -> Filled | None:
    """What an earlier ``fill`` made; None where there was none."""
    with engine.connect() as c:
        company_id = c.scalar(select(t.company.c.id).where(t.company.c.name == COMPANY))
        campaign_id = c.scalar(select(t.campaign.c.id).order_by(t.campaign.c.id).limit(1))
    if company_id is None or campaign_id is None:
        return None
    return Filled(settings, engine, company_id, campaign_id)


def speak(filled: Filled, language: str) -> None:
    """All users read this language from now on."""
    with filled.engine.begin() as connection:
        connection.execute(update(t.app_user).values(language=language))


@contextmanager
def served(filled: Filled) -> Iterator[Worker]:
    """The pages, over HTTP."""
    worker = Worker(filled.settings, filled.engine)
    try:
        yield worker
    finally:
        worker.stop()


def pages(worker: Worker, filled: Filled) -> list[PageOf]:
    """Every page that answers a GET with HTML, with something real in its path.

    Raises KeyError for a part of a path that nothing is known for: say it in ``_values``.
    """
    values = _values(filled)
    adapter = worker.app.url_map.bind("localhost")
    found = []
    for route in worker.app.url_map.iter_rules():
        rule = rule_of(worker.app, route.endpoint)
        if route.endpoint == "static" or "GET" not in (route.methods or ()):
            continue
        if route.endpoint.partition(".")[0] in OWN_DOORS or route.rule.startswith("/api/"):
            continue
        if route.endpoint in NO_PAGES or rule is None:
            continue
        path = adapter.build(
            route.endpoint, {name: values[name] for name in route.arguments}
        )  # fmt: skip
        # A supervisor may sit at a desk; ours does not.
        who = "agent" if route.endpoint.startswith("desk.") else _who(rule.roles)
        found.append(PageOf(route.endpoint.replace(".", "-"), path, who))
    return sorted(found, key=lambda page: page.name)


NO_PAGES: set[str] = {
    "access.start", "access.welcome", "console.live", "campaigns.live", "audit.download",
    "reports.figures", "reports.as_csv",
    "reports.as_workbook", "reports.as_pdf", "settings.health", "lists.sample",
    "lists.progress", "lists.rejects", "flows.figures", "caller_ids.figures", "recordings.play",
    "floor.live", "desk.day", "desk.colleagues", "desk.agreed", "desk.call",
}  # fmt: skip
"""Answers of other kinds: data, downloads, live views, redirections."""


def _who(roles: frozenset[Role]) -> str:
    if not roles:
        return ""
    if Role.SUPERVISOR in roles:
        return "super"
    return "admin" if Role.ADMINISTRATOR in roles else "agent"


def _values(filled: Filled) -> dict[str, Any]:
    mail_id, hook_id = _mailed(filled), _hooked(filled)
    with filled.engine.connect() as c:
        busy = c.scalar(
            select(t.attempt.c.debtor_id).where(t.attempt.c.disposition == "promise").limit(1)
        )
        return {
            "campaign_id": filled.campaign_id,
            "company_id": filled.company_id,
            "debtor_id": busy,
            "user_id": c.scalar(select(t.app_user.c.id).order_by(t.app_user.c.id)),
            "agent_id": c.scalar(select(t.agent.c.id)),
            "pool_id": c.scalar(select(t.caller_id_pool.c.id)),
            "payment_id": c.scalar(select(t.payment.c.id).limit(1)),
            "flow": "reminder",
            "name": "reminder",
            "upload_id": _uploaded(filled),
            "mail_id": mail_id,
            "endpoint_id": hook_id,
            "language": "es",
            "template": "missed_call",
        }


def _hooked(filled: Filled) -> int:
    """A webhook that was told of something, and did not want it."""
    now = datetime.now(UTC)
    url = f"https://crm.example.com/{now:%H%M%S%f}"
    with filled.engine.begin() as c:
        row = webhooks.create_endpoint(
            c, company_id=filled.company_id, url=url, events=tuple(EventType), cursors={},
            actor="test", now=now,
        )  # fmt: skip
        event = Event("promise:1", EventType.PROMISE_MADE, now, {"promise_id": 1})
        webhooks.put(c, row, [event], {}, now)
        c.execute(
            update(t.webhook_delivery)
            .where(t.webhook_delivery.c.endpoint_id == row.id)
            .values(state="failed", tries=9, status=500, error="answered 500")
        )
    return int(row.id)


def _mailed(filled: Filled) -> int:
    """A report by e-mail whose message was refused."""
    now = datetime.now(UTC)
    with filled.engine.begin() as c:
        owner = c.scalar(select(t.app_user.c.id).where(t.app_user.c.email == "super@example.com"))
        wanted = Wanted(
            company_id=filled.company_id, campaign_id=None, owner_id=owner or 0, hours=(0, 24),
            format="pdf", every=Every.WEEK, hour=7, timezone="Europe/Madrid", language="es",
            addresses=["direccion@example.com"],
        )  # fmt: skip
        made = report_mails.create(c, wanted, now)
        run = run_on(Every.WEEK, now.date(), now)
        report_mails.put(c, made, wanted.addresses, run, "shown", now)
        said = "the server said 550 5.1.1 nobody of that name"
        c.execute(update(t.report_sending).values(state="failed", tries=1, error=said))
    return made


def _uploaded(filled: Filled) -> str:
    """A list that waits to be looked at."""
    uploads = Uploads(filled.settings.home)
    rows = "dni;nombre;telefono;ref;importe;vence\n10000012A;Ana;600100012;R-1;12,50;2026-01-31\n"
    sent = FileStorage(io.BytesIO(rows.encode()), "lista.csv")
    one = uploads.keep(sent, filled.company_id, None, 1)
    chosen = ["document", "name", "phone", "reference", "amount", "due"]
    return uploads.note(one, fields=chosen, how={"currency": "EUR"}).id


def log_in(page: Any, url: str, who: str) -> None:
    """Through the form, as a person does."""
    page.goto(f"{url}/log-in")
    page.fill("#f-email", f"{who}@example.com")
    page.fill("#f-password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url(lambda address: "/log-in" not in address)


AXE = Path(__file__).resolve().parent.parent / "web/static/vendor/axe.min.js"


def barriers(page: Any) -> list[str]:
    """What axe finds serious on the page that is open: rule, help, where."""
    # By the protocol, so that the page's own policy, which forbids it, stays as strict as it is.
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run({resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {one['nodes'][0]['html'][:140]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
