"""The campaigns that this engine runs, as it knows them between two looks at the database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from dialer.domain.model import Attempt, CampaignPlan, CampaignState
from dialer.domain.pacing import CallRate
from dialer.logs import get_logger
from dialer.store import leases
from dialer.store.campaign_file import PlanError
from dialer.store.plans import plan_of
from dialer.store.tables import campaign, company
from dialer.switch import names

log = get_logger(__name__)

_told: set[int] = set()
"""Campaigns of which this process has said that their plan cannot be read."""

CATCH_UP_SECONDS = 0.1
"""How much of its rate a campaign makes up for."""


@dataclass(slots=True)
class RunningCampaign:
    """One campaign under this engine's lease.

    ``running`` turns False when it is paused or stopped while calls are still in the air.
    ``finished``: every lead is done; callbacks that were agreed upon are still made.
    """

    id: int
    plan: CampaignPlan
    company_name: str
    callback_number: str
    running: bool
    company_id: int = 0
    finished: bool = False
    rate: CallRate = field(default_factory=lambda: CallRate(1.0))

    def update(self, other: RunningCampaign) -> None:
        """Take over what was changed in the database, and keep the bucket's level."""
        if other.plan.calls_per_second != self.plan.calls_per_second:
            self.rate = replace(
                other.rate, tokens=min(self.rate.tokens, other.rate.depth), at=self.rate.at
            )
        self.plan = other.plan
        self.running = other.running
        self.finished = other.finished
        self.company_name = other.company_name
        self.callback_number = other.callback_number


def channel_variables(plan: CampaignPlan, flow: str) -> dict[str, str]:
    """What Originate sets on the channel of a call that goes through ``flow``."""
    return {
        names.VAR_DETECTOR: plan.detector.value,
        names.VAR_FLOW: flow,
        names.VAR_LANGUAGE: plan.language,
        names.VAR_ON_MACHINE: plan.on_machine.value,
        names.VAR_RECORD: "1" if plan.record else "0",
        names.VAR_HOLD: f"{plan.agents.hold:g}",
    }


def answer_context(one: Attempt) -> str:
    """Where a call goes when it is picked up: to an agent, or into its flow."""
    return names.CONTEXT_WAIT if one.mode.needs_agents else names.CONTEXT_OUTBOUND


def _bucket(per_second: float) -> CallRate:
    """The bucket of a campaign's own rate. What a claim or a busy loop holds up for a moment is
    caught up with: above 10 calls/s a bucket of one token would lose it at every call. The trunk's
    bucket, which keeps to what the carrier takes, stays strict."""
    return CallRate(per_second, depth=max(1.0, per_second * CATCH_UP_SECONDS))


def load(connection: Connection, name: str | None, ids: list[int]) -> list[RunningCampaign]:
    """Campaigns in state running (only ``name`` if given), and those of ``ids`` in any state."""
    wanted = campaign.c.state == CampaignState.RUNNING.value
    if name is not None:
        wanted = wanted & (campaign.c.name == name)
    rows = connection.execute(
        select(
            campaign.c.id,
            campaign.c.state,
            campaign.c.plan,
            campaign.c.company_id,
            company.c.spoken_name,
            company.c.callback_number,
        )
        .join(company, company.c.id == campaign.c.company_id)
        .where(wanted | campaign.c.id.in_(ids))
        .order_by(campaign.c.id)
    ).all()
    found = []
    for row in rows:
        try:
            plan = plan_of(row.plan)
        except PlanError as error:
            if row.id not in _told:
                _told.add(row.id)  # once: it is looked at twice a second
                log.error("campaign_left_out", campaign_id=row.id, error=str(error))
            continue
        found.append(
            RunningCampaign(
                id=row.id,
                plan=plan,
                company_name=row.spoken_name,
                callback_number=row.callback_number or (plan.caller_ids or ("",))[0],
                running=row.state == CampaignState.RUNNING.value,
                company_id=row.company_id,
                finished=row.state == CampaignState.FINISHED.value,
                rate=_bucket(plan.calls_per_second),
            )
        )
    return found


def take_leases(
    connection: Connection,
    campaigns: list[RunningCampaign],
    owner: str,
    now: datetime,
    life: timedelta,
) -> set[int]:
    """Acquire or renew; the ids that are ours until ``now + life``."""
    return {one.id for one in campaigns if leases.acquire(connection, one.id, owner, now, life)}


def finish(connection: Connection, campaign_id: int, now: datetime) -> bool:
    """Running to finished: every lead is done. False when it was paused or stopped meanwhile."""
    changed = connection.execute(
        update(campaign)
        .where(campaign.c.id == campaign_id, campaign.c.state == CampaignState.RUNNING.value)
        .values(state=CampaignState.FINISHED.value, ended_at=now)
    )
    return changed.rowcount == 1
