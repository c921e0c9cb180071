"""When a campaign will have called everybody as often as it may: a range, worked out beforehand.

**Calls a lead.** Attempts end independently with disposition ``d`` with chance ``p(d)``. After
``k`` attempts a lead is still open when none of them closed it and no disposition came up as often
as its rule allows, ``m(d)`` times (``retry.after``). The chance of that is the multinomial law of
the counts, cut off at ``m(d) - 1`` each, read off its exponential generating function:

    s(k + 1) = k! [x^k]  prod_d  sum_{j < m(d)} (p(d) x)^j / j!        s(1) = 1

(Feller, An Introduction to Probability Theory and Its Applications I, II.4 and VI.9). Dispositions
without a rule close the lead and have the factor 1. Wave ``k``, the k-th attempts of all ``N``
leads, is ``W(k) = N s(k)`` calls, and those that an answered-and-hung-up call makes at once.

**Calls a second.** What the campaign may place, what its lines carry and what its agents take:

    r = min(calls_per_second,  lines / seconds on the line,  agents / seconds of an agent a call)

The second is Little's law (1961). An agent waits for the ringing of one call in ``L`` that are
dialled for them, and talks when it is answered: ``ring / L + live handle``; where calls are
dialled ahead of them they talk ``BUSY`` of the time instead.

**The end.** The last call of wave ``k`` comes when everything before it was placed, when its lead
may be tried again, and when the caps of a day and a week let it:

    F(k) = max( open(W(1) + ... + W(k), r),  opening(F(k-1) + delay(k-1)),
                opening of the day after F(k - a day's cap),  opening(F(k - a week's cap) + 7 d) )

``open(c, r)``: when ``c`` calls are placed at ``r`` a second within the hours and days allowed.
Each term grows with leads and falls with rate and hours, and so does the end. It is worked out
twice: soonest and latest, see ``Pace``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from dialer.domain.model import CampaignPlan, ContactRules, DialMode, Disposition, StepKind
from dialer.domain.policy import WEEK, next_opening

HORIZON = timedelta(days=400)
"""Nothing is foretold that lies further away."""
BUSY = 0.85
"""Of an agent's time in talks, where calls are dialled ahead of them."""

ASSUMED: Mapping[Disposition, float] = {
    Disposition.NO_ANSWER: 0.42, Disposition.BUSY: 0.08, Disposition.MACHINE: 0.15,
    Disposition.REJECTED: 0.04, Disposition.INVALID_NUMBER: 0.03, Disposition.CONGESTION: 0.02,
    Disposition.FAILED: 0.01, Disposition.ANSWERED_ABANDONED: 0.08, Disposition.NO_INPUT: 0.05,
    Disposition.INCOMPLETE: 0.02, Disposition.PROMISE: 0.05, Disposition.LINK_SENT: 0.02,
    Disposition.WRONG_PERSON: 0.02, Disposition.REFUSED_IDENTITY: 0.01,
}  # fmt: skip
"""How calls end where a company has no past: taken, not measured, and said to be so."""
TALK_SECONDS = 120.0
"""Of a talk with an agent, where none was measured."""
_LINE_SECONDS, _SHORT_SECONDS, _ANSWER_SECONDS = 60.0, 4.0, 12.0
_SHORT = frozenset(
    {Disposition.BUSY, Disposition.INVALID_NUMBER, Disposition.CONGESTION, Disposition.FAILED}
)


class Bound(StrEnum):
    """What holds the calls a second down."""

    RATE = "rate"
    LINES = "lines"
    AGENTS = "agents"


@dataclass(frozen=True, slots=True)
class Habits:
    """How calls go. ``ends``: disposition -> share; seconds are means: ``line`` of a call on its
    line, ``ring`` until it is answered or given up, ``talk`` of an agent. ``calls``: of how many
    it was measured, 0 where it is assumed."""

    ends: Mapping[Disposition, float]
    line: float
    ring: float
    talk: float = TALK_SECONDS
    calls: int = 0

    @property
    def live(self) -> float:
        """The share of calls that a person answers."""
        return sum(
            share
            for end, share in self.ends.items()
            if end.answered and end is not Disposition.MACHINE
        )


