"""After a disaster: what is left behind is settled by the product's own means, and the books are
held against the bank's ledger."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial

from fixtures_bank import BankProcess
from payment_support import OWED, Till
from sqlalchemy import Engine
from world import World

from dialer.config import Settings
from dialer.domain.payment import PaymentState
from dialer.payments import service
from dialer.payments.resolving import Resolver
from dialer.store import tables as t
from dialer.store.ledger import audit_books, balance_of

TOLERATED = 60.0


def settle_later(engine: Engine, settings: Settings) -> service.Reconciled:
    """What the worker does in the hour after; what it found first."""
    now = datetime.now(UTC) + timedelta(minutes=10)
    found = service.reconcile(engine, now, settings)
    for minutes in (1, 5, 60):
        later = now + timedelta(minutes=minutes)
        resolver = Resolver(settings, engine, clock=partial(_same, later))
        for thread in resolver.sweep():
            thread.join(TOLERATED)
        resolver.close()
    return found


def _same(moment: datetime) -> datetime:
    return moment


def money_and_books_agree(bank: BankProcess, world: World, tills: list[Till]) -> int:
    """Each charge of the bank is one approved payment and the other way round; how many those are.
    No payment is left open."""
    payments = world.rows(t.payment)
    assert [one.id for one in payments if PaymentState(one.state).open] == []
    approved = [one for one in payments if one.state == PaymentState.APPROVED.value]
    ours = sorted((one.id, one.amount_minor, one.currency) for one in approved)
    charges = [one for one in bank.ledger()["charges"] if one["charged"]]
    assert ours == sorted((one["key"], one["minor"], one["currency"]) for one in charges)
    with world.engine.connect() as c:
        assert audit_books(c) == []
        stands = {till.account_id: balance_of(c, till.account_id) for till in tills}
    paid = Counter({till.account_id: 0 for till in tills})
    for one in approved:
        paid[one.account_id] += one.amount_minor
    for account_id, balance in stands.items():
        assert balance.adds_up
        assert (balance.paid, balance.pending) == (paid[account_id], 0)
        assert balance.paid <= OWED and balance.overpaid == 0
    texts = [one.key for one in world.rows(t.message) if one.template == "payment_receipt"]
    assert sorted(texts) == sorted(f"receipt:{one.id}" for one in approved)
    return len(approved)
