"""Companies (creditors) and their pools of caller IDs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from dialer.domain.model import CampaignState
from dialer.domain.said import of_error
from dialer.store import audit, countries
from dialer.store.plans import plan_json, plan_of
from dialer.store.refusals import Why
from dialer.store.tables import caller_id, caller_id_pool, campaign, company


class NotPossible(Exception):
    """What was asked for cannot be done; the message says why and what to do instead."""


@dataclass(frozen=True, slots=True)
class NewCompany:
    """``country`` ISO 3166; ``spoken_name`` as the greeting says it; ``callback_number`` E.164."""

    name: str
    country: str
    timezone: str
    spoken_name: str
    callback_number: str | None = None


def create_company(connection: Connection, new: NewCompany, actor: str, now: datetime) -> int:
    """Make a company; its id. Raises NotPossible for a taken name or a value that is none."""
    if connection.execute(select(company.c.id).where(company.c.name == new.name)).first():
        raise NotPossible(Why.COMPANY_TAKEN.say(name=new.name))
    if len(new.country) != 2 or not new.country.isalpha() or not new.country.isupper():
        raise NotPossible(Why.LIKE_A_COUNTRY.say(country=new.country))
    if new.timezone not in available_timezones():
        raise NotPossible(Why.NO_TIMEZONE.say(timezone=new.timezone))
    number = None
    if new.callback_number:
        try:
            number = countries.parse_caller_id(new.callback_number, new.country)
        except ValueError as error:
            raise NotPossible(Why.CALLBACK_NUMBER.say(why=of_error(error))) from error
    made: int = connection.execute(
        insert(company)
        .values(
            name=new.name,
            country=new.country,
            timezone=new.timezone,
            spoken_name=new.spoken_name,
            callback_number=number,
            created_at=now,
        )
        .returning(company.c.id)
    ).scalar_one()
    audit.record(
        connection,
        actor=actor,
        action="company.create",
        target=f"company:{made}",
        now=now,
        after={"name": new.name, "country": new.country},
    )
    return made


def find_company(connection: Connection, name: str | None) -> Row[Any]:
    """The company of that name, or the only one there is. Raises NotPossible."""
    rows = connection.execute(select(company).order_by(company.c.id)).all()
    if name is not None:
        rows = [row for row in rows if row.name == name]
        if not rows:
            raise NotPossible(Why.NO_COMPANY.say(name=name))
    if not rows:
        raise NotPossible(Why.NO_COMPANY_YET.say())
    if len(rows) > 1:
        names = ", ".join(row.name for row in rows)
        raise NotPossible(Why.WHICH_COMPANY.say(names=names))
    return rows[0]


def list_companies(connection: Connection) -> list[Row[Any]]:
    """All of them, oldest first."""
    return list(connection.execute(select(company).order_by(company.c.id)))


# --- pools ---------------------------------------------------------------------------------


def create_pool(
    connection: Connection,
    company_id: int,
    name: str,
    numbers: Sequence[str],
    actor: str,
    now: datetime,
) -> int:
    """Make a pool of caller IDs (E.164, checked by the caller); its id. Raises NotPossible."""
    taken = select(caller_id_pool.c.id).where(
        caller_id_pool.c.company_id == company_id, caller_id_pool.c.name == name
    )
    if connection.execute(taken).first():
        raise NotPossible(Why.POOL_TAKEN.say(name=name))
    pool_id: int = connection.execute(
        insert(caller_id_pool)
        .values(company_id=company_id, name=name)
        .returning(caller_id_pool.c.id)
    ).scalar_one()
    connection.execute(
        insert(caller_id),
        [{"pool_id": pool_id, "number": number} for number in dict.fromkeys(numbers)],
    )
    _audit(connection, "pool.create", pool_id, now, actor, [], numbers)
    return pool_id


def find_pool(connection: Connection, company_id: int, name: str) -> int:
    """The id of a company's pool. Raises NotPossible."""
    found: int | None = connection.execute(
        select(caller_id_pool.c.id).where(
            caller_id_pool.c.company_id == company_id, caller_id_pool.c.name == name
        )
    ).scalar_one_or_none()
    if found is None:
        raise NotPossible(Why.NO_POOL.say(name=name))
    return found


def numbers_of(connection: Connection, pool_id: int) -> tuple[str, ...]:
    """The caller IDs of a pool, in the order they were added."""
    return tuple(
        connection.execute(
            select(caller_id.c.number)
            .where(caller_id.c.pool_id == pool_id)
            .order_by(caller_id.c.id)
        ).scalars()
    )


def list_pools(connection: Connection) -> list[dict[str, Any]]:
    """Every pool: company, name, numbers, and how many campaigns not over use it."""
    over = [CampaignState.STOPPED.value, CampaignState.FINISHED.value]
    used = (
        select(func.count())
        .select_from(campaign)
        .where(campaign.c.pool_id == caller_id_pool.c.id, campaign.c.state.not_in(over))
        .scalar_subquery()
    )
    rows = connection.execute(
        select(caller_id_pool.c.id, caller_id_pool.c.name, company.c.name.label("company"), used)
        .join(company, company.c.id == caller_id_pool.c.company_id)
        .order_by(company.c.name, caller_id_pool.c.name)
    ).all()
    return [
        {
            "company": row.company,
            "name": row.name,
            "numbers": list(numbers_of(connection, row.id)),
            "campaigns": row[3],
        }
        for row in rows
    ]


def change_pool(
    connection: Connection,
    pool_id: int,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    actor: str,
    now: datetime,
) -> tuple[str, ...]:
    """Add and remove numbers, in the pool and in the plans of its campaigns; what is in it then.

    A running campaign takes it up at its next look at the database. Raises NotPossible when a
    number to remove is not there, or when none would be left.
    """
    before = numbers_of(connection, pool_id)
    missing = [number for number in remove if number not in before]
    if missing:
        raise NotPossible(Why.NOT_IN_POOL.say(numbers=", ".join(missing)))
    after = tuple(n for n in dict.fromkeys([*before, *add]) if n not in remove)
    if not after:
        raise NotPossible(Why.NO_NUMBER_LEFT.say())
    connection.execute(
        delete(caller_id).where(caller_id.c.pool_id == pool_id, caller_id.c.number.in_(remove))
    )
    new = [number for number in after if number not in before]
    if new:
        connection.execute(insert(caller_id), [{"pool_id": pool_id, "number": n} for n in new])
    for row in connection.execute(
        select(campaign.c.id, campaign.c.plan)
        .where(campaign.c.pool_id == pool_id)
        .order_by(campaign.c.id)
        .with_for_update()  # a mode that is switched meanwhile is not undone
    ).all():
        plan = dict(plan_json(plan_of(row.plan)), caller_ids=list(after))
        connection.execute(update(campaign).where(campaign.c.id == row.id).values(plan=plan))
    _audit(connection, "pool.change", pool_id, now, actor, before, after)
    return after


def _audit(
    connection: Connection,
    action: str,
    pool_id: int,
    now: datetime,
    actor: str,
    before: Sequence[str],
    after: Sequence[str],
) -> None:
    audit.record(
        connection,
        actor=actor,
        action=action,
        target=f"pool:{pool_id}",
        now=now,
        before={"numbers": list(before)},
        after={"numbers": list(after)},
    )
