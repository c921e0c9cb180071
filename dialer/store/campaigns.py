"""Campaigns as people handle them: made, started, paused, resumed, stopped, shown.

Every change of state is one conditional update with a row in ``audit``: of two people who press
at once, one is told what the other did.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from dialer.domain.model import CampaignPlan, CampaignState, DialMode, LeadState
from dialer.store import audit, policy_approvals
from dialer.store.campaign_agents import rings_too_briefly
from dialer.store.companies import NotPossible
from dialer.store.plans import plan_json, plan_of
from dialer.store.refusals import Why
from dialer.store.tables import caller_id_pool, campaign, company, lead

SCHEDULE = "schedule"
"""The actor of what happens because its time has come."""


class WrongState(NotPossible):
    """Not in the state that it is in."""

    def __init__(self, state: CampaignState, message: str) -> None:
        super().__init__(message)
        self.state = state


class NobodyToCall(NotPossible):
    """It has no lead that waits."""


class ChangedMeanwhile(NotPossible):
    """Somebody else was quicker."""


class TimePassed(NotPossible):
    """It was to start at a time that has passed."""


class RingsTooBriefly(NotPossible):
    """It gives up sooner than that mode may."""


class Action(StrEnum):
    """What a person may do to a campaign."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


_S = CampaignState
TRANSITIONS: dict[Action, tuple[frozenset[CampaignState], CampaignState]] = {
    # A finished one starts again when leads were added to it.
    Action.START: (frozenset({_S.DRAFT, _S.FINISHED}), _S.RUNNING),
    Action.PAUSE: (frozenset({_S.RUNNING}), _S.PAUSED),
    Action.RESUME: (frozenset({_S.PAUSED}), _S.RUNNING),
    Action.STOP: (frozenset({_S.DRAFT, _S.RUNNING, _S.PAUSED}), _S.STOPPED),
}
"""Action -> (states it may be done in, state after it). Stopped is final."""


def create(
    connection: Connection,
    *,
    company_id: int,
    pool_id: int,
    plan: CampaignPlan,
    actor: str,
    now: datetime,
) -> int:
    """Make a campaign in state draft; its id. Raises NotPossible when the name is taken."""
    if connection.execute(select(campaign.c.id).where(campaign.c.name == plan.name)).first():
        raise NotPossible(Why.CAMPAIGN_TAKEN.say(name=plan.name))
    made: int = connection.execute(
        insert(campaign)
        .values(
            company_id=company_id,
            name=plan.name,
            state=CampaignState.DRAFT.value,
            pool_id=pool_id,
            plan=plan_json(plan),
            created_at=now,
        )
        .returning(campaign.c.id)
    ).scalar_one()
    _audit(connection, actor, "create", made, now, None, CampaignState.DRAFT)
    return made


def find(connection: Connection, name: str) -> Row[Any]:
    """The campaign's row, with its company's name. Raises NotPossible."""
    row = connection.execute(
        select(campaign, company.c.name.label("company"), caller_id_pool.c.name.label("pool"))
        .join(company, company.c.id == campaign.c.company_id)
        .join(caller_id_pool, caller_id_pool.c.id == campaign.c.pool_id)
        .where(campaign.c.name == name)
    ).first()
    if row is None:
        raise NotPossible(Why.NO_CAMPAIGN.say(name=name))
    return row


