"""One Asterisk process on this machine: start it, ask it, stop it.

It runs in the foreground as a child, without root, out of an instance folder written by
``dialer.switch.render``. Nothing here touches a process that is not of that very folder.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from dialer.logs import get_logger
from dialer.switch.portable import AsteriskBinary
from dialer.switch.render import run_folder

log = get_logger(__name__)

_BOOT_SECONDS = 60.0
_TERM_SECONDS = 8.0
_KILL_SECONDS = 5.0
_ASK_SECONDS = 20.0
_FREED_SECONDS = 5.0


class InstanceError(Exception):
    """Asterisk does not start, or does not answer; the message says what to do."""


class AsteriskInstance:
    """The Asterisk of one instance folder.

    ``ports`` are (``tcp`` or ``udp``, address, port) that it is going to take: checked before
    the start, so that a taken one is told by its number.
    """

    def __init__(
        self,
        binary: AsteriskBinary,
        folder: Path,
        ports: Sequence[tuple[str, str, int]] = (),
    ) -> None:
        self.binary = binary
        self.folder = folder
        self.ports = tuple(ports)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def config_file(self) -> Path:
        """The asterisk.conf that points everything into the folder."""
        return self.folder / "etc" / "asterisk.conf"

    @property
    def pid_file(self) -> Path:
        """Written by Asterisk itself."""
        return run_folder(self.folder) / "asterisk.pid"

    @property
    def log_file(self) -> Path:
        """Warnings and errors."""
        return self.folder / "log" / "messages.log"

    # --- start ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start and wait until calls can be placed.

        Ends a leftover of a crashed run of the same folder first. Raises InstanceError.
        """
        # What it held is free a moment after it has gone.
        self._refuse_taken_ports(_FREED_SECONDS if self.end_leftover() else 0.0)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        output = self.folder / "log" / "output.log"
        with output.open("wb") as sink:
            self.process = subprocess.Popen(
                [*self.binary.argv, "-C", str(self.config_file), "-f"],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C of the terminal is ours to pass on
            )
        try:
            self._wait_until_booted(time.monotonic() + _BOOT_SECONDS)
        except BaseException:
            self.stop()
            raise
        log.info("asterisk started", folder=self.folder.name, pid=self.process.pid)

    def _refuse_taken_ports(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        for kind, address, port in self.ports:
            while (taken := port_taken(kind, address, port)) and time.monotonic() < deadline:
                time.sleep(0.05)
            if taken:
                raise InstanceError(
                    f"{kind} port {port} on {address} is taken ({taken}): end what uses it, or "
                    f"set another port for {self.folder.name}"
                )

    def _wait_until_booted(self, deadline: float) -> None:
        socket_path = run_folder(self.folder) / "asterisk.ctl"
        while not socket_path.exists():
            self._still_starting(deadline)
            time.sleep(0.05)
        while True:
            self._still_starting(deadline)
            try:
                self.rx("core waitfullybooted")
                told = self.rx("module show like chan_pjsip")
            except InstanceError:
                time.sleep(0.1)  # the socket is there a moment before it is listened on
                continue
            break
        if not re.search(r"^chan_pjsip\.so\b.*(?<!Not )Running", told, re.MULTILINE):
            raise InstanceError(
                "Asterisk runs, but chan_pjsip has not loaded, so no call can be placed; it "
                f"says:\n{self.last_words()}"
            )

    def _still_starting(self, deadline: float) -> None:
        assert self.process is not None
        code = self.process.poll()
        if code is not None:
            raise InstanceError(
                f"Asterisk ended at its start (exit code {code}); it says:\n{self.last_words()}"
            )
        if time.monotonic() > deadline:
            raise InstanceError(
                f"Asterisk has not booted within {_BOOT_SECONDS:.0f} s; it says:\n"
                f"{self.last_words()}"
            )

    def last_words(self, lines: int = 12) -> str:
        """The end of what it logged and printed."""
        said: list[str] = []
        for path in (self.folder / "log" / "output.log", self.log_file):
            if path.is_file():
                said += path.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(f"  {line}" for line in said) or "  (nothing)"

    # --- while it runs -------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the process that ``start`` made is alive."""
        return self.process is not None and self.process.poll() is None

    def rx(self, command: str, timeout: float = _ASK_SECONDS) -> str:
        """What the remote console answers to a command. Raises InstanceError."""
        if "\n" in command or "\r" in command:
            raise InstanceError("a console command is one line")
        try:
            done = subprocess.run(
                [*self.binary.argv, "-C", str(self.config_file), "-rx", command],
                capture_output=True,
                timeout=timeout,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise InstanceError(
                f"Asterisk has not answered {command!r} in {timeout:g} s"
            ) from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()[:300]
            raise InstanceError(f"Asterisk does not answer {command!r}: {said}")
        return done.stdout.decode(errors="replace")

    # --- stop ----------------------------------------------------------------------------

    def stop(self) -> None:
        """End it: politely, then by force; returns when it is gone. Safe to call again."""
        process = self.process
        if process is None:
            return
        for number, patience in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
            if process.poll() is not None:
                break
            process.send_signal(number)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                log.warning("asterisk does not end", pid=process.pid, signal=number.name)
        self.process = None

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it ends by itself: its exit code, or None after ``timeout`` seconds."""
        assert self.process is not None
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def end_leftover(self) -> bool:
        """End an Asterisk of this folder that an earlier run left behind; True if there was one.

        It is known by its command line: a recycled pid is left alone.
        """
        pid = self.leftover_pid()
        if pid is None:
            return False
        log.warning("ending what an earlier run left behind", pid=pid, folder=self.folder.name)
        born = _born(pid)
        for number, patience in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return True
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                if _born(pid) != born:
                    return True
                time.sleep(0.05)
        raise InstanceError(f"the Asterisk of an earlier run (pid {pid}) does not end; end it")

    def leftover_pid(self) -> int | None:
        """The pid of a living Asterisk of this folder that we did not start."""
        try:
            text = self.pid_file.read_text()
        except OSError:
            return None
        match = re.fullmatch(r"\s*(\d{1,7})\s*", text)
        if match is None:
            return None
        pid = int(match[1])
        if self.process is not None and self.process.pid == pid:
            return None
        return pid if self._is_ours(pid) else None

    def _is_ours(self, pid: int) -> bool:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.config_file) in words and _born(pid) is not None


def _born(pid: int) -> str | None:
    """When a living process began, in the kernel's ticks; None when there is none.

    The command line will not do to see whether a process has gone: one that is ending loses it
    first and its sockets last.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def port_taken(kind: str, address: str, port: int) -> str:
    """Why a port cannot be bound; empty when it can. ``kind`` is ``tcp`` or ``udp``."""
    flavour = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, flavour) as probe:
        if kind == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""
