"""``dialer asterisk`` and ``dialer carrier`` as processes: ready, stopped, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures_switch import switch_settings

from dialer.config import ROOT
from dialer.switch.portable import AsteriskBinary


@pytest.fixture
def environment(tmp_path: Path, asterisk_binary: AsteriskBinary) -> dict[str, str]:
    """An installation of this test's own, with free ports."""
    settings = switch_settings(tmp_path / "home")
    ports = {
        f"DIALER_{name.upper()}": str(getattr(settings, name))
        for name in (
            "sip_port",
            "ami_port",
            "rtp_start",
            "rtp_end",
            "carrier_sip_port",
            "carrier_ami_port",
            "carrier_rtp_start",
            "carrier_rtp_end",
        )
    }
    return {**os.environ, **ports, "DIALER_HOME": str(settings.home)}


@contextmanager
def running(command: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The command, once it says that it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "dialer", command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            assert any(line.strip() == f"{command} is ready" for line in lines)
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(15)


def asterisk_pid(environment: dict[str, str], command: str) -> int:
    return int((Path(environment["DIALER_HOME"]) / command / "run" / "asterisk.pid").read_text())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("command", ["asterisk", "carrier"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_its_asterisk(
    environment: dict[str, str], command: str, how: signal.Signals
) -> None:
    with running(command, environment) as process:
        pid = asterisk_pid(environment, command)
        assert alive(pid)
        process.send_signal(how)
        assert process.wait(15) == 0
        assert not alive(pid)


def test_it_ends_with_an_error_when_asterisk_dies(environment: dict[str, str]) -> None:
    with running("asterisk", environment) as process:
        os.kill(asterisk_pid(environment, "asterisk"), signal.SIGKILL)
        assert process.wait(15) == 1


def test_the_next_start_ends_what_a_killed_one_left(environment: dict[str, str]) -> None:
    with running("asterisk", environment) as process:
        orphan = asterisk_pid(environment, "asterisk")
        process.kill()
        process.wait(15)
    assert alive(orphan)
    with running("asterisk", environment):
        assert not alive(orphan)
        assert alive(asterisk_pid(environment, "asterisk"))


def test_a_mistake_in_the_trunks_is_told_in_one_line(environment: dict[str, str]) -> None:
    home = Path(environment["DIALER_HOME"])
    home.mkdir(exist_ok=True)
    (home / "trunks.yaml").write_text("trunks: [{name: big, address: 'sip:x.net'}]")
    done = subprocess.run(
        [sys.executable, "-m", "dialer", "asterisk"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert "without sip: before it" in done.stderr and "Traceback" not in done.stderr


def test_render_only_writes_and_says_where(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dialer", "asterisk", "--render-only"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    folder = Path(done.stdout.strip())
    assert (folder / "etc" / "pjsip.conf").is_file()
    assert not (folder / "run" / "asterisk.pid").exists()
