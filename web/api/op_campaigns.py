"""Companies and campaigns: what there is, made, started, watched, stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import select

from dialer.domain.api import Scope
from dialer.domain.model import CampaignState, DialMode
from dialer.local.launch import make_campaign
from dialer.store import api_views, campaigns, idle, imports, reports
from dialer.store.campaign_file import CampaignFile
from dialer.store.campaigns import Action
from dialer.store.plans import plan_of
from dialer.store.tables import company
from web.api.paging import cursor_of, keys_of
from web.api.registry import Asked, operation
from web.api.scoping import campaign_of, not_found, open_campaign_of
from web.api.shapes import Answer, Given, Page, Paged, fields_of
from web.problems import invalid_fields


class Company(Answer):
    """A creditor."""

    id: int
    name: str
    country: str
    timezone: str


class Campaign(Answer):
    """A campaign. ``mode``: whether agents take the calls, and how many are dialled."""

    id: int
    company_id: int
    company: str
    name: str
    state: CampaignState
    flow: str
    mode: DialMode
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class CampaignWithPlan(Campaign):
    """With its plan as it is in force (docs/campaigns.md)."""

    plan: dict[str, Any]


class CampaignMade(Campaign):
    """``warnings``: what is unusual in its plan. ``leads``: how many it begins with."""

    warnings: list[str]
    leads: int


class CampaignChanged(Campaign):
    """``reasons``: why it will call nobody just now; none where nothing stands against it."""

    reasons: list[str]


class Live(Answer):
    """How a campaign stands at this moment."""

    at: datetime
    state: CampaignState
    leads: dict[str, int] = Field(description="By state: waiting, claimed, done.")
    calls: dict[str, int] = Field(
        description="Going on, by how far they are: created, dialling, ringing, answered."
    )


class Reasons(Answer):
    """Why nobody is called just now, the weightiest first; none where nothing stands against it."""

    reasons: list[str]


class Report(Answer):
    """A campaign in figures, as `dialer report --json` has them. Amounts are minor units."""

    leads: dict[str, Any]
    attempts: dict[str, Any]
    dispositions: dict[str, int]
    answered: dict[str, Any]
    left_at: list[dict[str, Any]]
    fallbacks: dict[str, Any]
    abandoned: dict[str, Any]
    agents: Any
    promises: dict[str, Any]
    messages: dict[str, int]


class CampaignsAsked(Paged):
    """Which campaigns."""

    state: CampaignState | None = None


class NewCampaign(CampaignFile, Given):
    """A campaign: the keys of a campaign file (docs/campaigns.md)."""


class CopyOf(Given):
    """``name``: of the copy."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$")]


class CompanyPage(Page[Company]):
    """Companies."""


class CampaignPage(Page[Campaign]):
    """Campaigns, the newest first."""


@operation("GET", "/companies", Scope.CAMPAIGNS_READ, CompanyPage, "Companies", query=Paged)
def list_companies(ask: Asked) -> CompanyPage:
    """Those that the key opens."""
    after = keys_of(ask.query.cursor, int)
    query = select(company).order_by(company.c.id).limit(ask.query.limit + 1)
    if ask.token.company_id is not None:
        query = query.where(company.c.id == ask.token.company_id)
    if after is not None:
        query = query.where(company.c.id > after[0])
    rows = ask.connection.execute(query).all()
    kept = rows[: ask.query.limit]
    return CompanyPage(
        items=[Company(**fields_of(row, Company)) for row in kept],
        next=cursor_of(kept[-1].id) if len(rows) > len(kept) else None,
    )


@operation(
    "GET", "/campaigns", Scope.CAMPAIGNS_READ, CampaignPage, "Campaigns", query=CampaignsAsked
)
def list_campaigns(ask: Asked) -> CampaignPage:
    """The newest first."""
    below = keys_of(ask.query.cursor, int)
    rows = api_views.campaigns(
        ask.connection,
        ask.token.company_id,
        below[0] if below else None,
        ask.query.limit + 1,
        ask.query.state.value if ask.query.state else None,
    )
    kept = rows[: ask.query.limit]
    return CampaignPage(
        items=[Campaign(**values_of(row)) for row in kept],
        next=cursor_of(kept[-1].id) if len(rows) > len(kept) else None,
    )


@operation(
    "POST",
    "/campaigns",
    Scope.CAMPAIGNS_WRITE,
    CampaignMade,
    "Make a campaign",
    body=NewCampaign,
    status=201,
    example={
        "name": "recobro-noviembre",
        "flow": "reminder",
        "caller_ids": ["+34910000000", "+34910000001"],
        "window": "mon-fri 09:00-20:00",
    },
)
def create_campaign(ask: Asked) -> CampaignMade:
    """A draft without leads: push them, then start it. Names are for ever, and no two campaigns
    of an installation have the same one."""
    wanted = own_campaign_file(ask, ask.body)
    made, warnings = make_campaign(ask.connection, ask.settings, wanted, ask.actor, ask.now)
    row = campaign_of(ask, made)
    return CampaignMade(**values_of(row), warnings=warnings, leads=0)


@operation(
    "GET", "/campaigns/{campaign_id}", Scope.CAMPAIGNS_READ, CampaignWithPlan, "One campaign"
)
def get_campaign(ask: Asked, campaign_id: int) -> CampaignWithPlan:
    """With its plan."""
    row = campaign_of(ask, campaign_id)
    return CampaignWithPlan(**values_of(row), plan=row.plan)


