"""Twilio's webhooks: what became of a message, and what a debtor answers.

A webhook counts only if Twilio signed it. It is written down before it is answered: Twilio hears
503 while the database is away, and a repeat changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps

from flask import Blueprint, Response, abort, request
from sqlalchemy import Engine
from twilio.request_validator import (
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)
from twilio.twiml.messaging_response import MessagingResponse

from dialer import metrics
from dialer.config import Settings
from dialer.domain.model import MessageState
from dialer.logs import get_logger
from dialer.messaging.replies import Reply, classify_reply
from dialer.store import messages, replies

log = get_logger(__name__)

STATES = {
    "accepted": MessageState.SENT,
    "scheduled": MessageState.SENT,
    "queued": MessageState.SENT,
    "sending": MessageState.SENT,
    "sent": MessageState.SENT,
    "delivered": MessageState.DELIVERED,
    "partially_delivered": MessageState.DELIVERED,
    "read": MessageState.DELIVERED,
    "undelivered": MessageState.UNDELIVERED,
    "failed": MessageState.FAILED,
    "canceled": MessageState.FAILED,
}
"""Twilio's word for a message -> ours."""

View = Callable[[], Response]


def twilio_hooks(settings: Settings, engine: Engine) -> Blueprint:
    """The webhooks under ``/hooks/twilio``."""
    hooks = Blueprint("twilio", __name__, url_prefix="/hooks/twilio")
    validator = RequestValidator(settings.twilio_token)

    def signed(view: View) -> View:
        @wraps(view)
        def checked() -> Response:
            # The address as Twilio was given it, whatever a proxy made of it.
            asked = request.full_path if request.query_string else request.path
            genuine = validator.validate(
                settings.web_url + asked,
                request.form,
                request.headers.get(SIGNATURE_HEADER, ""),
                get_signature_algorithm(request.headers.get(SIGNATURE_SETTINGS_HEADER)),
            )
            if not genuine:
                log.warning("webhook without a valid signature", path=request.path)
                abort(403)
            return view()

        return checked

    @hooks.post("/status")
    @signed
    def status() -> Response:
        report = _report()
        with engine.begin() as connection:
            moved = messages.apply_status(connection, report, datetime.now(UTC))
        if moved.state is not None:
            metrics.MESSAGES.labels(moved.state.value).inc()
        log.info("message status", message_id=report.message_id, status=report.status)
        return Response(status=204)

    @hooks.post("/sms")
    @signed
    def sms() -> Response:
        sender, sid = request.form.get("From", ""), request.form.get("MessageSid", "")
        if not sender or not sid:
            abort(400)
        # Twilio has judged the text by words of its own: whichever sees a stop counts.
        kind = classify_reply(request.form.get("Body", ""))
        if request.form.get("OptOutType", "").upper() == "STOP":
            kind = Reply.STOP
        with engine.begin() as connection:
            companies = replies.record_reply(
                connection,
                number=sender,
                kind=kind.value,
                stop=kind is Reply.STOP,
                provider_key=f"inbound:{sid}",
                now=datetime.now(UTC),
            )
        log.info("debtor answered", kind=kind.value, companies=companies)
        return Response(str(MessagingResponse()), mimetype="text/xml")

    return hooks


def _report() -> messages.StatusReport:
    form = request.form
    sid, status = form.get("MessageSid", ""), form.get("MessageStatus", "").lower()
    if not sid or not status:
        abort(400)
    code = form.get("ErrorCode", "")
    return messages.StatusReport(
        provider_id=sid[:64],
        provider_key=f"{sid}:{status}:{code}"[:120],
        status=status,
        state=STATES.get(status),
        message_id=request.args.get("m", type=int),
        error=f"{status} {code}" if code and code != "0" else None,
    )
