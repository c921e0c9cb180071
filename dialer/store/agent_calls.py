"""Debtors who come to an agent or wait for one: from the queue to the wrap-up.

A row is open until ``left_at``. Every step is a conditional update: a repeat, or one that comes
too late, changes nothing and says so. The engine writes them; the IVR queues an escalation before
it tells of it, so that a crash between loses nobody.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    update,
)

from dialer.domain.card import luhn
from dialer.domain.model import AgentCallKind, AgentCallResult
from dialer.store.tables import agent_call, attempt
from dialer.store.upsert import insert_ignore

NOTES_LENGTH = 4000
MASK = "***"

_DIGITS = re.compile(r"[0-9](?:[ .\-]?[0-9]){12,18}")


@dataclass(frozen=True, slots=True)
class NewCall:
    """What is known when a debtor joins the queue; ``priority``: the higher goes first.
    ``transferred_from``: the agent call that handed them over."""

    attempt_id: str
    company_id: int
    debtor_id: int
    kind: AgentCallKind
    campaign_id: int | None = None
    reason: str = ""
    skill: str = ""
    priority: int = 0
    transferred_from: int | None = None


@dataclass(frozen=True, slots=True)
class AgentCall:
    """A row."""

    id: int
    attempt_id: str
    session_id: str | None
    agent_id: int | None
    company_id: int
    debtor_id: int
    campaign_id: int | None
    kind: AgentCallKind
    reason: str
    skill: str
    priority: int
    queued_at: datetime
    offered_at: datetime | None
    joined_at: datetime | None
    left_at: datetime | None
    result: AgentCallResult | None
    wrapped_at: datetime | None
    disposition: str | None
    notes: str | None
    transferred_from: int | None


@dataclass(frozen=True, slots=True)
class Position:
    """``before``: how many are served first (0: they are next). ``waiting``: how many wait in all,
    with them."""

    before: int
    waiting: int


# --- the life of one ------------------------------------------------------------------------


def queue_call(connection: Connection, new: NewCall, at: datetime) -> int:
    """Put a debtor into the queue; the id. Where the attempt waits or talks already for the same
    reason (``kind``, or the transfer of the same agent call), the row that is there, unchanged."""
    row = {
        "attempt_id": new.attempt_id,
        "company_id": new.company_id,
        "debtor_id": new.debtor_id,
        "campaign_id": new.campaign_id,
        "kind": new.kind.value,
        "reason": new.reason[:60],
        "skill": new.skill[:40],
        "priority": new.priority,
        "queued_at": at,
        "transferred_from": new.transferred_from,
    }
    insert_ignore(connection, agent_call, [row])
    found: int = connection.execute(
        select(agent_call.c.id).where(
            agent_call.c.attempt_id == new.attempt_id,
            agent_call.c.kind == new.kind.value,
            agent_call.c.transferred_from.is_not_distinct_from(new.transferred_from),
            agent_call.c.left_at.is_(None),
        )
    ).scalar_one()
    return found


def offer(
    connection: Connection, call_id: int, session_id: str, agent_id: int, at: datetime
) -> bool:
    """The agent is reserved for it. False where it waits no more."""
    return _change(
        connection,
        and_(agent_call.c.id == call_id, _WAITS),
        session_id=session_id,
        agent_id=agent_id,
        offered_at=at,
    )


def take_back(connection: Connection, call_id: int) -> bool:
    """The agent it was offered to did not come: it waits as before. False where it does not."""
    return _change(
        connection,
        and_(agent_call.c.id == call_id, _WAITS),
        session_id=None,
        agent_id=None,
        offered_at=None,
    )


def joined(
    connection: Connection, call_id: int, session_id: str, agent_id: int, at: datetime
) -> bool:
    """They hear each other: served. False where it waits no more."""
    return _change(
        connection,
        and_(agent_call.c.id == call_id, _WAITS),
        session_id=session_id,
        agent_id=agent_id,
        joined_at=at,
        result=AgentCallResult.SERVED.value,
    )


def left(connection: Connection, call_id: int, at: datetime) -> bool:
    """The talk is over; who was never joined hung up while waiting. False where it was over."""
    gave_up = func.coalesce(agent_call.c.result, AgentCallResult.GAVE_UP.value)
    return _change(
        connection,
        and_(agent_call.c.id == call_id, agent_call.c.left_at.is_(None)),
        left_at=at,
        result=gave_up,
    )


def result(connection: Connection, call_id: int, how: AgentCallResult, at: datetime) -> bool:
    """How a wait ended that no agent ended. False where it waits no more."""
    return _change(
        connection,
        and_(agent_call.c.id == call_id, _WAITS),
        left_at=at,
        result=how.value,
    )


def note(
    connection: Connection, call_id: int, disposition: str | None = None, notes: str | None = None
) -> bool:
    """What the agent says of it; None leaves what is there. False where no agent had it.

    What looks like a card number is masked: notes are read by people for whom it is not meant.
    """
    values: dict[str, Any] = {}
    if disposition is not None:
        values["disposition"] = disposition[:20]
    if notes is not None:
        values["notes"] = masked_notes(notes)
    if not values:
        return load(connection, call_id) is not None
    return _change(
        connection,
        and_(agent_call.c.id == call_id, agent_call.c.joined_at.is_not(None)),
        **values,
    )


def wrap(
    connection: Connection,
    call_id: int,
    at: datetime,
    disposition: str | None = None,
    notes: str | None = None,
) -> bool:
    """The wrap-up is finished; the first time counts. What is said later of it still counts (see
    ``note``). False where no agent had it."""
    changed = _change(
        connection,
        and_(agent_call.c.id == call_id, agent_call.c.joined_at.is_not(None)),
        wrapped_at=func.coalesce(agent_call.c.wrapped_at, literal(at, agent_call.c.left_at.type)),
    )
    if changed:
        note(connection, call_id, disposition, notes)
    return changed


def mark_lost(
    connection: Connection, node: str, at: datetime, alive: Collection[str] = ()
) -> list[int]:
    """After a crash: close what is open of a node's attempts that are not ``alive`` (their
    channels are gone). Who waited is ``lost``; who was served stays so. The ids."""
    there = set(alive)
    gone = [one.id for one in open_calls(connection, node=node) if one.attempt_id not in there]
    _change(
        connection,
        and_(agent_call.c.id.in_(gone), agent_call.c.left_at.is_(None)),
        left_at=at,
        result=func.coalesce(agent_call.c.result, AgentCallResult.LOST.value),
    )
    return gone


def masked_notes(notes: str) -> str:
    """Without what can be a card number (13 to 19 digits with a right check digit)."""

    def hide(match: re.Match[str]) -> str:
        digits = bytes(ord(one) for one in match[0] if one.isdigit())
        return MASK if luhn(digits) else match[0]

    return _DIGITS.sub(hide, notes)[:NOTES_LENGTH]


# --- what there is --------------------------------------------------------------------------


def load(connection: Connection, call_id: int) -> AgentCall | None:
    """The row, None where there is none."""
    row = connection.execute(select(agent_call).where(agent_call.c.id == call_id)).first()
    return None if row is None else _call(row)


def open_calls(
    connection: Connection, *, node: str | None = None, attempt_id: str | None = None
) -> list[AgentCall]:
    """Who waits or talks, oldest first: of a node, of an attempt, or all."""
    query = select(agent_call).where(agent_call.c.left_at.is_(None))
    if node is not None:
        query = query.join(attempt, attempt.c.id == agent_call.c.attempt_id).where(
            attempt.c.node == node
        )
    if attempt_id is not None:
        query = query.where(agent_call.c.attempt_id == attempt_id)
    return [_call(row) for row in connection.execute(query.order_by(agent_call.c.id))]


def waiting(connection: Connection, company_id: int | None = None) -> list[AgentCall]:
    """Who waits, first served first: priority, then time."""
    query = select(agent_call).where(_WAITS)
    if company_id is not None:
        query = query.where(agent_call.c.company_id == company_id)
    ordered = query.order_by(
        agent_call.c.priority.desc(), agent_call.c.queued_at, agent_call.c.attempt_id
    )
    return [_call(row) for row in connection.execute(ordered)]


def position(connection: Connection, attempt_id: str) -> Position | None:
    """Where an attempt stands among those who wait for agents of the same company; None where it
    does not wait (also: it is being served)."""
    mine = connection.execute(
        select(agent_call.c.company_id, agent_call.c.priority, agent_call.c.queued_at)
        .where(agent_call.c.attempt_id == attempt_id, _WAITS)
        .order_by(agent_call.c.priority.desc(), agent_call.c.queued_at)
        .limit(1)
    ).first()
    if mine is None:
        return None
    earlier = or_(
        agent_call.c.queued_at < mine.queued_at,
        and_(agent_call.c.queued_at == mine.queued_at, agent_call.c.attempt_id < attempt_id),
    )
    ahead = and_(
        agent_call.c.attempt_id != attempt_id,
        or_(
            agent_call.c.priority > mine.priority,
            and_(agent_call.c.priority == mine.priority, earlier),
        ),
    )
    who = agent_call.c.attempt_id
    before, in_all = connection.execute(
        select(func.count(case((ahead, who)).distinct()), func.count(who.distinct())).where(
            _WAITS, agent_call.c.company_id == mine.company_id
        )
    ).one()
    return Position(before, in_all)


_WAITS: ColumnElement[bool] = and_(agent_call.c.left_at.is_(None), agent_call.c.joined_at.is_(None))


def _change(connection: Connection, where: ColumnElement[bool], **values: Any) -> bool:
    return connection.execute(update(agent_call).where(where).values(**values)).rowcount > 0


def _call(row: Row[Any]) -> AgentCall:
    values = {one.name: getattr(row, one.name) for one in fields(AgentCall)}
    values["kind"] = AgentCallKind(values["kind"])
    if values["result"] is not None:
        values["result"] = AgentCallResult(values["result"])
    return AgentCall(**values)
