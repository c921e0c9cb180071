"""The API of supervisors: ``/api/v1/supervisor``. The floor as it is, what happens on it, and a
hand on the sessions of agents. Whoever listens in on people leaves a trace in the audit.

Who belongs to a company sees and touches what is that company's, and learns of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError

from dialer.desk import models
from dialer.desk.models import CommandName as Do
from dialer.logs import get_logger
from dialer.store import audit, desk_views
from dialer.store.agents import load_agent
from dialer.switch.names import FLOOR_EVENTS
from web import agents_events
from web.agents_access import watcher
from web.api_parts import Desk, Route, explain, read_body
from web.problems import Problem

log = get_logger(__name__)

SUPERVISOR = "/api/v1/supervisor"
TOGETHER = 64
"""Live views of all who come by the supervisors' secret: half of what a process has."""

SUPERVISOR_COMMANDS = (
    Route("/listen", Do.LISTEN, "Hear a conversation.", models.Listen),
    Route("/whisper", Do.WHISPER, "Speak to the agent alone.", models.Listen),
    Route("/barge", Do.BARGE, "Join a conversation.", models.Listen),
    Route("/pause", Do.PAUSE, "Pause an agent.", models.Pause),
    Route("/log-out", Do.LOG_OUT, "End an agent's session."),
)
"""Below ``/sessions/<session>``."""


def supervisors_api(desk: Desk) -> Blueprint:
    """The routes of supervisors."""
    supervisors = Blueprint("supervisors_api", __name__, url_prefix=SUPERVISOR)
    supervisors.before_request(desk.access.supervisor_door)
    supervisors.register_error_handler(Exception, explain)
    _floor_routes(supervisors, desk)
    for route in SUPERVISOR_COMMANDS:
        supervisors.add_url_rule(
            f"/sessions/<session>{route.path}",
            route.do.value,
            _supervisor_command(desk, route),
            methods=["POST"],
        )
    return supervisors


def _floor_routes(supervisors: Blueprint, desk: Desk) -> None:
    @supervisors.get("/floor")
    def floor() -> Response:
        try:
            newest: str | None = agents_events.last_event(desk.redis, FLOOR_EVENTS)
        except RedisError:
            newest = None
        told = desk.ask(desk.settings.node, Do.FLOOR, None, {})
        return jsonify({**_own_floor(desk, told), "last_event": newest})

    @supervisors.get("/events")
    def floor_events() -> Response:
        who, seen = watcher(), agents_events.after(agents_events.NOW)
        together = who.cookie is None
        return agents_events.answer(
            desk.redis,
            FLOOR_EVENTS,
            seen,
            desk.streams,
            "supervisors" if together else who.name,
            desk.access.may_watch(who),
            TOGETHER if together else None,
            None if who.company_id is None else _Own(desk, who.company_id),
        )


def _own_floor(desk: Desk, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The floor as the company of whoever asks has it."""
    company_id = watcher().company_id
    if company_id is None:
        return told
    queue, talks = told.get("queue", []), told.get("talks", [])
    with desk.readonly() as connection:
        agents = desk_views.agents_of(connection, company_id)
        attempts = desk_views.attempts_of(
            connection, company_id, [one["attempt"] for one in (*queue, *talks)]
        )
    return {
        "agents": [one for one in told.get("agents", []) if one["agent_id"] in agents],
        "queue": [one for one in queue if one["attempt"] in attempts],
        "talks": [one for one in talks if one["attempt"] in attempts],
    }


class _Own:
    """Whether an event of the floor is of this company: it is where its agent is. What names no
    agent is of all companies together, and nobody's here."""

    def __init__(self, desk: Desk, company_id: int) -> None:
        self._desk, self._company_id = desk, company_id
        self._known: dict[int, bool] = {}

    def __call__(self, event: Mapping[str, Any]) -> bool:
        agent_id = event.get("agent_id")
        if not isinstance(agent_id, int):
            return False
        if agent_id not in self._known:
            # An agent stays with their company.
            with self._desk.readonly() as connection:
                found = load_agent(connection, agent_id)
            self._known[agent_id] = found is not None and found.company_id == self._company_id
        return self._known[agent_id]


def _supervisor_command(desk: Desk, route: Route) -> Callable[[str], Response]:
    def view(session: str) -> Response:
        with desk.readonly() as connection:
            found = desk_views.open_session(connection, session)
        who = watcher()
        if found is None or not who.sees(found.company_id):
            raise Problem(404, "no_session", "There is no such session")
        given = read_body(route.given)

        def do() -> Response:
            told = desk.ask(found.node, route.do, found.id, route.arguments(given))
            _note(desk, route, found.id, who.name)
            return jsonify({**told, "ok": True})

        return desk.once_only("supervisors" if who.cookie is None else who.name, do)

    return view


def _note(desk: Desk, route: Route, session: str, actor: str) -> None:
    try:
        with desk.engine.begin() as connection:
            audit.record(
                connection,
                actor=actor,
                action=f"agent.{route.do.value}",
                target=f"agent_session:{session}",
                now=datetime.now(UTC),
            )
    except Exception:
        log.exception("supervisor_not_audited", command=route.do.value, session=session)
