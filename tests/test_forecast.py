"""When a campaign ends: the law of attempts against counting, the end against a simulated campaign,
and what must always hold."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import plan

from dialer.domain import forecast as f
from dialer.domain.model import (
    AgentTerms,
    CampaignPlan,
    ContactRules,
    DayWindow,
    DialMode,
    Disposition,
    FallbackStep,
    RetryRule,
    StepKind,
)
from dialer.domain.policy import is_open, next_opening
from dialer.domain.retry import CloseLead, after
from dialer.store.plans import DEFAULT_RETRY

MADRID = ZoneInfo("Europe/Madrid")
MONDAY = datetime(2026, 3, 16, 8, tzinfo=UTC)  # nine o'clock there
OFFICE = ContactRules(
    window=tuple(DayWindow(day, time(9), time(21)) for day in range(5)), max_per_day=4
)
RETRY = FallbackStep(StepKind.RETRY)


def usual(**changes: object) -> CampaignPlan:
    values: dict[str, object] = {
        "rules": OFFICE, "retry": DEFAULT_RETRY, "fallback": (RETRY,), "calls_per_second": 1.0,
    }  # fmt: skip
    return plan(**(values | changes))


def load(leads: int, **changes: object) -> f.Load:
    values: dict[str, object] = {"leads": leads, "habits": f.assumed(25.0)}
    return f.Load(**(values | changes))  # type: ignore[arg-type]


# --- attempts a lead ------------------------------------------------------------------------


def test_what_is_assumed_is_a_whole() -> None:
    assert sum(f.ASSUMED.values()) == pytest.approx(1.0)
    assert 0.2 < f.assumed(25.0).live < 0.3


def test_the_chance_of_a_next_attempt_is_that_of_every_sequence_counted() -> None:
    """All sequences of ends, each with its chance, through the rule that the engine goes by."""
    ends = {
        Disposition.NO_ANSWER: 0.5, Disposition.BUSY: 0.2, Disposition.MACHINE: 0.1,
        Disposition.PROMISE: 0.2,
    }  # fmt: skip
    rules = {
        Disposition.NO_ANSWER: RetryRule(60, max_attempts=3),
        Disposition.BUSY: RetryRule(60, max_attempts=2),
    }
    one = usual(retry=rules, max_attempts=5)
    open_after = Counter[int]()
    for length in range(5):
        for sequence in itertools.product(ends, repeat=length):
            if all(_goes_on(one, sequence[:n]) for n in range(1, length + 1)):
                chance = 1.0
                for end in sequence:
                    chance *= ends[end]
                open_after[length] += chance  # type: ignore[assignment]
    found = f.still_open(one, ends)
    assert len(found) == 4  # twice nobody, once busy, and then the fourth closes it
    for k, chance in enumerate(found):
        assert chance == pytest.approx(open_after[k])
    assert open_after[4] == 0
    behind = f.still_open(one, ends, made=1)
    assert behind == pytest.approx([one / found[1] for one in found[1:]])


def _goes_on(one: CampaignPlan, ends: tuple[Disposition, ...]) -> bool:
    what = after(one, ends[-1], same=ends.count(ends[-1]), total=len(ends), usable_phones=1,
                 now=MONDAY)  # fmt: skip
    return not isinstance(what, CloseLead)


# --- hours ----------------------------------------------------------------------------------


def test_hours_are_counted_over_nights_week_ends_and_holidays() -> None:
    rules = replace(OFFICE, holidays=frozenset({date(2026, 3, 17)}))
    friday = datetime(2026, 3, 20, 19, tzinfo=UTC)  # an hour is left
    assert f.opened(rules, MADRID, MONDAY, 12 * 3600) == MONDAY + timedelta(hours=12)
    assert f.opened(rules, MADRID, MONDAY, 13 * 3600) == MONDAY + timedelta(days=2, hours=1)
    assert f.opened(rules, MADRID, friday, 7200) == datetime(2026, 3, 23, 9, tzinfo=UTC)
    assert f.opened(replace(rules, window=()), MADRID, MONDAY, 1) is None


def test_the_night_in_which_the_clock_goes_forward_is_an_hour_shorter() -> None:
    always = ContactRules(window=tuple(DayWindow(day, time(), time()) for day in range(7)))
    before = datetime(2026, 3, 28, 23, tzinfo=UTC)  # midnight; that day has 23 hours
    found = f.opened(always, MADRID, before, 23 * 3600 + 1)
    assert found == datetime(2026, 3, 29, 22, 0, 1, tzinfo=UTC)


# --- the rate -------------------------------------------------------------------------------


def test_what_is_scarce_bounds_the_rate() -> None:
    habits = f.Habits({Disposition.SPOKE: 0.25, Disposition.NO_ANSWER: 0.75}, line=40.0,
                      ring=20.0, talk=90.0)  # fmt: skip
    one = load(100, habits=habits, agents=5)
    assert f.rate(usual(calls_per_second=2.0), one) == (2.0, f.Bound.RATE)
    assert f.rate(usual(calls_per_second=2.0, max_concurrent=40), one) == (1.0, f.Bound.LINES)
    step = usual(agents=AgentTerms(mode=DialMode.PROGRESSIVE, wrap=30.0))
    # Twenty seconds of ringing, and a quarter of two minutes: fifty seconds a call for each.
    found, bound = f.rate(step, one)
    assert found == pytest.approx(5 / 50) and bound is f.Bound.AGENTS
    ahead = usual(agents=AgentTerms(mode=DialMode.PREDICTIVE, wrap=30.0))
    found, bound = f.rate(ahead, one)
    assert found == pytest.approx(0.85 * 5 / 30) and bound is f.Bound.AGENTS
    nobody = load(100, habits=habits)
    assert f.forecast(step, nobody, MONDAY).latest is None


def test_an_end_that_never_comes_is_none() -> None:
    found = f.forecast(usual(rules=replace(OFFICE, window=())), load(10), MONDAY)
    assert (found.soonest, found.latest) == (None, None)
    assert f.forecast(usual(calls_per_second=0.001), load(100_000), MONDAY).soonest is None


def test_who_hangs_up_costs_a_second_call() -> None:
    again = usual(fallback=(FallbackStep(StepKind.REDIAL),))
    more = f.forecast(again, load(100), MONDAY).calls / f.forecast(usual(), load(100), MONDAY).calls
    assert more == pytest.approx(1 + f.ASSUMED[Disposition.ANSWERED_ABANDONED])


# --- against a campaign ---------------------------------------------------------------------


def _simulated(one: CampaignPlan, leads: int, seed: int) -> tuple[datetime, int]:
    """A campaign call by call: first due, first called; its end, and how many calls it took."""
    dice, zone = random.Random(seed), ZoneInfo(one.default_timezone)
    kinds, shares = list(f.ASSUMED), list(f.ASSUMED.values())
    due = [(MONDAY, n) for n in range(leads)]
    past: list[list[Disposition]] = [[] for _ in range(leads)]
    days: list[Counter[date]] = [Counter() for _ in range(leads)]
    free, calls = MONDAY, 0
    while due:
        at, lead = heapq.heappop(due)
        opening = next_opening(one.rules, zone, max(at, free))
        assert opening is not None
        today = opening.astimezone(zone).date()
        if max(at, free) < opening or days[lead][today] >= one.max_attempts_per_day:
            tomorrow = datetime.combine(today + timedelta(days=1), time(), zone).astimezone(UTC)
            later = opening if max(at, free) < opening else tomorrow
            heapq.heappush(due, (later, lead))
            continue
        free = opening + timedelta(seconds=1 / one.calls_per_second)
        calls += 1
        days[lead][today] += 1
        end = dice.choices(kinds, shares)[0]
        past[lead].append(end)
        gone = end in (Disposition.INVALID_NUMBER, Disposition.WRONG_PERSON)
        what = after(one, end, same=past[lead].count(end), total=len(past[lead]),
                     usable_phones=0 if gone else 1, now=opening)  # fmt: skip
        if not isinstance(what, CloseLead):
            heapq.heappush(due, (what.at, lead))
    return free, calls


@pytest.mark.parametrize(
    ("leads", "per_second", "retry"),
    [
        (60, 1.0, DEFAULT_RETRY),
        (1000, 1.0, DEFAULT_RETRY),
        (1500, 0.02, DEFAULT_RETRY),
        (1500, 0.05, {Disposition.NO_ANSWER: RetryRule(3600, max_attempts=2)}),
        (500, 0.2, {Disposition.NO_ANSWER: RetryRule(600, growth=2, max_attempts=4)}),
        (1000, 0.1, {}),
    ],
)
def test_the_range_holds_the_end_of_a_campaign(
    leads: int, per_second: float, retry: dict[Disposition, RetryRule]
) -> None:
    one = usual(calls_per_second=per_second, retry=retry, rules=replace(OFFICE, max_per_week=99))
    found = f.forecast(one, load(leads, habits=replace(f.assumed(25.0), calls=2000)), MONDAY)
    assert found.soonest is not None and found.latest is not None
    for seed in range(3):
        end, calls = _simulated(one, leads, seed)
        assert found.soonest <= end + timedelta(minutes=10), (end, calls)
        assert end <= found.latest, (end, calls)
        assert calls == pytest.approx(found.calls, rel=0.03 + 1.5 / leads**0.5)
    assert is_open(one.rules, MADRID, found.latest - timedelta(seconds=f.assumed(25.0).line))


# --- always ---------------------------------------------------------------------------------

RULES = st.builds(
    RetryRule,
    delay=st.floats(60, 200_000),
    growth=st.floats(1, 3),
    max_delay=st.just(300_000.0),
    max_attempts=st.integers(1, 6),
)
PLANS = st.builds(
    usual,
    calls_per_second=st.floats(0.01, 20),
    max_concurrent=st.integers(1, 400),
    max_attempts=st.integers(1, 12),
    max_attempts_per_day=st.integers(1, 4),
    retry=st.dictionaries(
        st.sampled_from([Disposition.NO_ANSWER, Disposition.BUSY, Disposition.MACHINE]), RULES
    ),
    agents=st.builds(AgentTerms, mode=st.sampled_from(DialMode), ratio=st.floats(1, 5)),
)
NEVER = MONDAY + 2 * f.HORIZON


def _ends(one: CampaignPlan, of: f.Load) -> tuple[datetime, datetime]:
    found = f.forecast(one, of, MONDAY)
    return found.soonest or NEVER, found.latest or NEVER


@settings(max_examples=60, deadline=None)
@given(
    one=PLANS, leads=st.integers(1, 20_000), agents=st.integers(1, 60), more=st.integers(1, 500),
    made=st.integers(0, 3),
)  # fmt: skip
def test_more_of_what_calls_never_ends_later_and_more_leads_never_sooner(
    one: CampaignPlan, leads: int, agents: int, more: int, made: int
) -> None:
    usual_load = load(leads, agents=agents, made=made)
    soonest, latest = _ends(one, usual_load)
    assert MONDAY <= soonest <= latest
    longer = ContactRules(
        window=tuple(DayWindow(day, time(8), time(22)) for day in range(6)), max_per_day=4
    )
    for better, of in (
        (replace(one, max_concurrent=one.max_concurrent + more), usual_load),
        (replace(one, calls_per_second=one.calls_per_second + more), usual_load),
        (one, replace(usual_load, agents=agents + more)),
        (replace(one, rules=longer), usual_load),
    ):
        now_soonest, now_latest = _ends(better, of)
        assert now_soonest <= soonest and now_latest <= latest
    more_soonest, more_latest = _ends(one, replace(usual_load, leads=leads + more))
    assert soonest <= more_soonest and latest <= more_latest
    due = MONDAY + timedelta(hours=more)
    later = _ends(one, replace(usual_load, due=due))
    assert soonest <= later[0] and latest <= later[1]


@settings(max_examples=60, deadline=None)
@given(one=PLANS, made=st.integers(0, 15))
def test_chances_fall_and_begin_with_one(one: CampaignPlan, made: int) -> None:
    chances = f.still_open(one, f.ASSUMED, made)
    assert chances[0] == 1.0 and len(chances) <= one.max_attempts
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(chances))
