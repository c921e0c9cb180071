"""Calls agreed upon with a debtor: booked, claimed when due, done, put off, cancelled.

Whether one may be placed when its time has come is the contact policy's to say, as for any call.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

from dialer.store import audit
from dialer.store.companies import NotPossible
from dialer.store.refusals import Why
from dialer.store.tables import account, callback

OWN_WAIT = timedelta(minutes=15)
"""How long a callback waits for its own agent, once it is due; then anybody's word is better than
none."""
_SLIP = timedelta(minutes=1)  # from the choice to its being written, and between two clocks


class CallbackState(StrEnum):
    """``due`` until somebody claims it (also before its time), ``taken`` until it is over."""

    DUE = "due"
    TAKEN = "taken"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NewCallback:
    """``attempt_id``: the call it was agreed in. ``agent_id``: who is to call, None for anybody.
    ``made_by``: who booked it, as for the audit trail (``agent:ana``, ``ivr``)."""

    company_id: int
    debtor_id: int
    account_id: int
    due_at: datetime
    made_by: str
    lead_id: int | None = None
    phone_id: int | None = None
    attempt_id: str | None = None
    agent_id: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Callback:
    """A row. ``made_attempt_id``: the call placed for it; ``tries``: calls placed for it."""

    id: int
    company_id: int
    debtor_id: int
    account_id: int
    lead_id: int | None
    phone_id: int | None
    attempt_id: str | None
    agent_id: int | None
    due_at: datetime
    state: CallbackState
    note: str
    made_by: str
    created_at: datetime
    taken_at: datetime | None
    taken_by: str | None
    made_attempt_id: str | None
    tries: int
    done_at: datetime | None


def book(connection: Connection, new: NewCallback, now: datetime) -> int:
    """Book it; the id. A debtor has one callback for a debt: another one that nobody has taken yet
    is moved to the new time, so that a repeat, or a change of mind, makes no second call.

    Raises NotPossible for a time that has passed; this moment is as soon as may be.
    """
    if new.due_at < now - _SLIP:
        raise NotPossible(Why.CALLBACK_PASSED.say())
    values = {
        "lead_id": new.lead_id,
        "phone_id": new.phone_id,
        "attempt_id": new.attempt_id,
        "agent_id": new.agent_id,
        "due_at": new.due_at,
        "note": new.note[:200],
        "made_by": new.made_by[:80],
    }
    # Two who book for one debt at once: the second sees what the first has booked.
    connection.execute(select(account.c.id).where(account.c.id == new.account_id).with_for_update())
    there = connection.execute(
        select(callback.c.id)
        .where(callback.c.debtor_id == new.debtor_id, callback.c.account_id == new.account_id)
        .where(callback.c.state == CallbackState.DUE.value)
    ).scalar()
    if there is not None and _change(connection, _in(there, CallbackState.DUE), **values):
        return int(there)
    made: int = connection.execute(
        insert(callback)
        .values(
            company_id=new.company_id,
            debtor_id=new.debtor_id,
            account_id=new.account_id,
            state=CallbackState.DUE.value,
            created_at=now,
            **values,
        )
        .returning(callback.c.id)
    ).scalar_one()
    return made


def count_due(
    connection: Connection, now: datetime, *, company_id: int, agent_ids: Collection[int] = ()
) -> int:
    """How many callbacks ``due`` would find: for anybody, or for one of these agents."""
    found = select(func.count()).select_from(callback).where(*_waits(now, company_id, agent_ids))
    return int(connection.execute(found).scalar_one())


def due(
    connection: Connection,
    now: datetime,
    limit: int,
    *,
    node: str,
    company_id: int,
    agent_ids: Collection[int] = (),
) -> list[Callback]:
    """Claim up to ``limit`` callbacks of a company whose time has come, longest due first.

    ``agent_ids``: who could call now. A callback of one agent's own is for that agent; when it is
    ``OWN_WAIT`` overdue, for anybody. One conditional update: of two who want it, one gets it.
    """
    chosen = (
        select(callback.c.id)
        .where(*_waits(now, company_id, agent_ids))
        .order_by(callback.c.due_at, callback.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    rows = connection.execute(
        update(callback)
        .where(callback.c.id.in_(select(chosen.c.id)), callback.c.state == CallbackState.DUE.value)
        .values(
            state=CallbackState.TAKEN.value,
            taken_at=now,
            taken_by=node,
        )
        .returning(*callback.c)
    ).all()
    return sorted((_callback(row) for row in rows), key=lambda one: (one.due_at, one.id))


def _waits(
    now: datetime, company_id: int, agent_ids: Collection[int]
) -> tuple[ColumnElement[bool], ...]:
    whose = or_(
        callback.c.agent_id.is_(None),
        callback.c.agent_id.in_(list(agent_ids)),
        callback.c.due_at <= now - OWN_WAIT,
    )
    return (
        callback.c.state == CallbackState.DUE.value,
        callback.c.due_at <= now,
        callback.c.company_id == company_id,
        whose,
    )


def placed(connection: Connection, callback_id: int, attempt_id: str) -> bool:
    """The call for it, in the transaction that commits the attempt; False where it is no longer
    ours to place."""
    mine = and_(_in(callback_id, CallbackState.TAKEN), callback.c.made_attempt_id.is_(None))
    return _change(connection, mine, made_attempt_id=attempt_id, tries=callback.c.tries + 1)


def done(connection: Connection, callback_id: int, at: datetime) -> bool:
    """They were called; False where it was over."""
    taken = _in(callback_id, CallbackState.TAKEN)
    return _change(connection, taken, state=CallbackState.DONE.value, done_at=at)


def put_off(connection: Connection, callback_id: int, until: datetime) -> bool:
    """Not now (the policy, or nobody answered): due again at ``until``. False where it was over."""
    return _change(connection, _in(callback_id, CallbackState.TAKEN), due_at=until, **_FREE)


def reopen(connection: Connection, node: str) -> int:
    """After a crash of a node: due again, those it had claimed and placed no call for. How many.

    Those with a call are concluded with it (``by_attempt``).
    """
    claimed = and_(
        callback.c.state == CallbackState.TAKEN.value,
        callback.c.taken_by == node,
        callback.c.made_attempt_id.is_(None),
    )
    return connection.execute(update(callback).where(claimed).values(_FREE)).rowcount


def cancel(connection: Connection, callback_id: int, actor: str, now: datetime) -> None:
    """Call it off, with an audit row. Raises NotPossible where it is over, or being placed."""
    row = connection.execute(select(callback).where(callback.c.id == callback_id)).first()
    if row is None:
        raise NotPossible(Why.NO_CALLBACK.say(id=callback_id))
    open_ = and_(
        callback.c.id == callback_id,
        callback.c.state.in_([CallbackState.DUE.value, CallbackState.TAKEN.value]),
        callback.c.made_attempt_id.is_(None),
    )
    if not _change(connection, open_, state=CallbackState.CANCELLED.value, done_at=now):
        raise NotPossible(Why.CALLBACK_OVER.say(id=callback_id, state=row.state))
    audit.record(
        connection,
        actor=actor,
        action="callback.cancel",
        target=f"callback:{callback_id}",
        now=now,
        before={"state": row.state},
        after={"state": CallbackState.CANCELLED.value},
    )


# --- what there is --------------------------------------------------------------------------


def own(connection: Connection, agent_id: int) -> list[Callback]:
    """What an agent has promised and is not over, soonest first."""
    return _listed(connection, callback.c.agent_id == agent_id)


def list_open(connection: Connection, company_id: int | None = None) -> list[Callback]:
    """What is not over, of one company or of all, soonest first."""
    return _listed(
        connection, *([] if company_id is None else [callback.c.company_id == company_id])
    )


def by_attempt(connection: Connection, attempt_id: str) -> Callback | None:
    """The callback that a call was placed for, while it is not over."""
    found = _listed(connection, callback.c.made_attempt_id == attempt_id)
    return found[0] if found else None


def _listed(connection: Connection, *wanted: ColumnElement[bool]) -> list[Callback]:
    rows = connection.execute(
        select(callback)
        .where(callback.c.state.in_([CallbackState.DUE.value, CallbackState.TAKEN.value]), *wanted)
        .order_by(callback.c.due_at, callback.c.id)
    )
    return [_callback(row) for row in rows]


_FREE: dict[str, Any] = {
    "state": CallbackState.DUE.value,
    "taken_at": None,
    "taken_by": None,
    "made_attempt_id": None,
}


def _in(callback_id: int, state: CallbackState) -> ColumnElement[bool]:
    return and_(callback.c.id == callback_id, callback.c.state == state.value)


def _change(connection: Connection, where: ColumnElement[bool], **values: Any) -> bool:
    return connection.execute(update(callback).where(where).values(**values)).rowcount == 1


def _callback(row: Row[Any]) -> Callback:
    values = {one.name: getattr(row, one.name) for one in fields(Callback)}
    values["state"] = CallbackState(values["state"])
    return Callback(**values)
