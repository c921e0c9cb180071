"""The figures of a campaign, on both databases."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, update
from world import NOW, POOL, World

from dialer.local.demo_result import busiest
from dialer.store import reports
from dialer.store import tables as t


class Calls:
    """Writes attempts as an engine would have left them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.count = 0

    def add(self, lead_id: int, disposition: str | None, **values: Any) -> str:
        """One attempt, a second after the one before; its id."""
        self.count += 1
        (lead,) = self.world.rows(t.lead, id=lead_id)
        phone = self.world.rows(t.phone, debtor_id=lead.debtor_id)[0]
        made = f"{self.count:032x}"
        with self.world.engine.begin() as c:
            c.execute(
                insert(t.attempt).values(
                    {
                        "id": made, "campaign_id": self.world.campaign_id, "lead_id": lead_id,
                        "debtor_id": lead.debtor_id, "phone_id": phone.id, "number": phone.number,
                        "caller_id": POOL[0], "trunk": "carrier", "node": "node1",
                        "flow": "reminder", "placed_at": NOW + timedelta(seconds=self.count),
                        "state": "ended" if disposition else "ringing",
                        "disposition": disposition, **values,
                    }
                )
            )  # fmt: skip
        return made

    def step(self, attempt_id: str, step: int, kind: str, **values: Any) -> None:
        """One step of the fallback after an attempt."""
        with self.world.engine.begin() as c:
            c.execute(
                insert(t.fallback).values(
                    {"attempt_id": attempt_id, "step": step, "kind": kind, "at": NOW,
                     "hangup_at": NOW, **values}
                )
            )  # fmt: skip

    def message(self, lead_id: int, **values: Any) -> int:
        """One message; its id."""
        (lead,) = self.world.rows(t.lead, id=lead_id)
        with self.world.engine.begin() as c:
            key = c.execute(
                insert(t.message).values(
                    {"company_id": self.world.company_id, "debtor_id": lead.debtor_id,
                     "campaign_id": self.world.campaign_id, "key": f"k{lead_id}",
                     "channel": "sms", "number": "+34600000001", "template": "missed_call",
                     "body": "x", "state": "delivered", "created_at": NOW, "updated_at": NOW,
                     **values}
                )
            ).inserted_primary_key  # fmt: skip
        assert key is not None
        return int(key[0])


@pytest.fixture
def campaign(database: Engine) -> tuple[World, dict[str, Any], list[dict[str, Any]]]:
    """Three leads: one reached by its redial, one by nothing, one who promised at once."""
    world = World(database)
    first, second, third = world.lead(), world.lead(), world.lead()
    calls = Calls(world)
    left = {"last_node": "greeting", "last_prompt": "greeting", "hung_up_by_debtor": True}
    one = calls.add(first, "answered_abandoned", **left)
    redial = calls.add(first, "promise", follows=one, fallback_index=0, last_node="promised",
                       last_prompt="promised", keys="121",
                       dialled_at=NOW + timedelta(milliseconds=20))  # fmt: skip
    calls.step(one, 0, "redial", made_attempt_id=redial)  # nobody has written its latency yet
    two = calls.add(second, "answered_abandoned", **left)
    sms = calls.message(second, requested_at=NOW + timedelta(milliseconds=90))
    calls.step(two, 0, "redial", refused="no_caller_id")
    calls.step(two, 1, "sms", made_message_id=sms)
    calls.add(third, "promise", last_node="promised", last_prompt="promised", keys="121")
    calls.add(third, None)
    account_id = world.rows(t.account)[0].id
    with database.begin() as c:
        c.execute(
            update(t.lead)
            .where(t.lead.c.id.in_([first, second]))
            .values(state="done", closed_reason="promise", last_disposition="promise")
        )
        c.execute(
            insert(t.promise).values(
                account_id=account_id, attempt_id=redial, due=date(2026, 3, 20),
                amount_minor=12345, currency="EUR", made_at=NOW,
            )
        )  # fmt: skip
    with database.connect() as c:
        figures = reports.report(c, world.campaign_id)
        rows = list(reports.attempt_rows(c, world.campaign_id))
    return world, figures, rows


Campaign = tuple[World, dict[str, Any], list[dict[str, Any]]]


def test_leads_attempts_and_dispositions_are_counted(campaign: Campaign) -> None:
    _, figures, _ = campaign
    assert figures["leads"] == {
        "total": 3, "waiting": 1, "claimed": 0, "done": 2, "closed": {"promise": 2},
    }  # fmt: skip
    assert figures["attempts"]["total"] == 5
    assert (figures["attempts"]["open"], figures["attempts"]["redials"]) == (1, 1)
    assert figures["dispositions"] == {"answered_abandoned": 2, "promise": 2}
    assert figures["answered"] == {
        "count": 4, "share": 1.0, "conversations": 2, "conversation_share": 0.5,
    }  # fmt: skip
    assert figures["promises"] == {"count": 1, "amount_minor": {"EUR": 12345}}
    assert figures["messages"] == {"delivered": 1}


