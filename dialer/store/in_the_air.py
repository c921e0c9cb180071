"""Who is being called right now: one person and one telephone have one call at a time.

The caps bound how often; this keeps two accounts, two campaigns or two debtors who share a phone
from ringing it at the same moment.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, select

from dialer.domain.model import AttemptState, LeadState
from dialer.store.tables import attempt, debtor, lead, phone

IN_CHUNK = 5000  # values of one IN


@dataclass(slots=True)
class InTheAir:
    """Debtors and numbers with a call that has not ended."""

    debtors: set[int] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)

    def add(self, debtor_id: int, number: str) -> None:
        """One call more."""
        self.debtors.add(debtor_id)
        self.numbers.add(number)


def hold(connection: Connection, debtor_ids: Collection[int]) -> InTheAir:
    """The calls to these debtors, and to those who share a number with them, that have not ended.

    On PostgreSQL their rows are locked until the transaction ends: of two engines that would call
    one person for two campaigns, the second waits here and then sees the first one's attempt.
    """
    if not debtor_ids:
        return InTheAir()
    # One table at a time, by lists: without statistics (after an import) PostgreSQL would read
    # whole tables for a join or a sub-query.
    numbers = connection.execute(_NUMBERS, {"debtors": list(debtor_ids)}).scalars().all()
    sharing = connection.execute(_SHARING, {"numbers": numbers}).scalars()
    concerned = sorted({*debtor_ids, *sharing})
    air = InTheAir()
    parts = [concerned[at : at + IN_CHUNK] for at in range(0, len(concerned), IN_CHUNK)]
    for part in parts:
        connection.execute(_HOLD, {"debtors": part}).all()
    for part in parts:
        for debtor_id, number in connection.execute(_CALLS, {"debtors": part}):
            air.add(debtor_id, number)
    return air


_NUMBERS = select(phone.c.number).where(phone.c.debtor_id.in_(bindparam("debtors", expanding=True)))
_SHARING = select(phone.c.debtor_id).where(phone.c.number.in_(bindparam("numbers", expanding=True)))
_HOLD = (
    select(debtor.c.id)
    .where(debtor.c.id.in_(bindparam("debtors", expanding=True)))
    .order_by(debtor.c.id)  # everybody locks in one order: no deadlock among engines
    .with_for_update(key_share=True)
)
_CALLS = (
    # An attempt that has not ended keeps its lead claimed: leads are found by index.
    select(attempt.c.debtor_id, attempt.c.number)
    .join(lead, lead.c.id == attempt.c.lead_id)
    .where(
        lead.c.debtor_id.in_(bindparam("debtors", expanding=True)),
        lead.c.state == LeadState.CLAIMED.value,
        attempt.c.state != AttemptState.ENDED.value,
    )
)
