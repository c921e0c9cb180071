"""What all payments share, and what may be paid in one: how much, where, and whether it is safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from agi_scripts.charging import Cashier
from agi_scripts.pay_prompts import PayPrompts
from agi_scripts.pay_watch import Nobody, Watcher
from agi_scripts.sounds import Sounds
from agi_scripts.wire import Agi
from dialer.config import Settings
from dialer.domain.model import Money
from dialer.domain.payment import (
    AmountChoice,
    FieldUse,
    PaymentMode,
    PayOffer,
    PayResult,
    PaySpec,
)
from dialer.logs import get_logger
from dialer.payments import gateways, service
from dialer.payments.conversation import Began
from dialer.payments.gateway import Capabilities, GatewayError
from dialer.payments.masking import told
from dialer.payments.submission import Submitter
from dialer.store.outcomes import Call
from dialer.store.pay_sessions import PaySession, earlier_session

log = get_logger(__name__)


class CardGuard(Protocol):
    """Asks Asterisk whether a card may be taken (``dialer.switch.guard``)."""

    def check(self) -> list[str]:
        """Why not; empty: it may."""

    def mute(self, channel: str) -> int:
        """Mute the recordings of a channel. Raises where that is not certain."""

    def unmute(self, channel: str) -> int:
        """Let them go on. Raises."""


@dataclass(frozen=True)
class Payments:
    """What the sessions share. Safe for many threads."""

    settings: Settings
    engine: Engine
    sounds: Sounds
    prompts: PayPrompts
    submitter: Submitter
    guard: CardGuard
    clock: Callable[[], datetime]
    watcher: Callable[[PaySession], Watcher] = lambda _session: Nobody()

    def say_goodbye(self, agi: Agi) -> None:
        """Nothing: the flow that sent the call here says what comes next."""


class Terms:
    """What may be paid in a session, at which gateway, and whether it is safe to."""

    def __init__(self, payments: Payments, session: PaySession, call: Call) -> None:
        self._shared = payments
        self._session = session
        self._call = call
        settings = payments.settings
        self.gateway = gateways.choose(settings, call.payment.gateway, call.country) or ""
        self.cashier = Cashier(payments.engine, settings, payments.submitter, payments.clock)

    def today(self) -> date:
        """The debtor's own calendar day."""
        return self._shared.clock().astimezone(ZoneInfo(self._call.timezone)).date()

    def begin(self) -> tuple[Began, PayResult | None]:
        """What the conversation begins with, and why it ends at once (None: it goes on)."""
        now, account_id = self._shared.clock(), self._session.account_id
        with self._shared.engine.connect().execution_options(dialer_readonly=True) as connection:
            offer = service.offer(connection, account_id, self._call.payment, now)
            earlier = earlier_session(connection, account_id, now, but=self._session.id)
        currency = self._call.amount.currency
        spec = self._narrowed(currency)
        if self._session.watched and offer is not None:
            return self._talked_about(spec, offer)
        began = Began(
            spec=spec or self._session.spec,
            offer=offer or PayOffer(Money(0, currency), 0),
            resumed_minor=earlier.agreed_minor if earlier else None,
            link=self._call.line_type.takes_sms,
            receipt=self._call.line_type.takes_sms,
        )
        if spec is None or not self.safe():
            return began, PayResult.CARD_ENTRY_UNAVAILABLE
        return began, None

    def _talked_about(
        self, spec: PaySpec | None, offer: PayOffer
    ) -> tuple[Began, PayResult | None]:
        """An agent has talked with the debtor about an amount: exactly that is asked about, or the
        whole where they named none. Nothing of earlier calls is offered."""
        wanted = self._session.agreed_minor or offer.whole.minor
        # What is owed may have become less meanwhile: more than that is never asked for.
        amount = min(wanted, offer.whole.minor)
        began = Began(
            spec=replace(spec or self._session.spec, amounts=(AmountChoice.WHOLE,)),
            offer=PayOffer(replace(offer.whole, minor=amount), amount),
            link=self._call.line_type.takes_sms,
            receipt=self._call.line_type.takes_sms,
        )
        if amount < wanted:
            log.warning("less is owed than was talked about", session=self._session.id)
        if spec is None or not self.safe():
            return began, PayResult.CARD_ENTRY_UNAVAILABLE
        return began, None

    def safe(self) -> bool:
        """Whether nothing in Asterisk writes keys down; where it cannot be told, it is not."""
        try:
            return not self._shared.guard.check()
        except Exception as error:  # noqa: BLE001 - whatever it is, no card is taken
            log.error("no card taken: Asterisk not asked", why=told(error))
            return False

    def _narrowed(self, currency: str) -> PaySpec | None:
        """What the node asks for, as far as the gateway can; None: no card can be taken."""
        if not self.gateway:
            log.error("no card taken: no gateway for the country", country=self._call.country)
            return None
        try:
            can = self._shared.submitter.capabilities(self.gateway)
        except GatewayError as error:
            log.error("no card taken", gateway=self.gateway, why=str(error))
            return None
        spec = narrow(self._session.spec, can, currency)
        if spec is None:
            log.error("no card taken: the gateway cannot", gateway=self.gateway, currency=currency)
        return spec


def narrow(spec: PaySpec, can: Capabilities, currency: str) -> PaySpec | None:
    """What is asked for, as far as a gateway can; None where it cannot at all."""
    brands = tuple(one for one in spec.brands if one in can.brands)
    paying = spec.mode is PaymentMode.TOKENISE or not can.currencies or currency in can.currencies
    if not brands or not paying or not can.moto or spec.mode not in can.modes:
        return None
    return replace(
        spec,
        brands=brands,
        security_code=_field(spec.security_code, can.security_code),
        postal_code=_field(spec.postal_code, can.postal_code),
    )


def _field(wanted: FieldUse, gateway: FieldUse) -> FieldUse:
    return wanted if gateway is FieldUse.OPTIONAL else gateway
