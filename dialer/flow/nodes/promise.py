"""``promise``: the debtor promises to pay by a day."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from dialer.domain.model import Outcome
from dialer.flow.nodes.base import Exit, ExitKind, Go, Move, Node, NodeName
from dialer.flow.values import MakePromise, State


def month_end(today: date) -> date:
    """The last day of today's month; on that day, today."""
    return today.replace(day=monthrange(today.year, today.month)[1])


class Promise(Node):
    """``in_days: 3``, or ``at: month_end``, counted from the debtor's own day."""

    needs_identity: ClassVar[bool] = True
    asks_for_money: ClassVar[bool] = True
    gives: ClassVar[frozenset[str]] = frozenset({"promise_date"})

    type: Literal["promise"]
    in_days: Annotated[int, Field(ge=0, le=90)] | None = None
    at: Literal["month_end"] | None = None
    next: NodeName

    @model_validator(mode="after")
    def _one_day(self) -> Self:
        if (self.in_days is None) == (self.at is None):
            raise ValueError("say when: either in_days or at")
        return self

    def due(self, today: date) -> date:
        """The day promised."""
        return month_end(today) if self.in_days is None else today + timedelta(days=self.in_days)

    def enter(self, name: str, state: State) -> Move:
        """Note the promise."""
        due = self.due(state.known.today)
        made = MakePromise(name, Outcome.PROMISE, due)
        return Go(state.with_(promised=due), self.next, (made,))

    def exits(self) -> tuple[Exit, ...]:
        """The next node."""
        return (Exit(ExitKind.NEXT, self.next),)

    def outcomes(self) -> tuple[Outcome, ...]:
        """Promise."""
        return (Outcome.PROMISE,)
