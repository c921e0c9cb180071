"""The set-up: every step is tried, and what is missing on a machine is named."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dialer.config import Settings
from dialer.local import setup
from dialer.local.setup import SetupFailed, Step, run_setup
from dialer.switch.portable import AsteriskNotFound

ROOT = Path(__file__).resolve().parent.parent


def test_a_failed_step_stops_no_other(tmp_path: Path) -> None:
    def broken(_: Settings, say: setup.Say) -> str:
        say("half-way")
        raise SetupFailed("install gcc")

    said: list[str] = []
    steps = (Step("first", broken), Step("second", lambda *_: "there"))
    assert run_setup(Settings(home=tmp_path), steps, said.append) is False
    assert said == [
        "== first",
        "   half-way",
        "   FAILED: install gcc",
        "== second",
        "   ready: there",
    ]
    assert run_setup(Settings(home=tmp_path), steps[1:], said.append) is True


def test_an_asterisk_that_cannot_be_had_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> None:
        raise AsteriskNotFound("name a suite in DIALER_ASTERISK_SUITE")

    monkeypatch.setattr(setup, "ensure_asterisk", none)
    said: list[str] = []
    assert run_setup(Settings(home=tmp_path), setup.STEPS[:1], said.append) is False
    assert "DIALER_ASTERISK_SUITE" in said[-1]


def test_a_redis_of_ones_own_needs_nothing(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path).model_copy(update={"redis_url": "redis://r:6379/0"})
    said: list[str] = []
    assert run_setup(settings, setup.STEPS[1:2], said.append) is True
    assert "REDIS_URL" in said[-1]


def _tools_setup(tmp_path: Path, python: str | None) -> subprocess.CompletedProcess[str]:
    """Run the script with hardly more on the PATH than ``python``, a shell script's text."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "cat", "cksum", "mkdir"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    if python is not None:
        (programs / "python3").write_text(f"#!/bin/sh\n{python}\n")
        (programs / "python3").chmod(0o755)
    environment = {"PATH": str(programs), "VENV": str(tmp_path / "venv"), "SKIP_LOCAL": "1"}
    return subprocess.run(
        [ROOT / "tools/setup"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_a_python_the_package_is_named(tmp_path: Path) -> None:
    done = _tools_setup(tmp_path, None)
    assert done.returncode == 1
    assert "apt-get install python3 python3-venv" in done.stderr


def test_an_old_python_is_not_taken(tmp_path: Path) -> None:
    done = _tools_setup(tmp_path, "exit 1")
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr


def test_a_python_without_venv_names_its_package(tmp_path: Path) -> None:
    python = (
        'case "$2" in\n'
        "  *version_info\\ \\<*) exit 0 ;;\n"
        "  *ensurepip*) exit 1 ;;\n"
        "  *print*) echo 3.12 ;;\n"
        "  *) echo Python 3.12.1 ;;\n"
        "esac"
    )
    done = _tools_setup(tmp_path, python)
    assert done.returncode == 1
    assert "apt-get install python3.12-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def _set_up_twice(tmp_path: Path, path: str) -> tuple[list[int], str]:
    """How often pip installed after each run, and what the second one said; a Python that does
    nothing stands for the environment."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    calls = tmp_path / "calls"
    (venv / "bin/python").write_text(f'#!/bin/sh\necho "$@" >> {calls}\necho 3.12\n')
    (venv / "bin/python").chmod(0o755)
    environment = {**os.environ, "PATH": path, "VENV": str(venv), "SKIP_LOCAL": "1"}
    environment["VENDOR"] = str(tmp_path / "vendor")
    counts = []
    for _ in range(2):
        done = subprocess.run(
            [ROOT / "tools/setup"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        counts.append(calls.read_text().count("pip install"))
    return counts, done.stdout


def test_what_is_ready_is_left_alone(tmp_path: Path) -> None:
    """With its stamps in place a second run calls neither pip nor npm at all."""
    programs, installed = tmp_path / "bin", tmp_path / "npm"
    programs.mkdir()
    esbuild = "node_modules/.bin/esbuild"
    pages = [
        f"node_modules/{name}"
        for name in (
            "htmx.org/dist/htmx.min.js",
            "htmx-ext-sse/dist/sse.min.js",
            "uplot/dist/uPlot.iife.min.js",
            "uplot/dist/uPlot.min.css",
            "axe-core/axe.min.js",
        )
    ]
    (programs / "npm").write_text(
        f"#!/bin/sh\necho again >> {installed}\nmkdir -p node_modules/.bin\n"
        f"printf '#!/bin/sh\\n' > {esbuild}; chmod +x {esbuild}\n"
        f"for one in {' '.join(pages)}; do mkdir -p $(dirname $one); touch $one; done\n"
    )
    (programs / "npm").chmod(0o755)
    counts, said = _set_up_twice(tmp_path, f"{programs}:{os.environ['PATH']}")
    assert counts[0] >= 2, "packages, and the checkout itself"
    assert counts[1] == counts[0]
    assert installed.read_text().split() == ["again"] * 2, "the pages' code, the tests' telephone"
    assert "browser" not in said


def test_without_npm_the_packages_are_named(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "cat", "cksum", "mkdir", "grep", "rm", "cp"):
        (programs / name).symlink_to(shutil.which(name) or "")
    _, said = _set_up_twice(tmp_path, str(programs))
    assert "apt-get install nodejs npm chromium" in said
    assert not (tmp_path / "venv/browser").exists()
