"""The supervisor with real processes: order, readiness, restarts, ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dialer.local.supervisor import (
    FIRST_DELAY,
    HEALTHY_SECONDS,
    LONGEST_DELAY,
    Component,
    ComponentFailed,
    Supervisor,
    restart_delay,
)

SLEEP = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
SAYS = (sys.executable, "-S", "-u", "-c", "print('hello'); import time; time.sleep(600)")
STUBBORN = (
    sys.executable, "-S", "-u", "-c",
    """import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf')
while True: time.sleep(1)""",
)  # fmt: skip


def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} has not come about"
        time.sleep(0.01)


def exists(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def environment_of(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def said(supervisor: Supervisor, name: str, word: str) -> Callable[[], bool]:
    return lambda: supervisor.said(name, word)


def test_children_start_when_ready_and_stop_in_reverse_order(tmp_path: Path) -> None:
    told: list[str] = []
    with Supervisor(tmp_path, told.append) as running:
        running.start(Component("one", SAYS, ready=said(running, "one", "hello")))
        running.start(Component("two", SLEEP, env={"X": "1", "PATH": None}))
        pids = [running.pid("one"), running.pid("two")]
        assert running.names() == ["one", "two"]
        assert all(exists(pid) for pid in pids)
        # Empty while the kernel puts the program in place.
        until(lambda: b"X=1" in environment_of(pids[1]), "its environment")
        assert not any(line.startswith(b"PATH=") for line in environment_of(pids[1]))
    assert not any(exists(pid) for pid in pids)
    assert told[-2:] == ["two stops", "one stops"]
    assert list((tmp_path / "run").glob("*.pid")) == []


def test_a_child_that_ends_at_its_start_is_named_and_not_restarted(tmp_path: Path) -> None:
    told: list[str] = []
    fails = (sys.executable, "-S", "-c", "import sys; sys.exit('no such port')")
    with Supervisor(tmp_path, told.append) as running:
        with pytest.raises(ComponentFailed) as caught:
            running.start(
                Component("first", SLEEP, ready=lambda: not running.alive("ivr")),
                Component("ivr", fails, ready=lambda: False),
            )
        assert "ivr ended at its start (exit code 1)" in str(caught.value)
        assert "no such port" in str(caught.value)
        assert running.names() == []
        assert not any("again" in line for line in told)


def test_of_several_started_together_one_that_fails_takes_the_others_along(tmp_path: Path) -> None:
    pids: list[int] = []
    with Supervisor(tmp_path) as running:

        def note() -> bool:
            pids.append(running.pid("good"))
            return True

        with pytest.raises(ComponentFailed, match="bad ended at its start"):
            running.start(
                Component("good", SLEEP, ready=note),
                Component("bad", (sys.executable, "-S", "-c", "raise SystemExit(3)"),
                          ready=lambda: False),
            )  # fmt: skip
        assert running.names() == []
    assert not exists(pids[0])


def test_what_was_said_before_a_restart_does_not_count(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as running:
        running.start(Component("one", SAYS, ready=said(running, "one", "hello")))
        running.stop("one")
        with pytest.raises(ComponentFailed, match="not ready"):
            running.start(
                Component("one", SLEEP, ready=said(running, "one", "hello"), ready_seconds=0.1)
            )


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as running, pytest.raises(ComponentFailed, match="cannot be run"):
        running.start(Component("ivr", ("/no/such/program",), ready=lambda: False))


def test_a_child_that_is_never_ready_is_stopped_and_named(tmp_path: Path) -> None:
    pids: list[int] = []
    with Supervisor(tmp_path) as running:

        def never() -> bool:
            pids.append(running.pid("web"))
            return False

        with pytest.raises(ComponentFailed, match=r"web is not ready after 0\.2 s"):
            running.start(Component("web", SLEEP, ready=never, ready_seconds=0.2))
        assert not exists(pids[0])


def test_a_child_that_ends_is_started_again(tmp_path: Path) -> None:
    told: list[str] = []
    with Supervisor(tmp_path, told.append) as running:
        running.start(Component("one", SLEEP))
        first = running.pid("one")
        running.signal("one", signal.SIGKILL)
        until(lambda: running.restarts("one") == 1, "a restart")
        assert running.pid("one") != first
        assert running.alive("one")
        assert any("killed by SIGKILL" in line for line in told)


def test_a_child_that_is_not_to_be_restarted_stays_ended(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as running:
        running.start(Component("demo", SLEEP, restart=False))
        running.start(Component("other", SLEEP))
        running.signal("demo", signal.SIGTERM)
        running.signal("other", signal.SIGTERM)
        until(lambda: running.restarts("other") == 1, "the other's restart")
        assert not running.alive("demo")


def test_restarts_come_later_and_later_and_begin_anew_after_a_healthy_run() -> None:
    delays, delay = [], FIRST_DELAY
    for _ in range(9):
        wait, delay = restart_delay(delay, ran=1.0)
        delays.append(wait)
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert max(delays) == LONGEST_DELAY
    assert restart_delay(delay, ran=HEALTHY_SECONDS)[0] == FIRST_DELAY


def test_a_child_that_does_not_stop_is_killed_with_its_group(tmp_path: Path) -> None:
    parent = (
        sys.executable, "-S", "-u", "-c",
        f"""import subprocess, sys; p = subprocess.Popen({STUBBORN!r}); print('pid', p.pid)
import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True: time.sleep(1)""",
    )  # fmt: skip
    with Supervisor(tmp_path) as running:
        running.start(
            Component("deaf", parent, ready=said(running, "deaf", "deaf"), stop_seconds=0.2)
        )
        words = running.last_words("deaf").split()
        grandchild = int(words[words.index("pid") + 1])
        assert exists(grandchild)
        running.stop("deaf")
        until(lambda: not exists(grandchild), "the grandchild's end")


SCRIPT = """
import sys, threading
from pathlib import Path
from dialer.local.supervisor import Component, Supervisor
with Supervisor(Path(sys.argv[1])) as running:
    running.start(Component("one", {argv!r}))
    print(running.pid("one"), flush=True)
    threading.Event().wait()
"""


def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    outer = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(argv=SLEEP), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert outer.stdout is not None
    try:
        child = int(outer.stdout.readline())
        assert exists(child)
        with pytest.raises(ComponentFailed, match="another"), Supervisor(tmp_path):
            pass
    finally:
        outer.kill()
        outer.wait()
        outer.stdout.close()
    with Supervisor(tmp_path) as running:  # waits for what the killed one left
        running.start(Component("one", SLEEP))
        assert not exists(child)
        assert running.alive("one")


def test_a_pid_file_of_another_process_is_no_reason_to_end_it(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for content in (f"{os.getpid()} 1", "nonsense", ""):
        (tmp_path / "run" / "one.pid").write_text(content)
        with Supervisor(tmp_path) as running:
            running.start(Component("one", SLEEP))
            assert running.alive("one")


def test_stopping_what_waits_for_its_restart_leaves_nothing(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as running:
        for _ in range(3):
            running.start(Component("one", SLEEP))
            running.signal("one", signal.SIGKILL)
            until(lambda: not running.alive("one"), "its end")
            running.stop("one")
            assert running.names() == []
            assert list((tmp_path / "run").glob("*.pid")) == []
