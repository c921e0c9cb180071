"""Every value that a page shows has a name."""

from __future__ import annotations

from enum import StrEnum

import pytest
from flask import Flask

from dialer.domain.access import ApprovalKind, ApprovalState
from dialer.domain.model import (
    AgentCallKind,
    AgentCallResult,
    AgentState,
    AttemptState,
    CampaignState,
    Channel,
    DetectionResult,
    Detector,
    DialMode,
    Disposition,
    LeadState,
    LineType,
    MachineAction,
    MessageState,
    Outcome,
    Refusal,
    StepKind,
)
from dialer.domain.payment import PaymentOutcome, PaymentSource, PaymentState, PayResult, PayStep
from dialer.domain.payment_states import RefundLife
from dialer.store.callbacks import CallbackState
from web.ui import frame, names

NAMED: dict[type[StrEnum], object] = {
    Disposition: names.disposition_name,
    Outcome: names.outcome_name,
    CampaignState: names.campaign_state_name,
    LeadState: names.lead_state_name,
    AttemptState: names.attempt_state_name,
    DialMode: names.dial_mode_name,
    AgentState: names.agent_state_name,
    AgentCallKind: names.agent_call_kind_name,
    AgentCallResult: names.agent_call_result_name,
    DetectionResult: names.detection_name,
    MachineAction: names.machine_action_name,
    Detector: names.detector_name,
    LineType: names.line_type_name,
    Channel: names.channel_name,
    MessageState: names.message_state_name,
    PaymentState: names.payment_state_name,
    PaymentOutcome: names.payment_outcome_name,
    PaymentSource: names.payment_source_name,
    RefundLife: names.refund_state_name,
    PayResult: names.pay_result_name,
    PayStep: names.pay_step_name,
    CallbackState: names.callback_state_name,
    StepKind: names.step_kind_name,
    Refusal: names.refusal_name,
    ApprovalKind: names.approval_kind_name,
    ApprovalState: names.approval_state_name,
}


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("language", ["en", "es"])
def test_every_value_has_a_name(kind: type[StrEnum], language: str) -> None:
    """In each language, and no two values of a kind share one."""
    app = Flask(__name__)
    app.secret_key = "test"
    name = NAMED[kind]
    assert callable(name)
    with app.test_request_context(headers={"Accept-Language": language}):
        said = {one: name(one.value) for one in kind}
    plain = {one: one.value.replace("_", " ").replace("-", " ") for one in kind}
    assert [one for one in kind if said[one] == plain[one]] == []
    assert len(set(said.values())) == len(kind)


def test_what_has_no_name_is_shown_as_it_stands() -> None:
    app = Flask(__name__)
    app.secret_key = "test"
    with app.test_request_context(headers={"Accept-Language": "en"}):
        assert names.disposition_name("brand_new") == "brand new"
        assert names.disposition_name(None) == "–"
        assert names.closed_name("paid") == "Paid"
        assert names.closed_name("attempts_exhausted") == "All attempts used"


def test_names_are_filters() -> None:
    app = Flask(__name__)
    frame.install(app)
    assert {one.__name__ for one in names.NAMES} <= set(app.jinja_env.filters)
    assert "outcome_name" in app.jinja_env.filters
