"""The pages as a browser gets them, without a browser: the application, users, their clients."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import Engine, insert
from werkzeug.test import TestResponse

from dialer.config import Settings
from dialer.domain.access import ApprovalState, Role
from dialer.store import approvals, log_ins, policy_approvals, users
from dialer.store.agents import create_agent
from dialer.store.tables import company
from web import create_app

PASSWORD = "correct horse battery"
# As quick as argon2 goes: what takes a tenth of a second on purpose would be most of these tests.
users.HASHER = log_ins.HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_HASHED = users.hash_password(PASSWORD)
_TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')


@dataclass
class Client:
    """One browser: keeps cookies, sends form tokens."""

    http: FlaskClient

    def get(self, path: str, **more: Any) -> TestResponse:
        """A page."""
        return self.http.get(path, **more)

    def token(self) -> str:
        """The form token of this session."""
        page = self.http.get("/account")
        if page.status_code != 200:
            page = self.http.get("/log-in")
        found = _TOKEN.search(page.text)
        assert found is not None
        return found.group(1)

    def post(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> TestResponse:
        """A form."""
        return self.http.post(path, data={"csrf_token": self.token(), **(data or {})}, **more)


@dataclass
class Site:
    """An installation's pages. ``acme`` and ``other`` are companies that know nothing of each
    other; users: ``admin@``, ``auditor@`` of all, ``super@``, ``agent@`` of acme, ``rival@`` (a
    supervisor) of other, all at example.com with ``PASSWORD``."""

    settings: Settings
    engine: Engine
    app: Flask
    acme: int
    other: int
    ids: dict[str, int] = field(default_factory=dict)

    def client(self, who: str | None = None) -> Client:
        """A fresh browser; logged in as ``who@example.com``, or as nobody."""
        one = Client(self.app.test_client())
        one.http.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
        if who is not None:
            answer = one.post("/log-in", {"email": f"{who}@example.com", "password": PASSWORD})
            assert answer.status_code == 302, answer.text
        return one


def make_company(engine: Engine, name: str) -> int:
    """A Spanish company."""
    with engine.begin() as connection:
        made: int = connection.execute(
            insert(company)
            .values(
                name=name, country="ES", timezone="Europe/Madrid", spoken_name=name,
                callback_number="+34910000000", created_at=datetime.now(UTC),
            )
            .returning(company.c.id)
        ).scalar_one()  # fmt: skip
    return made


def make_user(
    engine: Engine, who: str, role: Role, company_id: int | None, agent_id: int | None = None
) -> int:
    """A user with ``PASSWORD``."""
    now = datetime.now(UTC)
    with engine.begin() as connection:
        made = users.create_user(
            connection, email=f"{who}@example.com", name=f"{who.title()} Example", role=role,
            company_id=company_id, actor="test", now=now, agent_id=agent_id, language="en",
            timezone="Europe/Madrid",
        )  # fmt: skip
        users.set_values(connection, made, password_hash=_HASHED)
    return made


def grant_rules(engine: Engine, campaign_id: int, asks: int) -> None:
    """A campaign that is looser than its country's rules may start: a user asked for it, and an
    administrator, made for that, granted it."""
    now = datetime.now(UTC)
    grants = make_user(engine, "second", Role.ADMINISTRATOR, None)
    with engine.begin() as connection:
        made = policy_approvals.ask(connection, campaign_id, "a test runs at any hour", asks, now)
        approvals.decide(connection, made, ApprovalState.GRANTED, grants, now)


def make_site(settings: Settings, engine: Engine) -> Site:
    """Two companies and a user of each role."""
    acme, other = make_company(engine, "Acme"), make_company(engine, "Other")
    now = datetime.now(UTC)
    with engine.begin() as connection:
        desk = create_agent(connection, acme, "ana", {"name": "Ana Ruiz"}, "test", now)
    ids = {
        "admin": make_user(engine, "admin", Role.ADMINISTRATOR, None),
        "auditor": make_user(engine, "auditor", Role.AUDITOR, None),
        "super": make_user(engine, "super", Role.SUPERVISOR, acme),
        "agent": make_user(engine, "agent", Role.AGENT, acme, desk),
        "rival": make_user(engine, "rival", Role.SUPERVISOR, other),
    }
    return Site(settings, engine, create_app(settings, engine), acme, other, ids)


@pytest.fixture
def site(database: Engine, redis_url: str, tmp_path: Path) -> Site:
    """On both databases, with a real Redis."""
    Redis.from_url(redis_url).flushdb()
    settings = Settings(home=tmp_path, redis_url=redis_url)
    return make_site(settings, database)
