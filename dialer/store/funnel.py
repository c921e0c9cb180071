"""What the funnel of a flow is counted from, and which campaigns use a flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from dialer.domain.funnel import Group
from dialer.domain.model import Disposition
from dialer.store.tables import attempt, campaign, flow_outcome

_NO_DEBTOR = (Disposition.MACHINE.value, Disposition.FAILED.value)


@dataclass(frozen=True, slots=True)
class UsedBy:
    """A campaign that says a flow, first or as a second try."""

    id: int
    name: str
    state: str


def last_calls(
    connection: Connection, campaign_id: int, flow: str, since: datetime, until: datetime
) -> list[Group]:
    """Each debtor's last answered call in this flow of the period, grouped by how it ended. What a
    machine answered is left out."""
    placed = attempt.c
    newest = func.row_number().over(
        partition_by=placed.debtor_id, order_by=placed.answered_at.desc()
    )
    calls = (
        select(
            placed.id, placed.last_node, placed.disposition, placed.identity_confirmed,
            (placed["keys"] != "").label("pressed"), newest.label("turn"),
        )
        .where(
            placed.campaign_id == campaign_id, placed.answered_at >= since,
            placed.answered_at < until, placed.flow == flow, placed.last_node.is_not(None),
            placed.disposition.is_not(None), placed.disposition.not_in(_NO_DEBTOR),
        )
        .subquery()
    )  # fmt: skip
    keys = (
        calls.c.last_node, flow_outcome.c.node, calls.c.disposition, calls.c.pressed,
        calls.c.identity_confirmed,
    )  # fmt: skip
    rows = connection.execute(
        select(*keys, func.count().label("debtors"))
        .select_from(calls.outerjoin(flow_outcome, flow_outcome.c.attempt_id == calls.c.id))
        .where(calls.c.turn == 1)
        .group_by(*keys)
    )
    return [
        Group(
            row.last_node, row.node, Disposition(row.disposition), bool(row.pressed),
            bool(row.identity_confirmed), row.debtors,
        )
        for row in rows
    ]  # fmt: skip


def campaigns_with(connection: Connection, company_id: int | None, flow: str) -> list[UsedBy]:
    """The newest first; ``company_id`` None: of all companies."""
    return uses(connection, company_id).get(flow, [])


def uses(connection: Connection, company_id: int | None) -> dict[str, list[UsedBy]]:
    """Flow -> the campaigns that say it, the newest first."""
    columns = campaign.c
    statement = select(columns.id, columns.name, columns.state, columns.plan)
    if company_id is not None:
        statement = statement.where(columns.company_id == company_id)
    found: dict[str, list[UsedBy]] = {}
    for row in connection.execute(statement.order_by(columns.id.desc())):
        steps: Sequence[dict[str, str | None]] = row.plan.get("fallback") or ()
        flows = [row.plan.get("flow"), *(step.get("flow") for step in steps)]
        for name in dict.fromkeys(filter(None, flows)):
            found.setdefault(name, []).append(UsedBy(row.id, row.name, row.state))
    return found
