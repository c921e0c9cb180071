"""Reports that are sent by e-mail: who gets which, and each message from the moment it is due.

A run becomes a row for each address in the transaction that moves the time of the next one on: a
worker that dies before it has lost nothing, and one that runs it twice breaks a unique key. A row
is claimed with one conditional update, and again at the moment its text leaves: what a worker left
behind before that is sent again, what it left behind after that is not, for nobody can ask an SMTP
server what became of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, insert, select, update

from dialer.domain.mail import SendingState, next_try
from dialer.domain.recurring import Every, Run, next_run
from dialer.domain.sending_says import Unmailed
from dialer.store import audit
from dialer.store.tables import app_user, campaign, report_mail, report_sending
from dialer.store.upsert import insert_ignore

CLAIM = timedelta(minutes=10)
"""A worker that died over a message holds it for so long."""
MOST_RUNS = 40
"""Of one report that are made up for at one time, after a long silence."""
_S = SendingState


@dataclass(frozen=True, slots=True)
class Wanted:
    """A report as somebody asks for it."""

    company_id: int | None
    campaign_id: int | None
    owner_id: int
    hours: tuple[int, int]
    format: str
    every: Every
    hour: int
    timezone: str
    language: str
    addresses: Sequence[str]
    actor: str | None = None
    """For the audit, where it is a key of the owner."""


# --- subscriptions --------------------------------------------------------------------------


def create(connection: Connection, wanted: Wanted, now: datetime) -> int:
    """Send it from its next time on; its number."""
    run = next_run(wanted.every, wanted.hour, ZoneInfo(wanted.timezone), now)
    made: int = connection.execute(
        insert(report_mail)
        .values(
            company_id=wanted.company_id,
            campaign_id=wanted.campaign_id,
            owner_id=wanted.owner_id,
            hour_from=wanted.hours[0],
            hour_to=wanted.hours[1],
            format=wanted.format,
            every=wanted.every.value,
            hour=wanted.hour,
            timezone=wanted.timezone,
            language=wanted.language,
            addresses=list(wanted.addresses),
            next_at=run.at,
            created_at=now,
        )
        .returning(report_mail.c.id)
    ).scalar_one()
    after = {"every": wanted.every.value, "format": wanted.format, "to": len(wanted.addresses)}
    _note(connection, "create", made, wanted.actor or f"user:{wanted.owner_id}", now, after)
    return made


def find(connection: Connection, mail_id: int) -> Row[Any] | None:
    """One that was not taken away, with names."""
    return connection.execute(_ROWS.where(report_mail.c.id == mail_id)).first()


def of_company(
    connection: Connection, company_id: int | None, below: int | None = None,
    limit: int | None = None,
) -> Sequence[Row[Any]]:  # fmt: skip
    """Those of a company, or all of them; the newest first. ``below``: those with lower numbers."""
    query = _ROWS.limit(limit)
    if below is not None:
        query = query.where(report_mail.c.id < below)
    if company_id is not None:
        query = query.where(report_mail.c.company_id == company_id)
    return connection.execute(query.order_by(report_mail.c.id.desc())).all()


_ROWS = (
    select(report_mail, campaign.c.name.label("campaign"), app_user.c.name.label("owner"))
    .outerjoin(campaign, campaign.c.id == report_mail.c.campaign_id)
    .join(app_user, app_user.c.id == report_mail.c.owner_id)
    .where(report_mail.c.removed_at.is_(None))
)


def pause(connection: Connection, mail_id: int, actor: str, now: datetime) -> None:
    """Nothing more is made of it until it goes on."""
    connection.execute(
        update(report_mail)
        .where(report_mail.c.id == mail_id, report_mail.c.paused_at.is_(None))
        .values(paused_at=now)
    )
    _note(connection, "pause", mail_id, actor, now, None)


def resume(connection: Connection, row: Row[Any], actor: str, now: datetime) -> None:
    """From its next time on; what fell into the pause is not made up for."""
    run = next_run(Every(row.every), row.hour, ZoneInfo(row.timezone), now)
    connection.execute(
        update(report_mail)
        .where(report_mail.c.id == row.id, report_mail.c.paused_at.is_not(None))
        .values(paused_at=None, next_at=run.at)
    )
    _note(connection, "resume", row.id, actor, now, None)


def remove(connection: Connection, mail_id: int, actor: str, now: datetime) -> None:
    """Nothing is sent any more, also of what waits."""
    connection.execute(
        update(report_mail).where(report_mail.c.id == mail_id).values(removed_at=now)
    )
    _note(connection, "remove", mail_id, actor, now, None)


def restore(connection: Connection, mail_id: int, actor: str, now: datetime) -> Row[Any] | None:
    """One that was taken away, as it was, paused; None where there is none such."""
    connection.execute(
        update(report_mail)
        .where(report_mail.c.id == mail_id, report_mail.c.removed_at.is_not(None))
        .values(removed_at=None, paused_at=now)
    )
    _note(connection, "restore", mail_id, actor, now, None)
    return find(connection, mail_id)


def find_removed(connection: Connection, mail_id: int) -> Row[Any] | None:
    """The row of one that was taken away."""
    return connection.execute(
        select(report_mail).where(
            report_mail.c.id == mail_id, report_mail.c.removed_at.is_not(None)
        )
    ).first()


# --- runs -----------------------------------------------------------------------------------


def make_due(connection: Connection, now: datetime) -> int:
    """Each run whose time has come, as messages; how many. Of somebody who may not log in any more
    nothing is sent: it is paused."""
    rows = connection.execute(
        select(report_mail, app_user.c.active)
        .join(app_user, app_user.c.id == report_mail.c.owner_id)
        .where(
            report_mail.c.next_at <= now,
            report_mail.c.paused_at.is_(None),
            report_mail.c.removed_at.is_(None),
        )
    ).all()
    made = 0
    for row in rows:
        if not row.active:
            pause(connection, row.id, f"user:{row.owner_id}", now)
            continue
        made += _make_runs(connection, row, now)
    return made


def _make_runs(connection: Connection, row: Row[Any], now: datetime) -> int:
    every, zone = Every(row.every), ZoneInfo(row.timezone)
    run = next_run(every, row.hour, zone, row.next_at - timedelta(seconds=1))
    made = 0
    for _ in range(MOST_RUNS):
        if run.at > now:
            break
        made += put(connection, row.id, row.addresses, run, f"{run.at:%Y-%m-%dT%H:%MZ}", now)
        run = next_run(every, row.hour, zone, run.at)
    connection.execute(update(report_mail).where(report_mail.c.id == row.id).values(next_at=run.at))
    return made


def put(
    connection: Connection,
    mail_id: int,
    addresses: Sequence[str],
    run: Run,
    key: str,
    now: datetime,
) -> int:
    """A run as a message to each address; how many were new. ``key``: which run, for ever."""
    rows = [
        {
            "report_mail_id": mail_id,
            "key": f"{mail_id}:{key}:{hashlib.sha256(one.lower().encode()).hexdigest()[:20]}",
            "address": one,
            "first_day": run.first,
            "last_day": run.last,
            "state": _S.PENDING.value,
            "tries": 0,
            "next_at": now,
            "created_at": now,
        }
        for one in addresses
    ]
    return insert_ignore(connection, report_sending, rows)


# --- messages -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sending:
    """A message that is ours to send."""

    id: int
    key: str
    address: str
    first: date
    last: date
    tries: int
    created_at: datetime
    of: Row[Any]


def due(connection: Connection, now: datetime, limit: int = 200) -> Sequence[int]:
    """Messages to send now: that wait, or that a worker left before their text had left."""
    columns = report_sending.c
    return (
        connection.execute(
            select(columns.id)
            .join(report_mail, report_mail.c.id == columns.report_mail_id)
            .where(
                columns.state.in_([_S.PENDING.value, _S.SENDING.value]),
                columns.next_at <= now,
                report_mail.c.removed_at.is_(None),
            )
            .order_by(columns.next_at, columns.id)
            .limit(limit)
        )
        .scalars()
        .all()
    )


def claim(connection: Connection, sending_id: int, now: datetime) -> Sending | None:
    """The message, if it is still to be sent and nobody else has it."""
    columns = report_sending.c
    row = connection.execute(
        update(report_sending)
        .where(
            columns.id == sending_id,
            columns.state.in_([_S.PENDING.value, _S.SENDING.value]),
            columns.next_at <= now,
        )
        .values(
            state=_S.SENDING.value, tries=columns.tries + 1, next_at=now + CLAIM, sending_at=now
        )
        .returning(report_sending)
    ).first()
    if row is None:
        return None
    of = find(connection, row.report_mail_id)
    if of is None:
        _settle(connection, row.id, state=_S.FAILED.value, error=str(Unmailed.TAKEN_AWAY))
        return None
    return Sending(
        row.id, row.key, row.address, row.first_day, row.last_day, row.tries, row.created_at, of
    )


def hand_over(connection: Connection, one: Sending) -> bool:
    """Its text leaves now. False where it is another's by now: then it must not."""
    columns = report_sending.c
    changed = connection.execute(
        update(report_sending)
        .where(
            columns.id == one.id,
            columns.state == _S.SENDING.value,
            columns.tries == one.tries,
        )
        .values(state=_S.HANDED.value, error=str(Unmailed.NO_ANSWER_KEPT))
    )
    return changed.rowcount == 1


