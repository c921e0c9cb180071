"""What a flow concludes, written down before anybody is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, repeat

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from agi_scripts import metrics
from dialer.config import Settings
from dialer.flow.values import Conclude, MakePromise, OptOut, SendLink
from dialer.logs import get_logger
from dialer.messaging.links import make_link
from dialer.messaging.templates import render_message
from dialer.store import outcomes
from dialer.store.outcomes import Call

log = get_logger(__name__)

Enqueue = Callable[[int], None]
"""Hands a message's id to the workers."""

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""How long an opt-out that the database did not take waits before it is written again."""


def now() -> datetime:
    """This moment, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Effects:
    """The conclusions of one call. Every method may be called again after a failure."""

    engine: Engine
    settings: Settings
    call: Call
    language: str
    enqueue: Enqueue

    def apply(self, command: Conclude) -> None:
        """Write one conclusion. Raises SQLAlchemyError where the database does not take it."""
        with metrics.EFFECT_SECONDS.time():
            match command:
                case MakePromise(node=node, due=due):
                    with self.engine.begin() as connection:
                        outcomes.record_promise(connection, self.call, due, node, now())
                case OptOut(node=node):
                    self._opt_out(node)
                case SendLink(node=node):
                    self._send_link(node)
                case Conclude(node=node, outcome=outcome):
                    with self.engine.begin() as connection:
                        outcomes.record_outcome(
                            connection, self.call.attempt_id, outcome, node, now()
                        )

    def _opt_out(self, node: str) -> None:
        at = now()

        def write() -> None:
            with self.engine.begin() as connection:
                outcomes.record_opt_out(connection, self.call, node, at)

        try:
            write()
        except SQLAlchemyError:
            # The call ends here; the wish does not.
            log.error("opt-out not written yet", attempt=self.call.attempt_id)
            threading.Thread(
                target=_until_written, args=(write, self.call.attempt_id), daemon=True
            ).start()
            raise

    def _send_link(self, node: str) -> None:
        body = self.link_text()
        with self.engine.begin() as connection:
            message_id = outcomes.record_link(connection, self.call, body, node, now())
        self.hand_to_workers(message_id)

    def link_text(self) -> str:
        """The message with the payment link, in the debtor's language."""
        return render_message(
            outcomes.LINK_TEMPLATE,
            self.language,
            {
                "company": self.call.company,
                "callback": self.call.callback_number,
                "link": make_link(self.settings, self.call.account_id),
            },
            self.settings.flows_dir / "messages",
        )

    def hand_to_workers(self, message_id: int) -> None:
        """A message that is committed leaves soon."""
        try:
            self.enqueue(message_id)
        except Exception as error:  # noqa: BLE001 - the message is committed: a sweep will find it
            log.warning("message not enqueued", message_id=message_id, why=type(error).__name__)


def _until_written(write: Callable[[], None], attempt_id: str) -> None:
    """Try again and again, for an hour and for as long as this process lives."""
    for wait in chain(RETRY_SECONDS, repeat(RETRY_SECONDS[-1], 120)):
        time.sleep(wait)
        try:
            write()
        except SQLAlchemyError as error:
            log.error("opt-out not written yet", attempt=attempt_id, why=type(error).__name__)
        else:
            log.info("opt-out written late", attempt=attempt_id)
            return
    log.error("opt-out given up: add it with `dialer dnc add`", attempt=attempt_id)
