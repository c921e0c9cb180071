"""Campaign files: what they mean, and errors that say what to change."""

from __future__ import annotations

import json
import re
from datetime import date, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.config import ROOT
from dialer.domain.model import (
    CampaignPlan,
    DayWindow,
    Detector,
    Disposition,
    MachineAction,
    PaymentTerms,
    RetryRule,
    StepKind,
)
from dialer.store.campaign_file import (
    CampaignFile,
    PlanError,
    parse_amount,
    parse_campaign,
    parse_window,
    read_campaign_file,
)
from dialer.store.campaign_values import parse_duration
from dialer.store.countries import COUNTRIES
from dialer.store.plans import DEFAULT_RETRY, Company, Known, make_plan, plan_json, plan_of

TODAY = date(2026, 3, 16)
KNOWN = Known({"reminder", "second_try"}, {"carrier"}, {"missed_call"}, {"test", "stripe"})
SPAIN = Company("ES", "Europe/Madrid")
FIXED = ("+34910000001", "+34910000002")

WHOLE = """
name: june
flow: reminder
language: es
caller_ids: [+34910000001, 910 000 002]
calls_per_second: 2.5
max_concurrent: 40
ring_timeout: 20s
max_attempts: 5
max_attempts_per_day: 2
max_per_day: 2
max_per_week: 5
window:
  - mon-thu 09:00-20:00
  - fri 09:00-15:00
holidays: {country: ES, region: MD, also: [2026-12-24]}
default_timezone: Atlantic/Canary
retry:
  busy: {delay: 10m, growth: 2, max_delay: 1h30m, max_attempts: 6}
  machine: never
fallback:
  - redial: {flow: second_try, unseen_days: 3}
  - sms:
  - retry
detector: none
on_machine: hang_up
gateway: test
payment: {minimum_percent: 25, minimum: 15.50 EUR, instalments: 3}
record: yes
"""


