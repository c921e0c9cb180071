"""Whose each row of the audit trail is, written with it; of older rows as far as they tell.

The rule of ``dialer.store.audit_owner`` as it was when this was written: the company of what the
row is about, else the one that it names, else that of who did it.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CHUNK = 1_000
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OF = {
    "campaign": "SELECT id, company_id FROM campaign",
    "company": "SELECT id, id FROM company",
    "pool": "SELECT id, company_id FROM caller_id_pool",
    "agent": "SELECT id, company_id FROM agent",
    "agent_session": (
        "SELECT s.id, a.company_id FROM agent_session s JOIN agent a ON a.id = s.agent_id"
    ),
    "user": "SELECT id, company_id FROM app_user",
    "callback": "SELECT id, company_id FROM callback",
    "import_batch": "SELECT id, company_id FROM import_batch",
    "payment": "SELECT id, company_id FROM payment",
    "api_key": "SELECT id, company_id FROM api_token",
    "webhook": "SELECT id, company_id FROM webhook_endpoint",
    "approval": "SELECT id, company_id FROM approval",
    "suppression": "SELECT id, company_id FROM suppression",
    "debtor": "SELECT id, company_id FROM debtor",
    "account": "SELECT id, company_id FROM account",
    "message": "SELECT id, company_id FROM message",
    "lead": "SELECT l.id, c.company_id FROM lead l JOIN campaign c ON c.id = l.campaign_id",
    "attempt": "SELECT a.id, c.company_id FROM attempt a JOIN campaign c ON c.id = a.campaign_id",
}
"""Kind of target -> id and company of all there are."""
ALIAS = {"agent_session": "s.id", "lead": "l.id", "attempt": "a.id"}
TEXT = {"agent_session", "payment", "attempt"}
"""Kinds whose id is a text."""

audit = sa.table(
    "audit", sa.column("id", _ID), sa.column("company_id", _ID), sa.column("actor", sa.String),
    sa.column("target", sa.String), sa.column("before", sa.JSON), sa.column("after", sa.JSON),
)  # fmt: skip


def upgrade() -> None:
    with op.batch_alter_table("audit") as batch:
        batch.add_column(sa.Column("company_id", _ID, nullable=True))
        batch.create_foreign_key("fk_audit_company_id", "company", ["company_id"], ["id"])
    op.create_index("ix_audit_company", "audit", ["company_id", "id"], unique=False)
    _fill(op.get_bind())


def downgrade() -> None:
    op.drop_index("ix_audit_company", table_name="audit")
    with op.batch_alter_table("audit") as batch:
        batch.drop_constraint("fk_audit_company_id", type_="foreignkey")
        batch.drop_column("company_id")


def _fill(connection: sa.Connection) -> None:
    last = 0
    while True:
        rows = connection.execute(
            sa.select(audit).where(audit.c.id > last).order_by(audit.c.id).limit(CHUNK)
        ).all()
        if not rows:
            return
        last = rows[-1].id
        whose = _companies(connection, {name for row in rows for name in (row.target, row.actor)})
        told = [{"row": row.id, "company": _owner(row, whose)} for row in rows]
        known = [one for one in told if one["company"] is not None]
        if known:
            connection.execute(
                sa.update(audit)
                .where(audit.c.id == sa.bindparam("row"))
                .values(company_id=sa.bindparam("company")),
                known,
            )


def _owner(row: Any, whose: dict[str, int | None]) -> int | None:
    named = set(_named(row.before, row.after))
    if row.target in whose:
        company = whose[row.target]
        return company if named <= {company} else None
    if named:
        return named.pop() if len(named) == 1 else None
    return whose.get(row.actor)


def _named(*changes: Any) -> Iterator[int]:
    for values in changes:
        if isinstance(values, dict):
            for key in ("company", "company_id"):
                if isinstance(values.get(key), int):
                    yield values[key]


def _companies(connection: sa.Connection, names: Iterable[str]) -> dict[str, int | None]:
    by_kind: dict[str, set[str]] = {}
    for name in names:
        kind, sign, key = name.partition(":")
        if sign and kind in OF and (kind in TEXT or key.isdecimal()):
            by_kind.setdefault(kind, set()).add(key)
    found: dict[str, int | None] = {}
    for kind, keys in by_kind.items():
        wanted: list[Any] = sorted(keys) if kind in TEXT else sorted(int(key) for key in keys)
        query = sa.text(f"{OF[kind]} WHERE {ALIAS.get(kind, 'id')} IN :keys")
        rows = connection.execute(
            query.bindparams(sa.bindparam("keys", expanding=True)), {"keys": wanted}
        )
        found |= {f"{kind}:{row[0]}": row[1] for row in rows}
    return found
