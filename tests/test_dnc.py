"""The do-not-call list: added to, taken from, shown and imported; every change on record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from import_support import MOMENT, line, store, text, workbook, write
from sqlalchemy import Engine, select, update

from dialer.cli import run
from dialer.importing.errors import ImportFileError
from dialer.importing.numbers import open_numbers
from dialer.store.tables import audit, debtor, suppression

NUMBER = "+34600000001"


@pytest.fixture
def home(
    database_url: str, database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An installation with a company and two debtors."""
    monkeypatch.setenv("DIALER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", database_url)
    store(database, write(tmp_path / "a.csv", text(line(1), line(2))))
    return tmp_path


def listed(database: Engine) -> list[str]:
    with database.connect() as connection:
        return list(
            connection.execute(select(suppression.c.number).order_by(suppression.c.id)).scalars()
        )


def trail(database: Engine, action: str) -> list[tuple[str, object, object]]:
    with database.connect() as connection:
        rows = connection.execute(select(audit).where(audit.c.action == action))
        return [(row.actor, row.before, row.after) for row in rows]


def test_numbers_are_added_once_in_one_writing(
    home: Path, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dnc", "add", "600 000 001", "912345678", "--actor", "ana"]) == 0
    assert f"{NUMBER} is on the list, 1 debtor of Banco Uno" in capsys.readouterr().out
    assert run(["dnc", "add", NUMBER, "--actor", "ana"]) == 0
    assert "was on the list already" in capsys.readouterr().out
    assert listed(database) == [NUMBER, "+34912345678"]
    kept = trail(database, "dnc.add")
    assert [actor for actor, _, _ in kept] == ["ana", "ana"]
    assert "600000001" not in str(kept)


def test_a_slip_adds_nothing(
    home: Path, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dnc", "add", "600000002", "12"]) == 2
    assert "numbering plan" in capsys.readouterr().err
    assert listed(database) == []


def test_a_number_is_taken_off_with_its_history_on_record(
    home: Path, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["dnc", "add", NUMBER])
    assert run(["dnc", "remove", "600000001", "--actor", "eva"]) == 0
    assert listed(database) == []
    [(actor, before, _)] = trail(database, "dnc.remove")
    assert actor == "eva"
    assert isinstance(before, dict)
    assert (before["reason"], len(before["phones"])) == ("operator", 1)
    assert run(["dnc", "remove", NUMBER]) == 1
    assert "not on the list" in capsys.readouterr().err


def test_who_opted_out_is_called_again_only_when_that_is_said(
    home: Path, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["dnc", "add", NUMBER])
    with database.begin() as connection:
        connection.execute(update(debtor).values(opted_out_at=MOMENT))
    assert run(["dnc", "remove", NUMBER]) == 0
    assert "--opted-out" in capsys.readouterr().out
    assert _opted_out(database) == 2
    assert run(["dnc", "remove", NUMBER, "--opted-out"]) == 0
    assert _opted_out(database) == 1  # the other debtor has another number
    assert run(["dnc", "remove", NUMBER, "--opted-out"]) == 1


def _opted_out(database: Engine) -> int:
    with database.connect() as connection:
        rows = connection.execute(select(debtor.c.id).where(debtor.c.opted_out_at.is_not(None)))
        return len(rows.all())


def test_the_list_is_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["dnc", "add", NUMBER, "912345678"])
    capsys.readouterr()
    assert run(["dnc", "list", "--json", "--limit", "1"]) == 0
    [row] = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert (row["number"], row["reason"]) == ("+34912345678", "operator")
    assert run(["dnc", "list"]) == 0
    assert "2 on the list of Banco Uno" in capsys.readouterr().out


def test_a_file_of_numbers_is_imported_once(
    home: Path, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    content = "nombre;telefono\nAna;600 000 001\nEva;12\nSol;600000003 / 600000001\n;\n"
    path = write(home / "dnc.csv", content)
    assert run(["dnc", "import", str(path), "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["added"], said["known"], said["rejected"]) == (3, 2, 0, 1)
    assert "numbering plan" in Path(said["rejects_file"]).read_text("utf-8-sig")
    assert listed(database) == [NUMBER, "+34600000003"]
    assert run(["dnc", "import", str(path), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["added"] == 0
    assert len(trail(database, "dnc.import")) == 2
    assert run(["dnc", "import", str(home / "none.csv")]) == 2


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        ("600000001\n+34600000002\n", ["+34600000001", "+34600000002"]),
        ("telefono\n600000001\n", ["+34600000001"]),
        ("Número\n600000001\n", ["+34600000001"]),
        ("id,Phone,name\n1,600000001,a\n2,600000002,b\n", ["+34600000001", "+34600000002"]),
    ],
)
def test_shapes_of_number_files(content: str, numbers: list[str], tmp_path: Path) -> None:
    with open_numbers(write(tmp_path / "a.csv", content), "ES") as found:
        assert [number for row in found.rows() for number in row.numbers] == numbers


def test_numbers_of_a_workbook_and_of_a_told_column(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["id", "robinson"], [1, 600000001]])
    with open_numbers(path, "ES", "Robinson") as found:
        assert [row.numbers for row in found.rows()] == [(NUMBER,)]
    with pytest.raises(ImportFileError, match="--column"), open_numbers(path, "ES"):
        pass
    with pytest.raises(ImportFileError, match="no column"), open_numbers(path, "ES", "x"):
        pass
