"""When to call for agents: the pacer of each campaign, fed with what happens on its floor.

The decision is ``dialer.domain.pacing``; here it is told of agents, lines and answers, and held to
the legal budget that the database knows, which outlives this process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from dialer.domain import events as ev
from dialer.domain.agents import Seat
from dialer.domain.model import AgentState, AgentTerms, Attempt, CampaignPlan, DialMode
from dialer.domain.pacing import (
    AgentSeat,
    Decision,
    Event,
    Floor,
    Limits,
    Line,
    LineEnded,
    Outcome,
    Pacer,
    TalkEnded,
    WrapEnded,
    make_pacer,
)
from dialer.domain.policy import guarantees_agent
from dialer.logs import get_logger

log = get_logger(__name__)

FEW_ANSWERS = 100
SEAT_STATES = {
    AgentState.AVAILABLE: "available",
    AgentState.RESERVED: "talking",
    AgentState.TALKING: "talking",
    AgentState.WRAP_UP: "wrap",
}
UNKNOWN_SAYS = "the share of abandoned calls is not known yet: one call for each free agent"
BUDGET_SAYS = "the share of abandoned calls is used up: one call for each free agent"


@dataclass(frozen=True, slots=True)
class Share:
    """Live answers of a campaign in its legal window, and how many of them were abandoned."""

    answered: int = 0
    abandoned: int = 0

    def spent(self, terms: AgentTerms) -> bool:
        """Nothing may be abandoned any more. Of fewer than a hundred answers the share is taken of
        a hundred, or the first one of a morning would end the day (so does the pacer)."""
        return self.abandoned >= terms.max_abandoned * max(self.answered, FEW_ANSWERS)


def pacer_for(terms: AgentTerms, share: Share) -> Pacer:
    """The pacer of a campaign's dial mode, which knows what of the window's budget is used up."""
    settings: dict[str, float] = {}
    if terms.mode is DialMode.POWER:
        settings = {"ratio": terms.ratio}
    elif terms.mode is DialMode.PREDICTIVE:
        settings = {"answered": share.answered, "abandoned": share.abandoned}
    return make_pacer(terms.mode.value, **settings)


@dataclass(slots=True)
class Pace:
    """One campaign's. ``share`` is read from the database now and then, and counted on between by
    this engine's own eyes; None until it is known: until then one call for each free agent."""

    mode: DialMode
    pacer: Pacer
    careful: Pacer = field(default_factory=lambda: make_pacer("progressive"))
    share: Share | None = None
    lines: dict[str, Line] = field(default_factory=dict)
    reason: str = ""

    @property
    def keeps(self) -> bool:
        """Whether each call now has an agent kept for it while it rings: in the mode that promises
        one, and in every other as long as nobody more may be abandoned."""
        return guarantees_agent(self.mode) or bool(self.reason)

    def observe(self, event: Event) -> None:
        """Both pacers learn, so that a change of mode begins with what is known."""
        self.pacer.observe(event)
        self.careful.observe(event)
        if isinstance(event, Outcome) and self.share is not None:
            self.share = Share(self.share.answered + 1, self.share.abandoned + event.abandoned)

    def know(self, share: Share, terms: AgentTerms) -> None:
        """What the window holds; the pacer begins with it."""
        if self.share is None:
            self.pacer = pacer_for(terms, share)
        self.share = share

    def placed(self, one: Attempt, segment: str) -> None:
        """A call was decided. Those of one segment are taken to answer alike."""
        self.lines[one.id] = Line(one.id, one.placed_at.timestamp(), segment)

    def ended(self, attempt_id: str, at: datetime, *, answered: bool) -> None:
        """It was answered, or came to nothing."""
        line = self.lines.pop(attempt_id, None)
        if line is not None:
            now = at.timestamp()
            age = max(0.0, now - line.since)
            self.observe(LineEnded(now, age, answered, line.segment))

    def decide(self, floor: Floor, terms: AgentTerms) -> Decision:
        """How many calls to place now, and which lines to give up."""
        held = self.mode.overdials and (self.share is None or self.share.spent(terms))
        decision = (self.careful if held else self.pacer).decide(floor)
        reason = decision.reason
        if held:
            reason = BUDGET_SAYS if self.share is not None else UNKNOWN_SAYS
        if reason != self.reason:
            self.reason = reason
            log.warning("pacing", reason=reason or "as usual")
        if terms.max_lines_per_agent is None:
            return decision
        cap = int(terms.max_lines_per_agent * len(floor.agents)) - len(floor.lines)
        return Decision(max(0, min(decision.place, cap)), decision.shed, decision.reason)


class Paces:
    """Those of all campaigns of this engine."""

    def __init__(self) -> None:
        self.of: dict[int, Pace] = {}

    def get(self, campaign_id: int, plan: CampaignPlan) -> Pace:
        """The pace of a campaign; a new one where its mode was changed."""
        known = self.of.get(campaign_id)
        if known is None or known.mode is not plan.agents.mode:
            share = known.share if known is not None else None
            fresh = Pace(plan.agents.mode, pacer_for(plan.agents, share or Share()), share=share)
            if known is not None:
                fresh.lines = known.lines
            self.of[campaign_id] = known = fresh
        return known

    def observe(self, event: ev.CallEvent, one: Attempt | None) -> None:
        """What the switch says of a line."""
        if one is None or not one.mode.needs_agents:
            return
        pace = self.of.get(one.campaign_id)
        if pace is None:
            return
        if isinstance(event, ev.Answered):
            pace.ended(one.id, event.at, answered=True)
        elif isinstance(event, ev.Ended | ev.Vanished | ev.OriginateFailed):
            pace.ended(one.id, event.at, answered=False)

    def outcome(self, campaign_id: int, at: datetime, *, abandoned: bool) -> None:
        """A live answer found an agent, or did not."""
        pace = self.of.get(campaign_id)
        if pace is not None:
            pace.observe(Outcome(at.timestamp(), abandoned))

    def seat_changed(self, before: Seat, after: Seat) -> None:
        """How long a talk, or a wrap-up, lasted."""
        at, seconds = after.since.timestamp(), (after.since - before.since).total_seconds()
        event: Event
        if before.state is AgentState.TALKING and after.state is not AgentState.TALKING:
            event = TalkEnded(at, seconds)
        elif before.state is AgentState.WRAP_UP and after.state is not AgentState.WRAP_UP:
            event = WrapEnded(at, seconds)
        else:
            return
        for pace in self.of.values():
            pace.observe(event)


def floor_of(
    now: datetime,
    seats: Iterable[Seat],
    lines: Iterable[Line],
    waiting: int,
    plan: CampaignPlan,
    max_lines: int,
) -> Floor:
    """The floor as a pacer sees it: agents who are there and have not asked for a pause."""
    known = []
    for seat in seats:
        state = SEAT_STATES.get(seat.state)
        if state is None or seat.ringing or seat.next_pause is not None:
            continue
        if seat.state is AgentState.AVAILABLE and not seat.usable(now):
            continue
        known.append(AgentSeat(state, seat.since.timestamp()))  # type: ignore[arg-type]
    terms = plan.agents
    return Floor(
        now=now.timestamp(),
        agents=tuple(known),
        lines=tuple(lines),
        waiting=waiting,
        limits=Limits(
            max_abandoned=terms.max_abandoned,
            hold=terms.hold,
            ring_min=min(terms.ring_min, plan.ring_timeout),
            ring_max=plan.ring_timeout,
            max_lines=max_lines,
        ),
    )
