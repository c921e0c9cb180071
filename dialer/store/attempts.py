"""Attempts as rows: the engine writes them; those of debtors who call us are made by the IVR."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from dialer.domain.model import (
    Attempt,
    AttemptState,
    DetectionResult,
    DialMode,
    Disposition,
    Outcome,
)
from dialer.store.tables import attempt, campaign, flow_outcome

_COLUMNS = tuple(field.name for field in fields(Attempt))
_FIXED = frozenset(
    {
        "id", "campaign_id", "lead_id", "debtor_id", "phone_id", "number", "caller_id", "trunk",
        "node", "flow", "placed_at", "follows", "fallback_index", "mode", "inbound",
    }
)  # fmt: skip
_MOVING = tuple(name for name in _COLUMNS if name not in _FIXED)

_UPDATE = (
    update(attempt)
    # An ended attempt is never opened again, whatever comes late.
    .where(attempt.c.id == bindparam("attempt_id"), attempt.c.state != AttemptState.ENDED.value)
    .values({name: bindparam(f"v_{name}") for name in _MOVING})
)
_STATE = select(attempt.c.state).where(attempt.c.id == bindparam("attempt_id")).with_for_update()
_WRITTEN = select(flow_outcome.c.attempt_id, flow_outcome.c.outcome).where(
    flow_outcome.c.attempt_id.in_(bindparam("attempt_ids", expanding=True))
)

_OPEN = [state.value for state in AttemptState if state is not AttemptState.ENDED]


def insert_attempts(connection: Connection, attempts: Iterable[Attempt]) -> None:
    """Commit-before-dial: the rows of attempts in state ``created``."""
    rows = [{name: getattr(one, name) for name in _COLUMNS} for one in attempts]
    if rows:
        connection.execute(insert(attempt), rows)


def save_attempts(connection: Connection, attempts: Sequence[Attempt]) -> None:
    """Write what has changed on them; an attempt that is ended in the database stays as it is."""
    rows = [
        {"attempt_id": one.id, **{f"v_{name}": getattr(one, name) for name in _MOVING}}
        for one in attempts
    ]
    if rows:
        connection.execute(_UPDATE, rows)


def written_outcomes(connection: Connection, attempt_ids: Sequence[str]) -> dict[str, Outcome]:
    """What the IVR wrote down for these attempts: it stands even if its event never came."""
    rows = connection.execute(_WRITTEN, {"attempt_ids": list(attempt_ids)})
    return {row.attempt_id: Outcome(row.outcome) for row in rows}


def is_ended(connection: Connection, attempt_id: str) -> bool:
    """Whether its end is in the database already. Locks the row: of two who would end it, one
    waits and then sees that it is ended."""
    state = connection.execute(_STATE, {"attempt_id": attempt_id}).scalar_one_or_none()
    return state == AttemptState.ENDED.value


def campaigns_with_open(connection: Connection, node: str, name: str | None = None) -> set[int]:
    """Campaigns (only ``name`` if given) in any state with attempts of this node that have not
    ended."""
    query = select(attempt.c.campaign_id).where(attempt.c.node == node, attempt.c.state.in_(_OPEN))
    if name is not None:
        query = query.join(campaign, campaign.c.id == attempt.c.campaign_id).where(
            campaign.c.name == name
        )
    return set(connection.execute(query.distinct()).scalars())


def open_attempts(
    connection: Connection,
    node: str,
    campaign_ids: Sequence[int],
    *,
    before: datetime | None = None,
    elsewhere_before: datetime | None = None,
) -> list[Attempt]:
    """Attempts of a node and of these campaigns that have not ended, with the flow's outcome
    where the IVR wrote one that the engine never heard of.

    ``before``: only those committed until then. ``elsewhere_before``: those of all other nodes
    instead, committed until then.
    """
    theirs = elsewhere_before is not None
    until = elsewhere_before if theirs else before
    wanted = [
        attempt.c.node != node if theirs else attempt.c.node == node,
        attempt.c.state.in_(_OPEN),
        attempt.c.campaign_id.in_(campaign_ids),
    ]
    if until is not None:
        wanted.append(attempt.c.placed_at <= until)
    rows = connection.execute(
        select(attempt, flow_outcome.c.outcome.label("written_outcome"))
        .outerjoin(flow_outcome, flow_outcome.c.attempt_id == attempt.c.id)
        .where(*wanted)
    ).all()
    found = []
    for row in rows:
        one = attempt_of(row)
        if one.outcome is None and row.written_outcome is not None:
            one = one.with_(outcome=Outcome(row.written_outcome))
        found.append(one)
    return found


def attempt_of(row: Row[Any]) -> Attempt:
    """The value of a row."""
    values = {name: getattr(row, name) for name in _COLUMNS}
    values["state"] = AttemptState(values["state"])
    values["mode"] = DialMode(values["mode"])
    for name, kind in (
        ("detection", DetectionResult),
        ("outcome", Outcome),
        ("disposition", Disposition),
    ):
        if values[name] is not None:
            values[name] = kind(values[name])
    return Attempt(**values)
