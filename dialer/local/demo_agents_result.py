"""What a demo came to for its agents, and whether something is off.

Latencies are given twice: as the dialer measured them, and as the debtor's end of the line did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from dialer.domain.model import AgentCallKind, AgentState, DialMode, Disposition
from dialer.simulation.personas import persona_of
from dialer.simulation.witness import WitnessedCall
from dialer.store import agent_sessions
from dialer.store.agent_reports import agents_report
from dialer.store.percentiles import percentiles
from dialer.store.tables import agent_call, attempt, callback, campaign, pay_session

SLACK = timedelta(seconds=0.7)
"""On top of the hold: the message takes that long to begin."""
TRANSFERS = ("blind", "attended", "complete")
OUR_FAULT = frozenset({"internal", "failed", "invalid", "malformed", "bad_json", "unauthorised"})
"""Refusals that no agent's doing explains."""
_MODES = [mode.value for mode in DialMode if mode.needs_agents]


@dataclass(frozen=True, slots=True)
class Shift:
    """The work of the agents in one demo. ``campaigns``: for agents first, then the one whose
    debtors ask for them, if any. ``hold`` in seconds. ``seen``: what the network saw. ``measured``:
    what the simulated agents did. ``stuck``: states of agents who did not come free at the end."""

    company_id: int
    campaigns: Sequence[int]
    began: datetime
    ended: datetime
    hold: float
    seen: Sequence[WitnessedCall] = ()
    measured: Mapping[str, Any] | None = None
    stuck: Sequence[str] = ()
    pacing_reason: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def shift_result(connection: Connection, shift: Shift) -> dict[str, Any]:
    """The figures; ``problems`` says in words what should not have been."""
    report = agents_report(connection, shift.campaigns[0])
    rows = _answered(connection, shift.campaigns[0])
    people = [row for row in rows if row.disposition != Disposition.MACHINE.value]
    served = [row for row in people if row.agent_joined_at is not None]
    waits = [_ms(row.answered_at, row.agent_joined_at) for row in served]
    heard = heard_ms(served, shift.seen)
    dialling = _dialling(connection, shift)
    return {
        **shift.extra,
        "occupancy": _occupancy(connection, shift, *dialling),
        "occupancy_whole": _occupancy(connection, shift, shift.began, shift.ended),
        "dialling_seconds": round((dialling[1] - dialling[0]).total_seconds(), 1),
        "placed": _placed(connection, shift.campaigns[0]),
        "answered": len(rows),
        "mean_ring_seconds": _mean([_ms(row.placed_at, row.answered_at) / 1000 for row in rows]),
        "live_answers": report["live_answers"],
        "served": len(served),
        "abandoned": report["abandoned"],
        "abandoned_share": report["abandoned_share"],
        "answer_to_sound_ms": {**percentiles(waits), "count": len(waits)},
        "answer_to_sound_heard_ms": {**percentiles(heard), "count": len(heard)},
        "seconds_by_state": _seconds(connection, shift, shift.began, shift.ended),
        "calls": _calls(connection, shift.campaigns),
        "transfers": _transfers(connection, shift),
        "escalations": _escalations(connection, shift.campaigns),
        "callbacks": _callbacks(connection, shift),
        "payments_while_talking": _payments(connection, shift.campaigns),
        "pacing_reason": shift.pacing_reason,
        "double": shift.measured,
        "problems": [
            *neither(rows, shift.hold),
            *_never_ended(connection, shift.campaigns),
            *(f"an agent is still {state}" for state in shift.stuck),
            *failures(shift.measured),
        ],
    }


# --- calls for agents ----------------------------------------------------------------------


def _answered(connection: Connection, campaign_id: int) -> list[Any]:
    """Calls that were placed for agents and picked up by whomever."""
    a = attempt.c
    return list(
        connection.execute(
            select(
                a.id, a.number, a.placed_at, a.answered_at, a.agent_joined_at, a.abandoned_at,
                a.ended_at, a.disposition,
            )
            .where(
                a.campaign_id == campaign_id, a.answered_at.is_not(None), a.mode.in_(_MODES),
                ~a.inbound,
            )
            .order_by(a.placed_at)
        )
    )  # fmt: skip


def _placed(connection: Connection, campaign_id: int) -> int:
    """Calls placed for agents."""
    a = attempt.c
    ours = (a.campaign_id == campaign_id, a.mode.in_(_MODES), ~a.inbound, a.placed_at.is_not(None))
    return connection.scalar(select(func.count()).where(*ours)) or 0


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 2) if values else None


def neither(rows: Sequence[Any], hold: float) -> list[str]:
    """Who picked up, stayed for the hold, and got neither an agent nor the message."""
    found = []
    for row in rows:
        if row.disposition == Disposition.MACHINE.value or row.ended_at is None:
            continue
        if row.agent_joined_at is not None or row.abandoned_at is not None:
            continue
        stayed = row.ended_at - row.answered_at
        if stayed > timedelta(seconds=hold) + SLACK or row.disposition == Disposition.FAILED.value:
            persona = persona_of(row.number)
            found.append(
                f"attempt {row.id} ({persona.name if persona else 'nobody'}): answered, stayed"
                f" {stayed.total_seconds():.1f} s, and got neither an agent nor the message"
                f" ({row.disposition})"
            )
    return found


def heard_ms(served: Sequence[Any], seen: Sequence[WitnessedCall]) -> list[float]:
    """From the answer to the first sound, at the debtor's end, of calls that got an agent."""
    calls = {call.number.lstrip("+"): call for call in seen if call.answered_at is not None}
    found = []
    for row in served:
        call = calls.get(row.number.lstrip("+"))
        if call is not None and call.answered_at is not None and call.heard_at is not None:
            found.append(_ms(call.answered_at, call.heard_at))
    return found