def problems(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_campaign(text)
    return caught.value.problems


def planned(
    text: str, numbers: tuple[str, ...] | None = None, company: Company = SPAIN
) -> tuple[CampaignPlan, list[str]]:
    file = parse_campaign(text)
    return make_plan(file, numbers or file.caller_ids, company, KNOWN, TODAY)


def test_every_key_of_a_file_arrives_in_the_plan() -> None:
    plan, warnings = planned(WHOLE)
    assert warnings == []
    assert (plan.name, plan.flow, plan.language, plan.trunk) == (
        "june", "reminder", "es", "carrier",
    )  # fmt: skip
    assert plan.caller_ids == FIXED
    assert (plan.calls_per_second, plan.max_concurrent, plan.ring_timeout) == (2.5, 40, 20.0)
    assert (plan.max_attempts, plan.max_attempts_per_day) == (5, 2)
    assert (plan.rules.max_per_day, plan.rules.max_per_week) == (2, 5)
    assert plan.rules.window == (
        *(DayWindow(day, time(9), time(20)) for day in range(4)),
        DayWindow(4, time(9), time(15)),
    )
    assert plan.default_timezone == "Atlantic/Canary"
    busy = plan.retry[Disposition.BUSY]
    assert (busy.delay, busy.growth, busy.max_delay, busy.max_attempts) == (600, 2, 5400, 6)
    assert Disposition.MACHINE not in plan.retry
    assert plan.retry[Disposition.NO_ANSWER] == DEFAULT_RETRY[Disposition.NO_ANSWER]
    assert [step.kind for step in plan.fallback] == [StepKind.REDIAL, StepKind.SMS, StepKind.RETRY]
    assert (plan.fallback[0].flow, plan.fallback[0].unseen_days) == ("second_try", 3.0)
    assert plan.fallback[1].template == "missed_call"
    assert (plan.detector, plan.on_machine) == (Detector.NONE, MachineAction.HANG_UP)
    assert plan.payment == PaymentTerms("test", 25, 1550, 3, "EUR")
    assert plan.record is True


def test_holidays_are_the_country_s_its_region_s_and_the_listed_days() -> None:
    holidays = planned(WHOLE)[0].rules.holidays
    assert date(2026, 10, 12) in holidays  # Spain
    assert date(2026, 5, 2) in holidays  # Madrid
    assert date(2026, 12, 24) in holidays  # listed
    assert date(2028, 1, 6) in holidays  # the years ahead too
    assert date(2026, 3, 16) not in holidays
    none = planned(f"{WHOLE.partition('holidays')[0]}holidays: none")[0].rules.holidays
    assert none == frozenset()


@pytest.mark.parametrize(
    ("country", "day", "off"),
    [
        ("ES", date(2026, 10, 12), True),
        ("US", date(2026, 7, 4), True),
        ("CO", date(2026, 7, 20), 1),
    ],
)
def test_without_the_key_the_company_s_country_counts(country: str, day: date, off: bool) -> None:
    number = {"ES": "+34910000001", "US": "+12125550123", "CO": "+576012345678"}[country]
    plan, _ = planned("name: a\nflow: reminder", (number,), Company(country, "UTC"))
    assert (day in plan.rules.holidays) == bool(off)


def test_a_plan_survives_its_json() -> None:
    for text in (WHOLE, "name: a\nflow: reminder\ncaller_ids: [+34910000001]"):
        plan, _ = planned(text)
        assert plan_of(json.loads(json.dumps(plan_json(plan)))) == plan


def test_a_plan_stored_by_an_older_version_has_defaults_for_what_it_lacks() -> None:
    stored = plan_json(planned(WHOLE)[0])
    for key in ("detector", "ring_timeout", "fallback", "retry", "payment", "record"):
        del stored[key]
    plan = plan_of(stored)
    assert plan.payment == PaymentTerms()
    assert plan.record is False
    assert plan.detector is Detector.TALK
    assert plan.fallback[0].kind is StepKind.REDIAL
    with pytest.raises(PlanError, match="cannot be read"):
        plan_of({"name": "x"})


def test_every_error_names_its_key_and_all_are_said_at_once() -> None:
    said = problems(
        "name: a\nflow: reminder\ncalls_per_second: fast\nring_time: 3\n"
        "retry: {busy: {delay: soon}, machine: sometimes}\nfallback: [redail]\nwindow: monday"
    )
    keys = [line.partition(":")[0] for line in said]
    assert sorted(keys) == [
        "calls_per_second", "fallback.0.redail", "retry.busy.delay", "retry.machine", "ring_time",
        "window",
    ]  # fmt: skip
    assert "15m" in next(line for line in said if line.startswith("retry.busy"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flow: reminder", "name: is missing"),
        ("- a\n- b", "keys and values"),
        ("name: [", "line 1"),
        ("name: a\nflow: x\nname: b", "line 3: the key 'name' is there twice"),
        ("name: a\nflow: x\nretry: {promise: {delay: 1h}}", "promise is never retried"),
        ("name: a\nflow: x\nretry: {invalid_number: never}", "invalid_number is never retried"),
        ("name: a\nflow: x\nwindow: [mon 10:00-09:00]", "ends before it begins"),
        ("name: a\nflow: x\nwindow: [mon 09:00-25:00]", "no time of day"),
        ("name: a\nflow: x\nwindow: [mun 09:00-10:00]", "days are mon"),
        ("name: a\nflow: x\nwindow: []", "never calls"),
        ("name: a\nflow: x\ndefault_timezone: Madrid", "Europe/Madrid"),
        ("name: a\nflow: x\nring_timeout: 1s", "between 5 and 120"),
        ("name: a\nflow: x\ncalls_per_second: 0", "greater than 0"),
        ("name: a\nflow: x\nlanguage: Spanish", "language"),
        ("name: a/b\nflow: x", "name"),
        ("name: a\nflow: x\npool: p\ncaller_ids: ['1']", "one of them, not both"),
        ("name: a\nflow: x\nfallback: [{redial: {}, sms: {}}]", "one of redial, sms, retry"),
        ("name: a\nflow: x\nretry: {busy: {delay: -5}}", "retry.busy.delay"),
        ("name: a\nflow: x\npayment: {minimum: 10}", "payment.minimum: write an amount with its"),
        ("name: a\nflow: x\npayment: {minimum: 1.005 EUR}", "EUR has 2 decimals"),
        ("name: a\nflow: x\npayment: {minimum: 5.5 CLP}", "CLP has 0 decimals"),
        ("name: a\nflow: x\npayment: {minimum: 5 XYZ}", "XYZ is none of EUR"),
        ("name: a\nflow: x\npayment: {minimum_percent: 0}", "payment.minimum_percent"),
        ("name: a\nflow: x\npayment: {instalments: 1}", "one instalment is the whole"),
        ("name: a\nflow: x\npayment: {instalment: 3}", "payment.instalment: there is no such key"),
        ("name: a\nflow: x\nrecord: perhaps", "record"),
    ],
)
def test_mistakes_are_told(text: str, says: str) -> None:
    assert says in "\n".join(problems(text))


@pytest.mark.parametrize(
    ("text", "minor", "currency"),
    [
        ("10 EUR", 1000, "EUR"),
        ("10.5 eur", 1050, "EUR"),
        ("0.01 USD", 1, "USD"),
        ("5000 CLP", 5000, "CLP"),
    ],
)
def test_the_least_part_is_in_major_units(text: str, minor: int, currency: str) -> None:
    assert parse_amount(text) == (minor, currency)


def test_the_least_part_holds_in_its_own_currency_only() -> None:
    terms = PaymentTerms("test", 25, 1550, 3, "EUR")
    assert terms.in_currency("EUR") == terms
    assert terms.in_currency("CLP") == PaymentTerms("test", 25, 0, 3)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        read_campaign_file(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"flow": "reminderr"}, "flow: there is no flow 'reminderr'; known: reminder, second_try"),
        ({"trunk": "sip9"}, "trunk: there is no trunk 'sip9'; known: carrier"),
        ({"gateway": "strype"}, "gateway: there is no gateway 'strype'; known: stripe, test"),
    ],
)
def test_unknown_names_are_refused(change: dict[str, str], says: str) -> None:
    file = parse_campaign(WHOLE).model_copy(update=change)
    with pytest.raises(PlanError) as caught:
        make_plan(file, FIXED, SPAIN, KNOWN, TODAY)
    assert says in caught.value.problems