def sent(connection: Connection, one: Sending, receipt: str, now: datetime) -> None:
    """The server took it."""
    _settle(connection, one.id, state=_S.SENT.value, sent_at=now, error=None, receipt=receipt[:200])


def failed(
    connection: Connection, one: Sending, error: str, now: datetime, *, permanent: bool
) -> SendingState:
    """The server does not have it; tried again unless ``permanent`` or too late."""
    again = None if permanent else next_try(one.tries, one.created_at, now)
    state = _S.FAILED if again is None else _S.PENDING
    values: dict[str, Any] = {"state": state.value, "error": error[:200]}
    _settle(connection, one.id, **values, **({} if again is None else {"next_at": again}))
    return state


def lost(connection: Connection, one: Sending, error: str) -> None:
    """Whether the server has it is not known."""
    _settle(connection, one.id, state=_S.HANDED.value, error=error[:200])


def send_again(connection: Connection, mail_id: int, sending_id: int, now: datetime) -> bool:
    """A message that failed, or that nobody knows of, from the beginning; whether there was one."""
    columns = report_sending.c
    changed = connection.execute(
        update(report_sending)
        .where(
            columns.id == sending_id,
            columns.report_mail_id == mail_id,
            columns.state.in_([_S.FAILED.value, _S.HANDED.value]),
        )
        .values(
            state=_S.PENDING.value, tries=0, next_at=now, created_at=now, error=None, sent_at=None
        )
    )
    return changed.rowcount == 1


