"""The desk at /desk: the page an agent works at, and what its scripts ask beside the API of agents.

All that happens to calls goes through ``/api/v1/agent`` with the session of this browser
(``web.agents_access``); here is only what nobody but the page wants to know.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, g, jsonify, make_response, render_template, request
from werkzeug.exceptions import NotFound

from dialer.domain.agents import BROWSER
from dialer.store import callbacks, desk_day, outcomes
from dialer.store.agents import Agent, load_agent
from web.access.doors import viewer
from web.access.rules import allow
from web.agents_access import DESK_ROLES
from web.agents_api import AGENT
from web.desk import script, words
from web.headers import desk_headers
from web.ui import formats, names
from web.ui.words import language

if TYPE_CHECKING:
    from web.parts import Parts

BEATS = 3
"""Heartbeats within the time after which a silent desk gets no calls."""
MOST_AGREED = 200


def desk_pages(parts: Parts) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("desk", __name__, url_prefix="/desk")

    @blueprint.before_request
    def find_agent() -> Response | None:
        g.agent = None if g.viewer is None else _agent(parts)
        if g.viewer is None or g.agent is not None:
            return None
        if request.endpoint != "desk.page":
            raise NotFound
        # A person came here: what it is, and how one comes to have it.
        had = viewer().agent_id is not None
        return make_response(render_template("desk/none.html", had=had), 404)

    _page_route(blueprint, parts)
    _asides(blueprint, parts)
    return blueprint


def _agent(parts: Parts) -> Agent | None:
    """Who the viewer is at a desk; None: nobody."""
    if viewer().agent_id is None:
        return None
    with parts.readonly() as connection:
        found = load_agent(connection, viewer().agent_id or 0)
    if found is None or not found.active or not viewer().sees(found.company_id):
        return None
    return found


def _page_route(blueprint: Blueprint, parts: Parts) -> None:
    @blueprint.get("")
    @allow(DESK_ROLES)
    def page() -> Response:
        """All states of it; scripts show the one that is."""
        me: Agent = g.agent
        shown = render_template(
            "desk/page.html",
            agent=me,
            by_browser=me.station == BROWSER,
            pauses=words.pauses(),
            dispositions=[(one.value, names.disposition_name(one)) for one in words.AN_AGENTS],
            config=_config(parts),
        )
        return make_response(shown, desk_headers(parts.settings.browser_socket))


def _config(parts: Parts) -> dict[str, Any]:
    """What the scripts are told."""
    return {
        "api": AGENT,
        "here": "/desk",
        "language": language(),
        "timezone": viewer().timezone,
        "browser": g.agent.station == BROWSER,
        "beat": parts.settings.agent_heartbeat_seconds * 1000 / BEATS,
        "names": words.all_names(),
        "refusals": words.refusals(),
        "words": words.sentences(),
    }


def _asides(blueprint: Blueprint, parts: Parts) -> None:
    @blueprint.get("/day")
    @allow(DESK_ROLES)
    def day() -> Response:
        """The agent's day so far, in words and figures of their language."""
        now = datetime.now(UTC)
        midnight = now.astimezone(ZoneInfo(viewer().timezone)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        with parts.readonly() as connection:
            found = desk_day.day_of(connection, g.agent.id, midnight.astimezone(UTC), now)
        money = [formats.money(minor, currency) for currency, minor in found.money.items()]
        return jsonify(
            calls=formats.number(found.calls),
            talked=formats.duration(found.talk_seconds),
            promises=formats.number(found.promises),
            money=" · ".join(money) or "–",
        )

    @blueprint.get("/colleagues")
    @allow(DESK_ROLES)
    def colleagues() -> Response:
        """To whom a call may be passed on."""
        with parts.readonly() as connection:
            found = desk_day.colleagues(connection, g.agent.company_id, g.agent.id)
        skills = sorted({skill for one in found for skill in one.skills})
        return jsonify(
            agents=[{"id": one.id, "name": one.name, "state": one.state.value} for one in found],
            skills=skills,
        )

    @blueprint.get("/agreed")
    @allow(DESK_ROLES)
    def agreed() -> Response:
        """The calls that this agent has promised, soonest first."""
        with parts.readonly() as connection:
            found = callbacks.own(connection, g.agent.id)[:MOST_AGREED]
        return jsonify(agreed=[{"at": one.due_at.isoformat(), "note": one.note} for one in found])

    @blueprint.get("/call")
    @allow(DESK_ROLES)
    def call() -> Response:
        """What belongs to a call of this agent beside its story: what to say, how long the wrap-up
        may take."""
        with parts.readonly() as connection:
            attempt = request.args.get("attempt", "")
            found = desk_day.call_terms(connection, g.agent.id, attempt)
            spoken_of = None if found is None else outcomes.load_call(connection, attempt)
        if found is None or spoken_of is None:
            raise NotFound
        return jsonify(
            script=script.opening(found, g.agent.name),
            heard=script.heard(found, spoken_of, parts.settings.flows_dir),
            language=found.language,
            wrap=found.wrap,
        )
