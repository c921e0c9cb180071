"""Calls that may have been recorded: those that somebody answered, for the page of recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select, tuple_

from dialer.store.tables import agent, agent_call, attempt, campaign, debtor

PAGE = 25
CHUNK = 250
MOST_CHUNKS = 8
"""Calls that are looked at for one page: most campaigns record all calls or none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """``company_id`` None: of all. ``since``, ``until``: when the call was answered.
    ``campaign_id`` None: every campaign that records now; one that no longer does is chosen."""

    company_id: int | None
    since: datetime
    until: datetime
    campaign_id: int | None = None
    agent_id: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """``older``: give it as ``before`` for the calls before these; None: there are none."""

    rows: list[Row[Any]]
    older: tuple[datetime, str] | None


def recorded(
    connection: Connection,
    wanted: Wanted,
    is_recorded: Callable[[str], bool],
    before: tuple[datetime, str] | None = None,
    limit: int = PAGE,
) -> Found:
    """The newest recorded calls: id, answered_at, ended_at, disposition, campaign, debtor_id,
    debtor. ``is_recorded``: whether there is a recording of this attempt."""
    rows: list[Row[Any]] = []
    campaigns = _campaigns(connection, wanted)
    for _chunk in range(MOST_CHUNKS):
        # One campaign after the other, each in the order of its index, and the newest of them all.
        found = [
            row for one in campaigns for row in connection.execute(_calls(one, wanted, before))
        ]
        found.sort(key=lambda row: (row.answered_at, row.id), reverse=True)
        calls = found[:CHUNK]
        for row in calls:
            before = (row.answered_at, row.id)
            if is_recorded(row.id):
                rows.append(row)
                if len(rows) == limit:
                    return Found(rows, before)
        if len(calls) < CHUNK:
            return Found(rows, None)
    return Found(rows, before)


def _campaigns(connection: Connection, wanted: Wanted) -> list[int]:
    columns = campaign.c
    statement = select(columns.id, columns.plan)
    if wanted.company_id is not None:
        statement = statement.where(columns.company_id == wanted.company_id)
    rows = connection.execute(statement).all()
    if wanted.campaign_id is not None:
        return [row.id for row in rows if row.id == wanted.campaign_id]
    return [row.id for row in rows if row.plan.get("record")]


def _calls(campaign_id: int, wanted: Wanted, before: tuple[datetime, str] | None) -> Select[Any]:
    statement: Select[Any] = (
        select(
            attempt.c.id, attempt.c.answered_at, attempt.c.ended_at, attempt.c.disposition,
            attempt.c.debtor_id, debtor.c.name.label("debtor"), campaign.c.name.label("campaign"),
        )
        .join(campaign, campaign.c.id == attempt.c.campaign_id)
        .join(debtor, debtor.c.id == attempt.c.debtor_id)
        .where(
            attempt.c.campaign_id == campaign_id, attempt.c.answered_at >= wanted.since,
            attempt.c.answered_at < wanted.until, attempt.c.ended_at.is_not(None),
        )
        .order_by(attempt.c.answered_at.desc(), attempt.c.id.desc())
        .limit(CHUNK)
    )  # fmt: skip
    if wanted.agent_id is not None:
        talked = select(agent_call.c.attempt_id).where(
            agent_call.c.agent_id == wanted.agent_id, agent_call.c.joined_at.is_not(None)
        )
        statement = statement.where(attempt.c.id.in_(talked))
    if before is not None:
        statement = statement.where(tuple_(attempt.c.answered_at, attempt.c.id) < tuple_(*before))
    return statement


def agents(connection: Connection, company_id: int | None) -> list[Row[Any]]:
    """id and name, for the filter."""
    statement = select(agent.c.id, agent.c.name)
    if company_id is not None:
        statement = statement.where(agent.c.company_id == company_id)
    return list(connection.execute(statement.order_by(agent.c.name)))


def talked(connection: Connection, attempt_ids: list[str]) -> dict[str, str]:
    """Attempt -> the agents that talked in it."""
    found: dict[str, str] = {}
    for attempt_id, name in connection.execute(
        select(agent_call.c.attempt_id, agent.c.name)
        .join(agent, agent.c.id == agent_call.c.agent_id)
        .where(agent_call.c.attempt_id.in_(attempt_ids), agent_call.c.joined_at.is_not(None))
        .order_by(agent_call.c.id)
    ):
        found[attempt_id] = f"{found[attempt_id]}, {name}" if attempt_id in found else name
    return found


def company_of(connection: Connection, attempt_id: str) -> int | None:
    """Whose call it was."""
    found: int | None = connection.execute(
        select(campaign.c.company_id)
        .join(attempt, attempt.c.campaign_id == campaign.c.id)
        .where(attempt.c.id == attempt_id)
    ).scalar_one_or_none()
    return found
