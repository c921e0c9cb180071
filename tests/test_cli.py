"""The command line as people and programs use it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dialer import cli
from dialer.config import ROOT, load_settings

CLI = Callable[..., tuple[int, str, str]]
SAMPLE = ROOT / "docs" / "samples" / "campaign.yaml"


@pytest.fixture
def dialer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CLI:
    """Runs a command line in a state folder of its own: (exit code, stdout, stderr)."""
    monkeypatch.setenv("DIALER_HOME", str(tmp_path / "home"))
    for name in ("DATABASE_URL", "REDIS_URL", "DIALER_TRUNK", "DIALER_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = cli.run([str(one) for one in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def installed(dialer: CLI) -> CLI:
    """The same, after ``dialer init`` with a company."""
    code, _, err = dialer("init", "--company", "Banco Uno", "--callback-number", "910123456",
                          "--no-prompts", "--actor", "ana")  # fmt: skip
    assert code == 0, err
    return dialer


def debtors(path: Path, count: int = 3) -> Path:
    """A file as the importer takes it."""
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["dni", "nombre", "telefono", "referencia", "importe", "moneda",
                         "vencimiento"])  # fmt: skip
        for n in range(count):
            letter = "TRWAGMYFPDXBNJZSQVHLCKE"[(10_000_000 + n) % 23]
            writer.writerow([f"{10_000_000 + n}{letter}", f"Ana {n}", f"+3461000{n:04d}", f"R{n}",
                             "120.50", "EUR", "2026-12-31"])  # fmt: skip
    return path


# --- the group -----------------------------------------------------------------------------


def test_help_names_every_command_without_importing_any() -> None:
    script = (
        "import sys; from dialer.cli import run; run(['--help']);"
        "heavy = {'sqlalchemy', 'pydantic', 'rich', 'redis', 'flask', 'numpy'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for commands in cli.GROUPS.values():
        for name, (_, help_) in commands.items():
            assert name in done.stdout
            assert help_ in done.stdout


@pytest.mark.parametrize("name", [name for group in cli.GROUPS.values() for name in group])
def test_every_command_loads_and_explains_itself(dialer: CLI, name: str) -> None:
    code, out, err = dialer(name, "--help")
    assert code == 0, err
    assert f"Usage: dialer {name}" in out


def test_a_module_that_is_missing_is_named_with_what_to_do(
    dialer: CLI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dialer.commands.report", None)
    code, _, err = dialer("report", "--campaign", "x")
    assert code == 1
    assert "`dialer report` cannot be loaded" in err
    assert "make setup" in err


@pytest.mark.parametrize("arguments", [["nonsense"], ["report"], ["campaign", "create"], ["-x"]])
def test_what_is_asked_wrongly_has_exit_code_2(installed: CLI, arguments: list[str]) -> None:
    code, _, err = installed(*arguments)
    assert code == 2
    assert err.startswith("Usage:")


def test_a_wrong_setting_is_one_clear_message(dialer: CLI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIALER_SIP_PORT", "many")
    code, out, err = dialer("campaign", "list")
    assert (code, out) == (2, "")
    assert "sip_port" in err
    assert "Traceback" not in err


def test_before_init_every_command_says_to_run_it(dialer: CLI) -> None:
    for arguments in (["campaign", "list"], ["pool", "list"], ["engine"], ["up"]):
        code, _, err = dialer(*arguments)
        assert code == 2
        assert "run `dialer init`" in err


def test_an_unexpected_error_is_one_line(installed: CLI, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("dialer.store.campaigns.list_all", breaks)
    code, _, err = installed("campaign", "list")
    assert code == 1
    assert (
        err == "error: ZeroDivisionError: division by zero (DIALER_LOG_LEVEL=debug shows where)\n"
    )
    monkeypatch.setenv("DIALER_LOG_LEVEL", "debug")
    assert "Traceback" in installed("campaign", "list")[2]


def test_a_database_that_is_not_there_is_told_without_statement_or_password(
    dialer: CLI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://dialer:hush@127.0.0.1:9/none")
    code, _, err = dialer("campaign", "list")
    assert code == 1
    assert "the database" in err
    assert "hush" not in err
    assert "Traceback" not in err


# --- init ----------------------------------------------------------------------------------


def test_init_makes_everything_once(dialer: CLI, tmp_path: Path) -> None:
    code, first, _ = dialer("init", "--company", "Banco Uno", "--no-prompts")
    assert code == 0
    home = tmp_path / "home"
    assert (home / "dialer.db").is_file()
    assert home.stat().st_mode & 0o077 == 0
    secrets = {path.name: path.read_text() for path in (home / "secrets").iterdir()}
    assert {"ami", "carrier_ami"} <= set(secrets)
    assert (home / "samples" / "campaign.yaml").is_file()
    assert "made company Banco Uno" in first
    (home / "config.yaml").write_text("log_level: warning\n")
    code, second, _ = dialer("init", "--company", "Banco Uno", "--no-prompts")
    assert code == 0
    assert "made" not in second
    assert (home / "config.yaml").read_text() == "log_level: warning\n"
    assert {path.name: path.read_text() for path in (home / "secrets").iterdir()} == secrets
    assert load_settings().log_level == "warning"


def test_the_config_file_that_init_makes_can_be_used_as_it_is_and_uncommented(
    dialer: CLI, tmp_path: Path
) -> None:
    dialer("init", "--no-prompts")
    path = tmp_path / "home" / "config.yaml"
    before = load_settings()
    keys = [line[1:] for line in path.read_text().splitlines() if line.startswith("#sip_port")]
    path.write_text("\n".join(keys).replace("5160", "5999"))
    assert (before.sip_port, load_settings().sip_port) == (5160, 5999)


# --- from a file of debtors to a campaign --------------------------------------------------


def test_one_looser_than_the_country_starts_here_on_ones_own_word(
    installed: CLI, tmp_path: Path
) -> None:
    installed("pool", "create", "madrid", "910000001", "+34910000002")
    installed("import", debtors(tmp_path / "debtors.csv"))
    wide = ("--name", "june", "--flow", "reminder", "--pool", "madrid",
            "--window", "mon-sun 00:00-24:00")  # fmt: skip
    assert installed("campaign", "create", *wide)[0] == 0
    code, _, err = installed("campaign", "start", "june", "--actor", "ana")
    assert code == 0
    assert "window: mon-sun 00:00-24:00 is looser than mon-fri 09:00-21:00 (ES)" in err
    shown = json.loads(installed("campaign", "show", "june", "--json")[1])
    assert shown["history"][-1]["after"] == {
        "state": "running", "looser": ["window"], "approval": None, "asked_by": None,
        "granted_by": None,
    }  # fmt: skip


def test_from_a_file_to_a_running_campaign(installed: CLI, tmp_path: Path) -> None:
    assert installed("pool", "create", "madrid", "910000001", "+34910000002")[0] == 0
    assert installed("import", debtors(tmp_path / "debtors.csv"))[0] == 0
    code, out, err = installed("campaign", "create", SAMPLE, "--name", "june", "--pool", "madrid",
                               "--json", "--actor", "ana")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["leads"] == 3
    code, out, _ = installed("campaign", "start", "june", "--actor", "ana")
    assert code == 0
    assert "june is running" in out
    assert "no engine runs it" in out
    (listed,) = json.loads(installed("campaign", "list", "--json")[1])
    assert (listed["state"], listed["leads"]["waiting"]) == ("running", 3)
    shown = json.loads(installed("campaign", "show", "june", "--json")[1])
    assert shown["plan"]["caller_ids"] == ["+34910000001", "+34910000002"]
    assert [(one["actor"], one["action"]) for one in shown["history"]] == [
        ("ana", "campaign.create"), ("ana", "campaign.start"),
    ]  # fmt: skip
    assert "June" not in installed("campaign", "show", "june")[2]
    why = json.loads(installed("campaign", "why", "june", "--json")[1])
    assert any("no engine" in reason for reason in why["reasons"])
    assert installed("attempts", "--campaign", "june", "--json") == (0, "", "")
    report = json.loads(installed("report", "--campaign", "june", "--json")[1])
    assert report["leads"]["total"] == 3
    assert "leads" in installed("report", "--campaign", "june")[1]
    for action, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        code, out, _ = installed("campaign", action, "june", "--json")
        assert (code, json.loads(out)["state"]) == (0, state)
    code, _, err = installed("campaign", "resume", "june")
    assert code == 1
    assert err == "error: june is stopped, and that is final: make a new campaign\n"


def test_later_debtors_are_added(installed: CLI, tmp_path: Path) -> None:
    installed("import", debtors(tmp_path / "a.csv"))
    assert installed("campaign", "create", "--name", "x", "--flow", "reminder", "--caller-id",
                     "910000001", "--caller-id", "910000002")[0] == 0  # fmt: skip
    installed("import", debtors(tmp_path / "b.csv", 5))
    code, out, _ = installed("campaign", "add-leads", "x", "--json")
    assert (code, json.loads(out)["leads"]) == (0, 2)
    assert json.loads(installed("campaign", "add-leads", "x", "--json")[1])["leads"] == 0


def test_a_campaign_file_that_is_wrong_says_all_that_is_wrong(
    installed: CLI, tmp_path: Path
) -> None:
    wrong = yaml.safe_load(SAMPLE.read_text()) | {"calls_per_second": "many", "ring": 3}
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(wrong))
    code, _, err = installed("campaign", "create", path)
    assert code == 2
    assert "calls_per_second:" in err
    assert "ring: there is no such key" in err
    code, _, err = installed("campaign", "create", "--name", "x", "--flow", "nothing",
                             "--caller-id", "612345678", "--trunk", "t9")  # fmt: skip
    assert code == 2
    for said in ("flow: there is no flow 'nothing'", "TDF/149/2025", "trunk: there is no trunk"):
        assert said in err
    assert installed("campaign", "list", "--json")[1] == "[]\n"


def test_pools_refuse_numbers_that_may_not_be_shown(installed: CLI) -> None:
    code, _, err = installed("pool", "create", "p", "612345678", "12")
    assert code == 1
    assert "12 is not a number" in err
    assert "mobile" in err
    assert json.loads(installed("pool", "list", "--json")[1]) == []
    installed("pool", "create", "p", "910000001", "910000002")
    assert json.loads(installed("pool", "add", "p", "910000003", "--json")[1])["numbers"] == [
        "+34910000001", "+34910000002", "+34910000003",
    ]  # fmt: skip
    assert installed("pool", "remove", "p", "910000001")[0] == 0
    assert len(json.loads(installed("pool", "list", "--json")[1])[0]["numbers"]) == 2


def test_companies(installed: CLI) -> None:
    (only,) = json.loads(installed("company", "list", "--json")[1])
    assert (only["name"], only["callback_number"]) == ("Banco Uno", "+34910123456")
    assert installed("init", "--company", "B", "--country", "ZZ", "--no-prompts")[0] == 2
