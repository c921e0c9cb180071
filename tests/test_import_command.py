"""``dialer import`` as it is typed: exit codes, JSON, companies, the sample."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from import_support import line, text, write
from sqlalchemy import Engine, func, select

from dialer.cli import run
from dialer.config import ROOT
from dialer.importing.headers import REQUIRED, field_of
from dialer.store.tables import account, company, debtor, import_batch

SAMPLE = ROOT / "docs" / "samples" / "debtors.csv"
NEW = ("--company", "Banco Uno", "--country", "ES")


@pytest.fixture
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation on the test's database."""
    monkeypatch.setenv("DIALER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", database_url)
    return tmp_path


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON that was written."""
    code = run(["import", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_sample_is_imported_whole_and_once(
    home: Path, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    rejects = str(home / "rejects.csv")
    code, said = as_json(capsys, str(SAMPLE), *NEW, "--rejects", rejects)
    assert code == 0
    assert (said["new"], said["rejected"], said["company"]) == (said["rows"], 0, "Banco Uno")
    assert said["rows"] >= 10
    code, said = as_json(capsys, str(SAMPLE), "--rejects", rejects)
    assert (code, said["unchanged"], said["new"]) == (0, said["rows"], 0)
    with database.connect() as connection:
        assert (
            connection.execute(select(func.count()).select_from(account)).scalar() == said["rows"]
        )
        row = connection.execute(select(import_batch).where(import_batch.c.id == said["import"]))
        assert row.one().finished_at is not None


def test_the_sample_shows_every_required_column() -> None:
    header = next(csv.reader([SAMPLE.read_text("utf-8").splitlines()[0]]))
    assert {field_of(title) for title in header} >= set(REQUIRED)


def test_some_rejected_is_exit_code_3(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(home / "a.csv", text(line(1), line(2, vencimiento="soon")))
    assert run(["import", str(path), *NEW]) == 3
    out = capsys.readouterr().out
    assert "1 x the due date is no date" in out
    assert str(home / "a.csv.rejects.csv") in out
    assert "María" not in out
    assert "\x1b" not in out


def test_nothing_readable_is_exit_code_2(
    home: Path, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["import", str(write(home / "a.csv", "a;b\n1;2\n")), *NEW]) == 2
    assert run(["import", str(home / "none.csv"), *NEW]) == 2
    assert "header row lacks columns" in capsys.readouterr().err
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(company)).scalar() == 0


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("extra", "code", "why"),
    [
        (("--map", "amount"), 2, "write it like --map amount="),
        (("--map", "sum=Importe"), 2, "the fields are"),
        (("--delimiter", "::"), 2, "one sign"),
        (("--currency", "XQX"), 2, "no currency"),
        (("--encoding", "klingon"), 2, "no encoding"),
        (("--timezone", "Mars/Olympus"), 1, "timezone"),
        (("--campaign", "june"), 1, "no campaign 'june'"),
        (("--decimal", "x"), 2, "--decimal"),
    ],
)
def test_what_is_asked_wrongly_is_explained(
    home: Path, extra: tuple[str, ...], code: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(home / "a.csv", text(line(1)))
    assert run(["import", str(path), *NEW, *extra]) == code
    assert why in capsys.readouterr().err


def test_a_slip_in_the_companys_name_makes_no_company(
    home: Path, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(home / "a.csv", text(line(1)))
    assert run(["import", str(path), *NEW]) == 0
    assert run(["import", str(path), "--company", "Banko Uno"]) == 1
    assert "no company 'Banko Uno'" in capsys.readouterr().err
    with database.connect() as connection:
        assert connection.execute(select(company.c.name)).scalars().all() == ["Banco Uno"]


def test_options_reach_the_file(
    home: Path, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    content = "Id|Name|Tel|Ref|Sum|When\nX1234567L|Ann Lee|5512345678|A1|1.500|03/04/2026\n"
    path = write(home / "a.txt", content)
    code, said = as_json(
        capsys, str(path), "--company", "Uno", "--country", "mx", "--map", "document=Id",
        "--map", "amount=#5", "--map", "due=when", "--currency", "mxn", "--decimal", ".",
        "--date-order", "mdy", "--delimiter", "pipe", "--encoding", "ascii",
    )  # fmt: skip
    assert (code, said["new"], said["warnings"]) == (0, 1, {"document": 1})
    with database.connect() as connection:
        row = connection.execute(select(account)).one()
        assert (row.amount_minor, row.currency, row.due_date.isoformat()) == (
            150,
            "MXN",
            "2026-03-04",
        )


def test_a_dry_run_changes_nothing(
    home: Path, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(home / "a.csv", text(line(1)))
    assert run(["import", str(path), *NEW, "--dry-run"]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(debtor)).scalar() == 0
