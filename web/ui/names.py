"""How the values of the domain are called on pages, in the language of the request.

Each function takes a value (the enum or its text, as the database has it) and gives words; what
has no name of its own is shown as it stands, with spaces. Names say what happened to the debtor,
not how the code calls it.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from web.ui.words import gettext as _


def _of(value: object, names: dict[str, str]) -> str:
    if value is None or value == "":
        return "–"
    return names.get(str(value)) or str(value).replace("_", " ").replace("-", " ")


def disposition_name(value: str | None) -> str:
    """Of a Disposition, or of an Outcome, which are called the same."""
    return _of(
        value,
        {
            "busy": _("Busy"),
            "no_answer": _("No answer"),
            "congestion": _("Network congested"),
            "rejected": _("Rejected"),
            "invalid_number": _("Number does not exist"),
            "failed": _("Call failed"),
            "machine": _("Answering machine"),
            "answered_abandoned": _("Answered and hung up"),
            "no_input": _("Listened, no key"),
            "incomplete": _("Left halfway"),
            "wrong_person": _("Wrong person"),
            "refused_identity": _("Did not identify"),
            "promise": _("Promise to pay"),
            "link_sent": _("Payment link sent"),
            "opted_out": _("Asked not to be called"),
            "wants_agent": _("Asked for an agent"),
            "callback": _("Wants to be called back"),
            "paid": _("Paid"),
            "spoke": _("Spoke with an agent"),
            "abandoned": _("Answered, no agent free"),
        },
    )


outcome_name = disposition_name


def campaign_state_name(value: str | None) -> str:
    """Of a CampaignState."""
    return _of(
        value,
        {
            "draft": _("Draft"),
            "running": _("Running"),
            "paused": _("Paused"),
            "stopped": _("Stopped"),
            "finished": _("Finished"),
        },
    )


def lead_state_name(value: str | None) -> str:
    """Of a LeadState."""
    return _of(value, {"waiting": _("Waiting"), "claimed": _("Being called"), "done": _("Done")})


def attempt_state_name(value: str | None) -> str:
    """Of an AttemptState."""
    return _of(
        value,
        {
            "created": _("About to dial"),
            "dialling": _("Dialling"),
            "ringing": _("Ringing"),
            "answered": _("On the line"),
            "ended": _("Ended"),
        },
    )


def closed_name(value: str | None) -> str:
    """Why a lead is not called any more."""
    own = {
        "no_phone_left": _("No usable number left"),
        "attempts_exhausted": _("All attempts used"),
        "no_phone": _("No usable number"),
        "do_not_call": _("On the do-not-call list"),
    }
    return own.get(str(value)) or disposition_name(value)


def dial_mode_name(value: str | None) -> str:
    """Of a DialMode."""
    return _of(
        value,
        {
            "agentless": _("Automatic, without agents"),
            "preview": _("Preview"),
            "progressive": _("Progressive"),
            "power": _("Power"),
            "adaptive": _("Adaptive"),
            "predictive": _("Predictive"),
        },
    )


def agent_state_name(value: str | None) -> str:
    """Of an AgentState."""
    return _of(
        value,
        {
            "logged_out": _("Logged out"),
            "available": _("Available"),
            "reserved": _("Call on its way"),
            "talking": _("Talking"),
            "wrap_up": _("Finishing a call"),
            "paused": _("On a break"),
        },
    )


def agent_call_kind_name(value: str | None) -> str:
    """Of an AgentCallKind: why a debtor comes to an agent."""
    return _of(
        value,
        {
            "escalation": _("From the automatic call"),
            "predictive": _("Dialled for agents"),
            "preview": _("Called by the agent"),
            "inbound": _("The debtor called"),
            "callback": _("Agreed call"),
            "transfer": _("Passed on by a colleague"),
        },
    )


def agent_call_result_name(value: str | None) -> str:
    """Of an AgentCallResult: how the wait for an agent ended."""
    return _of(
        value,
        {
            "served": _("Attended"),
            "abandoned": _("No agent in time"),
            "gave_up": _("Hung up while waiting"),
            "callback": _("Will be called back"),
            "link": _("Got a payment link"),
            "machine": _("Answering machine"),
            "timeout": _("Waited too long"),
            "lost": _("Not known"),
        },
    )


def detection_name(value: str | None) -> str:
    """Of a DetectionResult: who or what answered."""
    return _of(
        value,
        {
            "person": _("A person"),
            "machine": _("Answering machine"),
            "fax": "Fax",
            "unknown": _("Not known"),
        },
    )


def machine_action_name(value: str | None) -> str:
    """Of a MachineAction."""
    return _of(value, {"hang_up": _("Hang up"), "leave_message": _("Leave a message")})


def detector_name(value: str | None) -> str:
    """Of a Detector."""
    return _of(
        value,
        {
            "talk": _("By how they speak, during the greeting"),
            "app_amd": _("Asterisk's AMD, before the greeting"),
            "none": _("None"),
        },
    )


def line_type_name(value: str | None) -> str:
    """Of a LineType."""
    return _of(
        value,
        {
            "mobile": _("Mobile"),
            "fixed": _("Landline"),
            "fixed_or_mobile": _("Landline or mobile"),
            "other": _("Other line"),
            "unknown": _("Unknown line"),
        },
    )


def channel_name(value: str | None) -> str:
    """Of a Channel."""
    return _of(value, {"voice": _("Call"), "sms": "SMS"})


def message_state_name(value: str | None) -> str:
    """Of a MessageState."""
    return _of(
        value,
        {
            "pending": _("To be sent"),
            "sending": _("Being sent"),
            "sent": _("Sent"),
            "delivered": _("Delivered"),
            "undelivered": _("Not delivered"),
            "failed": _("Not sent"),
        },
    )


def payment_state_name(value: str | None) -> str:
    """Of a PaymentState."""
    return _of(
        value,
        {
            "created": _("Begun"),
            "sending": _("On its way to the bank"),
            "approved": _("Approved"),
            "declined": _("Declined"),
            "needs_action": _("The bank asks for more"),
            "unknown": _("Not known yet"),
            "not_charged": _("Not charged"),
            "misconfigured": _("Gateway set up wrongly"),
        },
    )


def payment_outcome_name(value: str | None) -> str:
    """Of a PaymentOutcome: what the gateway said."""
    return _of(
        value,
        {
            "approved": _("Approved"),
            "declined-soft": _("Declined, another card may do"),
            "declined-hard": _("Declined, not to be tried again"),
            "needs-action": _("The bank asks for more"),
            "unknown": _("Not known yet"),
            "configuration-error": _("Gateway set up wrongly"),
        },
    )


def payment_source_name(value: str | None) -> str:
    """Of a PaymentSource."""
    return _of(value, {"call": _("In the call"), "link": _("By link")})


def refund_state_name(value: str | None) -> str:
    """Of a RefundLife."""
    return _of(
        value,
        {
            "created": _("Begun"),
            "sending": _("On its way to the bank"),
            "done": _("Given back"),
            "pending": _("With the bank"),
            "refused": _("Refused"),
            "unknown": _("Not known yet"),
        },
    )


def pay_result_name(value: str | None) -> str:
    """Of a PayResult: how the asking for a card ended."""
    return _of(
        value,
        {
            "success": _("Paid"),
            "too-many-failed-attempts": _("Too many mistakes"),
            "payment-connector-error": _("The gateway failed"),
            "caller-interrupted-with-star": _("Left with the star key"),
            "caller-hung-up": _("Hung up"),
            "internal-error": _("Our mistake"),
            "declined": _("Declined"),
            "needs-action": _("The bank asks for more"),
            "gateway-timeout-unknown": _("Not known yet"),
            "limit-reached": _("Too many cards or tries"),
            "nothing-owed": _("Nothing to pay"),
            "card-entry-unavailable": _("Card entry not available"),
            "wants-agent": _("Asked for an agent"),
            "wants-link": _("Asked for a link"),
        },
    )


def pay_step_name(value: str | None) -> str:
    """Of a PayStep: where the asking for a card stands."""
    return _of(
        value,
        {
            "amount-choice": _("Whole or part"),
            "amount": _("Amount"),
            "agree": _("Agreeing"),
            "payment-card-number": _("Card number"),
            "expiration-date": _("Expiry date"),
            "security-code": _("Security code"),
            "postal-code": _("Postal code"),
            "confirm": _("Confirming"),
            "payment-processing": _("Waiting for the bank"),
            "result": _("Result"),
        },
    )


def callback_state_name(value: str | None) -> str:
    """Of a CallbackState."""
    return _of(
        value,
        {
            "due": _("Agreed"),
            "taken": _("Being called"),
            "done": _("Done"),
            "cancelled": _("Cancelled"),
        },
    )


def step_kind_name(value: str | None) -> str:
    """Of a StepKind: what follows a call that was answered and hung up."""
    return _of(
        value,
        {
            "redial": _("Call again at once, from another number"),
            "sms": _("Send an SMS at once"),
            "retry": _("Call again later"),
        },
    )


def refusal_name(value: str | None) -> str:
    """Of a Refusal: why a contact was not allowed."""
    return _of(
        value,
        {
            "outside_window": _("Outside the permitted hours there"),
            "daily_cap": _("Contacted enough for today"),
            "weekly_cap": _("Contacted enough for this week"),
            "do_not_call": _("On the do-not-call list"),
            "opted_out": _("Asked not to be contacted"),
            "not_mobile": _("Not known to be a mobile"),
            "no_caller_id": _("No number left to call from that they have not seen"),
            "no_phone": _("No usable number"),
            "in_call": _("In another call at that moment"),
            "no_text": _("No text in their language"),
            "paid": _("Nothing is owed any more"),
            "payment_pending": _("A payment is not settled yet"),
            "campaign_not_running": _("The campaign is not running"),
            "attempts_exhausted": _("All attempts used"),
            "abandoned_lockout": _("No agent was free for them a short while ago"),
            "too_late": _("Too late for it: the moment had passed"),
        },
    )


def opt_out_name(value: str | None) -> str:
    """How a number came onto the do-not-call list."""
    return _of(
        value,
        {
            "keypad": _("By keypad in a call"),
            "sms_stop": _("By answering an SMS"),
            "import": _("From a file"),
            "operator": _("Put there by a user"),
        },
    )


def approval_kind_name(value: str | None) -> str:
    """Of an ApprovalKind."""
    return _of(value, {"refund": _("Refund"), "policy": _("Looser rules of contact")})


def approval_state_name(value: str | None) -> str:
    """Of an ApprovalState."""
    return _of(
        value,
        {
            "asked": _("Waiting for a second person"),
            "granted": _("Granted"),
            "refused": _("Refused"),
            "withdrawn": _("Withdrawn"),
        },
    )


NAMES: tuple[Callable[[str | None], str], ...] = (
    disposition_name,
    campaign_state_name,
    lead_state_name,
    attempt_state_name,
    closed_name,
    dial_mode_name,
    agent_state_name,
    agent_call_kind_name,
    agent_call_result_name,
    detection_name,
    machine_action_name,
    detector_name,
    line_type_name,
    channel_name,
    message_state_name,
    payment_state_name,
    payment_outcome_name,
    payment_source_name,
    refund_state_name,
    pay_result_name,
    pay_step_name,
    callback_state_name,
    step_kind_name,
    refusal_name,
    opt_out_name,
    approval_kind_name,
    approval_state_name,
)


def install(app: Flask) -> None:
    """All of them as filters of templates, under their own names."""
    app.jinja_env.filters.update({one.__name__: one for one in NAMES})
    app.jinja_env.filters["outcome_name"] = outcome_name
