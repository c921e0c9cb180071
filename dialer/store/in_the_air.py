"""Who is being called right now: one person and one telephone have one call at a time.

The caps bound how often; this keeps two accounts, two campaigns or two debtors who share a phone
from ringing it at the same moment.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection, or_, select

from dialer.domain.model import AttemptState, LeadState
from dialer.store.tables import attempt, debtor, lead, phone


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
    mine, other = phone.alias("mine"), phone.alias("other")
    sharing = (
        select(other.c.debtor_id)
        .join(mine, mine.c.number == other.c.number)
        .where(mine.c.debtor_id.in_(debtor_ids))
    )
    concerned = or_(debtor.c.id.in_(debtor_ids), debtor.c.id.in_(sharing))
    held = list(
        connection.execute(
            select(debtor.c.id)
            .where(concerned)
            .order_by(debtor.c.id)  # everybody locks in one order: no deadlock among engines
            .with_for_update(key_share=True)
        ).scalars()
    )
    air = InTheAir()
    for start in range(0, len(held), 5000):
        # An attempt that has not ended keeps its lead claimed: leads are found by index.
        for debtor_id, number in connection.execute(
            select(attempt.c.debtor_id, attempt.c.number)
            .join(lead, lead.c.id == attempt.c.lead_id)
            .where(
                lead.c.debtor_id.in_(held[start : start + 5000]),
                lead.c.state == LeadState.CLAIMED.value,
                attempt.c.state != AttemptState.ENDED.value,
            )
        ):
            air.add(debtor_id, number)
    return air
