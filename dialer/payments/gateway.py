"""What every gateway is: a protocol, the values that go in and come out.

A gateway knows nothing of calls, debtors or the database. It never decides on a guess: what it
does not know for certain is ``UNKNOWN``, and ``look_up`` finds out later. ``submit`` is only ever
called in a process that ends after it (see ``dialer.payments.submission``), because libraries
leave the number in memory that nobody can wipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from dialer.domain.model import Money
from dialer.domain.payment import Brand, FieldUse, PaymentMode, PaymentOutcome
from dialer.payments.secret import SecretDigits


class GatewayError(Exception):
    """The gateway did not do it. ``passing``: asking again later may help. The message holds no
    answer of the gateway (it may repeat what it was sent)."""

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


class BadWebhook(Exception):
    """A webhook that is not the gateway's, or is too old, or cannot be understood."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a gateway can do; asked, never assumed.

    ``currencies``: empty means any. ``voids``/``captures``: whether an authorisation or a charge
    of today can be reversed without a refund, and captured later. ``links``: it makes payment
    pages of its own. ``looks_up_by_key``: ``look_up`` works without a provider reference.
    """

    modes: frozenset[PaymentMode]
    brands: frozenset[Brand]
    security_code: FieldUse
    postal_code: FieldUse = FieldUse.OPTIONAL
    currencies: frozenset[str] = frozenset()
    moto: bool = True
    voids: bool = True
    captures: bool = True
    partial_refunds: bool = True
    links: bool = False
    looks_up_by_key: bool = True


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be paid.

    ``payment_id`` (32 hex digits) is the idempotency key; ``order_ref`` (12 characters, the first
    four digits, unique) is for gateways that take no longer key. ``description`` is shown to the
    cardholder: company and reference, never a name. ``created_at`` aware UTC.
    """

    payment_id: str
    order_ref: str
    amount: Money
    mode: PaymentMode
    description: str
    country: str  # ISO 3166 of the company
    language: str
    created_at: datetime


@dataclass(slots=True)
class Card:
    """A card while it is being charged; ``wipe`` when done. ``year`` has four digits."""

    number: SecretDigits
    month: int
    year: int
    security_code: SecretDigits | None = None
    postal_code: str | None = None

    def wipe(self) -> None:
        """Overwrite what is secret."""
        self.number.wipe()
        if self.security_code is not None:
            self.security_code.wipe()


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a submission. ``reason``: the gateway's code (insufficient_funds), never its
    text. ``auth_code``: what the debtor is told. ``provider_ref``: what refunds and webhooks
    name."""

    outcome: PaymentOutcome
    provider_ref: str | None = None
    auth_code: str | None = None
    reason: str | None = None
    token: str | None = None


class Found(StrEnum):
    """What a look-up says."""

    APPROVED = "approved"
    DECLINED = "declined"
    PENDING = "pending"  # the gateway itself does not know yet
    ABSENT = "absent"  # it never got it; believed only after ``Settings.payment_settle_seconds``
    CLOSED = "closed"  # not charged, and can be charged no more (final at once)


@dataclass(frozen=True, slots=True)
class LookUp:
    """``reply`` is there for approved and declined."""

    found: Found
    reply: Reply | None = None


class RefundState(StrEnum):
    """What a gateway said to a refund or void."""

    DONE = "done"
    PENDING = "pending"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RefundReply:
    """``reason``: a code."""

    state: RefundState
    provider_ref: str | None = None
    reason: str | None = None


class EventKind(StrEnum):
    """What a webhook tells."""

    APPROVED = "approved"
    DECLINED = "declined"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    DISPUTED = "disputed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """``event_id`` makes a repeat harmless. One of ``payment_id``, ``order_ref`` and
    ``provider_ref`` is given."""

    event_id: str
    kind: EventKind
    at: datetime
    payment_id: str | None = None
    order_ref: str | None = None
    provider_ref: str | None = None
    refund_id: str | None = None
    amount: Money | None = None
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An HTTP request that came to a webhook."""

    headers: Mapping[str, str]
    body: bytes
    form: Mapping[str, str] = field(default_factory=dict)


class Gateway(Protocol):
    """One acquirer or payment provider. Methods block; every request has a time-out."""

    @property
    def name(self) -> str:
        """The word in settings, campaigns and the database: ``stripe``."""

    def capabilities(self) -> Capabilities:
        """What it can do."""

    def prepare(self, order: Order) -> str | None:
        """Make the payment known without a card; its reference, recorded before the card leaves.

        None for a gateway without such a step. Idempotent by the key. Raises GatewayError: nothing
        has been charged then.
        """

    def submit(self, order: Order, provider_ref: str | None, card: Card) -> Reply:
        """Charge, authorise or tokenise. Never raises for what the network or the gateway does:
        a request that may have arrived and has no answer is ``UNKNOWN``; one that certainly never
        left is ``CONFIGURATION_ERROR`` or ``UNKNOWN``, whichever is true."""

    def look_up(self, order: Order, provider_ref: str | None) -> LookUp:
        """What became of it. Where the gateway can, it is made impossible to charge later
        (``CLOSED``). Raises GatewayError."""

    def capture(self, order: Order, provider_ref: str, amount: Money) -> Reply:
        """Take what was authorised. As ``submit``."""

    def refund(self, order: Order, provider_ref: str, refund_id: str, amount: Money) -> RefundReply:
        """Give back; idempotent by ``refund_id`` (32 hex digits). Raises GatewayError only for
        what certainly did not happen."""

    def void(self, order: Order, provider_ref: str, refund_id: str) -> RefundReply:
        """Reverse the whole as if it had not been. As ``refund``."""

    def look_up_refund(self, order: Order, provider_ref: str, refund_id: str) -> RefundReply | None:
        """What became of a refund; None: the gateway never got it. Raises GatewayError."""

    def payment_link(self, order: Order, expires: datetime, return_url: str) -> str | None:
        """Address of a payment page of the gateway's own; None where it has none. Raises
        GatewayError."""

    def read_webhook(self, asked: Asked) -> WebhookEvent:
        """Verify and understand. Raises BadWebhook."""
