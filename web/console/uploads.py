"""Lists that were uploaded, from their arrival to the end of their import.

A file lies in ``uploads`` of the installation's home under a random name, readable by this user
alone, with a note of what is known of it beside it. It is removed once it is imported, else after
a day; rejected rows can be fetched for a week. The note is replaced whole, so that every process
that serves pages reads the same.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from werkzeug.datastructures import FileStorage

LARGEST = 64 * 1024 * 1024
KEPT = timedelta(days=1)
REJECTS_KEPT = timedelta(days=7)
SILENT = timedelta(seconds=60)
"""An import that tells nothing for so long has lost its process."""

_ID = re.compile(r"[0-9a-f]{32}")
ARRIVED, QUEUED, RUNNING, DONE, FAILED = "arrived", "queued", "running", "done", "failed"


@dataclass(frozen=True, slots=True)
class Upload:
    """``name``: as the user's computer called it. ``fields``: what each column is ("": nothing).
    ``how``: currency, decimal, date_order. ``done`` of ``total`` rows; ``summary``: of the end."""

    id: str
    name: str
    company_id: int
    campaign: str | None
    user_id: int
    at: str
    stage: str = ARRIVED
    fields: list[str] = field(default_factory=list)
    how: dict[str, str] = field(default_factory=dict)
    what: str = ""
    done: int = 0
    total: int | None = None
    told_at: str = ""
    error: str = ""
    batch_id: int | None = None
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def under_way(self) -> bool:
        """It waits for its turn, or runs."""
        return self.stage in (QUEUED, RUNNING) and not self.lost

    @property
    def lost(self) -> bool:
        """Its process ended in the middle; what was imported is in, and it can run again."""
        if self.stage not in (QUEUED, RUNNING):
            return False
        return datetime.now(UTC) - datetime.fromisoformat(self.told_at) > SILENT


class Uploads:
    """The folder."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "uploads"

    def keep(
        self, sent: FileStorage, company_id: int, campaign: str | None, user_id: int
    ) -> Upload:
        """Write what was sent to a file of its own."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.sweep()
        one = Upload(
            id=secrets.token_hex(16), name=Path(sent.filename or "").name[-200:],
            company_id=company_id, campaign=campaign, user_id=user_id,
            at=datetime.now(UTC).isoformat(),
        )  # fmt: skip
        target = os.open(self.path(one), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(target, "wb") as out:
            sent.save(out)
        self.note(one)
        return one

    def find(self, upload_id: str) -> Upload | None:
        """None: there never was such a file, or its day is over."""
        if not _ID.fullmatch(upload_id):
            return None
        try:
            found = json.loads(self._note_path(upload_id).read_text("utf-8"))
        except FileNotFoundError:
            return None
        return Upload(**found)

    def note(self, one: Upload, **changes: Any) -> Upload:
        """Write down what is known of it now."""
        one = replace(one, **changes, told_at=datetime.now(UTC).isoformat())
        path = self._note_path(one.id)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(asdict(one), out)
        os.replace(part, path)
        return one

    def path(self, one: Upload) -> Path:
        """The file."""
        return self._folder / f"{one.id}.list"

    def forget(self, one: Upload) -> None:
        """Remove the file; the note stays until its day is over."""
        self.path(one).unlink(missing_ok=True)

    def drop(self, one: Upload) -> None:
        """Remove all of it."""
        self.forget(one)
        self._note_path(one.id).unlink(missing_ok=True)

    def rejects_being_written(self, one: Upload) -> Path:
        """Where an import puts the rows that stay out."""
        return self._folder / f"{one.id}.rejects.csv"

    def keep_rejects(self, one: Upload, batch_id: int) -> None:
        """They belong to the import from now on."""
        written = self.rejects_being_written(one)
        if written.exists():
            os.replace(written, self._folder / f"import-{batch_id}.rejects.csv")

    def rejects(self, batch_id: int) -> Path | None:
        """The rejected rows of an import, while they are kept."""
        path = self._folder / f"import-{batch_id}.rejects.csv"
        return path if path.exists() else None

    def sweep(self) -> None:
        """Remove what is older than it may be."""
        now = datetime.now(UTC).timestamp()
        for path in self._folder.iterdir():
            kept = REJECTS_KEPT if path.name.startswith("import-") else KEPT
            try:
                if now - path.stat().st_mtime > kept.total_seconds():
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue  # another process has swept

    def _note_path(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.json"
