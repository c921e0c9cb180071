"""The import of an uploaded list, behind the page that shows how far it is.

One at a time in this process: two would write into the same tables and slow each other down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock, Thread

from sqlalchemy import Engine

from dialer.importing.errors import ImportFileError
from dialer.importing.preview import told
from dialer.importing.run import Options, import_file
from dialer.logs import get_logger
from dialer.store.companies import NotPossible
from dialer.store.import_sink import DatabaseSink, find_target
from web.console.uploads import DONE, FAILED, QUEUED, RUNNING, Upload, Uploads

log = get_logger(__name__)
_turn = Lock()
TOLD_EVERY = 0.5
"""Seconds between two notes of progress."""
_BREATH = 0.005
"""Pages of the same process are answered between two batches."""


class _NamedSink(DatabaseSink):
    """Records the name that the user's file has, not the one it lies under."""

    name = ""

    def begin(self, file_name: str, sha256: str) -> None:
        super().begin(self.name or file_name, sha256)


def options_of(one: Upload, uploads: Uploads) -> Options:
    """What the user said of the file."""
    order = one.how.get("date_order")
    return Options(
        columns=told(one.fields) if one.fields else {},
        currency=one.how.get("currency") or None,
        decimal=one.how.get("decimal") or None,
        date_order="mdy" if order == "mdy" else "dmy" if order == "dmy" else None,
        rejects=uploads.rejects_being_written(one),
    )


def start(engine: Engine, uploads: Uploads, one: Upload, company: str) -> None:
    """Begin; the note tells how far it is."""
    one = uploads.note(one, stage=QUEUED, what="", done=0, total=None, error="")
    Thread(
        target=run, args=(engine, uploads, one, company), name=f"import-{one.id[:6]}", daemon=True
    ).start()


def run(engine: Engine, uploads: Uploads, one: Upload, company: str) -> None:
    """The import itself; every end of it is in the note."""
    while not _turn.acquire(timeout=15):
        one = uploads.note(one)
    try:
        _run(engine, uploads, one, company)
    except (ImportFileError, NotPossible) as error:
        uploads.note(one, stage=FAILED, error=str(error))
    except Exception:
        log.exception("import failed", upload=one.id)
        uploads.note(one, stage=FAILED)
    finally:
        _turn.release()


def _run(engine: Engine, uploads: Uploads, one: Upload, company: str) -> None:
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        target = find_target(connection, company, one.campaign)
    one = uploads.note(one, stage=RUNNING)
    actor = f"user:{one.user_id}"
    started = time.monotonic()
    with _NamedSink(engine, target, actor, lambda: datetime.now(UTC)) as sink:
        sink.name = one.name
        summary = import_file(
            uploads.path(one), options_of(one, uploads), sink, _progress(uploads, one)
        )
        assert sink.batch_id is not None
        uploads.keep_rejects(one, sink.batch_id)
    uploads.note(
        one, stage=DONE, batch_id=sink.batch_id, done=summary.rows, total=summary.rows,
        summary={
            **summary.values(), "seconds": round(time.monotonic() - started, 1),
            "rejects_file": bool(summary.rejects_file),
        },
    )  # fmt: skip
    uploads.forget(one)


def _progress(uploads: Uploads, one: Upload) -> Callable[[str, int, int | None], None]:
    last = 0.0

    def show(what: str, done: int, total: int | None) -> None:
        nonlocal last
        if what == "importing":
            time.sleep(_BREATH)
        if time.monotonic() - last >= TOLD_EVERY:
            last = time.monotonic()
            uploads.note(one, what=what, done=done, total=total)

    return show
