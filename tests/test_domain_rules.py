"""Policy, fallback, retry, caller ID and rate: each rule with its edge."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain import caller_id, fallback, policy, retry
from dialer.domain.model import (
    Attempt,
    CampaignPlan,
    ContactRules,
    DayWindow,
    Disposition,
    FallbackStep,
    Refusal,
    RetryRule,
    StepKind,
)
from dialer.domain.pacing import CallRate, calls_to_claim
from dialer.domain.policy import ALLOWED, Standing, Verdict, may_contact

MADRID = "Europe/Madrid"
OFFICE = ContactRules(
    window=tuple(DayWindow(day, time(9), time(21)) for day in range(5)),
    max_per_day=3,
    max_per_week=7,
    holidays=frozenset({date(2026, 3, 19)}),
)
MONDAY = datetime(2026, 3, 16, 11, tzinfo=UTC)  # noon in Madrid


def standing(*contacts: datetime, **changes: Any) -> Standing:
    return Standing(MADRID, contacts, **changes)


# --- policy ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (datetime(2026, 3, 16, 7, 59, 59, tzinfo=UTC), datetime(2026, 3, 16, 8, tzinfo=UTC)),
        (datetime(2026, 3, 16, 20, tzinfo=UTC), datetime(2026, 3, 17, 8, tzinfo=UTC)),
        (datetime(2026, 3, 18, 23, tzinfo=UTC), datetime(2026, 3, 20, 8, tzinfo=UTC)),  # holiday
        (datetime(2026, 3, 20, 20, tzinfo=UTC), datetime(2026, 3, 23, 8, tzinfo=UTC)),  # weekend
        (datetime(2026, 3, 27, 20, tzinfo=UTC), datetime(2026, 3, 30, 7, tzinfo=UTC)),  # DST
    ],
)
def test_outside_the_window_it_says_when_it_opens(now: datetime, opens: datetime) -> None:
    assert may_contact(OFFICE, standing(), now) == Verdict(Refusal.OUTSIDE_WINDOW, opens)


def test_the_window_is_the_debtors_own() -> None:
    canaries_eight = datetime(2026, 3, 16, 8, 30, tzinfo=UTC)  # 9:30 in Madrid, 8:30 there
    assert may_contact(OFFICE, standing(), canaries_eight).allowed
    there = Standing("Atlantic/Canary", ())
    assert may_contact(OFFICE, there, canaries_eight).refused is Refusal.OUTSIDE_WINDOW


def test_the_daily_cap_counts_calls_and_messages_of_the_debtors_day() -> None:
    three = [MONDAY - timedelta(hours=n) for n in (1, 2, 3)]
    verdict = may_contact(OFFICE, standing(*three), MONDAY)
    assert verdict == Verdict(Refusal.DAILY_CAP, datetime(2026, 3, 17, 8, tzinfo=UTC))
    assert may_contact(OFFICE, standing(*three[:2]), MONDAY).allowed
    yesterday = [datetime(2026, 3, 15, 22, 59, tzinfo=UTC)] * 3  # 23:59 on Sunday in Madrid
    assert may_contact(OFFICE, standing(*yesterday), MONDAY).allowed


def test_the_weekly_cap_frees_when_the_oldest_leaves_the_week() -> None:
    seven = [MONDAY - timedelta(days=n, hours=1) for n in range(7)]
    verdict = may_contact(OFFICE, standing(*seven), MONDAY)
    assert verdict.refused is Refusal.WEEKLY_CAP
    assert verdict.retry_at == min(seven) + timedelta(days=7)


def test_opted_out_and_do_not_call_never_pass() -> None:
    assert may_contact(OFFICE, standing(opted_out=True), MONDAY) == Verdict(Refusal.OPTED_OUT)
    assert may_contact(OFFICE, standing(do_not_call=True), MONDAY) == Verdict(Refusal.DO_NOT_CALL)


def test_an_empty_window_never_opens() -> None:
    assert may_contact(ContactRules(window=()), standing(), MONDAY).retry_at is None


_MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(
    lambda naive: naive.replace(tzinfo=UTC)
)


@given(_MOMENTS, st.lists(st.integers(0, 10 * 86400), max_size=12))
def test_whatever_is_allowed_is_within_every_rule(now: datetime, ages: list[int]) -> None:
    contacts = [now - timedelta(seconds=age) for age in ages]
    verdict = may_contact(OFFICE, standing(*contacts), now)
    local = now.astimezone(ZoneInfo(MADRID))
    if verdict.allowed:
        assert local.weekday() < 5 and 9 <= local.hour < 21
        assert sum(1 for age in ages if age < 7 * 86400) < 7
    elif verdict.retry_at is not None:
        assert verdict.retry_at >= now
        assert policy.is_open(OFFICE, ZoneInfo(MADRID), verdict.retry_at)


# --- fallback ----------------------------------------------------------------------------

STEPS = (
    FallbackStep(StepKind.REDIAL),
    FallbackStep(StepKind.SMS, template="missed_call"),
    FallbackStep(StepKind.RETRY),
)


def facts(**changes: object) -> fallback.Facts:
    values: dict[str, object] = {
        "policy": ALLOWED,
        "running": True,
        "takes_sms": True,
        "fresh_caller_id": {0: "+34910000001"},
        "texts": frozenset({1}),
        "since_hangup": timedelta(milliseconds=5),
        "attempts_left": True,
    }
    return fallback.Facts(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "start", "expected"),
    [
        ({}, 0, [("redial", None)]),
        ({"fresh_caller_id": {0: None}}, 0, [("redial", "no_caller_id"), ("sms", None)]),
        ({"fresh_caller_id": {0: None}, "takes_sms": False}, 0,
         [("redial", "no_caller_id"), ("sms", "not_mobile"), ("retry", None)]),
        ({"policy": Verdict(Refusal.DAILY_CAP)}, 0,
         [("redial", "daily_cap"), ("sms", "daily_cap"), ("retry", None)]),
        ({"running": False}, 0,
         [("redial", "campaign_not_running"), ("sms", "campaign_not_running"), ("retry", None)]),
        ({"since_hangup": timedelta(seconds=11)}, 0,
         [("redial", "too_late"), ("sms", "too_late"), ("retry", None)]),
        ({"attempts_left": False}, 0, [("redial", "attempts_exhausted"), ("sms", None)]),
        ({}, 1, [("sms", None)]),
        ({"texts": frozenset()}, 1, [("sms", "no_text"), ("retry", None)]),
        ({}, 3, []),
    ],
)  # fmt: skip
def test_steps_are_tried_in_order_and_each_refusal_is_kept(
    changes: dict[str, object], start: int, expected: list[tuple[str, str | None]]
) -> None:
    looked_at = fallback.consider(STEPS, start, facts(**changes))
    assert [(c.step.kind, c.refused) for c in looked_at] == expected


@pytest.mark.parametrize(
    ("index", "disposition", "start"),
    [
        (-1, Disposition.ANSWERED_ABANDONED, 0),
        (-1, Disposition.MACHINE, None),
        (-1, Disposition.NO_INPUT, None),
        (-1, Disposition.BUSY, None),
        (0, Disposition.ANSWERED_ABANDONED, 1),  # never redialled in a circle
        (0, Disposition.NO_ANSWER, 1),
        (0, Disposition.MACHINE, 1),
        (0, Disposition.LINK_SENT, None),
        (0, Disposition.INCOMPLETE, None),
    ],
)
def test_where_the_fallback_starts(index: int, disposition: Disposition, start: int | None) -> None:
    one = Attempt(
        id="a", campaign_id=1, lead_id=1, debtor_id=1, phone_id=1, number="+34600000001",
        caller_id="+34910000000", trunk="t", node="n", flow="f", placed_at=MONDAY,
        fallback_index=index,
    )  # fmt: skip
    assert fallback.first_step(one, disposition) == start


# --- caller ID ---------------------------------------------------------------------------

POOL = ("+34910000000", "+34910000001", "+34910000002")


def test_the_number_unseen_for_longest_is_shown() -> None:
    shown = {POOL[0]: MONDAY - timedelta(days=1), POOL[2]: MONDAY - timedelta(days=9)}
    assert caller_id.choose(POOL, shown, MONDAY) == POOL[1]
    assert caller_id.choose(POOL[::2], shown, MONDAY) == POOL[2]


def test_a_redial_shows_no_number_seen_within_its_days() -> None:
    week = timedelta(days=7)
    shown = dict.fromkeys(POOL, MONDAY - timedelta(days=6))
    assert caller_id.choose(POOL, shown, MONDAY, unseen_for=week) is None
    shown[POOL[1]] = MONDAY - timedelta(days=7)
    assert caller_id.choose(POOL, shown, MONDAY, unseen_for=week) == POOL[1]


def test_first_choices_are_spread_over_the_pool() -> None:
    assert {caller_id.choose(POOL, {}, MONDAY, spread=n) for n in range(3)} == set(POOL)
    assert caller_id.choose((), {}, MONDAY) is None


# --- retry -------------------------------------------------------------------------------

PLAN = CampaignPlan(
    name="c", flow="reminder", language="es", caller_ids=POOL, trunk="carrier", rules=OFFICE,
    retry={
        Disposition.BUSY: RetryRule(delay=60, growth=3, max_delay=300, max_attempts=4),
        Disposition.MACHINE: RetryRule(delay=3600, max_attempts=2),
    },
    max_attempts=6,
)  # fmt: skip


def after(disposition: Disposition, *, same: int = 1, total: int = 1, phones: int = 1) -> object:
    return retry.after(PLAN, disposition, same=same, total=total, usable_phones=phones, now=MONDAY)


@pytest.mark.parametrize(("same", "delay"), [(1, 60), (2, 180), (3, 300)])
def test_the_delay_grows_up_to_its_bound(same: int, delay: int) -> None:
    assert after(Disposition.BUSY, same=same) == retry.TryAgain(
        MONDAY + timedelta(seconds=delay), next_phone=True
    )


def test_what_closes_a_lead() -> None:
    assert after(Disposition.BUSY, same=4) == retry.CloseLead("busy")
    assert after(Disposition.BUSY, total=6) == retry.CloseLead("attempts_exhausted")
    assert after(Disposition.NO_ANSWER) == retry.CloseLead("no_answer")  # no rule
    assert after(Disposition.PROMISE) == retry.CloseLead("promise")
    assert after(Disposition.INVALID_NUMBER, phones=0) == retry.CloseLead("no_phone_left")


def test_a_wrong_number_goes_on_to_the_debtors_next_one() -> None:
    for disposition in (Disposition.INVALID_NUMBER, Disposition.WRONG_PERSON):
        assert after(disposition) == retry.TryAgain(MONDAY, next_phone=True)
    assert after(Disposition.MACHINE) == retry.TryAgain(
        MONDAY + timedelta(hours=1), next_phone=False
    )


# --- rate --------------------------------------------------------------------------------


@given(st.floats(0.5, 50), st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_the_rate_holds_over_any_stretch(per_second: float, steps: list[float]) -> None:
    rate, now, placed = CallRate(per_second), 0.0, 0
    for step in steps:
        now += step
        rate = rate.filled(now)
        while rate.wait() <= 0:
            rate, placed = rate.taken(), placed + 1
    assert placed <= 1 + per_second * now + 1e-6


def test_a_redial_borrows_and_the_next_ordinary_call_waits() -> None:
    rate = CallRate(10).filled(0.0).taken().taken()
    assert rate.wait() == pytest.approx(0.2)


def test_no_more_is_claimed_than_may_be_called() -> None:
    claim = {"per_second": 20.0, "horizon": 0.25, "claimed": 0, "batch": 20}
    assert calls_to_claim(**claim, in_flight=0, max_concurrent=100) == 5  # type: ignore[arg-type]
    assert calls_to_claim(**claim, in_flight=98, max_concurrent=100) == 2  # type: ignore[arg-type]
    assert calls_to_claim(**claim, in_flight=101, max_concurrent=100) == 0  # type: ignore[arg-type]