def test_where_debtors_left_is_counted_by_prompt(campaign: Campaign) -> None:
    assert campaign[1]["left_at"] == [
        {"node": "greeting", "prompt": "greeting", "calls": 2, "hung_up": 2, "abandoned": 2},
        {"node": "promised", "prompt": "promised", "calls": 2, "hung_up": 0, "abandoned": 0},
    ]


def test_fallbacks_have_counts_refusals_and_latencies(campaign: Campaign) -> None:
    fallbacks = campaign[1]["fallbacks"]
    assert fallbacks["redial"] == {
        "count": 1, "refused": {"no_caller_id": 1}, "measured": 1, "slowest_ms": 20.0,
        "latency_ms": {"p50": 20.0, "p90": 20.0, "p99": 20.0},
    }  # fmt: skip
    assert fallbacks["sms"]["count"] == 1
    assert fallbacks["sms"]["latency_ms"]["p99"] == 90.0
    abandoned = campaign[1]["abandoned"]
    assert (abandoned["calls"], abandoned["leads"]) == (2, 2)
    assert abandoned["redials"] == {"promise": 1}
    assert (abandoned["reached_by_redial"], abandoned["reached_share"]) == (1, 1.0)
    assert abandoned["leads_done_as"] == {"promise": 2}


def test_every_field_of_every_attempt_is_listed_in_order(campaign: Campaign) -> None:
    world, _, rows = campaign
    assert [row["id"] for row in rows] == [row.id for row in world.rows(t.attempt)]
    assert set(t.attempt.columns.keys()) <= set(rows[0])
    first, redial, second = rows[:3]
    assert first["placed_at"] == "2026-03-16T11:00:01.000000+00:00"
    assert (redial["follows"], redial["keys"]) == (first["id"], "121")
    assert redial["fallback_latency_ms"] == 20.0
    assert [(s["kind"], s["refused"]) for s in second["fallback"]] == [
        ("redial", "no_caller_id"), ("sms", None),
    ]  # fmt: skip
    assert second["fallback"][1]["latency_ms"] == 90.0
    assert second["fallback"][1]["message_state"] == "delivered"
    json.dumps(rows)  # everything is JSON


def test_a_long_list_of_attempts_is_read_in_chunks(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(database)
    lead = world.lead()
    calls = Calls(world)
    ids = [calls.add(lead, "busy", placed_at=NOW + timedelta(seconds=n // 3)) for n in range(10)]
    monkeypatch.setattr(reports, "CHUNK", 4)
    with database.connect() as c:
        assert [row["id"] for row in reports.attempt_rows(c, world.campaign_id)] == ids


def test_a_campaign_without_calls_has_a_report(database: Engine) -> None:
    world = World(database)
    with database.connect() as c:
        figures = reports.report(c, world.campaign_id)
        assert list(reports.attempt_rows(c, world.campaign_id)) == []
    assert figures["answered"]["share"] is None
    assert figures["fallbacks"]["redial"]["latency_ms"] == {"p50": None, "p90": None, "p99": None}


# --- percentiles ---------------------------------------------------------------------------


def test_nearest_rank_by_the_book() -> None:
    values = [15.0, 20.0, 35.0, 40.0, 50.0]
    assert [reports.percentile(values, p) for p in (5, 30, 40, 50, 100)] == [15, 20, 20, 35, 50]
    assert reports.percentile([], 50) is None


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_least_value_with_so_many_at_or_below_it(
    values: list[float], percent: int
) -> None:
    found = reports.percentile(values, percent)
    assert found in values
    assert found is not None

    def share_at_or_below(limit: float) -> float:
        return 100 * sum(value <= limit for value in values)

    assert share_at_or_below(found) >= percent * len(values)
    smaller = [value for value in values if value < found]
    if smaller:
        assert share_at_or_below(max(smaller)) < percent * len(values)


def test_the_busiest_window() -> None:
    at = [NOW + timedelta(seconds=s) for s in (0, 1, 2, 3, 10, 10.5, 11, 14.9)]
    five: timedelta = timedelta(seconds=5)
    assert busiest(at, five) == 0.8
    assert busiest([*at, at[-1]], five) == 1.0
    none: list[datetime] = []
    assert busiest(none, five) == 0.0
