"""How often cards may be tried: limits that stop card testing and needless retries. Pure.

A keypad is slow, but whoever tests stolen cards can call back, and be called again. Every limit
counts over the last 24 hours. Where the numbers come from:

- Account testing: acquirers and Visa's anti-enumeration guidance ask for velocity checks for each
  card, each payer and each point of entry (here: the telephone), and for a lock of about a day
  after five failures in a row; the numbers themselves are left to the merchant.
- Retries: Visa's category 1 declines ("the issuer will never approve") must not be tried again;
  Mastercard counts more than ten declines of a card a day at one merchant as excessive. Ours are
  below both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dialer.domain.payment import PaymentOutcome


class Limit(StrEnum):
    """Which limit was reached."""

    DEBT = "submissions_per_debt"
    PHONE = "submissions_per_phone"
    CARDS_OF_PHONE = "cards_per_phone"
    CARD_DECLINES = "declines_per_card"
    DEBTS_OF_CARD = "debts_per_card"
    HARD_DECLINE = "card_declined_for_good"


@dataclass(frozen=True, slots=True)
class VelocityLimits:
    """What is allowed within ``window``; the one after that is refused."""

    submissions_per_debt: int = 5
    submissions_per_phone: int = 5
    cards_per_phone: int = 4
    declines_per_card: int = 5
    debts_per_card: int = 4
    window: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Submission:
    """A card that was sent, or is about to be: never a number, only what it can be told apart by.

    ``fingerprint``: keyed hash of the card; None where it is not known, as ``number`` (telephone).
    """

    at: datetime
    account_id: int
    number: str | None
    fingerprint: str | None
    outcome: PaymentOutcome | None = None


_DECLINES = (PaymentOutcome.DECLINED_SOFT, PaymentOutcome.DECLINED_HARD)


def limit_reached(
    limits: VelocityLimits, before: Iterable[Submission], new: Submission
) -> Limit | None:
    """The limit that ``new`` would exceed, the gravest first; None: it may be sent."""
    since = new.at - limits.window
    past = [one for one in before if one.at > since]
    card = _same(past, "fingerprint", new.fingerprint)
    phone = _same(past, "number", new.number)
    debt = _same(past, "account_id", new.account_id)
    cards = {one.fingerprint for one in phone} | {new.fingerprint}
    debts = {one.account_id for one in card} | {new.account_id}
    declines = [one for one in card if one.outcome in _DECLINES]
    reached = {
        Limit.HARD_DECLINE: any(one.outcome is PaymentOutcome.DECLINED_HARD for one in card),
        Limit.CARD_DECLINES: len(declines) >= limits.declines_per_card,
        Limit.DEBTS_OF_CARD: bool(new.fingerprint) and len(debts) > limits.debts_per_card,
        Limit.CARDS_OF_PHONE: bool(new.number) and len(cards - {None}) > limits.cards_per_phone,
        Limit.PHONE: len(phone) >= limits.submissions_per_phone,
        Limit.DEBT: len(debt) >= limits.submissions_per_debt,
    }
    return next((limit for limit, yes in reached.items() if yes), None)


def _same(past: list[Submission], name: str, value: object) -> list[Submission]:
    return [] if value is None else [one for one in past if getattr(one, name) == value]
