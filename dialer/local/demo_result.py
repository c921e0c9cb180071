"""What a demo came to, held against what its debtors should have come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from dialer.domain.model import CampaignPlan, LineType
from dialer.simulation.expected import Expected, Line, expect, totals
from dialer.simulation.persona import Persona
from dialer.simulation.personas import PERSONAS, persona_of
from dialer.simulation.witness import WitnessedCall
from dialer.store import reports
from dialer.store.tables import attempt, lead, phone

Witnessed = Sequence[WitnessedCall]

UNALLOCATED = "55"
MOST_DIFFERENCES = 50
RATE_WINDOW = timedelta(seconds=5)


def result(
    connection: Connection, campaign_id: int, plan: CampaignPlan, seen: Witnessed
) -> dict[str, Any]:
    """The figures of the campaign; ``match`` is whether every lead came to what its persona and
    the plan say (``differences`` names those that did not, ``other_ways`` those whose calls on the
    way there ended otherwise)."""
    figures = reports.report(connection, campaign_id)
    leads = _leads(connection, campaign_id, plan)
    differences = [one.told() for one in leads if not one.matches]
    return {
        **_figures(connection, campaign_id, plan, seen, figures),
        "expected": totals([one.expected for one in leads]),
        "observed": _observed(leads, figures),
        "match": not differences,
        "differences": differences[:MOST_DIFFERENCES],
        "differences_total": len(differences),
        "other_ways": [one.told() for one in leads if one.matches and not one.same_way][
            :MOST_DIFFERENCES
        ],
    }


def figures_alone(
    connection: Connection, campaign_id: int, plan: CampaignPlan, seen: Witnessed
) -> dict[str, Any]:
    """The same without what should have come of each debtor: with agents that is not known."""
    figures = reports.report(connection, campaign_id)
    return _figures(connection, campaign_id, plan, seen, figures)


def _figures(
    connection: Connection,
    campaign_id: int,
    plan: CampaignPlan,
    seen: Witnessed,
    figures: dict[str, Any],
) -> dict[str, Any]:
    return {
        "attempts": figures["attempts"]["total"],
        "dispositions": figures["dispositions"],
        "fallbacks": {kind: figures["fallbacks"][kind] for kind in ("redial", "sms")},
        "calls_per_second": _rate(connection, campaign_id, plan.calls_per_second),
        "carrier": _carrier(connection, campaign_id, seen),
        "report": figures,
    }


class LeadResult:
    """One lead: what it should have come to and what it came to."""

    def __init__(
        self, lead_id: int, personas: list[Persona], expected: Expected, row: Any, calls: list[str]
    ) -> None:
        self.lead_id = lead_id
        self.personas = personas
        self.expected = expected
        self.final: str | None = row.last_disposition
        self.closed: str | None = row.closed_reason
        self.calls = calls

    @property
    def matches(self) -> bool:
        """It came to its end, and to the right one."""
        wanted = self.expected.final
        return (
            self.closed is not None and wanted is not None and self.final == wanted.value
        ) and self.closed == self.expected.closed

    @property
    def same_way(self) -> bool:
        """And every call on the way ended as it should."""
        return self.calls == [said.value for said in self.expected.calls]

    def told(self) -> dict[str, Any]:
        """For the list of differences."""
        wanted = self.expected.final
        return {
            "lead": self.lead_id,
            "personas": [persona.name for persona in self.personas],
            "expected": wanted.value if wanted else None,
            "observed": self.final,
            "expected_calls": [said.value for said in self.expected.calls],
            "observed_calls": self.calls,
            "expected_closed": self.expected.closed,
            "observed_closed": self.closed,
        }


def _leads(connection: Connection, campaign_id: int, plan: CampaignPlan) -> list[LeadResult]:
    phones: dict[int, list[Any]] = {}
    for row in connection.execute(
        select(phone.c.debtor_id, phone.c.number, phone.c.line_type)
        .join(lead, lead.c.debtor_id == phone.c.debtor_id)
        .where(lead.c.campaign_id == campaign_id)
        .order_by(phone.c.debtor_id, phone.c.position)
    ):
        phones.setdefault(row.debtor_id, []).append(row)
    calls: dict[int, list[str]] = {}
    for row in connection.execute(
        select(attempt.c.lead_id, attempt.c.disposition, attempt.c.state)
        .where(attempt.c.campaign_id == campaign_id)
        .order_by(attempt.c.placed_at, attempt.c.id)
    ):
        calls.setdefault(row.lead_id, []).append(row.disposition or row.state)
    found = []
    for row in connection.execute(
        select(lead).where(lead.c.campaign_id == campaign_id).order_by(lead.c.id)
    ):
        lines = [
            Line(persona_of(one.number) or PERSONAS[UNALLOCATED], LineType(one.line_type))
            for one in phones[row.debtor_id]
        ]
        personas = [line.persona for line in lines]
        found.append(LeadResult(row.id, personas, expect(lines, plan), row, calls.get(row.id, [])))
    return found


def _observed(leads: Sequence[LeadResult], figures: dict[str, Any]) -> dict[str, Any]:
    """In the shape of ``expected.totals``."""
    finals = Counter(one.final or "none" for one in leads)
    return {
        "attempts": figures["attempts"]["total"],
        "dispositions": figures["dispositions"],
        "finals": dict(finals.most_common()),
        "fallbacks": {
            kind: {key: figures["fallbacks"][kind][key] for key in ("count", "refused")}
            for kind in ("redial", "sms")
        },
    }


def _rate(connection: Connection, campaign_id: int, asked: float) -> dict[str, Any]:
    """How many calls left a second: at most in any 5 s, and over the first calls of all leads."""
    rows = connection.execute(
        select(attempt.c.dialled_at, attempt.c.lead_id)
        .where(attempt.c.campaign_id == campaign_id, attempt.c.dialled_at.is_not(None))
        .order_by(attempt.c.dialled_at)
    ).all()
    first: dict[int, datetime] = {}
    for row in rows:
        first.setdefault(row.lead_id, row.dialled_at)
    firsts = sorted(first.values())
    span = (firsts[-1] - firsts[0]).total_seconds() if firsts else 0.0
    until = next(
        (at for at, row in enumerate(rows) if firsts and row.dialled_at > firsts[-1]), len(rows)
    )
    return {
        "asked": asked,
        "most_in_5_s": busiest([row.dialled_at for row in rows], RATE_WINDOW),
        # Redials and retries leave in between: all calls until the last lead's first one.
        "while_filling": round(until / span, 2) if span else None,
    }


def busiest(moments: Sequence[datetime], window: timedelta) -> float:
    """The most of these (sorted) moments within any window, per second."""
    most = start = 0
    for end, moment in enumerate(moments):
        while moment - moments[start] >= window:
            start += 1
        most = max(most, end - start + 1)
    return round(most / window.total_seconds(), 2)


def _carrier(connection: Connection, campaign_id: int, seen: Witnessed) -> dict[str, Any] | None:
    """The latencies as the far side measured them: its hang-up to the INVITE it got next."""
    if not seen:
        return None
    by_number: dict[str, list[WitnessedCall]] = {}
    for call in seen:
        by_number.setdefault(call.number.lstrip("+"), []).append(call)
    redials: list[float] = []
    for row in connection.execute(
        select(attempt.c.number, attempt.c.caller_id)
        .where(attempt.c.campaign_id == campaign_id, attempt.c.follows.is_not(None))
        .order_by(attempt.c.placed_at)
    ):
        latency = _redial_latency(by_number.get(row.number.lstrip("+"), []), row.caller_id)
        if latency is not None:
            redials.append(latency)
    return {
        "calls": len(seen),
        "redials_measured": len(redials),
        "redial_latency_ms": reports.percentiles(redials),
    }


def _redial_latency(calls: Sequence[WitnessedCall], caller_id: str) -> float | None:
    """From the end of the call before to the INVITE of the first call with this caller ID."""
    shown = caller_id.lstrip("+")
    for before, call in zip(calls, calls[1:], strict=False):
        if call.caller_id.lstrip("+") == shown and before.ended_at is not None:
            return (call.invited_at - before.ended_at).total_seconds() * 1000.0
    return None
