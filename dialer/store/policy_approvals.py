"""A campaign that is looser than its country's rules needs two people: one asks and says why,
another one grants it. What was granted is those rules and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from dialer.domain.access import ApprovalKind, ApprovalState
from dialer.domain.looser import Looser, Preset, Rule, looser
from dialer.domain.policy import LOCK_OUT
from dialer.store import approvals, countries
from dialer.store.campaign_file import PlanError, parse_window
from dialer.store.companies import NotPossible
from dialer.store.holidays import days_off
from dialer.store.plans import plan_of
from dialer.store.refusals import Why
from dialer.store.tables import campaign, company

REASON_SHORTEST = 10
"""Letters of a reason: a word is none."""


class NeedsApproval(NotPossible):
    """It is looser than the rules of its country, and nobody else has granted that."""

    def __init__(self, name: str, standing: Standing) -> None:
        rules = ", ".join(one.rule.value for one in standing.looser)
        super().__init__(
            f"{name} is looser than the rules of {standing.country} ({rules}): one manager has to"
            " ask for it with a reason and another one to grant it, on the campaign's page"
        )
        self.standing = standing


@dataclass(frozen=True, slots=True)
class Standing:
    """How a campaign stands to its country's rules. ``request``: for exactly these rules, the one
    that was granted, else the one that waits, else the newest."""

    country: str
    looser: tuple[Looser, ...]
    request: Row[Any] | None = None

    @property
    def state(self) -> ApprovalState | None:
        """Of the request."""
        return None if self.request is None else ApprovalState(self.request.state)

    @property
    def may_start(self) -> bool:
        """Nothing is loosened, or somebody else has granted it."""
        return not self.looser or self.state is ApprovalState.GRANTED

    @property
    def waits(self) -> bool:
        """Asked for, and nobody has decided."""
        return self.state is ApprovalState.ASKED


def preset_of(country: str, made_on: date) -> Preset:
    """What a campaign made on that day has where its file says nothing."""
    usual = countries.rules_of(country)
    try:
        off = days_off(None, country, made_on)
    except PlanError:  # no holidays are known there
        off = frozenset()
    return Preset(
        window=parse_window(usual.window),
        days_off=frozenset(day for day in off if day >= made_on),
        max_per_day=usual.max_per_day,
        max_per_week=usual.max_per_week,
        hold=usual.hold,
        max_abandoned=usual.max_abandoned,
        ring_min=usual.ring_min,
        lock_out_hours=LOCK_OUT.total_seconds() / 3600,
    )


def standing(connection: Connection, campaign_id: int) -> Standing:
    """Of a campaign that is there."""
    row = connection.execute(
        select(campaign.c.plan, campaign.c.created_at, company.c.country)
        .join(company, company.c.id == campaign.c.company_id)
        .where(campaign.c.id == campaign_id)
    ).one()
    found = looser(plan_of(row.plan), preset_of(row.country, row.created_at.date()))
    if not found:
        return Standing(row.country, found)
    rules = _as_json(found)
    about = [
        one
        for one in approvals.of_target(connection, target_of(campaign_id))
        if one.kind == ApprovalKind.POLICY.value and one.detail.get("rules") == rules
    ]
    # The store tells what waits first, then the newest.
    granted = [one for one in about if one.state == ApprovalState.GRANTED.value]
    return Standing(row.country, found, next(iter(granted or about), None))


def ask(
    connection: Connection, campaign_id: int, reason: str, user_id: int, now: datetime,
    *, key_id: int | None = None,
) -> int:  # fmt: skip
    """Ask for a second person; the number of the request. ``key_id``: as in ``approvals.ask``.
    Raises NotPossible."""
    # Two who ask at the same time: the second one finds the request of the first.
    connection.execute(
        select(campaign.c.id).where(campaign.c.id == campaign_id).with_for_update()
    ).one()
    now_is = standing(connection, campaign_id)
    if now_is.may_start:
        raise NotPossible(Why.NOTHING_TO_GRANT.say())
    if now_is.waits:
        raise NotPossible(Why.ASKED_ALREADY.say())
    if len(reason.strip()) < REASON_SHORTEST:
        raise NotPossible(Why.SAY_WHY.say())
    owner = connection.scalar(select(campaign.c.company_id).where(campaign.c.id == campaign_id))
    return approvals.ask(
        connection, ApprovalKind.POLICY, target_of(campaign_id), owner,
        {"country": now_is.country, "rules": _as_json(now_is.looser)}, reason, user_id, now,
        key_id=key_id,
    )  # fmt: skip


def require(connection: Connection, campaign_id: int, name: str) -> Standing:
    """How it stands, where it may start. Raises NeedsApproval."""
    found = standing(connection, campaign_id)
    if not found.may_start:
        raise NeedsApproval(name, found)
    return found


def rules_of(request: Row[Any]) -> list[Looser]:
    """What a request is about."""
    return [
        Looser(Rule(one["rule"]), one["mine"], one["usual"])
        for one in request.detail.get("rules", [])
    ]


def target_of(campaign_id: int) -> str:
    """The target of such requests."""
    return f"campaign:{campaign_id}"


def _as_json(found: Sequence[Looser]) -> list[dict[str, str]]:
    return [{**asdict(one), "rule": one.rule.value} for one in found]
