"""The days on which nobody is called, in the form of a new campaign."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from dialer.domain.model import CampaignPlan
from dialer.store.campaign_file import PlanError
from dialer.store.holidays import days_off
from web.ui import formats
from web.ui.words import gettext as _

COUNTRY, NONE = "country", "none"
SHOWN = 6


def choices() -> list[tuple[str, str]]:
    """Pairs of value and name."""
    return [(COUNTRY, _("Those of the country")), (NONE, _("None but the days below"))]


def wanted(values: Mapping[str, str]) -> dict[str, Any]:
    """The fields as a campaign file has them."""
    days = [line.strip() for line in values["days_off"].splitlines() if line.strip()]
    told: dict[str, Any] = {"also": days} if days else {}
    if values["holidays"] != COUNTRY:  # what is no choice of the form is the file's to refuse
        told["country"] = values["holidays"]
    return {"holidays": told} if told else {}


def filled_in(plan: CampaignPlan, country: str, today: date) -> dict[str, str]:
    """The fields as a plan is: the country's calendar and what comes on top of it, or none of it
    where a plan calls on one of its days."""
    mine = {day for day in plan.rules.holidays if day >= today}
    try:
        usual = days_off(None, country, today)
    except PlanError:
        usual = frozenset()
    # An older plan knows fewer years.
    last = max((day.year for day in mine), default=today.year)
    theirs = {day for day in usual if today <= day and day.year <= last}
    keeps = bool(theirs) and theirs <= mine
    extra = sorted(mine - theirs if keeps else mine)
    return {
        "holidays": COUNTRY if keeps else NONE,
        "days_off": "\n".join(day.isoformat() for day in extra),
    }


def sentence(plan: CampaignPlan, today: date) -> str:
    """The next of them."""
    ahead = sorted(day for day in plan.rules.holidays if day >= today)
    if not ahead:
        return _("It calls on public holidays too: no day is left out.")
    days = "; ".join(formats.date_of(day) for day in ahead[:SHOWN])
    if len(ahead) > SHOWN:
        return _("Nobody is called on %(days)s, and so on.", days=days)
    return _("Nobody is called on %(days)s.", days=days)
