"""The campaign file (YAML) <-> ``CampaignPlan`` <-> the JSON kept in ``campaign.plan``.

A file is read strictly: an unknown or repeated key is an error, every error names its key, and
all of them are said at once. What a file leaves out comes from the company's country
(``dialer.store.countries``) and from ``DEFAULT_RETRY``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from sqlalchemy import Connection, select

from dialer.domain.model import (
    AgentTerms,
    CampaignPlan,
    ContactRules,
    DayWindow,
    Detector,
    DialMode,
    Disposition,
    FallbackStep,
    MachineAction,
    PaymentTerms,
    RetryRule,
    StepKind,
)
from dialer.domain.said import of_error
from dialer.store import countries
from dialer.store.campaign_agents import rings_too_briefly
from dialer.store.campaign_file import CampaignFile, PlanError, RetryEntry, parse_window
from dialer.store.holidays import days_off
from dialer.store.plan_says import PlanSays, PlanWarns, at, key_said
from dialer.store.tables import campaign

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

DEFAULT_RETRY: dict[Disposition, RetryRule] = {
    # Somebody is there now: soon again, but not so soon that the same call is still going on.
    Disposition.BUSY: RetryRule(15 * MINUTE, growth=2.0, max_delay=4 * HOUR, max_attempts=4),
    # Another time of day reaches another part of people's lives.
    Disposition.NO_ANSWER: RetryRule(3 * HOUR, growth=2.0, max_delay=2 * DAY, max_attempts=4),
    # The network's trouble, not the debtor's: they were not disturbed.
    Disposition.CONGESTION: RetryRule(5 * MINUTE, growth=2.0, max_delay=2 * HOUR, max_attempts=5),
    Disposition.FAILED: RetryRule(10 * MINUTE, growth=2.0, max_delay=4 * HOUR, max_attempts=3),
    # They pressed the red button: once more on another day, and no further.
    Disposition.REJECTED: RetryRule(1 * DAY, max_attempts=2),
    Disposition.MACHINE: RetryRule(4 * HOUR, growth=2.0, max_delay=2 * DAY, max_attempts=3),
    # After the fallback of the day has come to nothing.
    Disposition.ANSWERED_ABANDONED: RetryRule(1 * DAY, max_attempts=2),
    Disposition.NO_INPUT: RetryRule(1 * DAY, max_attempts=2),
    # Our fault. Not before the lock-out is over, and not a third time.
    Disposition.ABANDONED: RetryRule(3 * DAY, max_attempts=2),
    Disposition.INCOMPLETE: RetryRule(1 * DAY, max_attempts=2),
}


@dataclass(frozen=True, slots=True)
class Known:
    """What exists here, to hold a file against. ``templates``, ``gateways``: None where it cannot
    be told."""

    flows: Collection[str]
    trunks: Collection[str]
    templates: Collection[str] | None = None
    gateways: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Company:
    """Of the company a campaign is made for, what its plan depends on."""

    country: str
    timezone: str


def make_plan(
    file: CampaignFile, caller_ids: Collection[str], company: Company, known: Known, today: date
) -> tuple[CampaignPlan, list[str]]:
    """The plan behind a file, and warnings to show.

    ``caller_ids``: those of the file or of its pool. Raises PlanError with every problem.
    """
    numbers, problems = _caller_ids(caller_ids, company.country, today)
    problems += _unknown_names(file, known)
    usual = countries.rules_of(company.country)
    window = parse_window(file.window or usual.window)
    agents = file.agents.terms(usual)
    too_brief = rings_too_briefly(agents, file.ring_timeout)
    problems += [] if too_brief is None else [too_brief]
    warnings = countries.doubtful_caller_ids(numbers, company.country, today)
    warnings += _wider_than_usual(file, company.country)
    warnings += file.agents.looser_than(usual, company.country)
    if problems:
        raise PlanError(problems)
    plan = CampaignPlan(
        name=file.name,
        flow=file.flow,
        language=file.language,
        caller_ids=numbers,
        trunk=file.trunk,
        rules=ContactRules(
            window=window,
            max_per_day=file.max_per_day or usual.max_per_day,
            max_per_week=file.max_per_week or usual.max_per_week,
            holidays=days_off(file.holidays, company.country, today),
        ),
        retry=_retry_rules(file),
        fallback=tuple(entry.step() for entry in file.fallback),
        calls_per_second=file.calls_per_second,
        max_concurrent=file.max_concurrent,
        max_attempts=file.max_attempts,
        max_attempts_per_day=file.max_attempts_per_day,
        ring_timeout=file.ring_timeout,
        detector=file.detector,
        on_machine=file.on_machine,
        default_timezone=file.default_timezone or company.timezone,
        payment=file.payment.terms(file.gateway),
        record=file.record,
        agents=agents,
    )
    if not any(step.kind is StepKind.REDIAL for step in plan.fallback):
        return plan, warnings
    if len(numbers) < 2:
        warnings.append(PlanWarns.ONE_CALLER_ID.say())
    return plan, warnings


def _caller_ids(
    texts: Collection[str], country: str, today: date
) -> tuple[tuple[str, ...], list[str]]:
    numbers: list[str] = []
    problems: list[str] = []
    for text in texts:
        try:
            number = countries.parse_caller_id(text, country)
        except ValueError as error:
            problems.append(at("caller_ids", of_error(error)))
            continue
        if number not in numbers:
            numbers.append(number)
    if not texts:
        problems.append(PlanSays.NO_NUMBERS.say())
    problems += [
        at("caller_ids", why) for why in countries.refused_caller_ids(numbers, country, today)
    ]
    return tuple(numbers), problems


def _unknown_names(file: CampaignFile, known: Known) -> list[str]:
    wanted = [("flow", file.flow, known.flows), ("trunk", file.trunk, known.trunks)]
    if file.gateway is not None and known.gateways is not None:
        wanted.append(("gateway", file.gateway, known.gateways))
    for index, entry in enumerate(file.fallback):
        step = entry.step()
        if step.flow is not None:
            wanted.append((f"fallback.{index}.redial.flow", step.flow, known.flows))
        if step.template is not None and known.templates is not None:
            wanted.append((f"fallback.{index}.sms.template", step.template, known.templates))
    return [
        PlanSays.UNKNOWN.say(
            key=key_said(key),
            kind=key_said(key.rpartition(".")[2]),
            name=name,
            known=", ".join(sorted(names)) or "none",
        )
        for key, name, names in wanted
        if name not in names
    ]


def _wider_than_usual(file: CampaignFile, country: str) -> list[str]:
    usual = countries.rules_of(country)
    source = {"country": country, "source": usual.source}
    warnings: list[str] = []
    if file.window and _minutes(file.window) - _minutes(usual.window):
        warnings.append(PlanWarns.WIDER.say(usual=", ".join(usual.window), **source))
    for key, mine, theirs in (
        ("max_per_day", file.max_per_day, usual.max_per_day),
        ("max_per_week", file.max_per_week, usual.max_per_week),
    ):
        if mine is not None and mine > theirs:
            warnings.append(
                PlanWarns.MORE_CONTACTS.say(key=key_said(key), mine=mine, usual=theirs, **source)
            )
    return warnings


def _minutes(window: Collection[str]) -> set[tuple[int, int]]:
    """Every open minute of the week: the plainest way to tell whether one window holds another."""
    return {
        (day.weekday, minute)
        for day in parse_window(window)
        for minute in range(
            day.start.hour * 60 + day.start.minute,
            day.end.hour * 60 + day.end.minute or 24 * 60,
        )
    }


def _retry_rules(file: CampaignFile) -> dict[Disposition, RetryRule]:
    rules = dict(DEFAULT_RETRY)
    for disposition, entry in file.retry.items():
        if isinstance(entry, RetryEntry):
            rules[disposition] = entry.rule()
        else:
            rules.pop(disposition, None)
    return rules


# --- JSON ----------------------------------------------------------------------------------


def plan_json(plan: CampaignPlan) -> dict[str, Any]:
    """The plan as JSON values; ``plan_of`` takes it back without loss."""
    values = dataclasses.asdict(plan)
    rules = values.pop("rules")
    return {
        **values,
        "caller_ids": list(plan.caller_ids),
        "window": [
            {"weekday": d.weekday, "start": d.start.isoformat(), "end": d.end.isoformat()}
            for d in plan.rules.window
        ],
        "max_per_day": rules["max_per_day"],
        "max_per_week": rules["max_per_week"],
        "holidays": sorted(day.isoformat() for day in plan.rules.holidays),
        "retry": {kind.value: dataclasses.asdict(rule) for kind, rule in plan.retry.items()},
        "fallback": [
            {**dataclasses.asdict(step), "kind": step.kind.value} for step in plan.fallback
        ],
        "detector": plan.detector.value,
        "on_machine": plan.on_machine.value,
        "agents": {**values["agents"], "mode": plan.agents.mode.value},
    }


def plan_of(stored: dict[str, Any]) -> CampaignPlan:
    """The plan of ``campaign.plan``; what an older version did not write has its default.

    Raises PlanError when the JSON is none of ours.
    """
    try:
        return _plan_of(dict(stored))
    except (KeyError, TypeError, ValueError) as error:
        raise PlanError([PlanSays.NO_STORED_PLAN.say(why=repr(error))]) from error


def _plan_of(values: dict[str, Any]) -> CampaignPlan:
    rules = ContactRules(
        window=tuple(
            DayWindow(
                day["weekday"], time.fromisoformat(day["start"]), time.fromisoformat(day["end"])
            )
            for day in values.pop("window")
        ),
        max_per_day=values.pop("max_per_day"),
        max_per_week=values.pop("max_per_week"),
        holidays=frozenset(date.fromisoformat(day) for day in values.pop("holidays", ())),
    )
    values["caller_ids"] = tuple(values["caller_ids"])
    values["retry"] = {
        Disposition(kind): RetryRule(**rule) for kind, rule in values.get("retry", {}).items()
    }
    if "agents" not in values:  # of a version that could abandon nobody
        values["retry"].setdefault(Disposition.ABANDONED, DEFAULT_RETRY[Disposition.ABANDONED])
    if "fallback" in values:
        values["fallback"] = tuple(
            FallbackStep(**{**step, "kind": StepKind(step["kind"])}) for step in values["fallback"]
        )
    for key, kind in (("detector", Detector), ("on_machine", MachineAction)):
        if key in values:
            values[key] = kind(values[key])
    values["payment"] = terms_of(values)
    values["agents"] = agent_terms_of(values)
    return CampaignPlan(rules=rules, **values)


def terms_of(stored: Mapping[str, Any]) -> PaymentTerms:
    """What ``campaign.plan`` allows to be paid, the defaults where an older version wrote none.

    Raises TypeError when it is none of ours.
    """
    return PaymentTerms(**stored.get("payment", {}))


def agent_terms_of(stored: Mapping[str, Any]) -> AgentTerms:
    """How ``campaign.plan`` works with agents; without any, where an older version wrote none.

    Raises TypeError, ValueError when it is none of ours.
    """
    values = dict(stored.get("agents", {}))
    if "mode" in values:
        values["mode"] = DialMode(values["mode"])
    return AgentTerms(**values)


def load_plan(connection: Connection, campaign_id: int) -> CampaignPlan:
    """The plan of a campaign. Raises LookupError when there is no such campaign."""
    stored = connection.execute(
        select(campaign.c.plan).where(campaign.c.id == campaign_id)
    ).scalar_one_or_none()
    if stored is None:
        raise LookupError(f"there is no campaign {campaign_id}")
    return plan_of(stored)
