"""What is not known is asked: payments and refunds in doubt are looked up at their gateways until
they are settled, and never given up quietly.

One pass finds what a crash left behind, then hands what is due to one thread for each gateway, so
that a gateway that hangs holds up nobody else. A look-up is taken by one worker at a time; two that
met would settle the same thing once all the same.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dialer import metrics
from dialer.config import ConfigError, Settings
from dialer.domain.payment import PaymentState
from dialer.domain.payment_states import RefundLife
from dialer.logs import get_logger
from dialer.payments import reversals, service
from dialer.payments.gateway import Gateway, GatewayError
from dialer.payments.gateways import gateway_named
from dialer.payments.orders import order_of
from dialer.store import payments as rows
from dialer.store import refunds, unresolved
from dialer.store.unresolved import WORRYING, Unresolved

log = get_logger(__name__)

HOLD = timedelta(seconds=60)
"""Beyond the longest answer, so long a look-up is one worker's."""
BATCH = 100
COUNT_UNCAPTURED_EVERY = timedelta(minutes=5)

NOT_SET_UP = "not_set_up"
AWAY = "away"
FAILED = "failed"

Enqueue = Callable[[int], object]
"""Hands a message's id to the workers; must not raise."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be asked of one gateway now."""

    payments: tuple[str, ...] = ()
    refunds: tuple[str, ...] = ()