def change_state(
    connection: Connection,
    name: str,
    action: Action,
    actor: str,
    now: datetime,
    *,
    alone: bool = False,
) -> CampaignState:
    """Do it; the state after it. Raises NotPossible when the state does not allow it, when a
    campaign without waiting leads were to be started, or (NeedsApproval) one whose rules somebody
    else has to grant first. ``alone``: on one's own word all the same, which the audit tells; for
    those who have the machine."""
    row = find(connection, name)
    allowed, after = TRANSITIONS[action]
    before = CampaignState(row.state)
    if before not in allowed:
        raise WrongState(before, _refusal(name, before, action))
    if action is Action.START and not _waiting(connection, row.id):
        raise NobodyToCall(
            f"{name} has no lead to call: import debtors with `dialer import FILE`, then add them"
            f" with `dialer campaign add-leads {name}`"
        )
    values: dict[str, Any] = {"state": after.value}
    granted: dict[str, Any] = {}
    if action is Action.START:
        granted = _granted(connection, row, alone=alone)
        values |= {"started_at": row.started_at or now, "ended_at": None, "start_at": None}
    if action is Action.STOP:
        values |= {"ended_at": now, "start_at": None}
    changed = connection.execute(
        update(campaign)
        .where(campaign.c.id == row.id, campaign.c.state == before.value)
        .values(values)
    )
    if changed.rowcount != 1:
        raise ChangedMeanwhile(f"{name} has just been changed by someone else; look and try again")
    _audit(connection, actor, action.value, row.id, now, before, after, granted)
    return after


def _granted(connection: Connection, row: Row[Any], *, alone: bool) -> dict[str, Any]:
    """For the audit: the rules that are looser than the country's, and who granted them."""
    try:
        stands = policy_approvals.require(connection, row.id, row.name)
    except policy_approvals.NeedsApproval as refused:
        if not alone:
            raise
        stands = refused.standing
    if not stands.looser:
        return {}
    granted = stands.request if stands.may_start else None
    return {
        "looser": [one.rule.value for one in stands.looser],
        "approval": None if granted is None else granted.id,
        "asked_by": None if granted is None else f"user:{granted.asked_by}",
        "granted_by": None if granted is None else f"user:{granted.decided_by}",
    }


def schedule(
    connection: Connection, name: str, at: datetime | None, actor: str, now: datetime
) -> None:
    """Let a draft start by itself at that time; None: only by hand. Raises NotPossible when it is
    no draft any more, or for a time that has passed."""
    row = find(connection, name)
    if at is not None and at <= now:
        raise TimePassed("the time to start at has passed already")
    changed = connection.execute(
        update(campaign)
        .where(campaign.c.id == row.id, campaign.c.state == CampaignState.DRAFT.value)
        .values(start_at=at)
    )
    if changed.rowcount != 1:
        raise WrongState(
            CampaignState(row.state), f"{name} is {row.state}: only a draft starts at a time"
        )
    audit.record(
        connection,
        actor=actor,
        action="campaign.schedule",
        target=f"campaign:{row.id}",
        now=now,
        before={"start_at": row.start_at and row.start_at.isoformat()},
        after={"start_at": at and at.isoformat()},
    )


def start_due(connection: Connection, now: datetime, only: str | None = None) -> list[str]:
    """Start the drafts whose time has come and that have somebody to call; their names.

    Of two engines one starts it: the other finds it running.
    """
    somebody = select(lead.c.id).where(
        lead.c.campaign_id == campaign.c.id, lead.c.state != LeadState.DONE.value
    )
    due = select(campaign.c.name).where(
        campaign.c.state == CampaignState.DRAFT.value,
        campaign.c.start_at <= now,
        somebody.exists(),
    )
    if only is not None:
        due = due.where(campaign.c.name == only)
    started = []
    for name in connection.execute(due).scalars().all():
        try:
            change_state(connection, name, Action.START, SCHEDULE, now)
        except NotPossible:
            continue  # somebody was quicker
        started.append(name)
    return started


