"""Days on which nobody is called: each country's own."""

from __future__ import annotations

from datetime import date

import holidays as library

from dialer.store.campaign_file import Holidays, PlanError
from dialer.store.plan_says import PlanSays

YEARS_AHEAD = 2
"""A plan holds the holidays of its first year and of so many after it; then make a new one."""


def days_off(wanted: Holidays | None, country: str, today: date) -> frozenset[date]:
    """The holidays of a plan made today; ``wanted`` None: those of the company's country.

    Raises PlanError for a country or region that the library does not know.
    """
    wanted = wanted or Holidays()
    if wanted.country == "none":
        return frozenset(wanted.also)
    code = wanted.country or country
    years = range(today.year, today.year + YEARS_AHEAD + 1)
    return frozenset(_of_country(code, wanted.region, years)) | frozenset(wanted.also)


def _of_country(code: str, region: str | None, years: range) -> set[date]:
    regions = library.list_supported_countries().get(code)
    if regions is None:
        raise PlanError([PlanSays.NO_HOLIDAYS_OF.say(country=code)])
    if region is not None and region not in regions:
        raise PlanError(
            [
                PlanSays.NO_REGION.say(
                    region=region, country=code, known=", ".join(regions) or "none"
                )
            ]
        )
    return set(library.country_holidays(code, subdiv=region, years=years))
