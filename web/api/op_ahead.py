"""Before a campaign calls: whom it may call and when it will be done, when it starts, how it
dials."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field

from dialer.domain.api import Scope
from dialer.domain.forecast import Bound
from dialer.domain.model import DialMode
from dialer.engine import outlook as ahead
from dialer.engine.allowed import margin
from dialer.store import campaigns, companies
from dialer.store.plans import plan_json, plan_of
from web.api.op_campaigns import Campaign, NewCampaign, own_campaign_file, values_of
from web.api.registry import Asked, operation
from web.api.scoping import campaign_of
from web.api.shapes import Answer, Given
from web.api.times import utc
from web.foreseen import foreseen
from web.problems import invalid_fields


class Outlook(Answer):
    """Whom the rules of contact let it call, and when everybody will have been called as often as
    allowed. Counts are of all leads; of a long list they come from a sample."""

    at: datetime = Field(description="As of when: now, or when it would start.")
    leads: int
    looked_at: int = Field(description="So many were looked at one by one.")
    margin: float = Field(description="So far a share may be off, 19 times of 20.")
    now: int
    today: int
    week: int
    later: int
    never: int
    why: dict[str, int] = Field(description="Why those not now may not be called.")
    soonest: datetime | None = Field(description="Of the end; null: not within 400 days.")
    latest: datetime | None
    calls: int = Field(description="Expected in all.")
    tries: float = Field(description="Of a lead.")
    calls_per_second: float
    bound: Bound = Field(description="What holds the calls a second down.")
    agents: int
    measured_calls: int = Field(description="It goes by so many; 0: it is assumed.")


class Look(Answer):
    """What a campaign would do. ``outlook``: null where it would have no lead."""

    warnings: list[str]
    plan: dict[str, Any]
    outlook: Outlook | None


class Ahead(Answer):
    """``outlook``: null where nobody waits."""

    outlook: Outlook | None


class NewLook(NewCampaign):
    """A campaign that is not there yet."""

    everybody: bool = Field(True, description="Each account of the company would be a lead.")
    start_at: AwareDatetime | None = Field(None, description="As of then; null: of now.")


class Schedule(Given):
    """When to start."""

    start_at: AwareDatetime | None = Field(description="null: only when somebody starts it.")


class Mode(Given):
    """How calls are dialled."""

    mode: DialMode


class Scheduled(Campaign):
    """With the time it starts at by itself."""

    start_at: datetime | None


@operation(
    "POST",
    "/campaigns/look",
    Scope.CAMPAIGNS_READ,
    Look,
    "Look before one is made",
    body=NewLook,
    reads=True,
    example={"name": "recobro-enero", "flow": "reminder", "caller_ids": ["+34910000000"]},
)
def look_ahead(ask: Asked) -> Look:
    """Nothing is kept. As the page of a new campaign has it: the plan with its defaults, what is
    unusual in it, whom it may call and when it would end."""
    wanted: NewLook = ask.body
    start = _time(wanted.start_at, ask.now)
    own = own_campaign_file(ask, wanted)
    owner = companies.find_company(ask.connection, own.company)
    facts, warnings = foreseen(
        ask.engine, ask.settings, own, owner.id, ask.actor, ask.now, everybody=wanted.everybody
    )
    seen = ahead.outlook(facts, ask.now, start) if facts.sample.whole else None
    return Look(
        warnings=warnings, plan=plan_json(facts.plan), outlook=None if seen is None else _told(seen)
    )


@operation(
    "GET", "/campaigns/{campaign_id}/outlook", Scope.CAMPAIGNS_READ, Ahead, "What lies before it"
)
def see_ahead(ask: Asked, campaign_id: int) -> Ahead:
    """The same of a campaign that is there, as of now or of the time it starts at. It looks at
    some hundred leads: not more often than once in half a minute."""
    row = campaign_of(ask, campaign_id)
    plan = plan_of(row.plan)
    facts = ahead.facts_of_campaign(ask.connection, row.id, plan, row.company_id, ask.now)
    if not facts.sample.whole:
        return Ahead(outlook=None)
    return Ahead(outlook=_told(ahead.outlook(facts, ask.now, row.start_at)))


@operation(
    "POST",
    "/campaigns/{campaign_id}/schedule",
    Scope.CAMPAIGNS_WRITE,
    Scheduled,
    "Start at a time",
    body=Schedule,
    example={"start_at": "2030-01-07T08:00:00Z"},
)
def schedule_campaign(ask: Asked, campaign_id: int) -> Scheduled:
    """A draft starts by itself then, if it has leads and nothing has to be granted; `null` takes
    the time away. 409 for a campaign that is no draft, and for a time that has passed."""
    row = campaign_of(ask, campaign_id)
    at = ask.body.start_at
    wanted = None if at is None else utc(at, "start_at")
    campaigns.schedule(ask.connection, row.name, wanted, ask.actor, ask.now)
    return Scheduled(**values_of(row), start_at=wanted)


@operation(
    "POST",
    "/campaigns/{campaign_id}/mode",
    Scope.CAMPAIGNS_WRITE,
    Campaign,
    "Change how it dials",
    body=Mode,
    example={"mode": "progressive"},
)
def change_mode(ask: Asked, campaign_id: int) -> Campaign:
    """Calls from now on are placed in this mode, also of a campaign that runs."""
    row = campaign_of(ask, campaign_id)
    campaigns.change_mode(ask.connection, row.name, ask.body.mode, ask.actor, ask.now)
    return Campaign(**values_of(campaign_of(ask, campaign_id)))


def _time(at: datetime | None, now: datetime) -> datetime | None:
    """Raises Problem (422) for one that has passed."""
    if at is None:
        return None
    found = utc(at, "start_at")
    if found <= now:
        raise invalid_fields([("start_at", "that time has passed")])
    return found


def _told(seen: ahead.Outlook) -> Outlook:
    found, allowed, sample = seen.forecast, seen.allowed, seen.facts.sample
    names = ("now", "today", "week", "later", "never")
    return Outlook(
        at=seen.at,
        leads=sample.whole,
        looked_at=allowed.looked_at,
        margin=margin(allowed.looked_at, sample.whole),
        **{name: seen.of_all(getattr(allowed, name)) for name in names},
        why={reason: seen.of_all(count) for reason, count in allowed.why.most_common()},
        soonest=found.soonest if allowed.ever else None,
        latest=found.latest if allowed.ever else None,
        calls=round(found.calls),
        tries=round(found.per_lead, 2),
        calls_per_second=round(found.per_second, 4),
        bound=found.bound,
        agents=seen.facts.agents,
        measured_calls=seen.facts.habits.calls,
    )
