"""What made-up debtors should come to, from their personas and the campaign's plan alone.

Worked out on paper, as it were: by its own small tables and without the code that runs a
campaign, so that the two can be held against each other. Contact caps and calling hours are
taken to stand open, as on a simulated network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from dialer.domain.model import CampaignPlan, Disposition, LineType, StepKind
from dialer.simulation.persona import Memory, Persona

D = Disposition

ENDS_LEAD = frozenset(
    {
        D.REFUSED_IDENTITY,
        D.PROMISE,
        D.LINK_SENT,
        D.OPTED_OUT,
        D.WANTS_AGENT,
        D.CALLBACK,
        D.PAID,
    }
)
"""The debtor was spoken with."""
ENDS_NUMBER = frozenset({D.INVALID_NUMBER, D.WRONG_PERSON})
"""The number is not the debtor's: it is never called again."""
SAME_NUMBER_NEXT = frozenset({D.MACHINE, D.ANSWERED_ABANDONED, D.NO_INPUT, D.INCOMPLETE})
"""Somebody or something picked up there: the next try goes to the same number."""
REDIAL_REACHED = ENDS_LEAD | {D.NO_INPUT, D.INCOMPLETE, D.WRONG_PERSON}
"""A redial that ended so was answered and listened to: no further step follows."""


@dataclass(frozen=True, slots=True)
class Line:
    """One phone of a lead and who lives there."""

    persona: Persona
    line_type: LineType = LineType.MOBILE


@dataclass(slots=True)
class Expected:
    """What a lead comes to: its calls in order, how it is closed, and the fallback's steps."""

    calls: list[Disposition] = field(default_factory=list)
    closed: str = ""
    redials: int = 0
    messages: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def final(self) -> Disposition | None:
        """The disposition of the last call."""
        return self.calls[-1] if self.calls else None


@dataclass(slots=True)
class _Lead:
    plan: CampaignPlan
    lines: list[Line]
    at: int = 0
    called: Counter[int] = field(default_factory=Counter)  # by id() of the line
    found: Expected = field(default_factory=Expected)


def expect(lines: Sequence[Line], plan: CampaignPlan) -> Expected:
    """The lead with these phones, in order of position, in a campaign with this plan."""
    lead = _Lead(plan, list(lines))
    while not lead.found.closed:
        line = lead.lines[lead.at % len(lead.lines)]
        said = _call(lead, line)
        if said is D.ANSWERED_ABANDONED:
            said = _fallback(lead, line)
        _follow(lead, line, said)
    return lead.found


def _call(lead: _Lead, line: Line) -> Disposition:
    """Call this line once more."""
    lead.called[id(line)] += 1
    nth = lead.called[id(line)]
    if line.persona.memory is Memory.CALLER_ID:
        # The number shown is the one unseen for longest: the first comes round again.
        nth = 1 if (nth - 1) % len(lead.plan.caller_ids) == 0 else 2
    said = line.persona.expected_at(nth)
    if said is D.LINK_SENT and line.line_type is not LineType.MOBILE:
        said = D.INCOMPLETE  # no link goes to a landline, and nobody presses on
    lead.found.calls.append(said)
    return said


def _fallback(lead: _Lead, line: Line) -> Disposition:
    """Answered and hung up: walk the steps; the disposition that stands at the end."""
    said = D.ANSWERED_ABANDONED
    for step in lead.plan.fallback:
        if step.kind is StepKind.RETRY:
            break
        if step.kind is StepKind.SMS:
            if line.line_type is LineType.MOBILE:
                lead.found.messages += 1
                break
            lead.found.refused["sms", "not_mobile"] += 1
        elif len(lead.found.calls) >= lead.plan.max_attempts:
            lead.found.refused["redial", "attempts_exhausted"] += 1
        elif lead.called[id(line)] >= len(lead.plan.caller_ids):
            lead.found.refused["redial", "no_caller_id"] += 1
        else:
            lead.found.redials += 1
            said = _call(lead, line)
            if said in REDIAL_REACHED:
                break
    return said


def _follow(lead: _Lead, line: Line, said: Disposition) -> None:
    """Close the lead, or say which number is next."""
    found, plan = lead.found, lead.plan
    if said in ENDS_NUMBER:
        lead.lines.remove(line)
        if not lead.lines:
            found.closed = "no_phone_left"
        elif len(found.calls) >= plan.max_attempts:
            found.closed = "attempts_exhausted"
        lead.at += 1
        return
    if said in ENDS_LEAD:
        found.closed = said.value
        return
    if len(found.calls) >= plan.max_attempts:
        found.closed = "attempts_exhausted"
        return
    rule = plan.retry.get(said)
    if rule is None or found.calls.count(said) >= rule.max_attempts:
        found.closed = said.value
        return
    if said not in SAME_NUMBER_NEXT:
        lead.at += 1


def totals(leads: Sequence[Expected]) -> dict[str, object]:
    """All of them together: calls by disposition, leads by final one, the fallback's steps."""
    refused: Counter[tuple[str, str]] = Counter()
    for one in leads:
        refused += one.refused

    def reasons(kind: str) -> dict[str, int]:
        return {reason: count for (of, reason), count in sorted(refused.items()) if of == kind}

    calls = Counter(said.value for one in leads for said in one.calls)
    finals = Counter(one.final.value for one in leads if one.final is not None)
    return {
        "attempts": calls.total(),
        "dispositions": dict(calls.most_common()),
        "finals": dict(finals.most_common()),
        "fallbacks": {
            "redial": {"count": sum(one.redials for one in leads), "refused": reasons("redial")},
            "sms": {"count": sum(one.messages for one in leads), "refused": reasons("sms")},
        },
    }
