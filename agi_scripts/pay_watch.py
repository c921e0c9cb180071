"""Whoever follows a payment while it is keyed in: masked news out, two wishes in.

The seam for capture in the presence of an agent, who hears no keys, sees how many there are, and
may have a field asked again or the payment ended. Nobody watches by default.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dialer.domain.payment import PayError, PayResult, PayStep
from dialer.logs import get_logger
from dialer.payments.masking import told
from dialer.store.pay_sessions import PaySession, take_wish, wished
from dialer.store.pay_sessions import PayWish as Wish
from dialer.switch import names
from dialer.switch.ami_client import AmiFailed

__all__ = ["AgentWatches", "Nobody", "Tell", "Watcher", "Wish"]

log = get_logger(__name__)

LOOK_SECONDS = 0.2
"""How often it is looked whether something is wished for, and the least time between two counts."""

Tell = Callable[[Mapping[str, str]], None]
"""Sends the headers of an event; may wait, and raises AmiFailed."""


class Watcher(Protocol):
    """Called from the thread of the session: nothing here may wait."""

    def step(self, step: PayStep, error: PayError | None, last_four: str | None) -> None:
        """The conversation is at this step; ``last_four`` of an accepted number only."""

    def digits(self, step: PayStep, count: int) -> None:
        """So many digits of a field were heard; never which."""

    def ended(self, result: PayResult) -> None:
        """It is over."""

    def wish(self) -> Wish | None:
        """What is asked for since the last time; heard while a question waits and at each key."""


class Nobody:
    """Watches nothing."""

    def step(self, step: PayStep, error: PayError | None, last_four: str | None) -> None:
        """Nothing."""

    def digits(self, step: PayStep, count: int) -> None:
        """Nothing."""

    def ended(self, result: PayResult) -> None:
        """Nothing."""

    def wish(self) -> Wish | None:
        """Nothing is asked for."""
        return None


class AgentWatches:
    """For the agent at whose desk the debtor is. All that waits (the database, AMI) is done in a
    thread of its own; ``ended`` must be called.

    How many digits there are is told by AMI, for the AGI connection of the session is where the
    next key is waited for. Of the steps the session itself tells, as of any payment.
    """

    def __init__(self, engine: Engine, tell: Tell, session: PaySession) -> None:
        self._engine = engine
        self._tell = tell
        self._session = session
        self._count: tuple[PayStep, int] | None = None
        self._wish: Wish | None = None
        self._over = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def step(self, step: PayStep, error: PayError | None, last_four: str | None) -> None:
        """A wish that came for the field before is not for this one."""
        self._count = None
        if error is None and self._wish is Wish.AGAIN:
            self._wish = None

    def digits(self, step: PayStep, count: int) -> None:
        """To be told soon."""
        self._count = (step, count)
        self._news.set()

    def ended(self, result: PayResult) -> None:
        """Nothing more is told."""
        self._over.set()
        self._news.set()

    def wish(self) -> Wish | None:
        """What the agent wants, once."""
        wish, self._wish = self._wish, None
        return wish

    # --- the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        looked = 0.0
        while not self._over.is_set():
            self._news.wait(LOOK_SECONDS)
            self._news.clear()
            if self._over.is_set():
                return
            self._tell_count()
            if time.monotonic() - looked >= LOOK_SECONDS:
                looked = time.monotonic()
                self._look()
            self._over.wait(LOOK_SECONDS / 4)  # a doubled key is one piece of news

    def _tell_count(self) -> None:
        count, self._count = self._count, None
        if count is None:
            return
        try:
            self._tell(
                {
                    "UserEvent": names.FLOW_EVENT,
                    "Uniqueid": self._session.attempt_id,
                    names.H_KIND: names.KIND_PAYMENT,
                    names.H_NODE: self._session.node,
                    names.H_STEP: count[0].value,
                    names.H_DIGITS: str(count[1]),
                }
            )
        except AmiFailed as error:
            log.warning("progress not told", why=str(error))

    def _look(self) -> None:
        try:
            with self._engine.connect().execution_options(dialer_readonly=True) as connection:
                wish = wished(connection, self._session.id)
            if wish is None:
                return
            with self._engine.begin() as connection:
                taken = take_wish(connection, self._session.id, wish)
        except SQLAlchemyError as error:
            log.warning("wishes not looked for", why=told(error))
            return
        if taken:
            log.info("agent wishes", session=self._session.id, wish=wish.value)
            self._wish = wish
