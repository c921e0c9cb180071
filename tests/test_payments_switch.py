"""What the engine says to, and hears from, the switch about payments."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_domain_attempt import attempt
from world import plan

from dialer.domain.attempt import advance
from dialer.domain.events import (
    AbandonedPlayed,
    CallEvent,
    ConferenceJoined,
    ConferenceLeft,
    Escalated,
    InboundCommitted,
    PaymentProgress,
    QueueEnded,
)
from dialer.domain.model import AttemptState
from dialer.engine.campaigns import channel_variables
from dialer.switch import names
from dialer.switch.parsing import parse_event


def test_masked_news_of_a_payment_are_told_and_move_no_call_on() -> None:
    headers = {
        "UserEvent": names.FLOW_EVENT, "Uniqueid": "a" * 32, "Timestamp": "1700000000.5",
        names.H_KIND: names.KIND_PAYMENT, names.H_NODE: "card",
        names.H_STEP: "payment-card-number", names.H_DIGITS: "7",
    }  # fmt: skip
    event = parse_event("UserEvent", headers)
    assert isinstance(event, PaymentProgress)
    assert (event.step, event.digits) == ("payment-card-number", 7)
    one = attempt(state=AttemptState.ANSWERED)
    assert advance(one, replace(event, attempt_id=one.id)) == (one, ())


def test_who_joins_and_leaves_a_conference_is_told() -> None:
    headers = {
        "Uniqueid": "b" * 32, "Timestamp": "1700000000.5",
        "Conference": "c" * 32, "Channel": "PJSIP/carrier-00000001",
    }  # fmt: skip
    joined = parse_event("ConfbridgeJoin", headers)
    left = parse_event("ConfbridgeLeave", headers)
    assert isinstance(joined, ConferenceJoined)
    assert isinstance(left, ConferenceLeft)
    assert (joined.conference, joined.attempt_id) == ("c" * 32, "b" * 32)
    assert left.channel == "PJSIP/carrier-00000001"


@pytest.mark.parametrize(
    ("kind", "headers", "expected"),
    [
        (
            names.KIND_ESCALATED,
            {names.H_SKILL: "debt", names.H_REASON: "menu", names.H_RANK: "53"},
            Escalated,
        ),
        (names.KIND_QUEUE, {names.H_RESULT: "callback"}, QueueEnded),
        (names.KIND_ABANDONED, {}, AbandonedPlayed),
        (names.KIND_INBOUND, {}, InboundCommitted),
    ],
)
def test_what_the_ivr_says_about_agents(
    kind: str, headers: dict[str, str], expected: type[CallEvent]
) -> None:
    about = {
        "UserEvent": names.FLOW_EVENT,
        "Uniqueid": "a" * 32,
        "Timestamp": "1700000000.5",
        names.H_KIND: kind,
    }
    assert isinstance(parse_event("UserEvent", about | headers), expected)


@pytest.mark.parametrize(("record", "said"), [(True, "1"), (False, "0")])
def test_whether_a_call_is_recorded_is_said_at_its_start(record: bool, said: str) -> None:
    variables = channel_variables(plan(record=record), "second_try")
    assert (variables[names.VAR_RECORD], variables[names.VAR_FLOW]) == (said, "second_try")
    assert set(variables) == set(names.ORIGINATE_VARIABLES)
