"""Runs named child processes: started in order, watched, started again, stopped in reverse.

Children die with the supervisor, even when it is killed. Nothing else is ever ended: what an
earlier run left behind is recognised by its pid and start time, and named, not killed.
"""

from __future__ import annotations

import fcntl
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Self

from dialer.logs import get_logger

log = get_logger(__name__)

CHILD = Path(__file__).with_name("child.py")
POLL_SECONDS = 0.05
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
HEALTHY_SECONDS = 60.0
"""A child that ran so long had started well: its next restart waits ``FIRST_DELAY`` again."""
LOG_BYTES = 20_000_000
LEFTOVER_SECONDS = 10.0
"""How long children of a supervisor that was killed just now may take to end."""


class ComponentFailed(Exception):
    """A child does not start; the message names it and ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Component:
    """One child.

    ``ready`` is asked until it is true, at most ``ready_seconds``. ``stop_seconds`` after SIGTERM
    its whole process group is killed. ``env`` is laid over this process's environment; a value of
    None takes a variable away.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str | None] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    ready_seconds: float = 60.0
    stop_seconds: float = 20.0
    restart: bool = True


@dataclass(slots=True)
class _Child:
    component: Component
    process: subprocess.Popen[bytes]
    started: float
    log_from: int  # where in its log this run's output begins
    restarts: int = 0
    delay: float = FIRST_DELAY
    start_again_at: float | None = None
    wanted: bool = True
    ready: bool = False  # once: from then on it is started again when it ends


def restart_delay(delay: float, ran: float) -> tuple[float, float]:
    """(seconds until the next start, the delay to remember), after a run of ``ran`` seconds."""
    if ran >= HEALTHY_SECONDS:
        delay = FIRST_DELAY
    return delay, min(delay * 2, LONGEST_DELAY)


