"""A believable past, in bulk: what a company's database holds after some weeks of calling.

For pages that must be fast on a full database, and for looking at them. Nothing is dialled, nobody
is real, everything follows from the seed. Shares are those of the simulated network's personas and
of published answer rates, roughly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, func, select, update

from dialer.domain import ledger
from dialer.simulation.leads import MadeUpLead, make_leads
from dialer.store import tables as t
from dialer.store.bulk import insert_rows

ENDS: dict[str, float] = {
    "no_answer": 40.0, "busy": 8.0, "machine": 14.0, "rejected": 3.0, "invalid_number": 1.0,
    "answered_abandoned": 9.0, "no_input": 5.0, "incomplete": 4.0, "wrong_person": 3.0,
    "refused_identity": 1.0, "promise": 5.0, "link_sent": 2.5, "opted_out": 1.0,
    "wants_agent": 1.0, "paid": 2.0, "congestion": 0.5,
}  # fmt: skip
"""How a call ends, in per cent."""
OUTCOMES = frozenset(
    {"no_input", "incomplete", "wrong_person", "refused_identity", "promise", "link_sent",
     "opted_out", "wants_agent", "paid"}
)  # fmt: skip
UNANSWERED = frozenset({"no_answer", "busy", "rejected", "invalid_number", "congestion"})
LAST_NODES = {
    "answered_abandoned": ("greeting", "identity", "greeting"),
    "no_input": ("identity", "menu"),
    "incomplete": ("identity", "menu", "promise_when", "pay"),
}
HOURS = (9, 20)
CHUNK = 4_000


@dataclass(slots=True)
class _Rows:
    """What goes into the database at one time."""

    attempt: list[dict[str, Any]] = field(default_factory=list)
    flow_outcome: list[dict[str, Any]] = field(default_factory=list)
    contact: list[dict[str, Any]] = field(default_factory=list)
    fallback: list[dict[str, Any]] = field(default_factory=list)
    message: list[dict[str, Any]] = field(default_factory=list)
    promise: list[dict[str, Any]] = field(default_factory=list)
    payment: list[dict[str, Any]] = field(default_factory=list)
    ledger_entry: list[dict[str, Any]] = field(default_factory=list)
    suppression: list[dict[str, Any]] = field(default_factory=list)

    def write(self, connection: Connection) -> None:
        """All of it, in the order in which rows refer to each other."""
        for table in (
            t.attempt, t.flow_outcome, t.contact, t.message, t.fallback, t.promise, t.payment,
            t.ledger_entry, t.suppression,
        ):  # fmt: skip
            rows = getattr(self, table.name)
            for first in range(0, len(rows), CHUNK):
                insert_rows(connection, table, rows[first : first + CHUNK])


@dataclass(slots=True)
class _World:
    company_id: int
    campaign_id: int
    caller_ids: tuple[str, ...]
    flow: str
    dice: random.Random
    now: datetime
    next_message: int


def fill_history(
    engine: Engine,
    campaign_id: int,
    *,
    debtors: int,
    attempts: int,
    seed: int,
    now: datetime,
    days: int = 30,
    tell: Callable[[str], None] = lambda _line: None,
) -> None:
    """Give a campaign ``debtors`` more debtors and about ``attempts`` calls to them over the last
    ``days``, with what came of each: fallbacks, messages, promises, payments, opt-outs.

    The campaign is there already (``make_campaign``) and nobody runs it meanwhile.
    """
    dice = random.Random(seed)
    world = _begin(engine, campaign_id, dice, now)
    made = make_leads(debtors, seed, today=now.date())
    ids = _people(engine, world, made)
    tell(f"{debtors} debtors")
    calls = _spread(dice, ids, attempts)
    done = 0
    for chunk in _chunks(calls):
        rows = _Rows()
        for (debtor_id, account_id, lead_id, phone_id, lead), count in chunk:
            _life(world, rows, debtor_id, account_id, lead_id, phone_id, lead, count, days)
            done += count
        with engine.begin() as connection:
            rows.write(connection)
        tell(f"{done} calls")
    _close(engine, campaign_id, now - timedelta(days=days))


def _begin(engine: Engine, campaign_id: int, dice: random.Random, now: datetime) -> _World:
    with engine.connect() as connection:
        row = connection.execute(
            select(t.campaign.c.company_id, t.campaign.c.plan).where(t.campaign.c.id == campaign_id)
        ).one()
        last = connection.scalar(select(func.max(t.message.c.id))) or 0
    return _World(
        row.company_id,
        campaign_id,
        tuple(row.plan["caller_ids"]),
        row.plan["flow"],
        dice,
        now,
        last + 1,
    )


Person = tuple[int, int, int, int, MadeUpLead]


def _people(engine: Engine, world: _World, made: list[MadeUpLead]) -> list[Person]:
    """Debtors, phones, accounts and leads; their ids are given here, behind those that are."""
    with engine.connect() as connection:
        first = {
            table.name: (connection.scalar(select(func.max(table.c.id))) or 0) + 1
            for table in (t.debtor, t.account, t.lead, t.phone)
        }
    at = world.now - timedelta(days=45)
    people: list[Person] = []
    for start in range(0, len(made), CHUNK):
        part = made[start : start + CHUNK]
        ids = [
            tuple(first[name] + start + n for name in ("debtor", "account", "lead", "phone"))
            for n in range(len(part))
        ]
        with engine.begin() as connection:
            _people_rows(connection, world, part, ids, at)
        people += [(*one, lead) for one, lead in zip(ids, part, strict=True)]  # type: ignore[misc]
    _follow_ids(engine)
    return people


def _people_rows(
    connection: Connection,
    world: _World,
    part: list[MadeUpLead],
    ids: list[tuple[int, ...]],
    at: datetime,
) -> None:
    pairs = list(zip(ids, part, strict=True))
    insert_rows(connection, t.debtor, [
        {"id": d, "company_id": world.company_id, "document": one.document, "name": one.name,
         "email": one.email, "language": one.language, "country": "ES", "created_at": at}
        for (d, _a, _l, _p), one in pairs
    ])  # fmt: skip
    insert_rows(connection, t.phone, [
        {"id": p, "debtor_id": d, "number": one.phones[0], "position": 0,
         "line_type": "mobile" if one.phones[0][3] in "67" else "fixed"}
        for (d, _a, _l, p), one in pairs
    ])  # fmt: skip
    insert_rows(connection, t.account, [
        {"id": a, "company_id": world.company_id, "debtor_id": d,
         "reference": f"{one.reference}-{a}", "amount_minor": one.amount, "currency": one.currency,
         "due_date": one.due, "created_at": at, "updated_at": at}
        for (d, a, _l, _p), one in pairs
    ])  # fmt: skip
    insert_rows(connection, t.lead, [
        {"id": lead, "campaign_id": world.campaign_id, "debtor_id": d, "account_id": a,
         "state": "waiting", "next_at": at, "attempts": 0, "next_phone": 0}
        for (d, a, lead, _p), _one in pairs
    ])  # fmt: skip


def _follow_ids(engine: Engine) -> None:
    """PostgreSQL counts by itself and must be told of ids that were given."""
    if engine.dialect.name != "postgresql":
        return
    with engine.begin() as connection:
        for table in (t.debtor, t.account, t.lead, t.phone, t.message):
            top = select(func.coalesce(func.max(table.c.id), 1)).scalar_subquery()
            connection.execute(
                select(func.setval(func.pg_get_serial_sequence(table.name, "id"), top))
            )


def _spread(
    dice: random.Random, people: list[Person], attempts: int
) -> Iterator[tuple[Person, int]]:
    """How many calls each one had; they add up to about ``attempts``."""
    mean = attempts / max(1, len(people))
    for one in people:
        count = int(mean) + (dice.random() < mean % 1)
        yield one, max(0, count + dice.choice((-1, 0, 0, 1)) if mean >= 1 else count)


def _chunks(calls: Iterator[tuple[Person, int]]) -> Iterator[list[tuple[Person, int]]]:
    part: list[tuple[Person, int]] = []
    for one in calls:
        part.append(one)
        if len(part) == CHUNK:
            yield part
            part = []
    if part:
        yield part


def _life(
    world: _World,
    rows: _Rows,
    debtor_id: int,
    account_id: int,
    lead_id: int,
    phone_id: int,
    lead: MadeUpLead,
    count: int,
    days: int,
) -> None:
    """The calls to one debtor, in order of time."""
    dice = world.dice
    moments = sorted(
        datetime.combine(
            (world.now - timedelta(days=dice.uniform(0, days))).date(),
            time(dice.randint(HOURS[0], HOURS[1] - 1), dice.randint(0, 59), dice.randint(0, 59)),
            UTC,
        )
        for _ in range(count)
    )
    who = {"debtor_id": debtor_id, "account_id": account_id}
    for at in moments:
        if at > world.now - timedelta(minutes=10):
            continue
        end = dice.choices(list(ENDS), list(ENDS.values()))[0]
        call = _call(world, debtor_id, lead_id, phone_id, lead, at, end)
        rows.attempt.append(call)
        _count(world, rows, who, f"attempt:{call['id']}", "voice", at)
        if end in OUTCOMES:
            rows.flow_outcome.append(
                {"attempt_id": call["id"], "outcome": end, "at": call["ended_at"],
                 "node": call["last_node"]}
            )  # fmt: skip
        _what_came(world, rows, who, phone_id, lead_id, lead, call, end)


def _call(
    world: _World,
    debtor_id: int,
    lead_id: int,
    phone_id: int,
    lead: MadeUpLead,
    at: datetime,
    end: str,
) -> dict[str, Any]:
    dice = world.dice
    answered = None if end in UNANSWERED else at + timedelta(seconds=dice.gammavariate(4, 3))
    talked = {"answered_abandoned": 6.0, "machine": 4.0}.get(end, 45.0)
    ended = (answered or at) + timedelta(
        seconds=dice.expovariate(1 / talked) + 1 if answered else dice.uniform(2, 25)
    )
    keys = end in OUTCOMES - {"no_input"} or end == "incomplete"
    return {
        "id": f"{dice.getrandbits(128):032x}", "campaign_id": world.campaign_id,
        "lead_id": lead_id, "debtor_id": debtor_id, "phone_id": phone_id,
        "number": lead.phones[0], "caller_id": dice.choice(world.caller_ids),
        "trunk": "carrier", "node": "node1", "flow": world.flow, "follows": None,
        "fallback_index": -1, "state": "ended", "placed_at": at,
        "dialled_at": at + timedelta(milliseconds=dice.uniform(5, 40)),
        "answered_at": answered, "ended_at": ended,
        "first_key_at": answered + timedelta(seconds=5) if keys and answered else None,
        "hung_up_by_debtor": end in ("answered_abandoned", "incomplete"),
        "q850": 16 if answered else {"busy": 17, "rejected": 21}.get(end, 19),
        "detection": None if answered is None else "machine" if end == "machine" else "person",
        "last_node": dice.choice(LAST_NODES.get(end, ("menu",))) if answered else None,
        "keys": "1" if keys else "", "disposition": end,
        "identity_confirmed": end in ("promise", "paid", "link_sent"),
        "outcome": end if end in OUTCOMES else None, "mode": "agentless", "inbound": False,
    }  # fmt: skip


def _what_came(
    world: _World,
    rows: _Rows,
    who: dict[str, int],
    phone_id: int,
    lead_id: int,
    lead: MadeUpLead,
    call: dict[str, Any],
    end: str,
) -> None:
    if end == "answered_abandoned":
        _fall_back(world, rows, who, phone_id, lead_id, lead, call)
    elif end == "promise":
        rows.promise.append(
            {"account_id": who["account_id"], "attempt_id": call["id"],
             "due": (call["ended_at"] + timedelta(days=world.dice.randint(1, 15))).date(),
             "amount_minor": lead.amount, "currency": lead.currency, "made_at": call["ended_at"]}
        )  # fmt: skip
    elif end == "link_sent":
        _text(world, rows, who, lead, call, "payment_link")
    elif end == "paid":
        _pay(world, rows, who, lead, call)
    elif end == "opted_out" and not any(r["number"] == lead.phones[0] for r in rows.suppression):
        rows.suppression.append(
            {"company_id": world.company_id, "number": lead.phones[0], "reason": "keypad",
             "source": f"attempt:{call['id']}", "at": call["ended_at"]}
        )  # fmt: skip


def _fall_back(
    world: _World,
    rows: _Rows,
    who: dict[str, int],
    phone_id: int,
    lead_id: int,
    lead: MadeUpLead,
    call: dict[str, Any],
) -> None:
    """A redial, else an SMS to a mobile, else nothing and why."""
    dice, hangup = world.dice, call["ended_at"]
    step: dict[str, Any] = {
        "attempt_id": call["id"], "step": 0, "kind": "redial", "refused": None,
        "at": hangup + timedelta(milliseconds=4), "hangup_at": hangup, "made_attempt_id": None,
        "made_message_id": None, "latency_ms": None,
    }  # fmt: skip
    luck = dice.random()
    if luck < 0.55:
        end = dice.choices(list(ENDS), list(ENDS.values()))[0]
        end = "no_answer" if end in ("answered_abandoned", "opted_out") else end
        late = timedelta(milliseconds=dice.gammavariate(3, 6))
        again = _call(world, who["debtor_id"], lead_id, phone_id, lead, hangup + late, end)
        again |= {"follows": call["id"], "fallback_index": 0}
        rows.attempt.append(again)
        _count(world, rows, who, f"attempt:{again['id']}", "voice", again["placed_at"])
        if end in OUTCOMES:
            rows.flow_outcome.append(
                {"attempt_id": again["id"], "outcome": end, "at": again["ended_at"],
                 "node": again["last_node"]}
            )  # fmt: skip
        _what_came(world, rows, who, phone_id, lead_id, lead, again, end)
        rows.fallback.append(
            step
            | {"made_attempt_id": again["id"], "latency_ms": round(late.total_seconds() * 1e3, 2)}
        )
    elif lead.phones[0][3] in "67" and luck < 0.9:
        text = _text(world, rows, who, lead, call, "answered_abandoned")
        rows.fallback.append(step | {"refused": "daily_cap"})
        rows.fallback.append(
            step
            | {"step": 1, "kind": "sms", "made_message_id": text,
               "latency_ms": round(dice.gammavariate(4, 15), 2)}
        )  # fmt: skip
    else:
        rows.fallback.append(step | {"refused": "daily_cap"})


def _text(
    world: _World,
    rows: _Rows,
    who: dict[str, int],
    lead: MadeUpLead,
    call: dict[str, Any],
    template: str,
) -> int:
    at = call["ended_at"] + timedelta(milliseconds=60)
    key = f"{template}:{call['id']}"
    number = world.next_message
    world.next_message += 1
    state = world.dice.choices(("delivered", "sent", "failed"), (90, 6, 4))[0]
    rows.message.append(
        {"id": number, "company_id": world.company_id, "campaign_id": world.campaign_id,
         "attempt_id": call["id"], "key": key, "channel": "sms", "number": lead.phones[0],
         "template": template, "body": "Le hemos llamado. Llámenos al 910 00 01 01.",
         "state": state, "tries": 1, "provider_id": f"SM{number:032x}", "permanent": False,
         "created_at": at, "sending_at": at, "requested_at": at, "updated_at": at, **who}
    )  # fmt: skip
    _count(world, rows, who, f"message:{key}", "sms", at)
    return number


def _pay(
    world: _World, rows: _Rows, who: dict[str, int], lead: MadeUpLead, call: dict[str, Any]
) -> None:
    """The whole debt, once: who has paid already pays nothing more."""
    if any(row["account_id"] == who["account_id"] for row in rows.payment):
        return
    at, number = call["ended_at"], f"{world.dice.getrandbits(128):032x}"
    rows.payment.append(
        {"id": number, "order_ref": number[:12], "company_id": world.company_id,
         "account_id": who["account_id"], "attempt_id": call["id"], "source": "call",
         "gateway": "test", "mode": "charge", "provider_ref": f"made-up-{number[:12]}",
         "amount_minor": lead.amount,
         "currency": lead.currency, "state": "approved", "outcome": "approved", "brand": "visa",
         "last_four": f"{world.dice.randint(0, 9999):04d}", "auth_code": number[:6].upper(),
         "created_at": at, "send_before": at, "settled_at": at, "captured_at": at, "look_ups": 0}
    )  # fmt: skip
    for moved in (ledger.reserve(number, lead.amount), ledger.settle(number, lead.amount)):
        rows.ledger_entry += [
            {"transaction": moved.key, "account_id": who["account_id"], "book": entry.book.value,
             "minor": entry.minor, "currency": lead.currency, "payment_id": number, "at": at}
            for entry in moved.entries
        ]  # fmt: skip


def _count(
    world: _World, rows: _Rows, who: dict[str, int], source: str, channel: str, at: datetime
) -> None:
    rows.contact.append(
        {"company_id": world.company_id, "channel": channel, "at": at, "source": source, **who}
    )


def _close(engine: Engine, campaign_id: int, began: datetime) -> None:
    """What leads and the campaign know of their calls."""
    a, lead = t.attempt.c, t.lead.c
    calls = select(func.count()).where(a.lead_id == lead.id).scalar_subquery()
    last = (
        select(a.disposition).where(a.lead_id == lead.id).order_by(a.placed_at.desc()).limit(1)
    ).scalar_subquery()
    ours = update(t.lead).where(lead.campaign_id == campaign_id)
    with engine.begin() as connection:
        connection.execute(ours.values(attempts=calls, last_disposition=last))
        connection.execute(
            ours.where(lead.last_disposition.in_(OUTCOMES - {"no_input", "incomplete"})).values(
                state="done", closed_reason="conversation"
            )
        )
        connection.execute(
            update(t.campaign).where(t.campaign.c.id == campaign_id).values(started_at=began)
        )
    _follow_ids(engine)