def change_mode(
    connection: Connection, name: str, mode: DialMode, actor: str, now: datetime
) -> DialMode:
    """Give it another dial mode, also while it runs (the engine takes it over at its next look);
    the mode before. Calls in the air keep the mode they were placed in.

    Raises NotPossible when it is stopped, or rings for too short a time for that mode.
    """
    row = find(connection, name)
    if CampaignState(row.state) is CampaignState.STOPPED:
        stopped = CampaignState.STOPPED
        raise WrongState(stopped, _refusal(name, stopped, Action.START))
    # Another change of the plan (its pool) waits for this one, or this one for that.
    stored = connection.execute(
        select(campaign.c.plan).where(campaign.c.id == row.id).with_for_update()
    ).scalar_one()
    plan = plan_of(stored)
    before = plan.agents.mode
    if mode is before:
        return before
    terms = replace(plan.agents, mode=mode)
    too_brief = rings_too_briefly(terms, plan.ring_timeout)
    if too_brief is not None:
        raise RingsTooBriefly(too_brief)
    connection.execute(
        update(campaign)
        .where(campaign.c.id == row.id)
        .values(plan=plan_json(replace(plan, agents=terms)))
    )
    audit.record(
        connection,
        actor=actor,
        action="campaign.mode",
        target=f"campaign:{row.id}",
        now=now,
        before={"mode": before.value},
        after={"mode": mode.value},
    )
    return before


def _refusal(name: str, state: CampaignState, action: Action) -> str:
    if state is CampaignState.STOPPED:
        return f"{name} is stopped, and that is final: make a new campaign"
    possible = [a.value for a, (allowed, _) in TRANSITIONS.items() if state in allowed]
    return f"{name} is {state.value}: it cannot {action.value}, only {' or '.join(possible)}"


def _waiting(connection: Connection, campaign_id: int) -> bool:
    done = LeadState.DONE.value
    return (
        connection.execute(
            select(lead.c.id).where(lead.c.campaign_id == campaign_id, lead.c.state != done)
        ).first()
        is not None
    )


def list_all(connection: Connection) -> list[dict[str, Any]]:
    """Every campaign with its leads by state, newest first."""
    counts: dict[int, dict[str, int]] = {}
    for campaign_id, state, count in connection.execute(
        select(lead.c.campaign_id, lead.c.state, func.count()).group_by(
            lead.c.campaign_id, lead.c.state
        )
    ):
        counts.setdefault(campaign_id, {})[state] = count
    rows = connection.execute(
        select(campaign, company.c.name.label("company"))
        .join(company, company.c.id == campaign.c.company_id)
        .order_by(campaign.c.id.desc())
    ).all()
    return [
        {
            "name": row.name,
            "company": row.company,
            "state": row.state,
            "flow": row.plan.get("flow"),
            "mode": row.plan.get("agents", {}).get("mode", DialMode.AGENTLESS.value),
            "leads": {state.value: counts.get(row.id, {}).get(state, 0) for state in LeadState},
            "created_at": row.created_at.isoformat(),
            "started_at": row.started_at.isoformat() if row.started_at else None,
            "ended_at": row.ended_at.isoformat() if row.ended_at else None,
        }
        for row in rows
    ]


def record_leads(
    connection: Connection, campaign_id: int, added: int, actor: str, now: datetime
) -> None:
    """That leads were added, for the audit trail."""
    audit.record(
        connection,
        actor=actor,
        action="campaign.add_leads",
        target=f"campaign:{campaign_id}",
        now=now,
        after={"leads": added},
    )


def history(connection: Connection, campaign_id: int) -> list[dict[str, Any]]:
    """Who did what to it, oldest first."""
    return [
        {
            "at": row.at.isoformat(),
            "actor": row.actor,
            "action": row.action,
            "before": row.before,
            "after": row.after,
        }
        for row in audit.of_target(connection, f"campaign:{campaign_id}")
    ]


def _audit(
    connection: Connection,
    actor: str,
    action: str,
    campaign_id: int,
    now: datetime,
    before: CampaignState | None,
    after: CampaignState,
    more: dict[str, Any] | None = None,
) -> None:
    audit.record(
        connection,
        actor=actor,
        action=f"campaign.{action}",
        target=f"campaign:{campaign_id}",
        now=now,
        before=None if before is None else {"state": before.value},
        after={"state": after.value, **(more or {})},
    )
