"""Recordings of calls: found, heard, and who heard them on record."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, render_template, request, send_file, url_for
from werkzeug.exceptions import NotFound

from dialer.domain.access import READERS
from dialer.store import audit, choices
from dialer.store import recorded as store
from dialer.store.recorded import Wanted
from dialer.switch.recordings import folder, recording_of
from web.access.doors import viewer
from web.access.rules import allow
from web.ui import formats

if TYPE_CHECKING:
    from web.parts import Parts

USUAL = timedelta(days=7)


def recordings(parts: Parts) -> Blueprint:
    """The pages, at /recordings."""
    blueprint = Blueprint("recordings", __name__, url_prefix="/recordings")
    settings = parts.settings

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        """Recorded calls, the newest first."""
        day = _day(request.args.get("day"))
        wanted = _wanted(day)
        with parts.readonly() as connection:
            found = store.recorded(
                connection, wanted, lambda one: recording_of(settings, one) is not None, _before()
            )
            agents = store.agents(connection, viewer().company_id)
            campaigns = choices.campaigns(connection, viewer().company_id)
            talked = store.talked(connection, [row.id for row in found.rows])
        filters = ("campaign", "day", "agent")
        kept: dict[str, Any] = {n: request.args[n] for n in filters if request.args.get(n)}
        older = None
        if found.older is not None:
            at, key = found.older
            older = url_for(".index", before=at.isoformat(), key=key, **kept)
        return render_template(
            "recordings/index.html", rows=found.rows, talked=talked, older=older,
            first=url_for(".index", **kept) if "before" in request.args else None,
            agents=[(row.id, row.name) for row in agents],
            campaigns=[(row.id, row.name) for row in campaigns], wanted=wanted, day=day,
            days=settings.recording_days, any=folder(settings).is_dir(), usual=USUAL.days,
        )  # fmt: skip

    @blueprint.get("/<attempt_id>.wav")
    @allow(READERS)
    def play(attempt_id: str) -> Response:
        """The sound, whole or a part of it; who asked for its beginning is on record."""
        path = recording_of(settings, attempt_id)
        with parts.readonly() as connection:
            company_id = store.company_of(connection, attempt_id)
        if path is None or company_id is None or not viewer().sees(company_id):
            raise NotFound
        if _from_the_start():
            with parts.engine.begin() as connection:
                audit.record(
                    connection, actor=f"user:{viewer().user_id}", action="recording.play",
                    target=f"attempt:{attempt_id}", now=datetime.now(UTC),
                )  # fmt: skip
        return send_file(path, "audio/wav", conditional=True)

    return blueprint


def _from_the_start() -> bool:
    """A browser asks for a sound in several parts: one hearing is one row of the trail."""
    wanted = request.range
    return wanted is None or not wanted.ranges or wanted.ranges[0][0] == 0


def _wanted(day: date | None) -> Wanted:
    now = datetime.now(UTC)
    since, until = now - USUAL, now
    if day is not None:
        since = datetime.combine(day, time(), formats.zone()).astimezone(UTC)
        end = datetime.combine(day + timedelta(days=1), time(), formats.zone())
        until = end.astimezone(UTC)
    return Wanted(
        viewer().company_id, since, until, request.args.get("campaign", type=int),
        request.args.get("agent", type=int),
    )  # fmt: skip


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _before() -> tuple[datetime, str] | None:
    text = request.args.get("before")
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise NotFound from None
    return at if at.tzinfo else at.replace(tzinfo=UTC), request.args.get("key", "")
