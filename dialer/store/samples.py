"""Some of many, evenly drawn, so that a look at a large list costs no more than at a small one.

Which ones is decided by the row's own number, mixed up: the same list gives the same sample, and
neither the order of the import nor its size shows in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from dialer.domain.model import LeadState
from dialer.store.tables import account, lead

SIZE = 500
"""Rows that are looked at one by one, or about so many."""
_SPREAD, _PARTS = 40_503, 65_536  # a multiplier prime to the modulus: Knuth, 6.4


@dataclass(frozen=True, slots=True)
class Sample:
    """``ids`` of ``whole`` rows."""

    ids: tuple[int, ...]
    whole: int

    @property
    def all(self) -> bool:
        """Nothing was left out."""
        return len(self.ids) == self.whole


def of_accounts(connection: Connection, company_id: int, size: int = SIZE) -> Sample:
    """Accounts of a company: those that become leads of a new campaign."""
    return _drawn(connection, account.c.id, account.c.company_id == company_id, size)


def of_waiting(connection: Connection, campaign_id: int, size: int = SIZE) -> Sample:
    """Leads of a campaign that wait to be called."""
    waiting = (lead.c.campaign_id == campaign_id) & (lead.c.state == LeadState.WAITING.value)
    return _drawn(connection, lead.c.id, waiting, size)


def _drawn(connection: Connection, key: Any, which: ColumnElement[bool], size: int) -> Sample:
    whole: int = connection.execute(select(func.count()).where(which)).scalar_one()
    query: Select[Any] = select(key).where(which)
    if whole > size:
        # About as many as wanted; cutting off what is too much would leave out the newest.
        query = query.where((key * _SPREAD) % _PARTS < max(1, _PARTS * size // whole))
    ids = connection.execute(query.limit(2 * size)).scalars().all()
    return Sample(tuple(ids), whole)
