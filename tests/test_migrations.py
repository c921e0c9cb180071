"""Databases of earlier versions come up to this one with what is in them, and can go back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, insert, inspect, select

from dialer.domain.model import DialMode
from dialer.local.postgres import PostgresServer
from dialer.store import tables as t
from dialer.store.attempts import attempt_of
from dialer.store.db import _alembic, open_database

AT = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def empty(_backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without tables."""
    if _backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'old.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"m_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def to(url: str, version: str) -> Engine:
    """Bring it up to a version."""
    engine = open_database(url)
    command.upgrade(_alembic(url), version)
    return engine


def put(c: Connection, tables: MetaData, table: str, **values: Any) -> Any:
    key = c.execute(insert(tables.tables[table]).values(values)).inserted_primary_key
    assert key is not None
    return key[0]


def fill_second(url: str) -> None:
    """A call and a visit of the payment node, as version 0002 has them."""
    engine = to(url, "0002")
    old = MetaData()
    old.reflect(engine)
    # Reflected on SQLite a time has no zone.
    at: datetime = AT.replace(tzinfo=None) if engine.dialect.name == "sqlite" else AT
    with engine.begin() as c:
        company = put(
            c, old, "company", name="Acme", country="ES", timezone="Europe/Madrid",
            spoken_name="Acme", created_at=at,
        )  # fmt: skip
        pool = put(c, old, "caller_id_pool", company_id=company, name="pool")
        campaign = put(
            c, old, "campaign", company_id=company, name="june", state="running", pool_id=pool,
            plan={"flow": "reminder"}, created_at=at,
        )  # fmt: skip
        debtor = put(
            c, old, "debtor", company_id=company, document="1X", name="Ana", country="ES",
            created_at=at,
        )  # fmt: skip
        phone = put(
            c, old, "phone", debtor_id=debtor, number="+34600000001", line_type="mobile", position=0
        )
        account = put(
            c, old, "account", company_id=company, debtor_id=debtor, reference="R1",
            amount_minor=100, currency="EUR", due_date=date(2026, 4, 1), created_at=at,
            updated_at=at,
        )  # fmt: skip
        lead = put(
            c, old, "lead", campaign_id=campaign, debtor_id=debtor, account_id=account,
            state="waiting", next_at=at, attempts=1, next_phone=0,
        )  # fmt: skip
        put(
            c, old, "attempt", id="a" * 32, campaign_id=campaign, lead_id=lead, debtor_id=debtor,
            phone_id=phone, number="+34600000001", caller_id="+34910000001", trunk="carrier",
            node="n1", flow="reminder", fallback_index=-1, state="ended", placed_at=at, keys="1",
            hung_up_by_debtor=True, identity_confirmed=True, disposition="promise",
        )  # fmt: skip
        put(
            c, old, "pay_session", id="b" * 32, attempt_id="a" * 32, account_id=account,
            node="pay", language="es", spec={}, started_at=at,
        )  # fmt: skip
    engine.dispose()


def test_what_version_two_kept_is_there_after_the_upgrade(empty: str) -> None:
    fill_second(empty)
    engine = to(empty, "head")
    with engine.connect() as c:
        call = attempt_of(c.execute(select(t.attempt)).one())
        visit = c.execute(select(t.pay_session)).one()
        assert compare_metadata(MigrationContext.configure(c), t.metadata) == []
    assert (call.mode, call.inbound) == (DialMode.AGENTLESS, False)
    assert (call.keys, call.identity_confirmed, call.placed_at) == ("1", True, AT)
    assert (visit.wish, visit.watched) == (None, False)
    engine.dispose()


def test_it_can_go_back_with_what_it_kept_before(empty: str) -> None:
    fill_second(empty)
    engine = to(empty, "head")
    with engine.connect() as c:
        c.execute(select(t.attempt.c.mode)).one()
    engine.dispose()
    command.downgrade(_alembic(empty), "0002")
    engine = open_database(empty)
    there = inspect(engine)
    assert "agent_call" not in there.get_table_names()
    assert "mode" not in {one["name"] for one in there.get_columns("attempt")}
    old = MetaData()
    old.reflect(engine)
    with engine.connect() as c:
        assert c.execute(select(old.tables["attempt"].c.disposition)).scalar_one() == "promise"
    engine.dispose()


def fill_seventh(url: str) -> None:
    """Rows of the audit trail, as version 0007 has them: without a company of their own."""
    engine = to(url, "0007")
    old = MetaData()
    old.reflect(engine)
    at: datetime = AT.replace(tzinfo=None) if engine.dialect.name == "sqlite" else AT
    with engine.begin() as c:
        acme, other = (
            put(
                c, old, "company", name=name, country="ES", timezone="UTC", spoken_name=name,
                created_at=at,
            )
            for name in ("Acme", "Other")
        )  # fmt: skip
        pool = put(c, old, "caller_id_pool", company_id=other, name="pool")
        campaign = put(
            c, old, "campaign", company_id=other, name="june", state="draft", pool_id=pool, plan={},
            created_at=at,
        )  # fmt: skip
        person = {
            "role": "supervisor", "language": "es", "timezone": "UTC", "active": True,
            "failures": 0, "created_at": at,
        }  # fmt: skip
        user = put(c, old, "app_user", email="a@b.c", name="Ana", company_id=acme, **person)
        for action, actor, target, after in (
            ("by target", f"user:{user}", f"campaign:{campaign}", None),
            ("by name", "root", "suppression:9", {"company": acme}),
            ("by who did it", f"user:{user}", "report:month", None),
            ("two companies", "root", f"user:{user}", {"company_id": other}),
            ("nobody's", "root", "installation", {"company": "Acme"}),
        ):
            values = {"at": at, "actor": actor, "action": action, "target": target}
            put(c, old, "audit", **values, **({"after": after} if after else {}))
    engine.dispose()


def test_rows_of_the_audit_get_the_company_that_they_tell(empty: str) -> None:
    fill_seventh(empty)
    engine = to(empty, "head")
    with engine.connect() as c:
        names = {row.id: row.name for row in c.execute(select(t.company))} | {None: None}
        whose = {row.action: names[row.company_id] for row in c.execute(select(t.audit))}
        assert compare_metadata(MigrationContext.configure(c), t.metadata) == []
    engine.dispose()
    assert whose == {
        "by target": "Other", "by name": "Acme", "by who did it": "Acme", "two companies": None,
        "nobody's": None,
    }  # fmt: skip
    command.downgrade(_alembic(empty), "0007")
    engine = open_database(empty)
    assert "company_id" not in {one["name"] for one in inspect(engine).get_columns("audit")}
    engine.dispose()
