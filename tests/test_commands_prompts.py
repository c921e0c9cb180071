"""``dialer prompts``, as it is called."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert

from dialer.cli import run
from dialer.flow.prompts import company_fragment
from dialer.flow.words import all_fragments
from dialer.store.db import migrate, open_database
from dialer.store.tables import company

COUNT = len(all_fragments("es")) + 1
"""Every fragment, and ``hello``."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one test has rendered, the others copy."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def home(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty installation with flows of its own."""
    flows = tmp_path / "flows"
    (flows / "prompts").mkdir(parents=True)
    (flows / "prompts" / "es.yaml").write_text("hello: Hola.\n", encoding="utf-8")
    for name, value in {
        "HOME": tmp_path / "home",
        "CACHE": cache,
        "FLOWS_DIR": flows,
        "VOICE": "espeak",
    }.items():
        monkeypatch.setenv(f"DIALER_{name}", str(value))
    return tmp_path / "home"


def test_prompts_are_checked_made_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prompts", "--check"]) == 1
    said = capsys.readouterr().out
    assert "es/hello: is missing" in said
    assert "run `dialer prompts` to make them" in said

    assert run(["prompts"]) == 0
    assert f"{COUNT} prompts" in capsys.readouterr().out
    assert (home / "prompts" / "es" / "hello.alaw").exists()

    assert run(["prompts", "--check"]) == 0
    assert "every prompt is there" in capsys.readouterr().out
    assert run(["prompts", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {one["source"] for one in listed} == {"espeak"}
    assert {"hello", "n/uno"} < {one["key"] for one in listed}
    assert run(["prompts", "--list"]) == 0
    assert "Hola." in capsys.readouterr().out


def test_the_report_is_json_where_a_program_asks(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["prompts", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["total"], report["failed"]) == (COUNT, [])
    assert run(["prompts", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "wrong": []}


def test_companies_of_the_database_are_spoken(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{home / 'dialer.db'}"
    migrate(url)
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(
            insert(company).values(
                name="Banco Uno S.A.",
                country="ES",
                timezone="Europe/Madrid",
                spoken_name="Banco Uno",
                created_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
        )
    engine.dispose()
    assert run(["prompts"]) == 0
    assert f"{COUNT + 1} prompts" in capsys.readouterr().out
    key = company_fragment("Banco Uno").key
    assert (home / "prompts" / "es" / f"{key}.alaw").exists()


def test_a_voice_that_is_not_there_fails_and_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIALER_VOICE", "command")
    assert run(["prompts"]) == 1
    assert "set DIALER_VOICE_COMMAND too" in capsys.readouterr().err
