"""Recordings of calls: which there are, and their sound."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, Field

from dialer.domain.api import Scope
from dialer.store import audit, recorded
from dialer.switch.recordings import recording_of
from web.api.paging import cursor_of, keys_of
from web.api.registry import Asked, operation
from web.api.scoping import campaign_of, not_found
from web.api.shapes import Answer, Id, Page, Paged
from web.api.times import utc

USUAL = timedelta(days=7)


class Recording(Answer):
    """A call that was recorded. ``agents``: who talked in it."""

    attempt_id: str
    campaign: str
    debtor_id: int
    answered_at: datetime
    ended_at: datetime
    disposition: str | None
    agents: str | None


class RecordingPage(Page[Recording]):
    """Recordings, the newest first."""


class RecordingsAsked(Paged):
    """Which recordings, by when their call was answered."""

    since: AwareDatetime | None = Field(None, description="Seven days ago, if left out.")
    until: AwareDatetime | None = Field(None, description="Not included; now, if left out.")
    campaign_id: Id | None = Field(
        None, description="Left out: of every campaign that records now."
    )
    agent_id: Id | None = None


@operation(
    "GET", "/recordings", Scope.RECORDINGS_READ, RecordingPage, "Recordings", query=RecordingsAsked
)
def list_recordings(ask: Asked) -> RecordingPage:
    """Those whose files are there: they are kept for some days only. A page may have fewer than
    `limit`, or none, and a `next` all the same."""
    if ask.query.campaign_id is not None:
        campaign_of(ask, ask.query.campaign_id)
    wanted = recorded.Wanted(
        ask.token.company_id,
        utc(ask.query.since or ask.now - USUAL, "since"),
        utc(ask.query.until or ask.now, "until"),
        ask.query.campaign_id,
        ask.query.agent_id,
    )
    before = keys_of(ask.query.cursor, datetime, str)
    found = recorded.recorded(
        ask.connection, wanted, lambda one: recording_of(ask.settings, one) is not None,
        (before[0], before[1]) if before else None, ask.query.limit,
    )  # fmt: skip
    talked = recorded.talked(ask.connection, [row.id for row in found.rows])
    return RecordingPage(
        items=[
            Recording(
                attempt_id=row.id, campaign=row.campaign, debtor_id=row.debtor_id,
                answered_at=row.answered_at, ended_at=row.ended_at, disposition=row.disposition,
                agents=talked.get(row.id),
            )
            for row in found.rows
        ],
        next=cursor_of(*found.older) if found.older else None,
    )  # fmt: skip


@operation(
    "GET",
    "/recordings/{attempt_id}",
    Scope.RECORDINGS_READ,
    Answer,
    "The sound of one",
    file="audio/wav",
)
def fetch_recording(ask: Asked, attempt_id: str) -> Path:
    """As WAV. That it was fetched is in the audit log."""
    path = recording_of(ask.settings, attempt_id)
    company_id = recorded.company_of(ask.connection, attempt_id)
    if path is None or company_id is None or not ask.token.sees(company_id):
        raise not_found("recording")
    with ask.engine.begin() as connection:
        audit.record(
            connection, actor=ask.actor, action="recording.play", target=f"attempt:{attempt_id}",
            now=ask.now,
        )  # fmt: skip
    return path
