"""Payments that may be given back, and a bank that does."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures_site import Site
from money import account_of, book, payment_row
from sqlalchemy import update
from world import World

from dialer.domain import ledger
from dialer.domain.model import Money
from dialer.domain.payment import FieldUse
from dialer.payments import refunding
from dialer.payments.gateway import Capabilities, Order, RefundReply, RefundState
from dialer.store import tables as t


class RefundingBank:
    """A gateway that gives back what it is told to; counts."""

    name = "test"

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []
        self.says = RefundState.DONE
        self.breaks = False

    def capabilities(self) -> Capabilities:
        """Everything."""
        return Capabilities(modes=frozenset(), brands=frozenset(), security_code=FieldUse.OPTIONAL)

    def refund(self, order: Order, ref: str, refund_id: str, amount: Money) -> RefundReply:
        """Noted."""
        if self.breaks:
            raise KeyboardInterrupt("the process dies here")
        self.sent.append((refund_id, amount.minor))
        return RefundReply(self.says)


@pytest.fixture
def refunding_bank(monkeypatch: pytest.MonkeyPatch) -> RefundingBank:
    """In place of every gateway."""
    one = RefundingBank()
    monkeypatch.setattr(refunding, "gateway_named", lambda _settings, _name: one)
    return one


@pytest.fixture
def paid(site: Site) -> str:
    """A payment of 123.45 EUR of acme, taken; its id."""
    return make_paid(site)


def make_paid(site: Site, name: str = "Third", **changes: Any) -> str:
    """One more payment of acme; ``changes``: columns of its row. Its id."""
    world = World(site.engine, company=name)
    lead = world.lead()
    with site.engine.begin() as c:
        for table in (t.campaign, t.account, t.debtor):
            mine = update(table).where(table.c.company_id == world.company_id)
            c.execute(mine.values(company_id=site.acme))
    world.company_id = site.acme
    values = {"state": "approved", "provider_ref": "p1", "next_look_up_at": None, **changes}
    key = payment_row(world, lead, **values)
    account = account_of(world, lead)
    with site.engine.begin() as c:
        for moved in (ledger.reserve(key, 12345), ledger.settle(key, 12345)):
            book(c, account, moved)
        c.execute(update(t.ledger_entry).values(payment_id=key))
    return key