class Supervisor:
    """Runs components out of ``home``: logs in ``home/log``, pid files in ``home/run``.

    Used as a context manager; leaving it stops everything. ``tell`` hears in one line what
    happens. Only one supervisor at a time has a home.
    """

    def __init__(self, home: Path, tell: Callable[[str], None] = lambda _line: None) -> None:
        self.logs = home / "log"
        self._run = home / "run"
        self._tell = tell
        self._children: dict[str, _Child] = {}
        self._lock = threading.RLock()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # One thread forks and waits for all: Linux ends a child with the *thread* that made it.
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._held: IO[str] | None = None

    # --- for callers ---------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Take the home. Raises ComponentFailed when another supervisor has it."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self._run.mkdir(parents=True, exist_ok=True)
        held = (self._run / "supervisor.lock").open("a+")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            held.close()
            raise ComponentFailed(
                f"another `dialer up` (or demo) runs in {self._run.parent}: stop it, or take"
                " another folder with --home"
            ) from error
        self._held = held
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all children, last started first."""
        try:
            for name in reversed(list(self._children)):
                self.stop(name)
        finally:
            self._work.put(None)
            self._thread.join()
            if self._held is not None:
                self._held.close()

    def start(self, *components: Component) -> None:
        """Start them side by side and wait until all are ready.

        Raises ComponentFailed for the first that is not; all of them are stopped then.
        """
        started: list[str] = []
        try:
            for component in components:
                self._refuse_leftover(component.name)
                self._call(partial(self._spawn, component))
                started.append(component.name)
                self._tell(f"{component.name} starts")
            for component in components:
                self._wait_ready(component)
                self._children[component.name].ready = True
                self._tell(f"{component.name} is ready")
        except BaseException:
            for name in reversed(started):
                self.stop(name)
            raise

    def stop(self, name: str) -> None:
        """SIGTERM, and after its ``stop_seconds`` SIGKILL; returns when it is gone."""
        with self._lock:
            child = self._children.get(name)
            if child is None:
                return
            child.wanted = False
        if not _ended(child.process):
            self._tell(f"{name} stops")
            child.process.terminate()
            deadline = time.monotonic() + child.component.stop_seconds
            while not _ended(child.process):
                if time.monotonic() > deadline:
                    self._tell(f"{name} does not stop: killed")
                    break
                time.sleep(POLL_SECONDS)
        _bury(child.process)
        self._pid_file(name).unlink(missing_ok=True)
        with self._lock:
            self._children.pop(name, None)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one child. Raises KeyError for a name that is not running."""
        self._children[name].process.send_signal(number)

    def pid(self, name: str) -> int:
        """Its pid now. Raises KeyError."""
        return self._children[name].process.pid

    def restarts(self, name: str) -> int:
        """How often it was started again. Raises KeyError."""
        return self._children[name].restarts

    def wait_for_restart(self, name: str, after: int = 0, seconds: float = 60.0) -> bool:
        """Wait until it was started again more than ``after`` times and is ready; whether it
        was within ``seconds``. Raises KeyError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            child = self._children[name]
            ready = child.component.ready
            if child.restarts > after and self.alive(name) and (ready is None or ready()):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def alive(self, name: str) -> bool:
        """Whether it runs at this moment."""
        child = self._children.get(name)
        return child is not None and not _ended(child.process)

    def names(self) -> list[str]:
        """Of the children, in the order they were started."""
        return list(self._children)

    def said(self, name: str, text: str) -> bool:
        """Whether it has printed ``text`` since it was last started. Raises KeyError."""
        with self.log_file(name).open("rb") as log_file:
            log_file.seek(self._children[name].log_from)
            return text.encode() in log_file.read()

    def last_words(self, name: str, lines: int = 15) -> str:
        """The end of its log, indented."""
        return last_lines(self.log_file(name), lines)

    def log_file(self, name: str) -> Path:
        """Where its output goes."""
        return self.logs / f"{name}.log"

    # --- starting ------------------------------------------------------------------------

    def _call(self, action: Callable[[], None]) -> None:
        """Run it in the supervisor's own thread, and raise here what it raises."""
        done: Future[None] = Future()

        def work() -> None:
            try:
                action()
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(None)

        self._work.put(work)
        done.result()

    def _spawn(self, component: Component, again: _Child | None = None) -> None:
        env = {**os.environ, **component.env}
        path = self.log_file(component.name)
        _rotate(path)
        with path.open("ab") as out:
            log_from = out.tell()
            process = subprocess.Popen(
                # -I -S: nothing of Python's is loaded but what child.py names; 15 ms.
                [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), *component.argv],
                env={key: value for key, value in env.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop them in order
            )
        self._pid_file(component.name).write_text(f"{process.pid} {_start_time(process.pid)}\n")
        now = time.monotonic()
        with self._lock:
            if again is None:
                self._children[component.name] = _Child(component, process, now, log_from)
            else:
                again.process, again.started, again.log_from = process, now, log_from
                again.restarts += 1
                again.start_again_at = None

    def _wait_ready(self, component: Component) -> None:
        deadline = time.monotonic() + component.ready_seconds
        child = self._children[component.name]
        while True:
            if _ended(child.process):
                how = _how(_bury(child.process))
                raise ComponentFailed(
                    f"{component.name} ended at its start ({how}); its log"
                    f" {self.log_file(component.name)} ends with:\n"
                    f"{self.last_words(component.name)}"
                )
            if component.ready is None or component.ready():
                return
            if time.monotonic() > deadline:
                raise ComponentFailed(
                    f"{component.name} is not ready after {component.ready_seconds:g} s; its log"
                    f" {self.log_file(component.name)} ends with:\n"
                    f"{self.last_words(component.name)}"
                )
            time.sleep(POLL_SECONDS)

    def _pid_file(self, name: str) -> Path:
        return self._run / f"{name}.pid"

    def _refuse_leftover(self, name: str) -> None:
        """Wait for a child of an earlier run to end; it was told to when its parent went."""
        try:
            pid, started = self._pid_file(name).read_text().split()
        except (OSError, ValueError):
            return
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while _start_time(int(pid)) == started != "":
            if time.monotonic() > deadline:
                raise ComponentFailed(
                    f"{name} of an earlier run (pid {pid}) is still there: end it and try again"
                )
            time.sleep(POLL_SECONDS)

    # --- watching ------------------------------------------------------------------------

    def _watch(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=POLL_SECONDS)
            except queue.Empty:
                self._look()
                continue
            if work is None:
                return
            work()

    def _look(self) -> None:
        """Start again what has ended by itself, each time after a longer while."""
        now = time.monotonic()
        with self._lock:
            ended = [c for c in self._children.values() if c.ready and _ended(c.process)]
        for child in ended:
            with self._lock:  # so that a stop() comes before or after, never between
                if child.wanted and child.component.restart:
                    self._start_again(child, now)

    def _start_again(self, child: _Child, now: float) -> None:
        name = child.component.name
        if child.start_again_at is None:
            wait, child.delay = restart_delay(child.delay, now - child.started)
            child.start_again_at = now + wait
            how = _how(_bury(child.process))
            self._tell(f"{name} ended ({how}); again in {wait:g} s; see {self.log_file(name)}")
        elif now >= child.start_again_at:
            self._spawn(child.component, again=child)


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended. It is left a zombie, so that its pid, which names its group, cannot
    become another process's before ``_bury``."""
    if process.returncode is not None:
        return True
    how = os.WEXITED | os.WNOHANG | os.WNOWAIT
    try:
        return os.waitid(os.P_PID, process.pid, how) is not None
    except ChildProcessError:  # another thread has just buried it
        return True


def _bury(process: subprocess.Popen[bytes]) -> int:
    """End what is left of its group (its own session, so nobody else's), and the process; its
    exit code."""
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    return process.wait()


def _start_time(pid: int) -> str:
    """When a living process began, in clock ticks; empty when it is gone: a pid's fingerprint."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _how(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _rotate(path: Path) -> None:
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))


def last_lines(path: Path, lines: int) -> str:
    """The end of a file, indented; a note when there is none."""
    try:
        with path.open("rb") as source:
            source.seek(max(0, path.stat().st_size - 20_000))
            said = source.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        said = []
    return "\n".join(f"  {line}" for line in said) or "  (nothing)"
