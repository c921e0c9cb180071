"""One visit of a ``pay`` node: what the flow's process hands to the one that hears cards, and back.

Nothing of a card is here but the last four digits of one that was accepted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, select, update

from dialer.domain.payment import PaymentState, PayResult, PaySpec, PayStep
from dialer.store.tables import pay_session, payment
from dialer.store.upsert import insert_ignore

_SPEC = TypeAdapter(PaySpec)


class PayWish(StrEnum):
    """What an agent who looks on may want."""

    AGAIN = "again"  # the field once more, from its start
    CANCEL = "cancel"


RESUMES_FOR = timedelta(days=1)
"""How long the amount agreed to in a call that broke off is remembered."""


@dataclass(frozen=True, slots=True)
class PaySession:
    """A row. ``step``, ``agreed_minor`` and ``last_four`` as far as it came.

    ``watched``: an agent looks on; ``agreed_minor`` is there from the start then, for what is paid
    was talked about, and the debtor confirms exactly that.
    """

    id: str
    attempt_id: str
    account_id: int
    node: str
    language: str
    spec: PaySpec
    started_at: datetime
    step: PayStep | None = None
    agreed_minor: int | None = None
    last_four: str | None = None
    result: PayResult | None = None
    ended_at: datetime | None = None
    watched: bool = False


def open_session(connection: Connection, new: PaySession) -> None:
    """Write it down; a second time changes nothing."""
    insert_ignore(
        connection,
        pay_session,
        [
            {
                "id": new.id,
                "attempt_id": new.attempt_id,
                "account_id": new.account_id,
                "node": new.node,
                "language": new.language,
                "spec": _SPEC.dump_python(new.spec, mode="json"),
                "started_at": new.started_at,
                "agreed_minor": new.agreed_minor,
                "watched": new.watched,
            }
        ],
    )


def load_session(connection: Connection, session_id: str) -> PaySession | None:
    """The session, None where there is none."""
    row = connection.execute(select(pay_session).where(pay_session.c.id == session_id)).first()
    return None if row is None else _session(row)


def under_way(connection: Connection, attempt_ids: Collection[str]) -> set[str]:
    """Which of these calls are keying a card in now."""
    query = select(pay_session.c.attempt_id).where(
        pay_session.c.attempt_id.in_(attempt_ids), pay_session.c.ended_at.is_(None)
    )
    return set(connection.execute(query).scalars())


def earlier_session(
    connection: Connection, account_id: int, now: datetime, *, but: str = ""
) -> PaySession | None:
    """The newest session of this debt (``but``: another than this one), if it agreed to an amount
    and did not end in a payment, not older than ``RESUMES_FOR``."""
    row = connection.execute(
        select(pay_session)
        .where(
            pay_session.c.account_id == account_id,
            pay_session.c.id != but,
            pay_session.c.started_at > now - RESUMES_FOR,
        )
        .order_by(pay_session.c.started_at.desc())
        .limit(1)
    ).first()
    if row is None or row.agreed_minor is None or row.result == PayResult.SUCCESS:
        return None
    return _session(row)


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a session stands. ``result``: None while it goes on, and for ever where its process
    died. ``paid``: a payment of it was approved. ``open``: one may have been made."""

    result: PayResult | None
    paid: bool
    open: bool

    @property
    def verdict(self) -> PayResult:
        """What to believe once nobody works on it any more: first the payments, then the word of
        the process that took them."""
        if self.paid:
            return PayResult.SUCCESS
        if self.open:
            return PayResult.GATEWAY_TIMEOUT_UNKNOWN
        return self.result or PayResult.CARD_ENTRY_UNAVAILABLE


def session_end(connection: Connection, session_id: str) -> SessionEnd:
    """What became of a session, from its row and those of its payments."""
    ended = select(pay_session.c.result).where(pay_session.c.id == session_id)
    result = connection.execute(ended).scalar()
    found = select(payment.c.state).where(payment.c.session_id == session_id)
    states = [PaymentState(one) for one in connection.execute(found).scalars()]
    return SessionEnd(
        result=PayResult(result) if result else None,
        paid=PaymentState.APPROVED in states,
        open=any(state.open for state in states),
    )


def note_progress(
    connection: Connection,
    session_id: str,
    step: PayStep,
    *,
    agreed_minor: int | None = None,
    last_four: str | None = None,
) -> None:
    """How far it came; what is None stays as it was."""
    values: dict[str, Any] = {"step": step.value}
    if agreed_minor is not None:
        values["agreed_minor"] = agreed_minor
    if last_four is not None:
        values["last_four"] = last_four
    connection.execute(update(pay_session).where(pay_session.c.id == session_id).values(values))


def put_wish(connection: Connection, session_id: str, wish: PayWish) -> bool:
    """An agent wants something of a session; the last wish counts. False where it is over."""
    changed = connection.execute(
        update(pay_session)
        .where(pay_session.c.id == session_id, pay_session.c.result.is_(None))
        .values(wish=wish.value)
    )
    return changed.rowcount == 1


def wished(connection: Connection, session_id: str) -> PayWish | None:
    """What is wished for and was not taken yet."""
    found = connection.execute(
        select(pay_session.c.wish).where(pay_session.c.id == session_id)
    ).scalar()
    return None if found is None else PayWish(found)


def take_wish(connection: Connection, session_id: str, wish: PayWish) -> bool:
    """Take what was wished for; False where it is another wish by now, or somebody has it."""
    taken = connection.execute(
        update(pay_session)
        .where(pay_session.c.id == session_id, pay_session.c.wish == wish.value)
        .values(wish=None)
    )
    return taken.rowcount == 1


def end_session(
    connection: Connection,
    session_id: str,
    result: PayResult,
    now: datetime,
    *,
    seconds: Mapping[str, float],
    errors: Mapping[str, int],
) -> None:
    """How it ended; what was written first stands."""
    connection.execute(
        update(pay_session)
        .where(pay_session.c.id == session_id, pay_session.c.result.is_(None))
        .values(
            result=result.value,
            ended_at=now,
            seconds=dict(seconds),
            errors=dict(errors),
        )
    )


def _session(row: Any) -> PaySession:
    return PaySession(
        id=row.id,
        attempt_id=row.attempt_id,
        account_id=row.account_id,
        node=row.node,
        language=row.language,
        spec=_SPEC.validate_python(row.spec),
        started_at=row.started_at,
        step=PayStep(row.step) if row.step else None,
        agreed_minor=row.agreed_minor,
        last_four=row.last_four,
        result=PayResult(row.result) if row.result else None,
        ended_at=row.ended_at,
        watched=row.watched,
    )
