"""What a flow concludes, written down before anybody is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine

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
                    with self.engine.begin() as connection:
                        outcomes.record_opt_out(connection, self.call, node, now())
                case SendLink(node=node):
                    self._send_link(node)
                case Conclude(node=node, outcome=outcome):
                    with self.engine.begin() as connection:
                        outcomes.record_outcome(
                            connection, self.call.attempt_id, outcome, node, now()
                        )

    def _send_link(self, node: str) -> None:
        body = render_message(
            outcomes.LINK_TEMPLATE,
            self.language,
            {
                "company": self.call.company,
                "callback": self.call.callback_number,
                "link": make_link(self.settings, self.call.account_id),
            },
            self.settings.flows_dir / "messages",
        )
        with self.engine.begin() as connection:
            message_id = outcomes.record_link(connection, self.call, body, node, now())
        try:
            self.enqueue(message_id)
        except Exception as error:  # noqa: BLE001 - the message is committed: a sweep will find it
            log.warning("message not enqueued", message_id=message_id, why=type(error).__name__)
