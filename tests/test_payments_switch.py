"""What the engine says to, and hears from, the switch about payments."""

from __future__ import annotations

import pytest
from world import plan

from dialer.engine.campaigns import channel_variables
from dialer.switch import names
from dialer.switch.parsing import parse_event


def test_masked_news_of_a_payment_move_no_call_on() -> None:
    headers = {
        "UserEvent": names.FLOW_EVENT, "Uniqueid": "a" * 32, "Timestamp": "1700000000.5",
        names.H_KIND: names.KIND_PAYMENT, names.H_NODE: "card",
        names.H_STEP: "payment-card-number", names.H_DIGITS: "7",
    }  # fmt: skip
    assert parse_event("UserEvent", headers) is None


@pytest.mark.parametrize(("record", "said"), [(True, "1"), (False, "0")])
def test_whether_a_call_is_recorded_is_said_at_its_start(record: bool, said: str) -> None:
    variables = channel_variables(plan(record=record), "second_try")
    assert (variables[names.VAR_RECORD], variables[names.VAR_FLOW]) == (said, "second_try")
    assert set(variables) == set(names.ORIGINATE_VARIABLES)
