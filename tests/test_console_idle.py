"""Why a campaign calls nobody, on its page, in the viewer's language."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from console_world import campaign, debtor, lead
from fixtures_site import Site
from flask import g
from sqlalchemy import update

from dialer.domain.model import CampaignState, Refusal
from dialer.store import idle_reasons as idle
from dialer.store import leases, users
from dialer.store import tables as t
from dialer.store.idle_reasons import Looked, Reason
from web.console.idle_words import said

pytestmark = pytest.mark.database("sqlite")

MADRID = ZoneInfo("Europe/Madrid")
AT = datetime(2026, 11, 30, 8, tzinfo=UTC)
WHOLE, PART = Looked(3, 3), Looked(500, 9000)
IN_SPANISH: tuple[tuple[Reason, str], ...] = (
    (idle.NotRunning("June", CampaignState.PAUSED), "No está en marcha: En pausa."),
    (
        idle.NoLeads("June"),
        "No tiene a quién llamar: cargue una lista o añada abajo las cuentas de la empresa.",
    ),
    (
        idle.AllDone({"promise": 1200, "no_phone": 1}),
        "Todos sus deudores están terminados: 1.200 Promesa de pago, 1 Ningún número útil.",
    ),
    (idle.NoCallerId(), "No tiene ningún número que mostrar: añádalos a su grupo."),
    (idle.NoEngine(), "Ningún motor la lleva: quien cuida del servidor tiene que arrancar uno."),
    (idle.Full(100, 100), "Hay 100 llamadas en curso, y puede tener 100 a la vez."),
    (idle.TrunkFull("main", 30, 30), "La troncal main está llena: 30 de 30 llamadas."),
    (
        idle.Waits(3, Refusal.OUTSIDE_WINDOW, None, AT, MADRID, WHOLE),
        "3 deudores: Fuera del horario permitido allí, el primero hasta el 30 nov 2026, 08:00 UTC",
    ),
    (
        idle.Waits(1, None, "busy", None, MADRID, PART),
        "1 deudor: aún no es su turno, tras: Ocupado (de 500 examinados; esperan 9.000)",
    ),
    (idle.Waits(2, None, None, None, MADRID, WHOLE), "2 deudores: aún no es su turno"),
    (
        idle.NoAgent("legal", "power"),
        "Ningún agente con la habilidad legal ha iniciado sesión, y sus llamadas son para ellos.",
    ),
    (
        idle.NoAgent(None, "power"),
        "Ningún agente ha iniciado sesión, y sus llamadas son para agentes.",
    ),
    (
        idle.NoneFree(None, {"paused": 2, "talking": 1}),
        "Ningún agente está libre (En descanso: 2, Hablando: 1).",
    ),
    (
        idle.NoneFree("legal", {"talking": 1}),
        "Ningún agente con la habilidad legal está libre (Hablando: 1).",
    ),
    (
        idle.TooManyAbandoned(4, 100, 1.0, 0.04, 0.03, "predictive"),
        (
            "4 de las últimas 100 respuestas de personas no encontraron agente (4,0 %, el límite es"
            " 3,0 %): está parada. El modo progresivo no abandona a nadie."
        ),
    ),
)


@pytest.mark.parametrize(("reason", "spanish"), IN_SPANISH, ids=lambda one: type(one).__name__)
def test_each_reason_is_said_in_spanish(site: Site, reason: Reason, spanish: str) -> None:
    with site.app.test_request_context():
        g.language = "es"
        assert said(reason).replace("\N{NO-BREAK SPACE}", " ") == spanish


def test_no_reason_is_forgotten() -> None:
    assert {type(one) for one, _spanish in IN_SPANISH} == set(get_args(Reason))


def test_the_page_of_a_campaign_says_them(site: Site) -> None:
    """Of one that runs without an engine; and no more once there is one."""
    made = campaign(site, site.acme)
    lead(site, debtor(site), made)
    with site.engine.begin() as c:
        users.set_values(c, site.ids["super"], language="es")
        c.execute(update(t.lead).values(next_at=datetime.now(UTC)))
    boss = site.client("super")
    page = boss.get(f"/campaigns/{made}").text
    assert "Ningún motor la lleva" in page
    assert "no engine runs it" not in page
    now = datetime.now(UTC)
    with site.engine.begin() as c:
        assert leases.acquire(c, made, "engine", now, timedelta(minutes=5))
    boss.post(f"/campaigns/{made}/pause")
    boss.post(f"/campaigns/{made}/resume")
    assert "Ningún motor la lleva" not in boss.get(f"/campaigns/{made}").text
