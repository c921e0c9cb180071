"""From the headers of one AMI event to a typed event of ``dialer.domain.events``.

Pure. Names of events and headers are Asterisk's (20 to 22). ``TechCause`` of Hangup, the final
SIP status, came with Asterisk 22; without it ``sip_status`` is None and the Q.850 cause decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from dialer.domain import events as ev
from dialer.domain.model import AgentCallResult, DetectionResult, Outcome
from dialer.switch import names

Headers = Mapping[str, str]
"""Case-insensitive; a header that is not there raises KeyError."""


class Garbage(Exception):
    """An event that is not as Asterisk makes them."""


def parse_event(name: str, headers: Headers) -> ev.CallEvent | None:
    """The typed event, or None for one that tells the dialer nothing. Raises Garbage."""
    make = _MAKERS.get(name)
    if make is None:
        return None
    try:
        return make(headers)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise Garbage(f"{name}: {type(error).__name__}") from error


def moment(headers: Headers) -> datetime:
    """Asterisk's wall clock when it made the event, aware UTC, microseconds."""
    return datetime.fromtimestamp(float(headers["Timestamp"]), UTC)


def _cause(headers: Headers) -> int | None:
    """The Q.850 cause; Asterisk writes 0 where it has none."""
    return int(headers["Cause"]) or None


def _status(headers: Headers) -> int | None:
    text = headers.get("TechCause", "")
    status = int(text) if text else 0
    return status if 300 <= status <= 699 else None


def _dial_begun(headers: Headers) -> ev.CallEvent:
    return ev.DialBegun(headers["DestUniqueid"], moment(headers))


def _dial_state(headers: Headers) -> ev.CallEvent | None:
    if headers["DialStatus"] not in ("RINGING", "PROGRESS"):
        return None
    return ev.Ringing(headers["DestUniqueid"], moment(headers))


def _new_state(headers: Headers) -> ev.CallEvent | None:
    if headers["ChannelState"] != "6":  # AST_STATE_UP
        return None
    return ev.Answered(headers["Uniqueid"], moment(headers))


def _talking_start(headers: Headers) -> ev.CallEvent:
    return ev.TalkingStarted(headers["Uniqueid"], moment(headers))


def _talking_stop(headers: Headers) -> ev.CallEvent:
    seconds = max(0, int(headers["Duration"])) / 1000
    return ev.TalkingStopped(headers["Uniqueid"], moment(headers), seconds)


def _hangup_request(headers: Headers) -> ev.CallEvent:
    # An answered call's BYE carries no cause unless the far end gave a Reason.
    cause = _cause(headers) if "Cause" in headers else None
    return ev.HangupRequested(headers["Uniqueid"], moment(headers), cause)


def _hangup(headers: Headers) -> ev.CallEvent:
    return ev.Ended(headers["Uniqueid"], moment(headers), _cause(headers), _status(headers))


def _user_event(headers: Headers) -> ev.CallEvent | None:
    if headers["UserEvent"] != names.FLOW_EVENT:
        return None
    attempt, at, kind = headers["Uniqueid"], moment(headers), headers[names.H_KIND]
    if kind == names.KIND_PROMPT:
        return ev.PromptReached(attempt, at, headers[names.H_NODE], headers[names.H_PROMPT])
    if kind == names.KIND_KEY:
        return ev.KeyPressed(attempt, at, headers[names.H_NODE], headers[names.H_KEY])
    if kind == names.KIND_IDENTITY:
        return ev.IdentityConfirmed(attempt, at)
    if kind == names.KIND_OUTCOME:
        return ev.OutcomeReported(attempt, at, Outcome(headers[names.H_OUTCOME]))
    if kind == names.KIND_DETECTED:
        reason = headers.get(names.H_REASON, "")
        return ev.Detected(attempt, at, DetectionResult(headers[names.H_RESULT]), reason)
    if kind == names.KIND_PAYMENT:
        return _payment(headers, attempt, at)
    if kind == names.KIND_ESCALATED:
        return ev.Escalated(
            attempt,
            at,
            headers.get(names.H_SKILL, ""),
            headers.get(names.H_REASON, ""),
            int(headers.get(names.H_RANK, "0")),
        )
    if kind == names.KIND_QUEUE:
        return ev.QueueEnded(attempt, at, AgentCallResult(headers[names.H_RESULT]))
    if kind == names.KIND_ABANDONED:
        return ev.AbandonedPlayed(attempt, at)
    if kind == names.KIND_INBOUND:
        return ev.InboundCommitted(attempt, at)
    raise ValueError("unknown kind")


def _payment(headers: Headers, attempt: str, at: datetime) -> ev.CallEvent:
    digits = headers.get(names.H_DIGITS, "")
    return ev.PaymentProgress(
        attempt,
        at,
        step=headers.get(names.H_STEP, ""),
        digits=int(digits) if digits else None,
        error=headers.get(names.H_ERROR, ""),
        result=headers.get(names.H_RESULT, ""),
    )


def _conference_joined(headers: Headers) -> ev.CallEvent:
    return ev.ConferenceJoined(
        headers["Uniqueid"], moment(headers), headers["Conference"], headers["Channel"]
    )


def _conference_left(headers: Headers) -> ev.CallEvent:
    return ev.ConferenceLeft(
        headers["Uniqueid"], moment(headers), headers["Conference"], headers["Channel"]
    )


_MAKERS: dict[str, Callable[[Headers], ev.CallEvent | None]] = {
    "DialBegin": _dial_begun,
    "DialState": _dial_state,
    "Newstate": _new_state,
    "ChannelTalkingStart": _talking_start,
    "ChannelTalkingStop": _talking_stop,
    "HangupRequest": _hangup_request,
    "Hangup": _hangup,
    "UserEvent": _user_event,
    "ConfbridgeJoin": _conference_joined,
    "ConfbridgeLeave": _conference_left,
}
