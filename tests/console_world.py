"""What tests of the console's pages share: campaigns, and a past, in the companies of a site."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from fixtures_site import Site
from sqlalchemy import insert, select
from world import POOL, plan

from dialer.domain.model import CampaignState
from dialer.simulation.history import fill_history
from dialer.store import tables as t
from dialer.store.plans import plan_json

AT = datetime(2026, 3, 16, 11, tzinfo=UTC)


def put(site: Site, table: Any, **values: Any) -> Any:
    """A row; its key."""
    with site.engine.begin() as c:
        key = c.execute(insert(table).values(values)).inserted_primary_key
    assert key is not None
    return key[0]


def campaign(
    site: Site, company_id: int, name: str = "cobro", state: str = "running", **changes: Any
) -> int:
    """A campaign with a pool of three numbers."""
    now = datetime.now(UTC)
    pool = put(site, t.caller_id_pool, company_id=company_id, name=f"pool of {name}")
    for number in POOL:
        put(site, t.caller_id, pool_id=pool, number=number)
    return int(
        put(
            site, t.campaign, company_id=company_id, name=name,
            state=CampaignState(state).value, pool_id=pool, created_at=now, started_at=now,
            plan=plan_json(plan(name=name, **changes)),
        )
    )  # fmt: skip


def past(site: Site, campaign_id: int, debtors: int = 40, attempts: int = 400) -> None:
    """A believable one."""
    now = datetime.now(UTC)
    fill_history(site.engine, campaign_id, debtors=debtors, attempts=attempts, seed=1, now=now)


def debtor(site: Site, company_id: int | None = None, **changes: Any) -> int:
    """Ana, with a mobile and one debt."""
    company_id = company_id or site.acme
    values: dict[str, Any] = {
        "document": "10000012A", "name": "Ana López", "country": "ES", "created_at": AT,
        "timezone": "Atlantic/Canary", "language": "en",
    }  # fmt: skip
    one = int(put(site, t.debtor, company_id=company_id, **(values | changes)))
    put(
        site, t.phone, debtor_id=one, number="+34600100012", line_type="mobile", position=0,
    )  # fmt: skip
    put(
        site, t.account, company_id=company_id, debtor_id=one, reference=f"R-{one}",
        amount_minor=123456, currency="EUR", due_date=date(2026, 4, 1), created_at=AT,
        updated_at=AT,
    )  # fmt: skip
    return one


def lead(site: Site, debtor_id: int, campaign_id: int, **changes: Any) -> int:
    """Of their account."""
    with site.engine.connect() as c:
        account = c.scalar(select(t.account.c.id).where(t.account.c.debtor_id == debtor_id))
    values = {"state": "waiting", "next_at": AT, "attempts": 0, "next_phone": 0}
    return int(
        put(
            site, t.lead, campaign_id=campaign_id, debtor_id=debtor_id, account_id=account,
            **(values | changes),
        )
    )  # fmt: skip


def attempt(site: Site, lead_id: int, key: str, at: datetime, **changes: Any) -> str:
    """An ended call."""
    with site.engine.connect() as c:
        of = c.execute(select(t.lead).where(t.lead.c.id == lead_id)).one()
        phone = c.execute(select(t.phone).where(t.phone.c.debtor_id == of.debtor_id)).one()
    values = {
        "state": "ended", "placed_at": at, "answered_at": at + timedelta(seconds=8),
        "ended_at": at + timedelta(seconds=75), "disposition": "no_input", "flow": "reminder",
    }  # fmt: skip
    put(
        site, t.attempt, id=key, campaign_id=of.campaign_id, lead_id=lead_id,
        debtor_id=of.debtor_id, phone_id=phone.id, number=phone.number, caller_id="+34910000000",
        trunk="carrier", node="node1", **(values | changes),
    )  # fmt: skip
    return key
