"""Recordings of calls: where Asterisk writes them, and how long they are kept.

A file has the name of its attempt, which is the id of the channel. They lie on the machine of the
switch; a process elsewhere sees none unless that folder is shared with it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from dialer.config import Settings
from dialer.switch.render import product_folder

_ID = re.compile(r"[0-9A-Za-z_-]{1,32}")
EMPTY = 44
"""Bytes of a WAV file without sound: its header alone."""


def folder(settings: Settings) -> Path:
    """Where they are; it need not be there."""
    return product_folder(settings) / "spool" / "recordings"


def recording_of(settings: Settings, attempt_id: str) -> Path | None:
    """The recording of a call; None where there is none, or nothing is in it."""
    if not _ID.fullmatch(attempt_id):
        return None
    path = folder(settings) / f"{attempt_id}.wav"
    try:
        return path if path.stat().st_size > EMPTY else None
    except OSError:
        return None


def sweep(settings: Settings, now: datetime) -> int:
    """Remove those older than ``Settings.recording_days``; how many. With 0 days none is."""
    if not settings.recording_days:
        return 0
    oldest = (now - timedelta(days=settings.recording_days)).timestamp()
    removed = 0
    for path in folder(settings).glob("*.wav"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
                removed += 1
        except FileNotFoundError:
            continue  # somebody else has removed it
    return removed
