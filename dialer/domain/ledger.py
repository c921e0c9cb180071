"""Double entry for the money of a debt. Pure.

What the creditor claims is the account's own figure; entries move parts of it between books:

    claim + overpaid = open + pending + paid + forgiven

``open`` is what may still be asked for, ``pending`` what is being charged (or authorised and not
captured), ``paid`` what was taken and not given back, ``forgiven`` what was given back and is not
asked for again. ``overpaid`` is there only where the acquirer took money that was not owed any
more, or the creditor lowered its claim below what was paid.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dialer.domain.payment import PaymentMode, PaymentState


class Book(StrEnum):
    """Where money stands."""

    OPEN = "open"
    PENDING = "pending"
    PAID = "paid"
    FORGIVEN = "forgiven"


@dataclass(frozen=True, slots=True)
class Entry:
    """``minor`` is signed."""

    book: Book
    minor: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """Entries that add up to nothing. ``key`` makes a repeat harmless. Raises ValueError."""

    key: str
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        if sum(entry.minor for entry in self.entries) != 0:
            raise ValueError(f"the entries of {self.key} do not add up to nothing")
        if len({entry.book for entry in self.entries}) != len(self.entries):
            raise ValueError(f"{self.key} has two entries in one book")


def move(key: str, source: Book, minor: int, *targets: tuple[Book, int]) -> Transaction:
    """``minor`` out of ``source``; into each target its part. Empty parts leave no entry."""
    entries = [Entry(source, -minor), *(Entry(book, part) for book, part in targets)]
    return Transaction(key, tuple(entry for entry in entries if entry.minor))


def reserve(payment_id: str, minor: int) -> Transaction:
    """Before anything leaves."""
    return move(f"reserve:{payment_id}", Book.OPEN, minor, (Book.PENDING, minor))


def release(payment_id: str, minor: int) -> Transaction:
    """No money has moved."""
    return move(f"release:{payment_id}", Book.PENDING, minor, (Book.OPEN, minor))


def settle(payment_id: str, minor: int) -> Transaction:
    """Charged."""
    return move(f"settle:{payment_id}", Book.PENDING, minor, (Book.PAID, minor))


def settle_late(payment_id: str, minor: int) -> Transaction:
    """Charged after all, when the reservation was given back: may overpay the debt."""
    return move(f"late:{payment_id}", Book.OPEN, minor, (Book.PAID, minor))


def hold_late(payment_id: str, minor: int) -> Transaction:
    """Authorised after all, when the reservation was given back."""
    return move(f"late:{payment_id}", Book.OPEN, minor, (Book.PENDING, minor))


def capture(payment_id: str, held: int, taken: int) -> Transaction:
    """``taken`` of what was authorised; the rest is open again."""
    return move(
        f"capture:{payment_id}", Book.PENDING, held, (Book.PAID, taken), (Book.OPEN, held - taken)
    )


def give_back(
    refund_id: str, minor: int, *, source: Book = Book.PAID, forgive: bool = False
) -> Transaction:
    """Refunded, or voided (``source`` pending for an authorisation). The debt is open again unless
    it is forgiven."""
    target = Book.FORGIVEN if forgive else Book.OPEN
    return move(f"refund:{refund_id}", source, minor, (target, minor))


def take_again(
    refund_id: str, minor: int, *, source: Book = Book.PAID, forgive: bool = False
) -> Transaction:
    """A refund that was counted as done came back: we have the money after all."""
    origin = Book.FORGIVEN if forgive else Book.OPEN
    return move(f"unrefund:{refund_id}", origin, minor, (source, minor))


def settlement(
    before: PaymentState, after: PaymentState, mode: PaymentMode, payment_id: str, minor: int
) -> Transaction | None:
    """The transaction that a change of state asks for; None where no money moves."""
    if mode is PaymentMode.TOKENISE or minor == 0 or before is after or after.open:
        return None
    held = before.open
    if after is not PaymentState.APPROVED:
        return release(payment_id, minor) if held else None
    if mode is PaymentMode.AUTHORISE:
        return None if held else hold_late(payment_id, minor)
    return settle(payment_id, minor) if held else settle_late(payment_id, minor)


@dataclass(frozen=True, slots=True)
class Balance:
    """Where the money of an account stands, in minor units of ``currency``.

    ``open``: what may be paid now. ``refunded``: all that was ever given back, for information;
    it is part of the sum only as ``open`` or ``forgiven``.
    """

    claim: int
    open: int
    pending: int
    paid: int
    refunded: int
    currency: str
    forgiven: int = 0
    overpaid: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether nothing is missing and nothing too much."""
        has = self.open + self.pending + self.paid + self.forgiven
        return self.claim + self.overpaid == has and min(self.pending, self.paid) >= 0


def balance(claim: int, currency: str, books: dict[Book, int], refunded: int = 0) -> Balance:
    """From the claim and the sums of the books."""
    rest = claim + books.get(Book.OPEN, 0)
    return Balance(
        claim=claim,
        open=max(0, rest),
        pending=books.get(Book.PENDING, 0),
        paid=books.get(Book.PAID, 0),
        refunded=refunded,
        currency=currency,
        forgiven=books.get(Book.FORGIVEN, 0),
        overpaid=max(0, -rest),
    )


def wrong_with_payment(
    mode: PaymentMode,
    state: PaymentState,
    minor: int,
    books: dict[Book, int],
    *,
    captured: bool,
    given_back: int,
) -> str | None:
    """What does not agree between a payment and its entries, for people; None: all does.

    ``given_back``: the sum of its refunds and voids that are done.
    """
    pending, paid = books.get(Book.PENDING, 0), books.get(Book.PAID, 0)
    if mode is PaymentMode.TOKENISE:
        return "a token has entries" if any(books.values()) else None
    if given_back < 0 or paid < 0 or pending < 0:
        return f"less than nothing: pending {pending}, paid {paid}"
    if state is not PaymentState.APPROVED:
        held = minor if state.open else 0
        fits = pending == held and paid == 0
        return None if fits else f"{state.value} with pending {pending} and paid {paid}"
    if mode is PaymentMode.AUTHORISE and not captured:
        fits = pending == minor - given_back and paid == 0
        return None if fits else f"authorised {minor} with pending {pending} and paid {paid}"
    taken = paid + given_back
    whole = mode is PaymentMode.CHARGE
    fits = pending == 0 and (taken == minor if whole else 0 < taken <= minor)
    return None if fits else f"approved {minor} with pending {pending}, paid {paid}"