@operation("GET", "/campaigns/{campaign_id}/live", Scope.CAMPAIGNS_READ, Live, "How it stands now")
def watch_campaign(ask: Asked, campaign_id: int) -> Live:
    """Leads by state, and calls that go on. Once in a few seconds is often enough."""
    row = campaign_of(ask, campaign_id)
    return Live(
        at=ask.now,
        state=CampaignState(row.state),
        leads=api_views.lead_counts(ask.connection, campaign_id),
        calls=api_views.call_counts(ask.connection, campaign_id),
    )


@operation(
    "GET", "/campaigns/{campaign_id}/why", Scope.CAMPAIGNS_READ, Reasons, "Why it calls nobody"
)
def explain_campaign(ask: Asked, campaign_id: int) -> Reasons:
    """As `dialer campaign why` has it: window, caps, retries, do-not-call, engine. It looks at
    every lead that waits: ask when calls stay away, not every second."""
    campaign_of(ask, campaign_id)
    return Reasons(reasons=idle.why_idle(ask.connection, campaign_id, ask.now))


@operation("GET", "/campaigns/{campaign_id}/report", Scope.RESULTS_READ, Report, "In figures")
def report_campaign(ask: Asked, campaign_id: int) -> Report:
    """Counts, shares from 0 to 1, latencies in milliseconds. It reads every attempt: not more
    often than once in some minutes for a large campaign."""
    campaign_of(ask, campaign_id)
    return Report(**reports.report(ask.connection, campaign_id))


@operation(
    "POST", "/campaigns/{campaign_id}/start", Scope.CAMPAIGNS_WRITE, CampaignChanged, "Start it"
)
def start_campaign(ask: Asked, campaign_id: int) -> CampaignChanged:
    """A draft, or a finished one that leads were added to. 409 where its state does not allow it,
    or where it has no lead to call."""
    return _change(ask, campaign_id, Action.START)


@operation(
    "POST", "/campaigns/{campaign_id}/pause", Scope.CAMPAIGNS_WRITE, CampaignChanged, "Pause it"
)
def pause_campaign(ask: Asked, campaign_id: int) -> CampaignChanged:
    """No further call is placed; those that go on go on."""
    return _change(ask, campaign_id, Action.PAUSE)


@operation(
    "POST", "/campaigns/{campaign_id}/resume", Scope.CAMPAIGNS_WRITE, CampaignChanged, "Go on"
)
def resume_campaign(ask: Asked, campaign_id: int) -> CampaignChanged:
    """After a pause."""
    return _change(ask, campaign_id, Action.RESUME)


@operation(
    "POST", "/campaigns/{campaign_id}/stop", Scope.CAMPAIGNS_WRITE, CampaignChanged, "Stop it"
)
def stop_campaign(ask: Asked, campaign_id: int) -> CampaignChanged:
    """For good: a stopped campaign never starts again. Calls that go on go on."""
    return _change(ask, campaign_id, Action.STOP)


@operation(
    "POST",
    "/campaigns/{campaign_id}/copy",
    Scope.CAMPAIGNS_WRITE,
    CampaignMade,
    "Copy it",
    body=CopyOf,
    status=201,
    example={"name": "recobro-diciembre"},
)
def copy_campaign(ask: Asked, campaign_id: int) -> CampaignMade:
    """A draft with the same plan and no leads."""
    row = campaign_of(ask, campaign_id)
    made = campaigns.create(
        ask.connection,
        company_id=row.company_id,
        pool_id=row.pool_id,
        plan=replace(plan_of(row.plan), name=ask.body.name),
        actor=ask.actor,
        now=ask.now,
    )
    return CampaignMade(**values_of(campaign_of(ask, made)), warnings=[], leads=0)


@operation(
    "POST",
    "/campaigns/{campaign_id}/leads/all",
    Scope.LEADS_WRITE,
    CampaignMade,
    "Add every account",
)
def add_all_leads(ask: Asked, campaign_id: int) -> CampaignMade:
    """Each account of the company that is no lead of it yet becomes one; `leads` says how many."""
    row = open_campaign_of(ask, campaign_id)
    added = imports.add_leads(ask.connection, row.id, now=ask.now)
    campaigns.record_leads(ask.connection, row.id, added, ask.actor, ask.now)
    return CampaignMade(**values_of(row), warnings=[], leads=added)


def own_campaign_file(ask: Asked, wanted: NewCampaign) -> NewCampaign:
    """With the company it is for, which the key opens. Raises Problem: 404, 422."""
    if ask.token.company_id is None:
        if wanted.company is None:
            raise invalid_fields([("company", "this key opens every company: say which")])
        return wanted
    own = ask.connection.execute(
        select(company.c.name).where(company.c.id == ask.token.company_id)
    ).scalar_one()
    if wanted.company not in (None, own):
        raise not_found("company")
    return wanted.model_copy(update={"company": own})


def _change(ask: Asked, campaign_id: int, action: Action) -> CampaignChanged:
    row = campaign_of(ask, campaign_id)
    campaigns.change_state(ask.connection, row.name, action, ask.actor, ask.now)
    reasons: list[str] = []
    if action in (Action.START, Action.RESUME):
        reasons = idle.why_idle(ask.connection, campaign_id, ask.now)
    return CampaignChanged(**values_of(campaign_of(ask, campaign_id)), reasons=reasons)


def values_of(row: Any) -> dict[str, Any]:
    """What an answer says of a campaign."""
    agents = row.plan.get("agents", {})
    return {
        **fields_of(row, Campaign),
        "flow": row.plan["flow"],
        "mode": agents.get("mode", DialMode.AGENTLESS.value),
    }
