"""A campaign in figures, and its attempts one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from dialer.domain.model import AttemptState, Disposition, LeadState, StepKind
from dialer.store.agent_reports import agents_report
from dialer.store.percentiles import PERCENTILES as PERCENTILES
from dialer.store.percentiles import percentile as percentile
from dialer.store.percentiles import percentiles as percentiles
from dialer.store.tables import attempt, fallback, flow_outcome, lead, message, promise

CHUNK = 1000


# --- attempts ------------------------------------------------------------------------------


def attempt_rows(connection: Connection, campaign_id: int) -> Iterator[dict[str, Any]]:
    """Every attempt in the order they were placed, with all its fields."""
    after: tuple[datetime, str] | None = None
    while True:
        rows, after = attempt_page(connection, campaign_id, after, CHUNK)
        if not rows:
            return
        yield from rows


def attempt_page(
    connection: Connection, campaign_id: int, after: tuple[datetime, str] | None, limit: int
) -> tuple[list[dict[str, Any]], tuple[datetime, str] | None]:
    """The next attempts of a campaign, and what to give as ``after`` for those that follow.

    Times are ISO 8601 in UTC with microseconds. ``fallback`` lists the steps considered after
    this attempt, each with its refusal or what it made; ``fallback_latency_ms`` is, of an attempt
    that is itself a redial, from the hang-up it answers to its INVITE.
    """
    statement = select(attempt, flow_outcome.c.node.label("outcome_node")).outerjoin(
        flow_outcome, flow_outcome.c.attempt_id == attempt.c.id
    )
    if after is not None:
        same_moment = and_(attempt.c.placed_at == after[0], attempt.c.id > after[1])
        # The first part bounds the index alone; the second one leaves out what was there before.
        statement = statement.where(
            attempt.c.placed_at >= after[0], or_(attempt.c.placed_at > after[0], same_moment)
        )
    rows = connection.execute(
        statement.where(attempt.c.campaign_id == campaign_id)
        .order_by(attempt.c.placed_at, attempt.c.id)
        .limit(limit)
    ).all()
    if not rows:
        return [], after
    steps, latencies = _steps(connection, [row.id for row in rows])
    found = []
    for row in rows:
        values = {key: _plain(value) for key, value in row._mapping.items()}
        values["fallback"] = steps.get(row.id, [])
        values["fallback_latency_ms"] = latencies.get(row.id)
        found.append(values)
    return found, (rows[-1].placed_at, rows[-1].id)


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def _steps(
    connection: Connection, ids: Sequence[str]
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, float | None]]:
    """(steps by the attempt they follow, latency by the attempt they made)."""
    steps: dict[str, list[dict[str, Any]]] = {}
    for row in _fallback_rows(connection, fallback.c.attempt_id.in_(ids)):
        steps.setdefault(row["attempt_id"], []).append(
            {key: _plain(value) for key, value in row.items() if key not in ("id", "attempt_id")}
        )
    latencies = {
        row["made_attempt_id"]: row["latency_ms"]
        for row in _fallback_rows(connection, fallback.c.made_attempt_id.in_(ids))
    }
    return steps, latencies


def _fallback_rows(connection: Connection, condition: Any) -> Iterable[dict[str, Any]]:
    """Rows with ``latency_ms`` filled from the times, where nobody has written it yet."""
    made = attempt.alias("made")
    for row in connection.execute(
        select(
            fallback,
            func.coalesce(made.c.dialled_at, message.c.requested_at).label("left_at"),
            message.c.state.label("message_state"),
        )
        .outerjoin(made, made.c.id == fallback.c.made_attempt_id)
        .outerjoin(message, message.c.id == fallback.c.made_message_id)
        .where(condition)
        .order_by(fallback.c.attempt_id, fallback.c.step)
    ):
        values = dict(row._mapping)
        left_at = values.pop("left_at")
        if values["latency_ms"] is None and left_at is not None and row.hangup_at is not None:
            values["latency_ms"] = (left_at - row.hangup_at).total_seconds() * 1000.0
        if values["latency_ms"] is not None:
            values["latency_ms"] = round(values["latency_ms"], 3)
        yield values


# --- the report ----------------------------------------------------------------------------


def report(connection: Connection, campaign_id: int) -> dict[str, Any]:
    """What ``dialer report`` shows: counts, shares (0 to 1), latencies in milliseconds.

    Amounts are minor units by currency.
    """
    dispositions = _counted(connection, attempt.c.disposition, campaign_id)
    ended = sum(dispositions.values())
    answered = sum(n for kind, n in dispositions.items() if Disposition(kind).answered)
    conversations = sum(n for kind, n in dispositions.items() if Disposition(kind).conversation)
    return {
        "leads": _leads(connection, campaign_id),
        "attempts": _attempts(connection, campaign_id),
        "dispositions": dispositions,
        "answered": {
            "count": answered,
            "share": _share(answered, ended),
            "conversations": conversations,
            "conversation_share": _share(conversations, ended),
        },
        "left_at": _left_at(connection, campaign_id),
        "fallbacks": _fallbacks(connection, campaign_id),
        "abandoned": _abandoned(connection, campaign_id),
        "agents": agents_report(connection, campaign_id),
        "promises": _promises(connection, campaign_id),
        "messages": _messages(connection, campaign_id),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _counted(connection: Connection, column: Any, campaign_id: int) -> dict[str, int]:
    """How many attempts of each value, the most frequent first."""
    rows = connection.execute(
        select(column, func.count())
        .where(attempt.c.campaign_id == campaign_id, column.is_not(None))
        .group_by(column)
        .order_by(func.count().desc(), column)
    ).all()
    return {row[0]: row[1] for row in rows}


def _leads(connection: Connection, campaign_id: int) -> dict[str, Any]:
    states = {state.value: 0 for state in LeadState}
    closed: dict[str, int] = {}
    for state, reason, count in connection.execute(
        select(lead.c.state, lead.c.closed_reason, func.count())
        .where(lead.c.campaign_id == campaign_id)
        .group_by(lead.c.state, lead.c.closed_reason)
        .order_by(func.count().desc())
    ):
        states[state] += count
        if state == LeadState.DONE.value:
            closed[reason or "-"] = count
    return {"total": sum(states.values()), **states, "closed": closed}


def _attempts(connection: Connection, campaign_id: int) -> dict[str, Any]:
    mine = attempt.c.campaign_id == campaign_id
    total, redials, first, last = connection.execute(
        select(
            func.count(),
            func.count(attempt.c.follows),
            func.min(attempt.c.placed_at),
            func.max(attempt.c.placed_at),
        ).where(mine)
    ).one()
    alive = connection.execute(
        select(func.count())
        .select_from(attempt)
        .where(mine, attempt.c.state != AttemptState.ENDED.value)
    ).scalar_one()
    return {
        "total": total,
        "open": alive,
        "redials": redials,
        "first_at": _plain(first),
        "last_at": _plain(last),
    }


def _left_at(connection: Connection, campaign_id: int) -> list[dict[str, Any]]:
    """The last prompt of each answered call, and how many of them the debtor ended there."""
    left = func.count().filter(attempt.c.hung_up_by_debtor)
    without_key = attempt.c.disposition == Disposition.ANSWERED_ABANDONED.value
    rows = connection.execute(
        select(
            attempt.c.last_node,
            attempt.c.last_prompt,
            func.count(),
            left,
            func.count().filter(without_key),
        )
        .where(
            attempt.c.campaign_id == campaign_id,
            attempt.c.state == AttemptState.ENDED.value,
            attempt.c.last_prompt.is_not(None),
        )
        .group_by(attempt.c.last_node, attempt.c.last_prompt)
        .order_by(left.desc(), attempt.c.last_prompt)
    ).all()
    return [
        {
            "node": node,
            "prompt": prompt,
            "calls": calls,
            "hung_up": hung_up,
            "abandoned": abandoned,
        }
        for node, prompt, calls, hung_up, abandoned in rows
    ]


def _fallbacks(connection: Connection, campaign_id: int) -> dict[str, Any]:
    of_campaign = fallback.c.attempt_id.in_(
        select(attempt.c.id).where(attempt.c.campaign_id == campaign_id)
    )
    found: dict[str, dict[str, Any]] = {
        kind.value: {"count": 0, "refused": {}, "latencies": []} for kind in StepKind
    }
    for row in _fallback_rows(connection, of_campaign):
        entry = found[row["kind"]]
        if row["refused"] is not None:
            entry["refused"][row["refused"]] = entry["refused"].get(row["refused"], 0) + 1
            continue
        entry["count"] += 1
        if row["latency_ms"] is not None:
            entry["latencies"].append(row["latency_ms"])
    for entry in found.values():
        latencies = entry.pop("latencies")
        entry["measured"] = len(latencies)
        entry["latency_ms"] = percentiles(latencies)
        entry["slowest_ms"] = max(latencies, default=None)
    found[StepKind.RETRY.value] = {"count": found[StepKind.RETRY.value]["count"]}
    return found


def _abandoned(connection: Connection, campaign_id: int) -> dict[str, Any]:
    """What became of those who answered and hung up: did the second call reach them?"""
    mine = attempt.c.campaign_id == campaign_id
    kind = Disposition.ANSWERED_ABANDONED.value
    count, debtors = connection.execute(
        select(func.count(), func.count(attempt.c.lead_id.distinct())).where(
            mine, attempt.c.disposition == kind
        )
    ).one()
    redials = {
        (disposition or "open"): n
        for disposition, n in connection.execute(
            select(attempt.c.disposition, func.count())
            .where(mine, attempt.c.follows.is_not(None))
            .group_by(attempt.c.disposition)
            .order_by(func.count().desc())
        )
    }
    over = {name: n for name, n in redials.items() if name != "open"}
    reached = sum(n for name, n in over.items() if Disposition(name).conversation)
    abandoned_leads = select(attempt.c.lead_id).where(mine, attempt.c.disposition == kind)
    in_the_end = {
        (last or "-"): n
        for last, n in connection.execute(
            select(lead.c.last_disposition, func.count())
            .where(lead.c.id.in_(abandoned_leads), lead.c.state == LeadState.DONE.value)
            .group_by(lead.c.last_disposition)
            .order_by(func.count().desc())
        )
    }
    return {
        "calls": count,
        "leads": debtors,
        "redials": redials,
        "reached_by_redial": reached,
        "reached_share": _share(reached, sum(over.values())),
        "leads_done_as": in_the_end,
    }


def _promises(connection: Connection, campaign_id: int) -> dict[str, Any]:
    rows = connection.execute(
        select(promise.c.currency, func.count(), func.sum(promise.c.amount_minor))
        .join(attempt, attempt.c.id == promise.c.attempt_id)
        .where(attempt.c.campaign_id == campaign_id)
        .group_by(promise.c.currency)
    ).all()
    return {
        "count": sum(row[1] for row in rows),
        "amount_minor": {row[0]: int(row[2]) for row in rows},
    }


def _messages(connection: Connection, campaign_id: int) -> dict[str, int]:
    rows = connection.execute(
        select(message.c.state, func.count())
        .where(message.c.campaign_id == campaign_id)
        .group_by(message.c.state)
        .order_by(message.c.state)
    ).all()
    return {row[0]: row[1] for row in rows}
