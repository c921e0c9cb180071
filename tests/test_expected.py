"""What personas come to in a campaign, worked out by hand for each row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from world import plan

from dialer.domain.model import CampaignPlan, FallbackStep, LineType, RetryRule, StepKind
from dialer.domain.model import Disposition as D
from dialer.simulation.expected import Line, expect, totals
from dialer.simulation.personas import PERSONAS, named

FIXED = LineType.FIXED
AA = D.ANSWERED_ABANDONED
TWICE = {kind: RetryRule(1, max_attempts=2) for kind in (D.BUSY, D.NO_ANSWER, AA, D.CONGESTION)}
PLAN = plan(retry=TWICE)  # three caller IDs; redial, sms, retry; at most 8 attempts
ONLY_RETRY = replace(PLAN, fallback=(FallbackStep(StepKind.RETRY),))


@pytest.mark.parametrize(
    ("personas", "campaign", "calls", "closed"),
    [
        (["hasty_payer"], PLAN, [D.LINK_SENT], "link_sent"),
        (["busy"], PLAN, [D.BUSY, D.BUSY], "busy"),
        (["busy_then_listens"], PLAN, [D.BUSY, D.LINK_SENT], "link_sent"),
        (["second_time"], PLAN, [D.NO_ANSWER, D.PROMISE], "promise"),
        (["voicemail"], PLAN, [D.MACHINE], "machine"),  # no rule for machines: closed
        (["unallocated"], PLAN, [D.INVALID_NUMBER], "no_phone_left"),
        (["wrong_person"], PLAN, [D.WRONG_PERSON], "no_phone_left"),
        # The redial listens; no message, no retry.
        (["hangs_up_then_listens"], PLAN, [AA, D.PROMISE], "promise"),
        # The redial is abandoned too: that is the second, and two are the most.
        (["hangs_up_always"], PLAN, [AA, AA], "answered_abandoned"),
        # Without a redial in the plan the ordinary retry is what listens.
        (["hangs_up_then_listens"], ONLY_RETRY, [AA, D.PROMISE], "promise"),
        (["hangs_up_always"], replace(PLAN, max_attempts=1), [AA], "attempts_exhausted"),
        # Two phones: the next one after no answer, the same one after an answer.
        (["no_answer", "hasty_payer"], PLAN, [D.NO_ANSWER, D.LINK_SENT], "link_sent"),
        (["busy", "no_answer"], PLAN, [D.BUSY, D.NO_ANSWER, D.BUSY], "busy"),
        (["unallocated", "hasty_payer"], PLAN, [D.INVALID_NUMBER, D.LINK_SENT], "link_sent"),
        (["wrong_person", "unallocated"], PLAN, [D.WRONG_PERSON, D.INVALID_NUMBER],
         "no_phone_left"),
        (["second_caller_id"], PLAN, [D.NO_ANSWER, D.LINK_SENT], "link_sent"),
        (["second_caller_id"], replace(PLAN, caller_ids=PLAN.caller_ids[:1]),
         [D.NO_ANSWER, D.NO_ANSWER], "no_answer"),
    ],
)  # fmt: skip
def test_a_lead_comes_to_what_its_personas_and_the_plan_say(
    personas: list[str], campaign: CampaignPlan, calls: list[D], closed: str
) -> None:
    found = expect([Line(named(name)) for name in personas], campaign)
    assert (found.calls, found.closed) == (calls, closed)


def test_the_steps_of_the_fallback_are_counted_with_their_refusals() -> None:
    mobile = expect([Line(named("hangs_up_always"))], PLAN)
    assert (mobile.redials, mobile.messages, dict(mobile.refused)) == (1, 1, {})
    fixed = expect([Line(named("hangs_up_always"), FIXED)], PLAN)
    assert (fixed.redials, fixed.messages) == (1, 0)
    assert dict(fixed.refused) == {("sms", "not_mobile"): 1}
    alone = expect([Line(named("hangs_up_always"))], replace(PLAN, caller_ids=("+34910000001",)))
    assert (alone.redials, alone.messages) == (0, 2)
    assert dict(alone.refused) == {("redial", "no_caller_id"): 2}
    last = expect([Line(named("hangs_up_always"))], replace(PLAN, max_attempts=1))
    assert (last.redials, last.messages) == (0, 1)
    assert dict(last.refused) == {("redial", "attempts_exhausted"): 1}
    reached = expect([Line(named("hangs_up_then_listens"))], PLAN)
    assert (reached.redials, reached.messages) == (1, 0)


def test_no_link_goes_to_a_landline() -> None:
    assert expect([Line(named("hasty_payer"), FIXED)], PLAN).final is D.INCOMPLETE


def test_the_first_caller_id_comes_round_again() -> None:
    patient = replace(PLAN, retry={D.LINK_SENT: RetryRule(1), D.NO_ANSWER: RetryRule(1)})
    line = Line(replace(named("second_caller_id"), expects=(D.NO_ANSWER, D.BUSY)))
    many = replace(patient, retry={D.NO_ANSWER: RetryRule(1), D.BUSY: RetryRule(1, max_attempts=9)},
                   max_attempts=5)  # fmt: skip
    assert expect([line], many).calls == [D.NO_ANSWER, D.BUSY, D.BUSY, D.NO_ANSWER, D.BUSY]


def test_every_persona_comes_to_an_end_whatever_the_line() -> None:
    for persona in PERSONAS.values():
        for kind in LineType:
            found = expect([Line(persona, kind)], PLAN)
            assert found.closed
            assert 1 <= len(found.calls) <= PLAN.max_attempts


def test_the_totals_add_up() -> None:
    leads = [expect([Line(named(name))], PLAN) for name in ("busy", "hangs_up_always", "payer")]
    found = totals(leads)
    assert found["attempts"] == 5
    assert found["dispositions"] == {"busy": 2, "answered_abandoned": 2, "link_sent": 1}
    assert found["finals"] == {"busy": 1, "answered_abandoned": 1, "link_sent": 1}
    assert found["fallbacks"] == {
        "redial": {"count": 1, "refused": {}},
        "sms": {"count": 1, "refused": {}},
    }
