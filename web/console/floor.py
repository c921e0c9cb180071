"""Live calls: agents at their desks, debtors who wait, calls in the air; and a hand on them.

Whose a call or a desk is, the database says; what goes on at it, the engine, where it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from pydantic import ValidationError
from sqlalchemy import Row
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.desk import models
from dialer.desk.models import CommandName as Do
from dialer.domain.access import MANAGERS, READERS
from dialer.domain.model import AgentState
from dialer.logs import get_logger
from dialer.store import audit, desk_views, live_calls
from dialer.store.story import masked
from web.access.doors import viewer
from web.access.rules import allow
from web.console import floor_words
from web.console.live import Sampler, stream
from web.problems import Problem
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts

log = get_logger(__name__)

SHOWN = 100
"""Calls that are listed; how many there are beyond is told."""
PAUSED_BY = "supervisor"
"""The reason that a pause by a supervisor has."""
LISTENING = {"listen": Do.LISTEN, "whisper": Do.WHISPER, "barge": Do.BARGE}
PLAIN = {"pause": Do.PAUSE, "log_out": Do.LOG_OUT, "hang_up": Do.HANG_UP}
COMMANDS = LISTENING | PLAIN
WORDS = {
    "masked": masked,
    "pause_name": floor_words.pause_name,
    "away_name": floor_words.away_name,
}
"""Of the templates."""


@dataclass(frozen=True, slots=True)
class DeskNow:
    """An agent at a desk. ``known``: the engine has this desk; ``away``: why the debtor is out of
    the talk for now; ``call``: who is with them; ``next_pause``: the break that was asked for while
    they talk."""

    session: str
    name: str
    company: str
    state: str
    pause_code: str | None
    since: datetime
    known: bool
    present: bool
    call: Row[Any] | None
    joined: bool
    away: str | None
    next_pause: str | None

    @property
    def talking(self) -> bool:
        """A debtor and the agent hear each other."""
        return self.state == AgentState.TALKING.value


@dataclass(frozen=True, slots=True)
class WaitingNow:
    """A debtor who waits for an agent."""

    call: Row[Any]
    kind: str
    skill: str
    since: datetime


@dataclass(frozen=True, slots=True)
class FloorNow:
    """All of it. ``engine``: it answered; ``missed``: it did not, and there is need of it."""

    engine: bool
    missed: bool
    desks: tuple[DeskNow, ...]
    waiting: tuple[WaitingNow, ...]
    calls: tuple[Row[Any], ...]
    in_air: int

    @property
    def talking(self) -> int:
        """How many agents talk."""
        return sum(one.talking for one in self.desks)


def floor_page(parts: Parts) -> Blueprint:
    """``/floor``."""
    blueprint = Blueprint("floor", __name__, url_prefix="/floor")
    told, seen = Sampler(), Sampler()

    def now() -> FloorNow:
        company_id = viewer().company_id
        engine = told.get("engine", lambda: _told(parts))
        found: FloorNow = seen.get(company_id, lambda: _find(parts, company_id, engine))
        return found

    def part() -> str:
        return render_template("floor/part.html", floor=now(), **WORDS)

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        return render_template(
            "floor/index.html", floor=now(), live=url_for(".live"), at=datetime.now(UTC), **WORDS
        )

    @blueprint.get("/live")
    @allow(READERS)
    def live() -> Response:
        return stream(f"{viewer().company_id}", part)

    @blueprint.post(f"/<session>/<any({', '.join(COMMANDS)}):action>")
    @allow(MANAGERS)
    def act(session: str, action: str) -> AnyResponse:
        with parts.readonly() as connection:
            found = desk_views.open_session(connection, session)
        if found is None or not viewer().sees(found.company_id):
            raise NotFound
        try:
            arguments = _arguments(action)
        except ValidationError:
            flash(_("Write your telephone with its country, like +34910123456; it is called and"
                    " connected."), "bad")  # fmt: skip
            return redirect(url_for(".index"))
        try:
            parts.desk.ask(found.node, COMMANDS[action], found.id, arguments)
        except Problem as problem:
            flash(floor_words.refused(problem), "bad")
        else:
            _note(parts, action, found.id)
            flash(floor_words.done(action), "good")
        told.forget()
        seen.forget()
        return redirect(url_for(".index"))

    return blueprint


def _arguments(action: str) -> Mapping[str, Any]:
    """Of the command. Raises ValidationError."""
    if action in LISTENING:
        by = request.form.get("by", "").strip()
        if not by.startswith("sip:"):  # an address has dots and dashes of its own
            by = "".join(one for one in by if one not in " -().\t")
        return {"by": models.Listen.model_validate({"by": by}).by}
    return {"code": PAUSED_BY} if action == "pause" else {}


def _note(parts: Parts, action: str, session: str) -> None:
    try:
        with parts.engine.begin() as connection:
            audit.record(
                connection,
                actor=f"user:{viewer().user_id}",
                action=f"agent.{action}",
                target=f"agent_session:{session}",
                now=datetime.now(UTC),
            )
    except Exception:
        log.exception("supervisor_not_audited", command=action, session=session)


def _told(parts: Parts) -> Mapping[str, Any] | None:
    """The floor as the engine has it; None where it does not answer."""
    try:
        return parts.desk.ask(parts.settings.node, Do.FLOOR, None, {})
    except Problem:
        return None


def _find(parts: Parts, company_id: int | None, told: Mapping[str, Any] | None) -> FloorNow:
    node = parts.settings.node
    with parts.readonly() as connection:
        desks = live_calls.open_desks(connection, company_id)
        if told is None:
            queue = live_calls.waiting(connection, node, company_id)
        else:
            queue = [
                live_calls.Waiting(
                    one["attempt"], one["kind"], one["skill"], datetime.fromisoformat(one["since"])
                )
                for one in told.get("queue", [])
            ]
        seats = {one["session"]: one for one in (told or {}).get("agents", [])}
        with_them = {
            row.id: seats[row.id]["attempt"] if row.id in seats else row.attempt_id for row in desks
        }
        wanted = {one.attempt_id for one in queue} | set(filter(None, with_them.values()))
        known = live_calls.calls_by_id(connection, company_id, wanted)
        calls = live_calls.calls_in_air(connection, node, company_id, SHOWN)
        in_air = len(calls)
        if in_air == SHOWN:
            in_air = live_calls.count_in_air(connection, node, company_id)
    talks = {one["attempt"]: one for one in (told or {}).get("talks", [])}
    return FloorNow(
        engine=told is not None,
        # Where no agents work the engine takes no commands: nothing is wrong with it.
        missed=told is None and (parts.settings.agents or bool(desks)),
        desks=tuple(
            _desk(row, seats.get(row.id), known.get(with_them[row.id] or ""), talks)
            for row in desks
        ),
        # What is not known here is another company's.
        waiting=tuple(
            WaitingNow(known[one.attempt_id], one.kind, one.skill, one.since)
            for one in queue
            if one.attempt_id in known
        ),
        calls=tuple(calls),
        in_air=in_air,
    )


def _desk(
    row: Row[Any],
    seat: Mapping[str, Any] | None,
    call: Row[Any] | None,
    talks: Mapping[str, Mapping[str, Any]],
) -> DeskNow:
    """What the engine says of a desk goes before what the database has."""
    state, code, since = row.state, row.pause_code, row.since
    if seat is not None:
        state, code = seat["state"], seat["pause_code"]
        since = datetime.fromisoformat(seat["since"])
    talk = talks.get(call.id, {}) if call is not None else {}
    return DeskNow(
        session=row.id,
        name=row.name,
        company=row.company,
        state=state,
        pause_code=code if state == AgentState.PAUSED.value else None,
        since=since,
        known=seat is not None,
        present=bool(seat and seat.get("present", True)),
        call=call,
        joined=talk.get("joined") is not None,
        away=talk.get("away"),
        next_pause=seat.get("next_pause") if seat is not None else None,
    )