class Resolver:
    """The look-ups of one process. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        database: Engine,
        *,
        enqueue: Enqueue = lambda _message_id: None,
        gateway: Callable[[Settings, str], Gateway] = gateway_named,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.settings = settings
        self.database = database
        self._enqueue = enqueue
        self._gateway = gateway
        self._clock = clock
        self._working: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._counted_uncaptured: datetime | None = None

    # --- passes --------------------------------------------------------------------------

    def sweep(self) -> list[threading.Thread]:
        """One pass: what a crash left is found, what is due is begun; the threads begun.

        A gateway whose last look-ups still run is left to them. Raises SQLAlchemyError where the
        database is away: the next pass finds the same.
        """
        now = self._clock()
        reconciled = service.reconcile(self.database, now, self.settings)
        for message_id in reconciled.message_ids:
            self._enqueue(message_id)
        begun = []
        for name, due in self._due(now).items():
            with self._lock:
                if name in self._working or self._closing.is_set():
                    continue
                thread = threading.Thread(
                    target=self._ask, args=(name, due), name=f"look-up-{name}", daemon=True
                )
                self._working[name] = thread
                thread.start()
                begun.append(thread)
        self._measure(now)
        return begun

    def close(self, seconds: float = 5.0) -> None:
        """Begin no further look-up, and wait so long for those under way."""
        self._closing.set()
        with self._lock:
            working = list(self._working.values())
        for thread in working:
            thread.join(seconds)

    def _due(self, now: datetime) -> dict[str, Due]:
        payments: dict[str, list[str]] = defaultdict(list)
        back: dict[str, list[str]] = defaultdict(list)
        with self.database.connect().execution_options(dialer_readonly=True) as connection:
            for one in rows.due_look_ups(connection, now, limit=BATCH):
                payments[one.gateway].append(one.id)
            for reversal in refunds.due_refunds(connection, now, limit=BATCH):
                name = refunds.gateway_of(connection, reversal.id)
                back[name or ""].append(reversal.id)
        return {
            name: Due(tuple(payments[name]), tuple(back[name]))
            for name in sorted({*payments, *back})
        }

    def _ask(self, name: str, due: Due) -> None:
        """Everything that is due at one gateway; whatever is wrong with one of them, the next."""
        try:
            for payment_id in due.payments:
                if self._closing.is_set():
                    return
                self._apart(partial(self.look_up, payment_id), payment=payment_id)
            for refund_id in due.refunds:
                if self._closing.is_set():
                    return
                self._apart(partial(self.look_up_refund, refund_id), refund=refund_id)
        finally:
            with self._lock:
                self._working.pop(name, None)

    def _apart(self, work: Callable[[], object], **names: str) -> None:
        try:
            work()
        except SQLAlchemyError as error:
            log.warning("look-up not written down", why=type(error).__name__, **names)
        except Exception as error:  # noqa: BLE001 - its text may repeat what a gateway said
            log.error("look-up failed", why=type(error).__name__, **names)

    # --- one -----------------------------------------------------------------------------

    def look_up(self, payment_id: str, *, now: bool = False) -> PaymentState:
        """Ask what became of a payment and settle it; its state afterwards.

        Nothing happens where it is not due or another worker has it; ``now``: though it is not.
        A gateway that cannot be asked puts the next look-up off. Raises
        service.UnknownPaymentError, SQLAlchemyError.
        """
        begun = self._clock()
        with self.database.begin() as connection:
            due = None if now else begun
            taken = unresolved.take_look_up(connection, payment_id, due, self._until(begun))
            order = order_of(connection, payment_id)
            one = rows.load_payment(connection, payment_id)
        assert one is not None  # order_of has found it
        if not taken:
            return one.state
        asked_at = self._clock()
        try:
            found = self._gateway(self.settings, one.gateway).look_up(order, one.provider_ref)
        except (ConfigError, GatewayError) as error:
            why = NOT_SET_UP if isinstance(error, ConfigError) else AWAY
            self._put_off(one, why)
            return one.state
        except Exception as error:  # noqa: BLE001
            # Not its text: it may repeat what the gateway said.
            log.error("look-up failed", payment=one.id, why=type(error).__name__)
            self._put_off(one, FAILED)
            return one.state
        metrics.PAYMENT_LOOK_UPS.labels(one.gateway, found.found.value).inc()
        with self.database.begin() as connection:
            settled = service.settle_look_up(connection, one.id, found, asked_at, self.settings)
        if settled.message_id is not None:
            self._enqueue(settled.message_id)
        if settled.changed:
            log.info(
                "payment resolved", payment=one.id, gateway=one.gateway, state=settled.state.value
            )
        else:
            self._worry(one, found.found.value)
        return settled.state

    def look_up_refund(self, refund_id: str, *, now: bool = False) -> str:
        """Go on with a refund or void that was interrupted; its state afterwards. As ``look_up``;
        raises LookupError for one that does not exist."""
        begun = self._clock()
        with self.database.begin() as connection:
            due = None if now else begun
            taken = unresolved.take_refund(connection, refund_id, due, self._until(begun))
            one = refunds.load_refund(connection, refund_id)
            name = refunds.gateway_of(connection, refund_id)
        if one is None or name is None:
            raise LookupError(f"there is no refund {refund_id}")
        if not taken:
            return one.state.value
        try:
            gateway = self._gateway(self.settings, name)
        except ConfigError:
            log.error("refund in doubt at a gateway that is not set up", refund=one.id)
            return one.state.value
        done = reversals.look_up(self.database, gateway, refund_id, self._clock, self.settings)
        metrics.PAYMENT_LOOK_UPS.labels(name, f"refund-{done.state.value}").inc()
        if done.state.open and self._clock() - one.created_at > WORRYING:
            log.error("refund in doubt for more than an hour", refund=one.id, gateway=name)
        return done.state.value

    def _until(self, begun: datetime) -> datetime:
        return begun + timedelta(seconds=self.settings.gateway_seconds) + HOLD

    def _put_off(self, one: rows.Payment, why: str) -> None:
        metrics.PAYMENT_LOOK_UPS.labels(one.gateway, why).inc()
        with self.database.begin() as connection:
            service.postpone_look_up(connection, one.id, why, self._clock())
        self._worry(one, why)

    def _worry(self, one: rows.Payment, why: str) -> None:
        """After the first minutes look-ups are an hour apart, and so are these lines."""
        age = self._clock() - one.created_at
        tell = log.error if age > WORRYING or why == NOT_SET_UP else log.warning
        tell(
            "payment still in doubt",
            payment=one.id, gateway=one.gateway, why=why, minutes=int(age.total_seconds() // 60),
        )  # fmt: skip

    # --- measuring -----------------------------------------------------------------------

    def _measure(self, now: datetime) -> None:
        with self.database.connect().execution_options(dialer_readonly=True) as connection:
            doubt = unresolved.unresolved(connection, now)
            last = self._counted_uncaptured
            if last is None or not timedelta(0) <= now - last < COUNT_UNCAPTURED_EVERY:
                metrics.PAYMENTS_UNCAPTURED.set(unresolved.uncaptured(connection))
                self._counted_uncaptured = now
        for kind, counts in (("payment", doubt.payments), ("refund", doubt.refunds)):
            for age, count in counts.items():
                metrics.PAYMENTS_UNRESOLVED.labels(kind, age).set(count)
        metrics.PAYMENTS_OLDEST.set(doubt.oldest.total_seconds() if doubt.oldest else 0.0)

    def check(self) -> str | None:
        """For the health page."""
        with self.database.connect().execution_options(dialer_readonly=True) as connection:
            return complaint(unresolved.unresolved(connection, self._clock()))


def complaint(doubt: Unresolved) -> str | None:
    """What to say of payments that have been in doubt for too long; None: nothing."""
    if not doubt.worrying:
        return None
    one = doubt.worrying == 1
    return (
        f"{doubt.worrying} payment{'' if one else 's'} or refund{'' if one else 's'} in doubt for"
        " more than an hour: `dialer payments --unresolved` lists them, `dialer payments resolve`"
        " asks their gateways now"
    )


def resolve_all(resolver: Resolver, payment_ids: Sequence[str], refund_ids: Sequence[str]) -> int:
    """Look all of these up now, due or not; how many are still in doubt."""
    left = sum(resolver.look_up(one, now=True).open for one in payment_ids)
    for one in refund_ids:
        state = RefundLife(resolver.look_up_refund(one, now=True))
        left += state.open
    return left
