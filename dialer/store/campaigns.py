"""Campaigns as people handle them: made, started, paused, resumed, stopped, shown.

Every change of state is one conditional update with a row in ``audit``: of two people who press
at once, one is told what the other did.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from dialer.domain.model import CampaignPlan, CampaignState, LeadState
from dialer.store import audit
from dialer.store.companies import NotPossible
from dialer.store.plans import plan_json
from dialer.store.tables import caller_id_pool, campaign, company, lead


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
        raise NotPossible(f"there is a campaign {plan.name!r} already; names are for ever")
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
        raise NotPossible(f"there is no campaign {name!r}; `dialer campaign list` shows them")
    return row


def change_state(
    connection: Connection, name: str, action: Action, actor: str, now: datetime
) -> CampaignState:
    """Do it; the state after it. Raises NotPossible when the state does not allow it, or when
    a campaign without waiting leads were to be started."""
    row = find(connection, name)
    allowed, after = TRANSITIONS[action]
    before = CampaignState(row.state)
    if before not in allowed:
        raise NotPossible(_refusal(name, before, action))
    if action is Action.START and not _waiting(connection, row.id):
        raise NotPossible(
            f"{name} has no lead to call: import debtors with `dialer import FILE`, then add them"
            f" with `dialer campaign add-leads {name}`"
        )
    values: dict[str, Any] = {"state": after.value}
    if action is Action.START:
        values |= {"started_at": row.started_at or now, "ended_at": None}
    if action is Action.STOP:
        values["ended_at"] = now
    changed = connection.execute(
        update(campaign)
        .where(campaign.c.id == row.id, campaign.c.state == before.value)
        .values(values)
    )
    if changed.rowcount != 1:
        raise NotPossible(f"{name} has just been changed by someone else; look and try again")
    _audit(connection, actor, action.value, row.id, now, before, after)
    return after


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
) -> None:
    audit.record(
        connection,
        actor=actor,
        action=f"campaign.{action}",
        target=f"campaign:{campaign_id}",
        now=now,
        before=None if before is None else {"state": before.value},
        after={"state": after.value},
    )
