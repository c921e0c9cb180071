"""Four eyes: what one user asks for and another one grants or refuses.

Each change of state is one conditional update: of two who decide at once one wins, and who asked
never decides. The reason stays here and is not copied into the audit trail.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, case, insert, select, update

from dialer.domain.access import ApprovalKind, ApprovalState
from dialer.store import audit
from dialer.store.tables import app_user, approval

PAGE = 50
KEY = "api_key"
"""In the detail of what a program asked for: its key. A program never decides that."""
_ASKED = ApprovalState.ASKED.value
_asker, _decider = app_user.alias("asker"), app_user.alias("decider")
_ROWS: Select[Any] = (
    select(approval, _asker.c.name.label("asker"), _decider.c.name.label("decider"))
    .join(_asker, _asker.c.id == approval.c.asked_by)
    .outerjoin(_decider, _decider.c.id == approval.c.decided_by)
)


def ask(
    connection: Connection,
    kind: ApprovalKind,
    target: str,
    company_id: int | None,
    detail: Mapping[str, Any],
    reason: str,
    asked_by: int,
    now: datetime,
    *,
    key_id: int | None = None,
) -> int:
    """Ask for it; the number of the request. ``detail``: what is to be done, no personal data.
    ``key_id``: a program asks with this key, which ``asked_by`` made; it stays in the detail."""
    if key_id is not None:
        detail = {**detail, KEY: key_id}
    made: int = connection.execute(
        insert(approval)
        .values(
            company_id=company_id,
            kind=kind.value,
            target=target,
            detail=dict(detail),
            reason=reason.strip()[:200],
            asked_by=asked_by,
            asked_at=now,
            state=_ASKED,
        )
        .returning(approval.c.id)
    ).scalar_one()
    actor = None if key_id is None else f"api_key:{key_id}"
    _note(connection, "ask", made, asked_by, now, {"of": target, **detail}, actor)
    return made


def decide(
    connection: Connection, approval_id: int, state: ApprovalState, decided_by: int, now: datetime,
    *, actor: str | None = None,
) -> bool:  # fmt: skip
    """Grant or refuse it; False where somebody was quicker, or who decides is who asked. ``actor``:
    for the audit, where it is a key of theirs."""
    changed = connection.execute(
        update(approval)
        .where(
            approval.c.id == approval_id,
            approval.c.state == _ASKED,
            approval.c.asked_by != decided_by,
        )
        .values(state=state.value, decided_by=decided_by, decided_at=now)
    )
    if changed.rowcount != 1:
        return False
    verb = "grant" if state is ApprovalState.GRANTED else "refuse"
    _note(connection, verb, approval_id, decided_by, now, None, actor)
    return True


def withdraw(
    connection: Connection, approval_id: int, user_id: int, now: datetime,
    *, actor: str | None = None,
) -> bool:  # fmt: skip
    """Taken back by who asked, while nobody has decided; whether it was. ``actor``: as above."""
    changed = connection.execute(
        update(approval)
        .where(
            approval.c.id == approval_id,
            approval.c.state == _ASKED,
            approval.c.asked_by == user_id,
        )
        .values(state=ApprovalState.WITHDRAWN.value, decided_by=user_id, decided_at=now)
    )
    if changed.rowcount != 1:
        return False
    _note(connection, "withdraw", approval_id, user_id, now, None, actor)
    return True


def set_result(connection: Connection, approval_id: int, result: str) -> None:
    """What carrying it out came to: ``refund:<id>``, or a word for why it could not be done."""
    connection.execute(
        update(approval).where(approval.c.id == approval_id).values(result=result[:200])
    )


def load(connection: Connection, approval_id: int) -> Row[Any] | None:
    """A request with the names of who asked and who decided."""
    return connection.execute(_ROWS.where(approval.c.id == approval_id)).first()


def open_requests(connection: Connection, company_id: int | None) -> list[Row[Any]]:
    """What waits for a second person, the oldest first."""
    query = _ROWS.where(approval.c.state == _ASKED, *_of(company_id))
    return list(connection.execute(query.order_by(approval.c.asked_at, approval.c.id).limit(500)))


def decided(
    connection: Connection, company_id: int | None, before: int | None = None, limit: int = PAGE
) -> list[Row[Any]]:
    """What was decided, the newest requests first; ``before``: older than this one. One more than
    ``limit`` where there are more."""
    query = _ROWS.where(approval.c.state != _ASKED, *_of(company_id))
    if before is not None:
        query = query.where(approval.c.id < before)
    return list(connection.execute(query.order_by(approval.c.id.desc()).limit(limit + 1)))


def page(
    connection: Connection, company_id: int | None, state: ApprovalState | None,
    below: int | None, limit: int,
) -> list[Row[Any]]:  # fmt: skip
    """The newest first, those below a number; ``state`` None: all of them."""
    query = _ROWS.where(*_of(company_id)).order_by(approval.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(approval.c.state == state.value)
    if below is not None:
        query = query.where(approval.c.id < below)
    return list(connection.execute(query))


def of_target(connection: Connection, target: str) -> list[Row[Any]]:
    """What was asked for of something: what waits first, then the newest."""
    waits = case((approval.c.state == _ASKED, 0), else_=1)
    query = _ROWS.where(approval.c.target == target).order_by(waits, approval.c.id.desc())
    return list(connection.execute(query))


def _of(company_id: int | None) -> list[ColumnElement[bool]]:
    return [] if company_id is None else [approval.c.company_id == company_id]


def _note(
    connection: Connection,
    verb: str,
    approval_id: int,
    user_id: int,
    now: datetime,
    after: dict[str, Any] | None,
    actor: str | None = None,
) -> None:
    audit.record(
        connection,
        actor=actor or f"user:{user_id}",
        action=f"approval.{verb}",
        target=f"approval:{approval_id}",
        now=now,
        after=after,
    )
