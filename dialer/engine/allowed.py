"""What the contact policy lets a campaign do, counted before it is done: how many of its leads may
be called now, today, within a week, and why the others may not.

Nothing is decided here: each lead is asked for with ``claiming.decide``, as when it is its turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dialer.domain.model import CampaignPlan
from dialer.domain.policy import WEEK
from dialer.engine.claiming import BAD_TIMEZONE, Call, GiveUp, Wait, decide
from dialer.store.contexts import LeadContext

NEXT_TRY = "next_try"
"""Why a lead is not called now that nothing else stands against: it was called, and waits."""


@dataclass(slots=True)
class Allowed:
    """Counts of leads. Each is in one of ``now``, ``today`` (later on the debtor's own day),
    ``week`` (within seven days), ``later`` and ``never``; ``why``: of those not now, the reasons,
    Refusals or why they will be closed."""

    now: int = 0
    today: int = 0
    week: int = 0
    later: int = 0
    never: int = 0
    why: Counter[str] = field(default_factory=Counter)

    @property
    def looked_at(self) -> int:
        """Leads in all."""
        return self.now + self.today + self.week + self.later + self.never

    @property
    def ever(self) -> int:
        """Those that will be called at some time."""
        return self.looked_at - self.never


def count_allowed(
    plan: CampaignPlan,
    contexts: Iterable[LeadContext],
    now: datetime,
    due: Mapping[int, datetime] | None = None,
) -> Allowed:
    """Of these leads. ``due``: lead -> when its next try is due, where that is known."""
    found = Allowed()
    for context in contexts:
        _count(found, plan, context, now, (due or {}).get(context.lead_id, now))
    return found


def _count(
    found: Allowed, plan: CampaignPlan, context: LeadContext, now: datetime, due: datetime
) -> None:
    # One whose try is due on another day is asked for as of then: caps will have passed.
    at = max(now, due)
    try:
        zone = ZoneInfo(context.timezone or plan.default_timezone)
        decision = decide(plan, context, at)
    except (ZoneInfoNotFoundError, ValueError):
        decision = GiveUp(BAD_TIMEZONE)
    if isinstance(decision, GiveUp):
        found.never += 1
        found.why[decision.reason] += 1
        return
    when = decision.at if isinstance(decision, Wait) else at
    if isinstance(decision, Call) and at == now:
        found.now += 1
        return
    found.why[decision.reason.value if isinstance(decision, Wait) else NEXT_TRY] += 1
    if when.astimezone(zone).date() == now.astimezone(zone).date():
        found.today += 1
    elif when <= now + WEEK:
        found.week += 1
    else:
        found.later += 1


def margin(sample: int, whole: int) -> float:
    """How far a share of a sample may be off, 19 times of 20: 1.96 standard errors of one half,
    which is the widest, less for a sample that is a large part of the whole."""
    if sample >= whole or sample < 1:
        return 0.0
    left = (whole - sample) / max(1, whole - 1)
    return 1.96 * float((0.25 / sample * left) ** 0.5)
