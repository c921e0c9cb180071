"""What ``make test`` makes of failures: tools/run_tests.sh in a project of a few small tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "run_tests.sh"
PASSES = "def test_it(): pass\n"
FAILS = "def test_it(): assert False\n"
FAILS_ONCE = """
from pathlib import Path

def test_it():
    before = Path(__file__).with_suffix(".ran")
    first = not before.exists()
    before.touch()
    assert not first
"""
FAIL_OFTEN = (
    "import pytest\n@pytest.mark.parametrize('n', range(7))\ndef test_it(n): assert False\n"
)
SHARES = 9
DIES = "import os\ndef test_it(): os._exit(1)\n"
NAMES = (
    "console_one", "agents_one", "engine_agents_pay", "engine_one", "payment_one", "pci_scan",
    "desk_one", "api_one", "other", "engine_agents_one", "story_one", "flow_one",
)  # fmt: skip


def run(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """The script in a project where all pass but these."""
    (folder / "tools").mkdir()
    (folder / "tests").mkdir()
    (folder / "docs").mkdir()  # which a pattern of a share would match
    shutil.copy(SCRIPT, folder / "tools")
    for name in NAMES:
        (folder / f"tests/test_{name}.py").write_text(files.get(name, PASSES))
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    env |= {"PYTHON": sys.executable, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HEAD_START": "0"}
    return subprocess.run(
        ["bash", str(folder / "tools/run_tests.sh")],
        env=env, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_all_pass(tmp_path: Path) -> None:
    told = run(tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    passed = [int(n) for n in re.findall(r"(\d+) passed", told.stdout)]
    assert (len(passed), sum(passed)) == (SHARES, len(NAMES)), "each file once"
    assert "nothing beside" not in told.stdout


def test_what_passes_alone_is_named(tmp_path: Path) -> None:
    told = run(tmp_path, other=FAILS_ONCE, agents_one=FAILS_ONCE, pci_scan=FAILS_ONCE)
    assert told.returncode == 0, told.stdout + told.stderr
    named = told.stdout.partition("failed beside others and passed alone:")[2].split()
    assert sorted(named) == [
        f"tests/test_{name}.py::test_it" for name in ("agents_one", "other", "pci_scan")
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"engine_one": FAILS},
        {"desk_one": FAIL_OFTEN},
        {"engine_agents_one": DIES},
        {"other": "nonsense"},
        {"api_one": FAILS_ONCE, "other": FAILS},
    ],
)
def test_what_is_wrong_stays_wrong(tmp_path: Path, files: dict[str, str]) -> None:
    told = run(tmp_path, **files)
    assert told.returncode == 1, told.stdout + told.stderr
    assert "passed alone" not in told.stdout
