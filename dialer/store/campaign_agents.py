"""The section ``agents`` of a campaign file: its mode, and the law of abandoned calls."""

from __future__ import annotations

from pydantic import Field

from dialer.domain.model import AgentTerms, DialMode
from dialer.domain.policy import LOCK_OUT
from dialer.store.campaign_values import Seconds, Share, Strict
from dialer.store.countries import CountryRules
from dialer.store.plan_says import PlanSays, PlanWarns

_LOCK_OUT_HOURS = LOCK_OUT.total_seconds() / 3600


class AgentsEntry(Strict):
    """How a campaign works with agents. What is None comes from the country.

    ``lock_out_hours``: at most the week that is looked back on.
    """

    mode: DialMode = DialMode.AGENTLESS
    skill: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9_-]{0,39})?$")
    ratio: float = Field(default=1.5, ge=1, le=10)
    hold: Seconds | None = Field(default=None, gt=0, le=30)
    max_abandoned: Share | None = Field(default=None, gt=0)
    wrap: Seconds = Field(default=30.0, le=3600)
    whisper: bool = False
    max_lines_per_agent: float | None = Field(default=None, ge=1, le=20)
    lock_out_hours: float = Field(default=_LOCK_OUT_HOURS, ge=0, le=168)
    ring_min: Seconds | None = Field(default=None, le=60)

    def terms(self, usual: CountryRules) -> AgentTerms:
        """As the domain has them."""
        return AgentTerms(
            mode=self.mode,
            skill=self.skill,
            ratio=self.ratio,
            hold=_given(self.hold, usual.hold),
            max_abandoned=_given(self.max_abandoned, usual.max_abandoned),
            window_days=usual.abandoned_days,
            ring_min=_given(self.ring_min, usual.ring_min),
            wrap=self.wrap,
            max_lines_per_agent=self.max_lines_per_agent,
            whisper=self.whisper,
            lock_out_hours=self.lock_out_hours,
        )

    def looser_than(self, usual: CountryRules, country: str) -> list[str]:
        """Warnings about what goes beyond the country's rules, or beyond what is usual there."""
        source = {"country": country, "source": usual.abandoned_source}
        terms = self.terms(usual)
        said: list[str] = []
        if terms.hold > usual.hold:
            said.append(PlanWarns.HOLDS_LONGER.say(mine=terms.hold, usual=usual.hold, **source))
        if terms.max_abandoned > usual.max_abandoned:
            said.append(
                PlanWarns.ABANDONS_MORE.say(
                    mine=f"{terms.max_abandoned:.1%}", usual=f"{usual.max_abandoned:.1%}", **source
                )
            )
        if terms.ring_min < usual.ring_min:
            said.append(
                PlanWarns.RINGS_LESS.say(mine=terms.ring_min, usual=usual.ring_min, **source)
            )
        if terms.lock_out_hours < _LOCK_OUT_HOURS:
            said.append(
                PlanWarns.LOCKS_OUT_LESS.say(mine=terms.lock_out_hours, usual=_LOCK_OUT_HOURS)
            )
        return said


def rings_too_briefly(terms: AgentTerms, ring_timeout: float) -> str | None:
    """Why a campaign that may abandon calls may not ring for so short a time, or None."""
    if not terms.mode.overdials or ring_timeout >= terms.ring_min:
        return None
    return PlanSays.RINGS_TOO_BRIEFLY.say(
        mine=ring_timeout, least=terms.ring_min, mode=terms.mode.value
    )


def _given(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
