"""Days on which nobody is called, in the form of a new campaign."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from fixtures_site import Client, Site
from sqlalchemy import select, update

from dialer.domain.model import CampaignPlan
from dialer.store import tables as t
from dialer.store import users
from dialer.store.companies import create_pool
from dialer.store.holidays import days_off
from dialer.store.plans import plan_of

FORM = {"name": "July", "company": "Acme", "flow": "reminder", "language": "es", "pool": "main",
        "window": "", "calls_per_second": "2", "max_concurrent": "9", "mode": "agentless",
        "retry": "yes", "whom": "none"}  # fmt: skip


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def client(site: Site) -> Client:
    with site.engine.begin() as c:
        create_pool(c, site.acme, "main", ["+34910000000", "+34910000001"], "test",
                    datetime.now(UTC))  # fmt: skip
        c.execute(update(t.company).where(t.company.c.id == site.acme).values(country="ES"))
    return site.client("super")


def made(site: Site) -> tuple[int, CampaignPlan]:
    with site.engine.connect() as c:
        row = c.execute(select(t.campaign)).one()
    return row.id, plan_of(row.plan)


def test_the_countrys_are_had_by_default_and_days_are_added(client: Client, site: Site) -> None:
    extra = date(today().year + 1, 12, 24)
    assert client.post("/campaigns/new", {**FORM, "days_off": f"{extra}\n\n"}).status_code == 302
    campaign_id, plan = made(site)
    usual = days_off(None, "ES", today())
    assert extra not in usual
    assert plan.rules.holidays == usual | {extra}
    copied = client.get(f"/campaigns/new?like={campaign_id}").text
    assert f">{extra}</textarea>" in copied
    assert 'value="country" selected' in copied


def test_none_but_the_days_given(client: Client, site: Site) -> None:
    extra = date(today().year + 1, 12, 24)
    told = {**FORM, "holidays": "none", "days_off": str(extra)}
    page = client.post("/campaigns/new", {**told, "look": "1"}).text
    assert f"Nobody is called on 24 Dec {extra.year}." in page
    assert client.post("/campaigns/new", told).status_code == 302
    campaign_id, plan = made(site)
    assert plan.rules.holidays == {extra}
    copied = client.get(f"/campaigns/new?like={campaign_id}").text
    assert f">{extra}</textarea>" in copied and 'value="none" selected' in copied


def test_the_next_ones_are_shown_before_it_is_made(client: Client, site: Site) -> None:
    with site.engine.begin() as c:
        users.set_values(c, site.ids["super"], language="es")
    page = client.post("/campaigns/new", {**FORM, "look": "1"}).text
    assert "No se llama a nadie el " in page and "y así sucesivamente" in page
    none = client.post("/campaigns/new", {**FORM, "look": "1", "holidays": "none"}).text
    assert "Llama también en festivos" in none


@pytest.mark.parametrize("wrong", ["soon", "20261224", "2026-02-30", "24/12/2026"])
def test_what_is_no_day_is_told_and_nothing_is_made(client: Client, site: Site, wrong: str) -> None:
    with site.engine.begin() as c:
        users.set_values(c, site.ids["super"], language="es")
    page = client.post("/campaigns/new", {**FORM, "days_off": f"2026-12-24\n{wrong}"}).text
    assert "días sin llamadas: escriba cada fecha como 2026-12-24" in page and wrong in page
    with site.engine.connect() as c:
        assert c.scalar(select(t.campaign.c.id)) is None