def _ms(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds() * 1000.0, 2)


# --- agents --------------------------------------------------------------------------------


def _dialling(connection: Connection, shift: Shift) -> tuple[datetime, datetime]:
    """While there were calls left to place: from the first one to the last one."""
    rows = connection.execute(
        select(attempt.c.placed_at)
        .where(attempt.c.campaign_id == shift.campaigns[0])
        .order_by(attempt.c.placed_at)
    ).all()
    if not rows:
        return shift.began, shift.ended
    return rows[0].placed_at, rows[-1].placed_at


def _by_state(
    connection: Connection, shift: Shift, since: datetime, until: datetime
) -> Counter[AgentState]:
    total: Counter[AgentState] = Counter()
    found = agent_sessions.seconds_by_state(
        connection, since, until, company_id=shift.company_id
    ).values()
    for one in found:
        total.update(one)
    return total


def _seconds(
    connection: Connection, shift: Shift, since: datetime, until: datetime
) -> dict[str, float]:
    found = _by_state(connection, shift, since, until)
    return {state.value: round(float(found[state]), 1) for state in sorted(found)}


def _occupancy(
    connection: Connection, shift: Shift, since: datetime, until: datetime
) -> float | None:
    """Talk and wrap-up over the time that agents were logged in."""
    found = _by_state(connection, shift, since, until)
    whole = sum(found.values())
    busy = found[AgentState.TALKING] + found[AgentState.WRAP_UP]
    return round(busy / whole, 4) if whole else None


# --- what else agents did --------------------------------------------------------------------


def _agent_calls(connection: Connection, campaigns: Sequence[int]) -> list[Any]:
    return list(
        connection.execute(
            select(agent_call)
            .where(agent_call.c.campaign_id.in_(campaigns))
            .order_by(agent_call.c.id)
        )
    )


def _calls(connection: Connection, campaigns: Sequence[int]) -> dict[str, dict[str, int]]:
    """Kind -> result -> how many, of everybody who came to agents."""
    found: dict[str, Counter[str]] = {}
    for row in _agent_calls(connection, campaigns):
        found.setdefault(row.kind, Counter())[row.result or "open"] += 1
    return {kind: dict(counts.most_common()) for kind, counts in sorted(found.items())}


def _transfers(connection: Connection, shift: Shift) -> dict[str, Any]:
    """``by_kind``: what agents did, ``results``: what became of the debtors who were passed on."""
    counts: Mapping[str, float] = (shift.measured or {}).get("counts", {})
    results = Counter(
        row.result or "open"
        for row in _agent_calls(connection, shift.campaigns)
        if row.kind == AgentCallKind.TRANSFER.value
    )
    by_kind = {kind: int(counts[kind]) for kind in TRANSFERS if kind in counts}
    return {"count": results.total(), "by_kind": by_kind, "results": dict(results.most_common())}


def _escalations(connection: Connection, campaigns: Sequence[int]) -> dict[str, Any]:
    """Why debtors came from a flow, and how their waits ended."""
    rows = [
        row
        for row in _agent_calls(connection, campaigns)
        if row.kind == AgentCallKind.ESCALATION.value
    ]
    waits = [_ms(row.queued_at, row.joined_at) for row in rows if row.joined_at is not None]
    return {
        "count": len(rows),
        "by_reason": dict(Counter(row.reason for row in rows).most_common()),
        "results": dict(Counter(row.result or "open" for row in rows).most_common()),
        "wait_ms": percentiles(waits),
    }


def _callbacks(connection: Connection, shift: Shift) -> dict[str, Any]:
    rows = connection.execute(
        select(callback.c.state, callback.c.made_by).where(
            callback.c.company_id == shift.company_id
        )
    ).all()
    return {
        "count": len(rows),
        "states": dict(Counter(row.state for row in rows)),
        "by": dict(Counter(row.made_by.partition(":")[0] for row in rows)),
    }


def _payments(connection: Connection, campaigns: Sequence[int]) -> dict[str, Any]:
    rows = connection.execute(
        select(pay_session.c.result)
        .join(attempt, attempt.c.id == pay_session.c.attempt_id)
        .where(attempt.c.campaign_id.in_(campaigns), pay_session.c.watched)
    ).all()
    results = Counter(row.result or "open" for row in rows)
    return {"count": len(rows), "results": dict(results.most_common())}


def _never_ended(connection: Connection, campaigns: Sequence[int]) -> list[str]:
    """Calls with agents that are still open, and waits that nobody ended."""
    found = []
    for row in _agent_calls(connection, campaigns):
        if row.left_at is None:
            found.append(f"agent call {row.id} ({row.kind}) is open at the end")
        elif row.result == "lost":
            found.append(f"agent call {row.id} ({row.kind}) was lost")
    return found


def failures(measured: Mapping[str, Any] | None) -> list[str]:
    """Commands of agents that failed by our fault, and agents who are not at work at the end."""
    if measured is None:
        return ["the simulated agents have not said what they saw"]
    refusals: Mapping[str, float] = measured["refusals"]
    found = [
        f"{count:g} times an agent's {what} failed ({code})"
        for what, code, count in (
            (*refused.rsplit(":", 1), count) for refused, count in refusals.items()
        )
        if code in OUR_FAULT
    ]
    missing = measured["agents"] - measured["states"].get("available", 0)
    return [*found, f"{missing} agents are not available at the end"] if missing else found


def company_of(connection: Connection, campaign_id: int) -> int:
    """Whose agents work for a campaign."""
    found: int = connection.execute(
        select(campaign.c.company_id).where(campaign.c.id == campaign_id)
    ).scalar_one()
    return found