def _settle(connection: Connection, sending_id: int, **values: Any) -> None:
    connection.execute(
        update(report_sending).where(report_sending.c.id == sending_id).values(values)
    )


def sendings(connection: Connection, mail_id: int, limit: int = 50) -> Sequence[Row[Any]]:
    """The newest first."""
    return connection.execute(
        select(report_sending)
        .where(report_sending.c.report_mail_id == mail_id)
        .order_by(report_sending.c.id.desc())
        .limit(limit)
    ).all()


def last_of(connection: Connection, mail_ids: Sequence[int]) -> dict[int, Row[Any]]:
    """Report -> its newest message."""
    found: dict[int, Row[Any]] = {}
    for mail_id in mail_ids:
        for row in sendings(connection, mail_id, 1):
            found[mail_id] = row
    return found


def late(connection: Connection, before: datetime) -> int:
    """How many should have been tried before that moment."""
    columns = report_sending.c
    rows = connection.execute(
        select(columns.id)
        .where(columns.state == _S.PENDING.value, columns.next_at < before)
        .limit(1000)
    ).all()
    return len(rows)


def _note(
    connection: Connection,
    action: str,
    mail_id: int,
    actor: str,
    now: datetime,
    after: dict[str, Any] | None,
) -> None:
    audit.record(
        connection,
        actor=actor,
        action=f"report_mail.{action}",
        target=f"report_mail:{mail_id}",
        now=now,
        after=after,
    )
