"""Today at a glance, as it changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, render_template, url_for
from sqlalchemy import Row

from dialer.domain.access import READERS, Viewer
from dialer.domain.model import CampaignState
from dialer.store import today as store
from dialer.store.plans import agent_terms_of
from web.access.doors import viewer
from web.access.rules import allow
from web.console.live import Sampler, stream

if TYPE_CHECKING:
    from web.parts import Parts


@dataclass(frozen=True, slots=True)
class Line:
    """A campaign that runs, in a line."""

    id: int
    name: str
    company: str
    state: str
    waiting: int
    claimed: int
    done: int

    @property
    def share(self) -> float:
        """Of its leads that are done."""
        whole = self.waiting + self.claimed + self.done
        return self.done / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class Day:
    """What the page shows. ``limit``: the strictest of the campaigns with agents, None without."""

    glance: store.Glance
    agents: dict[str, int]
    lines: tuple[Line, ...]
    limit: float | None
    campaigns: int
    at: datetime


def midnight(who: Viewer, now: datetime) -> datetime:
    """When the viewer's day began."""
    local = now.astimezone(ZoneInfo(who.timezone))
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def line_of(row: Row[Any], leads: dict[str, int]) -> Line:
    """A campaign's row and its leads by state."""
    return Line(
        row.id, row.name, row.company, row.state, leads["waiting"], leads["claimed"], leads["done"]
    )


def today_page(parts: Parts) -> Blueprint:
    """``/today`` and its live part."""
    blueprint = Blueprint("console", __name__, url_prefix="/today")
    sampler = Sampler()

    def day() -> Day:
        who = viewer()
        now = datetime.now(UTC)
        since = midnight(who, now)
        found: Day = sampler.get((who.company_id, since), lambda: _find(parts, who, since, now))
        return found

    @blueprint.get("")
    @allow(READERS)
    def today() -> str:
        return render_template("console/today.html", day=day(), live=url_for(".live"))

    @blueprint.get("/live")
    @allow(READERS)
    def live() -> Response:
        return stream(
            f"{viewer().company_id}",
            lambda: render_template("console/today_part.html", day=day()),
        )

    return blueprint


def _find(parts: Parts, who: Viewer, since: datetime, now: datetime) -> Day:
    with parts.readonly() as connection:
        rows = store.campaigns_of(connection, who.company_id)
        running = [row for row in rows if row.state == CampaignState.RUNNING.value]
        leads = store.leads_by_state(connection, [row.id for row in running]) if running else {}
        limits = [
            terms.max_abandoned
            for terms in (agent_terms_of(row.plan) for row in rows)
            if terms.mode.overdials
        ]
        return Day(
            glance=store.glance(connection, [row.id for row in rows], since, now),
            agents=store.agents_by_state(connection, who.company_id),
            lines=tuple(line_of(row, leads[row.id]) for row in running),
            limit=min(limits) if limits else None,
            campaigns=len(rows),
            at=now,
        )
