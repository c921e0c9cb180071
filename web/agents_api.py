"""The API of agents: ``/api/v1/agent``.

Almost everything is a command to the engine and its answer. ``AGENT_COMMANDS`` is the table of
them, with the models of ``dialer.desk.models``: routes are made from it, tests go through it, and
a description of the API can be written from it. See docs/agents_api.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify
from pydantic import ValidationError
from redis.exceptions import RedisError

from dialer.desk import models
from dialer.desk.models import CommandName as Do
from dialer.logs import get_logger
from dialer.store import desk_views
from dialer.store import story as stories
from dialer.switch.names import DESK_EVENTS
from web import agents_events, problems
from web.agents_access import Caller, caller
from web.api_parts import Desk, Route, as_json, explain, plain, read_body
from web.problems import Problem

log = get_logger(__name__)

AGENT = "/api/v1/agent"


def _dispose(given: models.Dispose) -> Mapping[str, Any]:
    return {"code": given.disposition, "notes": given.notes}


AGENT_COMMANDS = (
    Route("/session/heartbeat", Do.HEARTBEAT, "The page is still there."),
    Route("/session/ready", Do.READY, "Take calls."),
    Route("/session/pause", Do.PAUSE, "Take none, after the one that goes on.", models.Pause),
    Route("/session/wrap/done", Do.WRAP_DONE, "The wrap-up is finished."),
    Route("/session/leg", Do.NEW_LEG, "A fresh token for the browser's line."),
    Route("/call/hang-up", Do.HANG_UP, "End the call."),
    Route("/call/hold", Do.HOLD, "The debtor hears music."),
    Route("/call/resume", Do.RESUME, "Back from hold."),
    Route("/call/mute", Do.MUTE, "The debtor does not hear the agent."),
    Route("/call/unmute", Do.UNMUTE, "The debtor hears the agent again."),
    Route("/call/dtmf", Do.DTMF, "Send keys to the far end.", models.Dtmf),
    Route("/call/transfer", Do.TRANSFER, "Pass the call on.", models.Transfer),
    Route("/call/transfer/complete", Do.COMPLETE_TRANSFER, "Leave the two of them alone."),
    Route("/call/transfer/cancel", Do.CANCEL_TRANSFER, "Keep the call after all."),
    Route("/call/disposition", Do.DISPOSITION, "How it ended.", models.Dispose, _dispose),
    Route("/call/callback", Do.CALLBACK, "A call is agreed upon.", models.Callback),
    Route("/call/promise", Do.PROMISE, "The debtor promises to pay.", models.Promise),
    Route("/call/link", Do.LINK, "Send the payment link."),
    Route("/call/payment", Do.PAY, "The debtor keys a card in.", models.Pay),
    Route("/call/payment/again", Do.PAY_AGAIN, "Ask for the field again."),
    Route("/call/payment/cancel", Do.PAY_CANCEL, "Stop taking the card."),
    Route("/call/recording/pause", Do.RECORD_PAUSE, "Record no longer."),
    Route("/call/recording/resume", Do.RECORD_RESUME, "Record again."),
    Route("/preview/call", Do.PREVIEW_CALL, "Call the lead that is shown."),
    Route("/preview/skip", Do.PREVIEW_SKIP, "Show another."),
)


def agents_api(desk: Desk) -> Blueprint:
    """The routes of agents."""
    agents = Blueprint("agents_api", __name__, url_prefix=AGENT)
    agents.before_request(desk.access.agent_door)
    agents.register_error_handler(Exception, explain)
    _session_routes(agents, desk)
    for route in AGENT_COMMANDS:
        agents.add_url_rule(
            route.path, route.do.value, _agent_command(desk, route), methods=["POST"]
        )
    return agents


def _session_routes(agents: Blueprint, desk: Desk) -> None:
    @agents.post("/session")
    def log_in() -> Response:
        given, me = read_body(models.Desk), caller()

        def do() -> Response:
            args = {"agent_id": me.agent.id, **plain(given)}
            told = desk.ask(desk.settings.node, Do.LOG_IN, None, args)
            return as_json(_line(told, None), 201)

        return desk.once_only(_who(me), do)

    @agents.get("/session")
    def session() -> Response:
        me = caller()
        open_now = me.open_session
        try:
            newest: str | None = agents_events.last_event(desk.redis, DESK_EVENTS + open_now.id)
        except RedisError:
            newest = None
        # After the newest event was read: what happens in between is told twice, and not lost.
        with desk.readonly() as connection:
            now = desk_views.session_of(connection, me.agent.id)
            if now is None or now.id != open_now.id:
                raise problems.no_session()
            call = desk_views.call_at_desk(connection, now.id)
        return as_json(_session_now(me, now, call, newest))

    @agents.delete("/session")
    def log_out() -> Response:
        me = caller()
        open_now = me.open_session

        def do() -> Response:
            desk.ask(open_now.node, Do.LOG_OUT, open_now.id, {})
            return Response(status=204)

        return desk.once_only(_who(me), do)

    @agents.get("/session/events")
    def events() -> Response:
        me = caller()
        open_now = me.open_session
        return agents_events.answer(
            desk.redis,
            DESK_EVENTS + open_now.id,
            agents_events.after(agents_events.START),
            desk.streams,
            _who(me),
            desk.access.may_stay(me),
        )

    @agents.get("/call/story")
    def story() -> Response:
        me = caller()
        with desk.readonly() as connection:
            call = desk_views.call_at_desk(connection, me.open_session.id)
            if call is None:
                raise Problem(404, "no_call", "Nobody is at your desk")
            told = stories.story(connection, call.attempt_id, datetime.now(UTC))
        return jsonify(stories.as_json(told))


def _agent_command(desk: Desk, route: Route) -> Callable[[], Response]:
    def view() -> Response:
        given, me = read_body(route.given), caller()
        session = me.open_session

        def do() -> Response:
            told = desk.ask(session.node, route.do, session.id, route.arguments(given))
            if route.do is Do.NEW_LEG:
                return as_json(_line(told, session.id))
            return jsonify({**told, "ok": True})

        return desk.once_only(_who(me), do)

    return view


def _session_now(
    me: Caller,
    now: desk_views.OpenSession,
    call: desk_views.CallAtDesk | None,
    newest: str | None,
) -> models.SessionNow:
    return models.SessionNow(
        session=now.id,
        state=now.state,
        pause_code=now.pause_code,
        since=now.since,
        started_at=now.started_at,
        leg_token=now.leg_token,
        agent=models.AgentSelf(
            id=me.agent.id,
            login=me.agent.login,
            name=me.agent.name,
            skills=list(me.agent.skills),
            languages=list(me.agent.languages),
            station=me.agent.station,
            ringing=me.agent.ringing,
        ),
        call=None
        if call is None
        else models.CurrentCall(
            attempt=call.attempt_id,
            kind=call.kind,
            reason=call.reason,
            skill=call.skill,
            queued_at=call.queued_at,
            offered_at=call.offered_at,
            joined_at=call.joined_at,
            left_at=call.left_at,
            disposition=call.disposition,
            notes=call.notes,
        ),
        last_event=newest,
    )


def _line(told: Mapping[str, Any], session: str | None) -> models.LoggedIn:
    try:
        return models.LoggedIn.model_validate({"session": session, **told})
    except ValidationError as error:
        log.error("engine_answer_incomplete")
        raise Problem(502, "internal", "The engine's answer is incomplete") from error


def _who(me: Caller) -> str:
    return f"agent:{me.agent.id}"
