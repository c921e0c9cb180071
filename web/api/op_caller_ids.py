"""Pools of caller IDs: which numbers are shown, how they do, more of them, rest for one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, StringConstraints
from sqlalchemy import select

from dialer.domain.api import Scope
from dialer.domain.caller_id_health import Health, judge
from dialer.store import caller_id_use, companies, countries
from dialer.store.caller_id_use import Pool
from dialer.store.tables import caller_id, caller_id_pool
from web.api.paging import cursor_of, keys_of
from web.api.registry import Asked, operation
from web.api.scoping import company_of, not_found
from web.api.shapes import Answer, Given, Id, Page, Paged, Text
from web.problems import invalid_fields

Number = Annotated[Text, StringConstraints(max_length=40)]


class CallerIds(Answer):
    """A pool; campaigns name it."""

    id: int
    company_id: int
    name: str
    numbers: list[str]


class PoolPage(Page[CallerIds]):
    """Pools."""


class NewPool(Given):
    """``company_id``: for a key that opens every company."""

    name: Annotated[Text, StringConstraints(max_length=100)]
    numbers: list[Number] = Field(min_length=1, max_length=500)
    company_id: Id | None = None


class More(Given):
    """``numbers``: in E.164, or as they are written in the company's country."""

    numbers: list[Number] = Field(min_length=1, max_length=500)


class Rest(Given):
    """``number``: in E.164."""

    number: Number


class Period(Given):
    """How far back."""

    days: int = Field(7, ge=1, le=90)


class NumberUse(Answer):
    """A number of a pool beside the others. ``share`` of its calls that were answered, ``fellows``
    of theirs; null: no calls. ``health``: `worn` is answered less than the others, `rejected`
    refused more often, beyond chance; `new` has too few calls."""

    number: str
    calls: int
    answered: int
    rejected: int
    last_at: datetime | None
    share: float | None
    fellows: float | None
    health: Health


class PoolUse(Answer):
    """``campaigns``: those not over that show its numbers."""

    id: int
    campaigns: list[str]
    numbers: list[NumberUse]


@operation(
    "GET", "/caller-id-pools", Scope.CALLER_IDS_READ, PoolPage, "Pools of caller IDs", query=Paged
)
def list_pools(ask: Asked) -> PoolPage:
    """With their numbers, in the order they were added."""
    after = keys_of(ask.query.cursor, int)
    columns = caller_id_pool.c
    query = select(columns.id, columns.company_id, columns.name).order_by(columns.id)
    if ask.token.company_id is not None:
        query = query.where(columns.company_id == ask.token.company_id)
    if after is not None:
        query = query.where(columns.id > after[0])
    rows = ask.connection.execute(query.limit(ask.query.limit + 1)).all()
    kept = rows[: ask.query.limit]
    numbers: dict[int, list[str]] = {row.id: [] for row in kept}
    for pool_id, number in ask.connection.execute(
        select(caller_id.c.pool_id, caller_id.c.number)
        .where(caller_id.c.pool_id.in_(list(numbers)))
        .order_by(caller_id.c.id)
    ):
        numbers[pool_id].append(number)
    return PoolPage(
        items=[CallerIds(**row._mapping, numbers=numbers[row.id]) for row in kept],
        next=cursor_of(kept[-1].id) if len(rows) > len(kept) else None,
    )


@operation(
    "POST",
    "/caller-id-pools",
    Scope.CALLER_IDS_WRITE,
    CallerIds,
    "Make a pool",
    body=NewPool,
    status=201,
    example={"name": "Madrid", "numbers": ["+34910000010", "+34910000011"]},
)
def create_pool(ask: Asked) -> CallerIds:
    """Campaigns can use it from now on. 409 where the company has one of that name."""
    owner = company_of(ask, ask.body.company_id)
    name = " ".join(ask.body.name.split())
    if not name:
        raise invalid_fields([("name", "give the pool a name")])
    numbers = _numbers(ask.body.numbers, owner.country, ask.now)
    made = companies.create_pool(ask.connection, owner.id, name, numbers, ask.actor, ask.now)
    return CallerIds(id=made, company_id=owner.id, name=name, numbers=numbers)


@operation(
    "GET",
    "/caller-id-pools/{pool_id}/use",
    Scope.CALLER_IDS_READ,
    PoolUse,
    "How its numbers do",
    query=Period,
)
def pool_use(ask: Asked, pool_id: int) -> PoolUse:
    """Calls of the last days, number by number. It counts calls: ask now and then."""
    own = _pool(ask, pool_id)
    since = ask.now - timedelta(days=ask.query.days)
    found = caller_id_use.pools(ask.connection, own.company_id, since)
    pool = next(one for one in found if one.id == pool_id)
    return PoolUse(
        id=pool_id,
        campaigns=pool.campaigns,
        numbers=[
            NumberUse(
                number=one.used.number, calls=one.used.calls, answered=one.used.answered,
                rejected=one.used.rejected, last_at=one.used.last_at, share=one.share,
                fellows=one.fellows, health=one.health,
            )
            for one in judge(pool.numbers)
        ],
    )  # fmt: skip


@operation(
    "POST",
    "/caller-id-pools/{pool_id}/add",
    Scope.CALLER_IDS_WRITE,
    CallerIds,
    "Add numbers",
    body=More,
    example={"numbers": ["+34910000012"]},
)
def add_numbers(ask: Asked, pool_id: int) -> CallerIds:
    """They are shown from now on, also by campaigns that run."""
    pool = _pool(ask, pool_id)
    numbers = _numbers(ask.body.numbers, pool.country, ask.now)
    return _changed(ask, pool, add=numbers)


@operation(
    "POST",
    "/caller-id-pools/{pool_id}/rest",
    Scope.CALLER_IDS_WRITE,
    CallerIds,
    "Let a number rest",
    body=Rest,
    example={"number": "+34910000000"},
)
def rest_number(ask: Asked, pool_id: int) -> CallerIds:
    """It is not shown any more, until it is added again. 409 where it is not in the pool, or is
    the last one there."""
    return _changed(ask, _pool(ask, pool_id), remove=[ask.body.number])


def _changed(
    ask: Asked, pool: Pool, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> CallerIds:
    after = companies.change_pool(
        ask.connection, pool.id, add=add, remove=remove, actor=ask.actor, now=ask.now
    )
    return CallerIds(id=pool.id, company_id=pool.company_id, name=pool.name, numbers=list(after))


def _pool(ask: Asked, pool_id: int) -> Pool:
    found = caller_id_use.pool_of(ask.connection, pool_id)
    if found is None or not ask.token.sees(found.company_id):
        raise not_found("pool")
    return found


def _numbers(given: list[str], country: str, now: datetime) -> list[str]:
    """In E.164, each once. Raises Problem (422)."""
    found, faults = [], []
    for place, one in enumerate(given):
        try:
            found.append(countries.parse_caller_id(one, country))
        except ValueError as error:
            faults.append((f"numbers.{place}", str(error)))
    refused = countries.refused_caller_ids(found, country, now.date())
    faults += [("numbers", why) for why in refused]
    if faults:
        raise invalid_fields(faults[:20])
    return list(dict.fromkeys(found))