def assumed(ring_timeout: float) -> Habits:
    """``ASSUMED``, with phones that ring for so long."""
    line = ring = 0.0
    for end, share in ASSUMED.items():
        rings = _SHORT_SECONDS if end in _SHORT else ring_timeout
        if end.answered or end is Disposition.REJECTED:
            rings = min(_ANSWER_SECONDS, ring_timeout)
        ring += share * rings
        line += share * (rings + (_LINE_SECONDS if end.answered else 0.0))
    return Habits(ASSUMED, line=line, ring=ring)


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done. ``leads`` that may be called at some time; ``agents`` who take their
    calls; ``made``: attempts that a lead has behind it; ``due``: when the last one is due next."""

    leads: int
    habits: Habits
    agents: int = 0
    made: int = 0
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How well it goes. ``rate``: of the calls a second that are possible; ``margin``: by which
    more (or fewer) leads are tried again than expected; ``longest``: the last lead waits as long as
    any does between two tries, not as long as they do on average; ``least``: a wave of so few
    expected calls is none."""

    rate: float
    margin: float
    longest: bool
    least: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """``soonest``, ``latest``: None where the end lies beyond ``HORIZON``, or never comes.
    ``calls`` expected in all; ``per_lead``: attempts; ``per_second`` and what bounds it."""

    soonest: datetime | None
    latest: datetime | None
    calls: float
    per_lead: float
    per_second: float
    bound: Bound


def forecast(plan: CampaignPlan, load: Load, now: datetime) -> Forecast:
    """The end of a campaign that calls from ``now`` on. Raises zoneinfo.ZoneInfoNotFoundError for
    a plan whose time zone is none."""
    still = still_open(plan, load.habits.ends, load.made)
    per_second, bound = rate(plan, load)
    margin = margin_of(load.habits)
    redials = _redials(plan, load.habits)
    found = Forecast(
        soonest=None,
        latest=None,
        calls=load.leads * sum(still) * redials,
        per_lead=sum(still),
        per_second=per_second,
        bound=bound,
    )
    if load.leads <= 0 or per_second <= 0:
        return found
    ends = [
        _Course(plan, load, now, still, per_second * pace.rate / redials, pace).end()
        for pace in (
            Pace(rate=1.0, margin=-margin, longest=False, least=1.0),
            Pace(rate=0.75, margin=margin, longest=True, least=0.05),
        )
    ]
    return Forecast(ends[0], ends[1], found.calls, found.per_lead, per_second, bound)


def margin_of(habits: Habits) -> float:
    """By how much the number of further tries may be off: a tenth for what differs from week to
    week, and the error of a sample of so many calls; three tenths where nothing was measured."""
    return min(0.3, 0.1 + 1.5 / math.sqrt(habits.calls)) if habits.calls else 0.3


def still_open(
    plan: CampaignPlan, ends: Mapping[Disposition, float], made: int = 0
) -> tuple[float, ...]:
    """s(k): the chance that a lead has a k-th attempt from now on, given ``made`` before."""
    most = max(1, plan.max_attempts)
    product = [1.0]
    for end, rule in plan.retry.items():
        share = ends.get(end, 0.0)
        if share > 0 and not end.conversation:
            product = _times(product, _cut_off(share, min(rule.max_attempts, most)), most)
    chances = [1.0]
    factorial = 1.0
    for k in range(1, min(most, len(product))):
        factorial *= k
        chances.append(min(1.0, factorial * product[k]))
    rest = chances[min(max(0, made), len(chances) - 1) :]
    return tuple(one / rest[0] for one in rest) if rest[0] > 0 else (1.0,)


def _cut_off(share: float, most: int) -> list[float]:
    """The first ``most`` terms of exp(share x)."""
    terms = [1.0]
    for j in range(1, most):
        terms.append(terms[-1] * share / j)
    return terms


def _times(left: list[float], right: list[float], most: int) -> list[float]:
    product = [0.0] * min(most, len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right[: len(product) - i]):
            product[i + j] += a * b
    return product


def rate(plan: CampaignPlan, load: Load) -> tuple[float, Bound]:
    """Calls a second, and what bounds them."""
    habits = load.habits
    found, bound = plan.calls_per_second, Bound.RATE
    lines = plan.max_concurrent / max(1.0, habits.line)
    if lines < found:
        found, bound = lines, Bound.LINES
    if plan.agents.mode.needs_agents:
        served = _served(plan, habits, load.agents)
        if served < found:
            found, bound = served, Bound.AGENTS
    return found, bound


def _served(plan: CampaignPlan, habits: Habits, agents: int) -> float:
    mode = plan.agents.mode
    talking = habits.live * (habits.talk + plan.agents.wrap)
    if mode in (DialMode.ADAPTIVE, DialMode.PREDICTIVE):
        return BUSY * agents / max(talking, 0.1)
    lines = plan.agents.ratio if mode is DialMode.POWER else 1.0
    return agents / max(habits.ring / lines + talking, 0.1)


def _redials(plan: CampaignPlan, habits: Habits) -> float:
    """Calls for each attempt: who answers and hangs up may be called again at once."""
    again = any(step.kind is StepKind.REDIAL for step in plan.fallback)
    return 1.0 + (habits.ends.get(Disposition.ANSWERED_ABANDONED, 0.0) if again else 0.0)