def test_unknown_names_inside_fallback_steps_are_refused() -> None:
    file = parse_campaign(
        "name: a\nflow: reminder\nfallback: [{redial: {flow: no}}, {sms: {template: nope}}]"
    )
    with pytest.raises(PlanError) as caught:
        make_plan(file, FIXED, SPAIN, KNOWN, TODAY)
    assert [line.partition(":")[0] for line in caught.value.problems] == [
        "fallback.0.redial.flow",
        "fallback.1.sms.template",
    ]


def _caller_ids(numbers: tuple[str, ...], country: str, today: date) -> str:
    file = CampaignFile(name="a", flow="reminder")
    try:
        make_plan(file, numbers, Company(country, "UTC"), KNOWN, today)
    except PlanError as error:
        return str(error)
    return ""


def test_a_spanish_mobile_is_no_caller_id_in_spain_since_the_order_took_effect() -> None:
    mobile = ("+34612345678", "+34910000001")
    assert "TDF/149/2025" in _caller_ids(mobile, "ES", date(2025, 6, 7))
    assert _caller_ids(mobile, "ES", date(2025, 6, 6)) == ""
    assert _caller_ids(mobile, "PE", date(2026, 1, 1)) == ""
    assert _caller_ids(("+34900123456", "910000001"), "ES", TODAY) == ""


@pytest.mark.parametrize("number", ["123", "+34999999999999", "hello", "+349100000"])
def test_what_is_no_number_is_no_caller_id(number: str) -> None:
    assert "caller_ids" in _caller_ids((number,), "ES", TODAY)


