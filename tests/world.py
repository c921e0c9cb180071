"""A small world in the database: a company, a campaign, debtors with phones and leads."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import Connection, Engine, insert

from dialer.domain.model import (
    CampaignPlan,
    CampaignState,
    ContactRules,
    DayWindow,
    Disposition,
    LeadState,
    LineType,
    RetryRule,
)
from dialer.domain.pacing import CallRate
from dialer.engine.campaigns import RunningCampaign
from dialer.store import tables as t
from dialer.store.holidays import days_off
from dialer.store.plans import plan_json

NOW = datetime(2026, 3, 16, 11, tzinfo=UTC)
POOL = ("+34910000000", "+34910000001", "+34910000002")
ALWAYS = ContactRules(
    window=tuple(DayWindow(day, time(), time()) for day in range(7)),
    max_per_day=10,
    max_per_week=20,
)
SPANISH = ContactRules(
    window=tuple(DayWindow(day, time(9), time(21)) for day in range(5)),
    holidays=days_off(None, "ES", NOW.date()),
)
"""As Spain has them: no second person has to grant such a campaign."""


def plan(**changes: Any) -> CampaignPlan:
    """A plan that lets everything through, but for ``changes``."""
    values: dict[str, Any] = {
        "name": "test",
        "flow": "reminder",
        "language": "es",
        "caller_ids": POOL,
        "trunk": "carrier",
        "rules": ALWAYS,
        "retry": {Disposition.NO_ANSWER: RetryRule(delay=60)},
    }
    return CampaignPlan(**(values | changes))


class World:
    """Makes rows; every debtor has one account and one lead."""

    def __init__(
        self,
        engine: Engine,
        campaign_plan: CampaignPlan | None = None,
        at: datetime = NOW,
        company: str = "Acme",
    ) -> None:
        self.engine = engine
        self.plan = campaign_plan or plan()
        self.at = at
        self._numbers = itertools.count(1)
        with engine.begin() as c:
            self.company_id = _insert(
                c, t.company, name=company, country="ES", timezone="Europe/Madrid",
                spoken_name="Acme", callback_number=POOL[0], created_at=at,
            )  # fmt: skip
            self.pool_id = _insert(c, t.caller_id_pool, company_id=self.company_id, name="pool")
            self.campaign_id = _insert(
                c, t.campaign, company_id=self.company_id, name=self.plan.name,
                state=CampaignState.RUNNING.value, pool_id=self.pool_id,
                plan=plan_json(self.plan), created_at=at, started_at=at,
            )  # fmt: skip

    def running(self) -> RunningCampaign:
        """The campaign as the engine holds it."""
        return RunningCampaign(
            id=self.campaign_id, plan=self.plan, company_name="Acme", callback_number=POOL[0],
            running=True, rate=CallRate(self.plan.calls_per_second),
        )  # fmt: skip

    def lead(
        self, *numbers: str, line_type: LineType = LineType.MOBILE, timezone: str | None = None
    ) -> int:
        """A debtor with these phones (one made up if none) and a lead; the lead's id.

        The last four digits of the document are those of the first phone, as the simulated
        debtors have it.
        """
        n = next(self._numbers)
        document = f"{n:04d}{numbers[0][-4:]}X" if numbers else f"{n:08d}X"
        with self.engine.begin() as c:
            debtor_id = _insert(
                c, t.debtor, company_id=self.company_id, document=document, name=f"Debtor {n}",
                country="ES", timezone=timezone, created_at=self.at,
            )  # fmt: skip
            for position, number in enumerate(numbers or (f"+346000{n:05d}",)):
                _insert(
                    c, t.phone, debtor_id=debtor_id, number=number, line_type=line_type.value,
                    position=position,
                )  # fmt: skip
            account_id = _insert(
                c, t.account, company_id=self.company_id, debtor_id=debtor_id,
                reference=f"R{n}", amount_minor=12345, currency="EUR",
                due_date=date(2026, 4, 1), created_at=self.at, updated_at=self.at,
            )  # fmt: skip
            return _insert(
                c, t.lead, campaign_id=self.campaign_id, debtor_id=debtor_id,
                account_id=account_id, state=LeadState.WAITING.value, next_at=self.at,
            )  # fmt: skip

    def rows(self, table: Any, **where: Any) -> list[Any]:
        """Rows of a table, in order of id."""
        with self.engine.connect() as c:
            query = table.select().filter_by(**where)
            return list(c.execute(query.order_by(table.primary_key.columns.values()[0])))


def _insert(c: Connection, table: Any, **values: Any) -> int:
    key = c.execute(insert(table).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])
