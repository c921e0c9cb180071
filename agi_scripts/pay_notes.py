"""What a payment's session writes to the database while keys are heard: from a thread of its own,
in order; nobody waits between two keys."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dialer.domain.payment import PayError, PayResult, PayStep
from dialer.logs import get_logger
from dialer.payments.conversation import Note
from dialer.payments.masking import told
from dialer.store.pay_sessions import end_session, note_progress

log = get_logger(__name__)

DRAIN_SECONDS = 5.0
WRITE_AGAIN = (0.2, 1.0, 2.0)
"""Seconds between the tries to write down how a session ended."""


class Notes:
    """The writer of one session. ``close`` must be called."""

    def __init__(self, engine: Engine, session_id: str, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._session_id = session_id
        self._clock = clock
        self._left: queue.SimpleQueue[Note | None] = queue.SimpleQueue()
        self.seconds: Counter[PayStep] = Counter()
        self.errors: Counter[PayError] = Counter()
        self._thread = threading.Thread(target=self._write, name="notes", daemon=True)
        self._thread.start()

    def note(self, note: Note) -> None:
        """Have it written; returns at once."""
        if note.error is not None:
            self.errors[note.error] += 1
        self._left.put(note)

    def entered(self, step: PayStep, seconds: float) -> None:
        """So long it took to key a field in."""
        self.seconds[step] += seconds  # type: ignore[assignment]

    def close(self, result: PayResult) -> None:
        """Write how it ended, after all that came before."""
        self._left.put(None)
        self._thread.join(DRAIN_SECONDS)
        for wait in (*WRITE_AGAIN, None):
            try:
                with self._engine.begin() as connection:
                    end_session(
                        connection,
                        self._session_id,
                        result,
                        self._clock(),
                        seconds={step.value: round(n, 2) for step, n in self.seconds.items()},
                        errors={error.value: n for error, n in self.errors.items()},
                    )
                return
            except SQLAlchemyError as error:
                log.error("end of payment session not written", why=told(error))
                if wait is not None:
                    time.sleep(wait)

    def _write(self) -> None:
        while (note := self._left.get()) is not None:
            try:
                with self._engine.begin() as connection:
                    note_progress(
                        connection,
                        self._session_id,
                        note.step,
                        agreed_minor=note.agreed_minor,
                        last_four=note.last_four,
                    )
            except SQLAlchemyError as error:
                log.warning("progress not written", why=told(error))