def test_no_caller_id_at_all_is_refused_and_a_single_one_warned_about() -> None:
    assert "none" in _caller_ids((), "ES", TODAY)
    _, warnings = planned("name: a\nflow: reminder", FIXED[:1])
    assert any("only one caller ID" in line for line in warnings)
    _, warnings = planned("name: a\nflow: reminder\nfallback: [sms]", FIXED[:1])
    assert warnings == []


def test_what_is_wider_than_the_country_s_rules_is_warned_about() -> None:
    _, warnings = planned("name: a\nflow: reminder\nwindow: mon-sun 09:00-21:00", FIXED)
    assert any(line.startswith("window: wider than mon-fri 09:00-21:00") for line in warnings)
    _, warnings = planned("name: a\nflow: reminder\nmax_per_week: 8", FIXED)
    assert any(line.startswith("max_per_week: 8 is more than 7") for line in warnings)
    _, warnings = planned("name: a\nflow: reminder\nwindow: mon-fri 10:00-20:00", FIXED)
    assert warnings == []


def test_a_country_without_a_row_gets_the_cautious_window() -> None:
    plan, _ = planned("name: a\nflow: reminder", ("+33140000000", "+33140000001"),
                      Company("FR", "Europe/Paris"))  # fmt: skip
    assert {(w.start, w.end) for w in plan.rules.window} == {(time(9), time(19))}
    assert {w.weekday for w in plan.rules.window} == {0, 1, 2, 3, 4}


# --- durations and windows -----------------------------------------------------------------


@given(st.integers(0, 9999), st.sampled_from("smhd"))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    factor = {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert parse_duration(f"{number}{unit}") == number * factor
    assert parse_duration(number) == parse_duration(str(number)) == number


@pytest.mark.parametrize("text", ["", "m", "5x", "5 m 3", "1h2", "-5m", "1e3", "٣s", "5mm"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a duration"):
        parse_duration(text)


def test_days_may_be_ranges_lists_and_go_over_the_week_s_end() -> None:
    assert [w.weekday for w in parse_window(["sat-mon 09:00-10:00"])] == [0, 5, 6]
    assert [w.weekday for w in parse_window(["MON, wed-thu 9:00 - 10:00"])] == [0, 2, 3]
    assert parse_window(["sun 00:00-24:00"]) == (DayWindow(6, time(), time()),)


# --- what docs/campaigns.md and the sample say -----------------------------------------------

DOCS = (ROOT / "docs" / "campaigns.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCS.splitlines() if line.startswith("|")]  # fmt: skip


def test_every_key_is_explained() -> None:
    explained = {word for row in ROWS for word in re.findall(r"`([a-z_]+)`", row[0])}
    assert set(CampaignFile.model_fields) <= explained


def test_the_default_retries_are_those_of_the_page() -> None:
    written = {row[0].strip("`"): row[1:] for row in ROWS if len(row) == 5}
    for kind, rule in DEFAULT_RETRY.items():
        delay, growth, longest, calls = written[kind.value]
        assert (
            RetryRule(parse_duration(delay), float(growth), parse_duration(longest), int(calls))
            == rule
        )


def test_the_rules_by_country_are_those_of_the_page() -> None:
    written = {row[0]: row for row in ROWS if len(row) == 4}
    for code, rules in COUNTRIES.items():
        _, window, caps, source = written[code]
        assert caps == f"{rules.max_per_day}, {rules.max_per_week}"
        assert source == rules.source
        hours = [
            (time(int(start)), time(int(end)))
            for start, end in re.findall(r"([0-9]+)-([0-9]+)", window)
        ]
        assert {(w.start, w.end) for w in parse_window(rules.window)} == set(hours)


def test_the_sample_is_a_campaign_without_warnings() -> None:
    file = read_campaign_file(ROOT / "docs" / "samples" / "campaign.yaml")
    plan, warnings = make_plan(file, FIXED, SPAIN, KNOWN, TODAY)
    assert warnings == []
    assert plan.fallback[0].flow == "second_try"
