"""What agents did for a campaign, and whom it abandoned, in figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from dialer.domain.model import AgentCallKind, DialMode
from dialer.store import abandonment
from dialer.store.abandonment import Counts
from dialer.store.percentiles import percentiles
from dialer.store.tables import agent, agent_call, attempt

CHUNK = 5000
_LIVE = (AgentCallKind.PREDICTIVE.value, AgentCallKind.PREVIEW.value)


def agents_report(connection: Connection, campaign_id: int) -> dict[str, Any]:
    """Live answers and the abandoned among them, over the whole campaign and on its worst UTC day;
    calls by kind; waits, talks and wrap-ups in seconds; from the answer to the sound of the agent
    in milliseconds (calls that were placed for agents)."""
    days = abandonment.by_day(connection, campaign_id)
    modes: dict[DialMode, Counts] = {}
    for by_mode in days.values():
        for mode, counts in by_mode.items():
            modes[mode] = modes.get(mode, Counts()) + counts
    figures = _Figures()
    for row in _calls(connection, campaign_id):
        figures.add(row)
    return {
        **_counts(abandonment.total(modes)),
        "by_mode": {mode.value: _counts(counts) for mode, counts in modes.items()},
        "worst_day": _worst({day: abandonment.total(by_mode) for day, by_mode in days.items()}),
        "calls": figures.kinds,
        "wait_seconds": percentiles(figures.waits),
        "answer_to_sound_ms": percentiles(figures.sounds),
        "talk_seconds": _sum(figures.talks),
        "wrap_seconds": _sum(figures.wraps),
        "by_agent": figures.by_agent(),
    }


@dataclass(slots=True)
class _Figures:
    """Added up call by call. Of lengths every one is kept: percentiles need them."""

    kinds: dict[str, dict[str, Any]] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    sounds: list[float] = field(default_factory=list)
    talks: list[float] = field(default_factory=list)
    wraps: list[float] = field(default_factory=list)
    agents: dict[str, list[float]] = field(default_factory=dict)

    def add(self, row: Any) -> None:
        """One row of ``agent_call``."""
        kind = self.kinds.setdefault(row.kind, {"count": 0, "results": {}})
        kind["count"] += 1
        result = row.result or "open"
        kind["results"][result] = kind["results"].get(result, 0) + 1
        if row.joined_at is None:
            return
        self.waits.append(_seconds(row.queued_at, row.joined_at))
        if row.kind in _LIVE and row.answered_at is not None:
            self.sounds.append(1000 * _seconds(row.answered_at, row.joined_at))
        talk = _seconds(row.joined_at, row.left_at) if row.left_at is not None else None
        if talk is not None:
            self.talks.append(talk)
        if row.left_at is not None and row.wrapped_at is not None:
            self.wraps.append(_seconds(row.left_at, row.wrapped_at))
        if row.login is not None:
            self.agents.setdefault(row.login, []).append(talk or 0.0)

    def by_agent(self) -> list[dict[str, Any]]:
        """Who talked, most calls first."""
        ordered = sorted(self.agents.items(), key=lambda one: (-len(one[1]), one[0]))
        return [
            {"agent": login, "calls": len(talks), "talk_seconds": round(sum(talks), 1)}
            for login, talks in ordered
        ]


def _calls(connection: Connection, campaign_id: int) -> Iterator[Any]:
    """The agent calls of a campaign, a part at a time."""
    after = 0
    while True:
        rows = connection.execute(
            select(
                agent_call.c.id, agent_call.c.kind, agent_call.c.result, agent_call.c.queued_at,
                agent_call.c.joined_at, agent_call.c.left_at, agent_call.c.wrapped_at,
                attempt.c.answered_at, agent.c.login,
            )
            .join(attempt, attempt.c.id == agent_call.c.attempt_id)
            .outerjoin(agent, agent.c.id == agent_call.c.agent_id)
            .where(agent_call.c.campaign_id == campaign_id, agent_call.c.id > after)
            .order_by(agent_call.c.id)
            .limit(CHUNK)
        ).all()  # fmt: skip
        if not rows:
            return
        yield from rows
        after = rows[-1].id


def _counts(counts: Counts) -> dict[str, Any]:
    share = counts.share
    return {
        "live_answers": counts.answered,
        "abandoned": counts.abandoned,
        "abandoned_share": None if share is None else round(share, 4),
    }


def _worst(days: dict[str, Counts]) -> dict[str, Any] | None:
    """The day with the largest share; of equal ones the one with the most abandoned."""
    if not days:
        return None
    day = max(days, key=lambda one: (days[one].share or 0.0, days[one].abandoned, one))
    return {"day": day, **_counts(days[day])}


def _sum(values: Sequence[float]) -> dict[str, float | None]:
    total = sum(values)
    mean = round(total / len(values), 1) if values else None
    return {"total": round(total, 1), "mean": mean}


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
