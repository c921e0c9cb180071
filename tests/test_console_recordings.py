"""Recordings: listed where there are some, heard in parts, each hearing in the trail, removed."""

from __future__ import annotations

import os
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from console_world import attempt, campaign, debtor, lead, put
from fixtures_site import Site
from sqlalchemy import select

from dialer.config import Settings
from dialer.store import recorded
from dialer.store import tables as t
from dialer.store.recorded import Wanted
from dialer.switch.recordings import folder, recording_of, sweep


def record(settings: Settings, attempt_id: str, frames: int = 800) -> Path:
    """A recording, as Asterisk writes it."""
    path = folder(settings) / f"{attempt_id}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\0\0" * frames)
    return path


def calls(site: Site, count: int = 3) -> int:
    """Answered calls a1, a2... an hour apart, the newest an hour ago; the campaign."""
    made = campaign(site, site.acme, record=True)
    of = lead(site, debtor(site), made)
    now = datetime.now(UTC)
    for n in range(1, count + 1):
        attempt(site, of, f"a{n}", now - timedelta(hours=count + 1 - n))
    return made


def test_what_was_recorded(site: Site) -> None:
    """Only calls with a recording; by campaign, day and agent; heard whole or in parts."""
    made = calls(site)
    boss = site.client("super")
    assert "No recordings here" in boss.get("/recordings").text
    whole = record(site.settings, "a1").read_bytes()
    record(site.settings, "a2", 0)  # a call that ended before anything was said
    with site.engine.connect() as c:
        agent = c.scalar(select(t.agent.c.id))
        one = c.scalar(select(t.debtor.c.id))
    put(
        site, t.agent_call, attempt_id="a1", company_id=site.acme, debtor_id=one, agent_id=agent,
        kind="escalation", queued_at=datetime.now(UTC), joined_at=datetime.now(UTC),
    )  # fmt: skip
    page = boss.get("/recordings").text
    assert page.count("<audio") == 1
    assert "Ana Ruiz" in page
    today = (datetime.now(UTC) - timedelta(hours=3)).date()
    for fits in (f"campaign={made}", f"agent={agent}", f"campaign={made}&agent={agent}"):
        assert "/recordings/a1.wav" in boss.get(f"/recordings?{fits}").text
    for other in ("campaign=99", "agent=99", f"day={today - timedelta(days=40)}"):
        assert "No recording fits" in boss.get(f"/recordings?{other}").text
    with boss.get("/recordings/a1.wav") as answer:
        assert answer.data == whole
    with boss.get("/recordings/a1.wav", headers={"Range": "bytes=0-9"}) as answer:
        assert (answer.status_code, answer.data) == (206, whole[:10])
    with boss.get("/recordings/a1.wav", headers={"Range": "bytes=10-"}) as answer:
        assert answer.data == whole[10:]
    with site.engine.connect() as c:
        trail = c.execute(select(t.audit).where(t.audit.c.action == "recording.play")).all()
    assert [(row.actor, row.target) for row in trail] == [
        (f"user:{site.ids['super']}", "attempt:a1")
    ] * 2  # the rest of a sound is no second hearing
    assert boss.get("/recordings/a2.wav").status_code == 404
    assert boss.get("/recordings/a3.wav").status_code == 404


def test_pages_lose_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    calls(site, 9)
    monkeypatch.setattr(recorded, "PAGE", 2)
    monkeypatch.setattr(recorded, "CHUNK", 3)
    now = datetime.now(UTC)
    wanted = Wanted(site.acme, now - timedelta(days=1), now)
    seen: list[str] = []
    with site.engine.connect() as c:
        before = None
        while True:
            page = recorded.recorded(c, wanted, lambda one: one != "a4", before)
            seen += [row.id for row in page.rows]
            before = page.older
            if before is None:
                break
    assert seen == [f"a{n}" for n in range(9, 0, -1) if n != 4]


@pytest.mark.database("sqlite")
def test_an_auditor_hears_them_and_no_other_file_is_one(site: Site) -> None:
    calls(site)
    record(site.settings, "a1")
    assert site.client("super").get("/recordings/..%2F..%2Fetc%2Fx.wav").status_code == 404
    with site.client("auditor").get("/recordings/a1.wav") as answer:
        assert answer.status_code == 200


def test_old_ones_are_removed(tmp_path: Path) -> None:
    """After the days that are set; with none, never."""
    now = datetime.now(UTC)
    settings = Settings(home=tmp_path, recording_days=30)
    assert sweep(settings, now) == 0  # no folder yet
    old, fresh = record(settings, "old"), record(settings, "fresh")
    for path, days in ((old, 31), (fresh, 29)):
        at = (now - timedelta(days=days)).timestamp()
        os.utime(path, (at, at))
    assert sweep(settings.model_copy(update={"recording_days": 0}), now) == 0
    assert sweep(settings, now) == 1
    assert recording_of(settings, "old") is None
    assert recording_of(settings, "fresh") == fresh
    assert recording_of(settings, "../fresh") is None