@dataclass(slots=True)
class _Course:
    """Wave after wave to the end."""

    plan: CampaignPlan
    load: Load
    now: datetime
    still: tuple[float, ...]
    rate: float
    pace: Pace
    last: list[datetime] = field(default_factory=list)

    def end(self) -> datetime | None:
        """When the last call of the last wave is over."""
        rules, zone = self.plan.rules, ZoneInfo(self.plan.default_timezone)
        placed = 0.0
        for k in range(len(self.still)):
            wave = self._wave(k)
            if k and wave < self.pace.least:
                break
            placed += wave
            moments = [opened(rules, zone, self.now, placed / self.rate)]
            moments += [
                None if at is None else next_opening(rules, zone, at) for at in self._not_before(k)
            ]
            known = [at for at in moments if at is not None]
            if len(known) < len(moments) or max(known) > self.now + HORIZON:
                return None
            self.last.append(max(known))
        return self.last[-1] + timedelta(seconds=self.load.habits.line)

    def _wave(self, k: int) -> float:
        more = 1.0 + self.pace.margin if k else 1.0
        return self.load.leads * min(1.0, self.still[k] * more)

    def _not_before(self, k: int) -> Iterator[datetime | None]:
        """What else the last call of this wave waits for."""
        if k == 0:
            yield max(self.now, self.load.due) if self.load.due else self.now
            return
        yield self.last[k - 1] + timedelta(seconds=self._delay(k))
        rules = self.plan.rules
        a_day = min(rules.max_per_day, self.plan.max_attempts_per_day)
        if k >= a_day:
            yield _tomorrow(self.last[k - a_day], ZoneInfo(self.plan.default_timezone))
        if k >= rules.max_per_week:
            yield self.last[k - rules.max_per_week] + WEEK

    def _delay(self, k: int) -> float:
        """Seconds from the k-th attempt of a lead that is tried again to its next."""
        tried = self.load.made + k
        whole = weighed = longest = 0.0
        ends = self.load.habits.ends
        again = sum(ends.get(end, 0.0) for end in self.plan.retry)
        for end, rule in self.plan.retry.items():
            share = ends.get(end, 0.0)
            if share <= 0 or rule.max_attempts < 2:
                continue
            usual = 1.0 + (tried - 1) * share / again
            if self._wave(k - 1) * share >= 1.0:
                most = min(tried, rule.max_attempts - 1)
                longest = max(longest, _grown(rule.delay, rule.growth, most, rule.max_delay))
            same = min(usual, rule.max_attempts - 1)
            weighed += share * _grown(rule.delay, rule.growth, same, rule.max_delay)
            whole += share
        mean = weighed / whole if whole else 0.0
        return max(mean, longest) if self.pace.longest else mean


def _grown(delay: float, growth: float, same: float, most: float) -> float:
    # Beyond any delay there is: a power that large is no number any more.
    if delay > 0 and (same - 1) * math.log(growth) > math.log(max(most, 1.0) + 1e9):
        return most
    return float(min(delay * growth ** (same - 1), most))


def _tomorrow(at: datetime, zone: ZoneInfo) -> datetime:
    day = at.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(day, time(), zone).astimezone(UTC)


def opened(rules: ContactRules, zone: ZoneInfo, after: datetime, seconds: float) -> datetime | None:
    """When the hours and days allowed have been open for so many seconds since ``after`` (aware);
    None beyond ``HORIZON``."""
    left = seconds
    day = after.astimezone(zone).date() - timedelta(days=1)
    for _ in range(HORIZON.days + 2):
        for begins, ends in _spans(rules, zone, day):
            begins = max(begins, after)
            length = (ends - begins).total_seconds()
            if length <= 0:
                continue
            if left <= length:
                return begins + timedelta(seconds=left)
            left -= length
        day += timedelta(days=1)
    return None


def _spans(rules: ContactRules, zone: ZoneInfo, day: date) -> list[tuple[datetime, datetime]]:
    """The open hours of a day, in UTC, those that overlap as one."""
    if day in rules.holidays:
        return []
    spans: list[tuple[datetime, datetime]] = []
    windows = [one for one in rules.window if one.weekday == day.weekday()]
    for one in sorted(windows, key=lambda window: window.start):
        begins = datetime.combine(day, one.start, zone).astimezone(UTC)
        until = day if one.end != time() else day + timedelta(days=1)
        ends = datetime.combine(until, one.end, zone).astimezone(UTC)
        if spans and begins <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], ends))
        elif begins < ends:
            spans.append((begins, ends))
    return spans
