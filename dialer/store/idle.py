"""Why a campaign calls nobody, in words a supervisor can act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, func, select

from dialer.domain import policy
from dialer.domain.model import AttemptState, CampaignPlan, CampaignState, LeadState, Refusal
from dialer.store import leases
from dialer.store.contexts import LeadContext, load_contexts
from dialer.store.plans import plan_of
from dialer.store.tables import attempt, campaign, lead

SAMPLE = 500
"""How many waiting leads, the next ones due, are looked at one by one."""

_STATE_SAYS = {
    CampaignState.DRAFT: "it was never started: `dialer campaign start {name}`",
    CampaignState.PAUSED: "it is paused: `dialer campaign resume {name}`",
    CampaignState.STOPPED: "it was stopped, and that is final",
    CampaignState.FINISHED: "it is finished: every lead is done",
}
_REFUSAL_SAYS = {
    Refusal.OUTSIDE_WINDOW: "outside the calling window",
    Refusal.DAILY_CAP: "at the most contacts a day",
    Refusal.WEEKLY_CAP: "at the most contacts in 7 days",
    Refusal.DO_NOT_CALL: "on the do-not-call list (closed when their turn comes)",
    Refusal.OPTED_OUT: "opted out (closed when their turn comes)",
    Refusal.NO_PHONE: "without a usable phone (closed when their turn comes)",
}


@dataclass(slots=True)
class _Group:
    count: int = 0
    until: datetime | None = None

    def add(self, until: datetime | None) -> None:
        self.count += 1
        if until is not None and (self.until is None or until < self.until):
            self.until = until


@dataclass(slots=True)
class _Sample:
    """What stands against the leads looked at; ``callable_now`` have nothing against them."""

    callable_now: int = 0
    refused: dict[Refusal, _Group] = field(default_factory=dict)
    retrying: dict[str, _Group] = field(default_factory=dict)

    @property
    def looked_at(self) -> int:
        groups = [*self.refused.values(), *self.retrying.values()]
        return self.callable_now + sum(group.count for group in groups)


def why_idle(
    connection: Connection, campaign_id: int, now: datetime, trunk_limit: int | None = None
) -> list[str]:
    """The reasons, weightiest first; empty when nothing stands against calling right now.

    ``trunk_limit``: how many calls the campaign's trunk carries at once, where it is known.
    Raises LookupError when there is no such campaign.
    """
    row = connection.execute(select(campaign).where(campaign.c.id == campaign_id)).first()
    if row is None:
        raise LookupError(f"there is no campaign {campaign_id}")
    plan = plan_of(row.plan)
    state = CampaignState(row.state)
    reasons = []
    if state is not CampaignState.RUNNING:
        reasons.append(_STATE_SAYS[state].format(name=row.name))
    leads = _leads_by_state(connection, campaign_id)
    if not leads:
        reasons.append(
            f"it has no leads: `dialer import FILE`, then `dialer campaign add-leads {row.name}`"
        )
    elif not leads.get(LeadState.WAITING.value) and not leads.get(LeadState.CLAIMED.value):
        reasons.append(_all_done(connection, campaign_id))
    if not plan.caller_ids:
        reasons.append("it has no caller ID: `dialer pool add`")
    if state is CampaignState.RUNNING:
        reasons += _engine_and_lines(connection, row, plan, now, trunk_limit)
    waiting = leads.get(LeadState.WAITING.value, 0)
    if waiting:
        reasons += _waiting(connection, campaign_id, plan, waiting, now)
    return reasons


def _leads_by_state(connection: Connection, campaign_id: int) -> dict[str, int]:
    rows = connection.execute(
        select(lead.c.state, func.count())
        .where(lead.c.campaign_id == campaign_id)
        .group_by(lead.c.state)
    ).all()
    return {row[0]: row[1] for row in rows}


def _all_done(connection: Connection, campaign_id: int) -> str:
    rows = connection.execute(
        select(lead.c.closed_reason, func.count())
        .where(lead.c.campaign_id == campaign_id)
        .group_by(lead.c.closed_reason)
        .order_by(func.count().desc())
    ).all()
    return "all leads are done: " + ", ".join(f"{count} {why or '-'}" for why, count in rows)


def _engine_and_lines(
    connection: Connection,
    row: Row[Any],
    plan: CampaignPlan,
    now: datetime,
    trunk_limit: int | None,
) -> list[str]:
    reasons = []
    if leases.holder(connection, row.id, now) is None:
        reasons.append("no engine runs it: start one with `dialer engine` (or `dialer up`)")
    alive = select(func.count()).where(attempt.c.state != AttemptState.ENDED.value)
    mine = connection.execute(alive.where(attempt.c.campaign_id == row.id)).scalar_one()
    if mine >= plan.max_concurrent:
        reasons.append(f"{mine} calls are going on, and max_concurrent is {plan.max_concurrent}")
    if trunk_limit is not None:
        busy = connection.execute(alive.where(attempt.c.trunk == plan.trunk)).scalar_one()
        if busy >= trunk_limit:
            reasons.append(f"the trunk {plan.trunk} is full: {busy} of {trunk_limit} calls")
    return reasons


def _waiting(
    connection: Connection, campaign_id: int, plan: CampaignPlan, waiting: int, now: datetime
) -> list[str]:
    rows = connection.execute(
        select(lead.c.id, lead.c.next_at, lead.c.last_disposition)
        .where(lead.c.campaign_id == campaign_id, lead.c.state == LeadState.WAITING.value)
        .order_by(lead.c.next_at, lead.c.id)
        .limit(SAMPLE)
    ).all()
    contexts = load_contexts(connection, [row.id for row in rows], now)
    sample = _Sample()
    for row in rows:
        _sort(sample, row, contexts[row.id], plan, now)
    if sample.callable_now:
        return []
    of = f" (looked at {sample.looked_at} of {waiting} waiting)" if waiting > len(rows) else ""
    zone = ZoneInfo(plan.default_timezone)
    said = [
        f"{group.count} {_REFUSAL_SAYS.get(why, why.value)}{_until(group, zone)}{of}"
        for why, group in sample.refused.items()
    ]
    said += [
        f"{group.count} waiting for their next try after {kind}{_until(group, zone)}{of}"
        for kind, group in sample.retrying.items()
    ]
    return said


def _sort(
    sample: _Sample, row: Any, context: LeadContext, plan: CampaignPlan, now: datetime
) -> None:
    """Into the group of what stands against this lead."""
    due = max(now, row.next_at)
    refused, until = _best(context, plan, now)
    if refused is not None:
        sample.refused.setdefault(refused, _Group()).add(
            None if until is None else max(until, row.next_at)
        )
    elif due > now:
        kind = row.last_disposition or "their import"
        sample.retrying.setdefault(kind, _Group()).add(row.next_at)
    else:
        sample.callable_now += 1


def _best(
    context: LeadContext, plan: CampaignPlan, now: datetime
) -> tuple[Refusal | None, datetime | None]:
    """The refusal of the phone that may be called soonest; (None, None): one may be called."""
    if not context.phones:
        return Refusal.NO_PHONE, None
    verdicts = []
    for phone in context.phones:
        standing = context.standing(phone, plan.default_timezone)
        verdict = policy.may_contact(plan.rules, standing, now)
        if verdict.allowed:
            verdict = policy.day_limit(
                plan.rules,
                context.recent_attempts,
                plan.max_attempts_per_day,
                standing.timezone,
                now,
            )
        verdicts.append(verdict)
    best = min(verdicts, key=_soonest)
    return best.refused, best.retry_at


def _soonest(verdict: policy.Verdict) -> tuple[int, float]:
    if verdict.allowed:
        return 0, 0.0
    if verdict.retry_at is None:
        return 2, 0.0
    return 1, verdict.retry_at.timestamp()


def _until(group: _Group, zone: ZoneInfo) -> str:
    if group.until is None:
        return ""
    return f", the first until {group.until.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"


def explain(reasons: Sequence[str], name: str) -> str:
    """For a terminal: the reasons one a line, or that there is none."""
    if not reasons:
        return f"{name}: nothing stands against calling; leads are due now"
    return "\n".join(f"{name}: {reason}" for reason in reasons)
