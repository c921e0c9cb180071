"""Webhooks are looked for, and sent, by the worker: one thread for each endpoint that has something
due, so that one that is slow or dead holds up nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import Engine, Row

from dialer.config import Settings
from dialer.domain.api import DeliveryState
from dialer.domain.sending_says import Undelivered
from dialer.logs import get_logger
from dialer.store import webhook_events, webhooks
from dialer.store.webhooks import Delivery
from dialer.tls import trusted
from dialer.webhooks.addresses import AddressError, Resolve, target_of
from dialer.webhooks.signing import HEADER, SECRET_SIGNING, secret_of, signature

log = get_logger(__name__)

SECONDS = 10.0
"""The longest silence of an endpoint."""
AT_ONCE = 16
"""Endpoints that are sent to at one time."""
EVERY = timedelta(minutes=1)
"""How often cursors are written where nothing has happened."""
PURGE_EVERY = 3600.0
LATE = timedelta(minutes=10)


class WebhookSender:
    """Sends what is due. ``resolve``: looks names up."""

    def __init__(
        self, settings: Settings, database: Engine, resolve: Resolve | None = None
    ) -> None:
        self._settings = settings
        self._database = database
        self._resolve = resolve
        self._busy: dict[int, threading.Thread] = {}
        self._cursors_at: dict[int, datetime] = {}
        self._purged = 0.0
        self._closing = threading.Event()

    def sweep(self, stop: Callable[[], bool] = lambda: False) -> list[threading.Thread]:
        """Look for what happened, and begin to send what is due; the threads that send."""
        now = datetime.now(UTC)
        self._collect(now, stop)
        with self._reading() as connection:
            due = webhooks.due(connection, now)
        by_endpoint: dict[int, list[Delivery]] = {}
        for one in due:
            by_endpoint.setdefault(one.endpoint_id, []).append(one)
        self._busy = {key: thread for key, thread in self._busy.items() if thread.is_alive()}
        begun = []
        for endpoint_id, deliveries in by_endpoint.items():
            if stop() or len(self._busy) >= AT_ONCE:
                break
            if endpoint_id not in self._busy:
                thread = threading.Thread(
                    target=self._send_all, args=(deliveries,), name=f"webhook-{endpoint_id}",
                    daemon=True,
                )  # fmt: skip
                self._busy[endpoint_id] = thread
                thread.start()
                begun.append(thread)
        self._purge(now)
        return begun

    def check(self) -> str | None:
        """For the health page."""
        with self._reading() as connection:
            late = webhooks.waiting(connection, datetime.now(UTC) - LATE)
        return f"{late} webhook deliveries are late" if late else None

    def close(self) -> None:
        """Let what is under way come to its end."""
        self._closing.set()
        for thread in self._busy.values():
            thread.join(SECONDS + 2)

    def _reading(self) -> Any:
        return self._database.connect().execution_options(dialer_readonly=True)

    def _collect(self, now: datetime, stop: Callable[[], bool]) -> None:
        with self._reading() as connection:
            everyone = webhooks.endpoints(connection)
        for one in everyone:
            if stop():
                return
            try:
                self._look(one, now)
            except Exception:
                log.exception("webhook left aside", endpoint=one.id)

    def _look(self, one: Row[Any], now: datetime) -> None:
        """What an endpoint has to be told of, into the outbox."""
        with self._reading() as connection:
            events, cursors = webhook_events.look(connection, one, now)
        written = self._cursors_at.get(one.id)
        if events or written is None or now - written >= EVERY:
            with self._database.begin() as connection:
                webhooks.put(connection, one, events, cursors, now)
            self._cursors_at[one.id] = now

    def _send_all(self, deliveries: list[Delivery]) -> None:
        """To one endpoint, in turn; the first that is not taken ends it for this time."""
        try:
            with httpx.Client(
                timeout=SECONDS, trust_env=False, verify=trusted(), follow_redirects=False
            ) as client:
                for one in deliveries:
                    if self._closing.is_set() or not self._send(client, one):
                        return
        except Exception:
            log.exception("webhooks left to the next sweep")

    def _send(self, client: httpx.Client, one: Delivery) -> bool:
        now = datetime.now(UTC)
        with self._database.begin() as connection:
            if not webhooks.claim(connection, one, now):
                return True
        status, error = self._post(client, one)
        with self._database.begin() as connection:
            state = webhooks.settle(connection, one, datetime.now(UTC), status, error)
        log.info(
            "webhook_tried", endpoint=one.endpoint_id, delivery=one.id, tries=one.tries + 1,
            state=state.value, status=status, error=error or None,
        )  # fmt: skip
        return state is DeliveryState.DELIVERED

    def _post(self, client: httpx.Client, one: Delivery) -> tuple[int | None, str]:
        """Status and what went wrong; nothing of the answer is kept."""
        body = one.body.encode()
        try:
            target = target_of(one.url, self._settings.webhook_private, self._resolve)
            secret = secret_of(self._settings.secret(SECRET_SIGNING), one.endpoint_id, one.salt)
            headers = {
                "Host": target.host_header,
                "Content-Type": "application/json",
                "User-Agent": "dialer-webhooks",
                "Dialer-Event": one.event_id,
                HEADER: signature(secret, body, int(time.time())),
            }
            with client.stream(
                "POST", target.url, content=body, headers=headers,
                extensions={"sni_hostname": target.host} if target.secure else {},
            ) as answer:  # fmt: skip
                status = answer.status_code
        except AddressError as error:
            return None, str(error)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return None, type(error).__name__
        return status, "" if 200 <= status < 300 else Undelivered.ANSWERED.say(status=str(status))

    def _purge(self, now: datetime) -> None:
        if time.monotonic() - self._purged < PURGE_EVERY and self._purged:
            return
        self._purged = time.monotonic()
        with self._database.begin() as connection:
            webhooks.purge(connection, now)
