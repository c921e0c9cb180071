"""The way into the console from the command line: the first administrator, links, users."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from dialer import cli
from dialer.local.console import FIRST, first_administrator, fresh_link
from dialer.store import users
from dialer.store.db import migrate, open_database
from dialer.store.tables import app_user

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIALER_HOME", str(tmp_path))
    migrate(f"sqlite:///{tmp_path / 'dialer.db'}")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.run(list(words)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_there_is_one_first_administrator_and_no_password(database: Engine) -> None:
    token = first_administrator(database, FIRST, "test", NOW)
    assert token is not None
    assert first_administrator(database, "other@example.com", "test", NOW) is None
    with database.connect() as c:
        (row,) = c.execute(select(app_user)).all()
        assert (row.email, row.role, row.password_hash) == (FIRST, "administrator", None)
        assert users.link_user(c, token, NOW) is not None
    again = fresh_link(database, FIRST, "test", NOW)
    with database.connect() as c:
        assert users.link_user(c, token, NOW) is None
        assert users.link_user(c, again, NOW) is not None


def test_set_up_tells_the_link_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "init", "--company", "Acme", "--country", "ES", "--no-prompts")
    assert f"{FIRST} chooses a password" in said and "/welcome/" in said
    assert "/welcome/" not in run(capsys, "init", "--no-prompts")


def test_users_are_made_listed_and_shut_out(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "init", "--company", "Acme", "--country", "ES", "--no-prompts")
    run(capsys, "agent", "create", "luis")
    made = json.loads(
        run(
            capsys,
            "user",
            "create",
            "eva@example.com",
            "--name",
            "Eva",
            "--role",
            "supervisor",
            "--json",
        )
    )
    assert "/welcome/" in made["link"]
    run(capsys, "user", "create", "luis@example.com", "--name", "Luis", "--role", "agent",
        "--agent", "luis")  # fmt: skip
    listed = {one["email"]: one for one in json.loads(run(capsys, "user", "list", "--json"))}
    assert listed["eva@example.com"]["company"] == "Acme"
    assert listed["eva@example.com"]["timezone"] == "Europe/Madrid"
    assert listed["luis@example.com"]["agent"] == "luis"
    assert "hash" not in json.dumps(listed)
    run(capsys, "user", "deactivate", "eva@example.com")
    assert "eva@example.com: Eva, supervisor of Acme, not active" in run(capsys, "user", "list")
    engine = open_database(f"sqlite:///{home / 'dialer.db'}")
    with engine.connect() as c:
        assert users.link_user(c, made["link"].rpartition("/")[2], datetime.now(UTC)) is None
    engine.dispose()


def test_what_cannot_be_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "init", "--company", "Acme", "--country", "ES", "--no-prompts")
    for words, why in (
        (("eva", "--name", "Eva"), "write an address"),
        (("e@example.com", "--name", "E", "--role", "agent"), "linked to the agent"),
        (("e@example.com", "--name", "E", "--company", "None"), "there is no company"),
    ):
        assert cli.run(["user", "create", *words]) != 0
        assert why in capsys.readouterr().err
