"""Checks of the machine: its name, its clock, its ports."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import socket
import threading
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from dialer.config import Settings
from dialer.local.checks.findings import Looked, Machine, Mend
from dialer.local.checks.result import CheckResult, Subject, fault, ok, warning
from dialer.switch.instance import port_taken

RESOLVE_SECONDS = 1.0
OLDEST_DATE = datetime(2026, 1, 1, tzinfo=UTC)
"""The dialer is younger than this: an earlier clock is wrong."""
FEW_FILES = 4096
"""A call holds about ten descriptors in Asterisk; 4096 serve some 400 calls."""
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def host_name(
    subject: Subject,
    resolve: Callable[[str], object] = lambda name: socket.getaddrinfo(name, None),
) -> CheckResult:
    """Asterisk looks its own host name up in each call and waits up to 5 s for the answer."""
    name = socket.gethostname()
    outcome: list[str] = []

    def look() -> None:
        try:
            resolve(name)
            outcome.append("")
        except OSError as error:
            outcome.append(error.strerror or str(error))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(RESOLVE_SECONDS)
    said = outcome[0] if outcome else Machine.NO_ANSWER.say(seconds=RESOLVE_SECONDS)
    if not said:
        return ok(Looked.HOST_NAME, Machine.RESOLVES.say(name=name))
    return fault(
        Looked.HOST_NAME,
        Machine.NOT_RESOLVED.say(name=name, why=said),
        Mend.HOSTS.say(name=name),
    )


def clock(
    subject: Subject,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    kernel_state: Callable[[], int] | None = None,
    zones: Callable[[str], object] = zoneinfo.ZoneInfo,
) -> CheckResult:
    """Contact hours and promises go by the clock."""
    if now() < OLDEST_DATE:
        return fault(
            Looked.CLOCK,
            Machine.CLOCK_WRONG.say(date=f"{now():%Y-%m-%d}"),
            Mend.SET_CLOCK,
        )
    try:
        for zone in ("Europe/Madrid", "America/Mexico_City"):
            zones(zone)
    except zoneinfo.ZoneInfoNotFoundError as error:
        return fault(
            Looked.CLOCK,
            Machine.NO_ZONE.say(zone=error.args[0]),
            Mend.TZDATA,
        )
    if (kernel_state or _kernel_state)() == _TIME_ERROR:
        return warning(
            Looked.CLOCK,
            Machine.CLOCK_LOOSE,
            Mend.CHRONY,
        )
    return ok(Looked.CLOCK, Machine.CLOCK_GOOD)


def _kernel_state() -> int:
    """What adjtimex(2) returns; 0 where the kernel does not tell."""
    try:
        # struct timex is 208 bytes; modes = 0 only reads.
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return 0
    return state


def open_files(
    subject: Subject,
    limit: Callable[[], int] = lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[1],
) -> CheckResult:
    """Each call holds sockets and files."""
    most = limit()
    if most == resource.RLIM_INFINITY or most >= FEW_FILES:
        return ok(Looked.OPEN_FILES, Machine.FILES_GOOD)
    return warning(
        Looked.OPEN_FILES,
        Machine.FEW_FILES.say(most=most),
        Mend.ULIMIT,
    )


def rtp_range(
    subject: Subject, ephemeral: Path = Path("/proc/sys/net/ipv4/ip_local_port_range")
) -> CheckResult:
    """The ports of speech: two a call, and nobody else's."""
    settings = subject.settings
    first, last = settings.rtp_start, settings.rtp_end
    mend = Mend.RTP
    calls = (last - first + 1) // 2
    if calls < 1:
        return fault(Looked.RTP_PORTS, Machine.RTP_EMPTY.say(first=first, last=last), mend)
    inside = [f"{name} {port}" for name, _, _, port in _ports(settings) if first <= port <= last]
    if inside:
        return fault(
            Looked.RTP_PORTS,
            Machine.RTP_HOLDS.say(ports=", ".join(inside), first=first, last=last),
            mend,
        )
    try:
        low, high = (int(part) for part in ephemeral.read_text().split())
    except (OSError, ValueError):
        low, high = 0, -1
    if first <= high and last >= low:
        return warning(
            Looked.RTP_PORTS,
            Machine.RTP_OVERLAPS.say(first=first, last=last, low=low, high=high),
            mend,
        )
    return ok(Looked.RTP_PORTS, Machine.RTP_GOOD.say(calls=calls))


def ports(subject: Subject, owner: Callable[[str, int], str | None] | None = None) -> CheckResult:
    """Ports that another program holds; those held by this installation are its own business.

    ``owner(kind, port)`` gives the command line of the holder, None when it cannot be told.
    """
    who_holds = owner or port_owner
    taken = []
    for name, kind, address, port in _ports(subject.settings):
        if not port_taken(kind, address, port):
            continue
        holder = who_holds(kind, port)
        if holder is None or not _is_ours(holder, subject.settings):
            taken.append(Machine.HELD_BY.say(name=name, port=port, who=_program(holder)))
    if not taken:
        return ok(Looked.PORTS, Machine.PORTS_FREE)
    return fault(
        Looked.PORTS,
        Machine.PORTS_TAKEN.say(ports=taken),
        Mend.PORTS,
    )


def _ports(settings: Settings) -> Iterator[tuple[str, str, str, int]]:
    """Name, tcp or udp, address and number of each port this machine's processes listen on."""
    yield "SIP", "udp", settings.bind, settings.sip_port
    if settings.switch_host in ("127.0.0.1", "localhost"):
        yield "AMI", "tcp", "127.0.0.1", settings.ami_port
    yield "AGI", "tcp", settings.agi_host, settings.agi_port
    yield "web", "tcp", settings.web_host, settings.web_port
    if not settings.redis_url:
        yield "Redis", "tcp", "127.0.0.1", settings.redis_port
    yield "engine health", "tcp", "127.0.0.1", settings.engine_health_port
    yield "IVR health", "tcp", "127.0.0.1", settings.ivr_health_port
    yield "worker health", "tcp", "127.0.0.1", settings.worker_health_port


def _is_ours(command_line: str, settings: Settings) -> bool:
    """An Asterisk or Redis of this home, or one of our own commands."""
    if str(settings.home) in command_line:
        return True
    words = command_line.split()
    return any(Path(word).name == "dialer" or word.startswith("dialer.") for word in words[:4])


def _program(command_line: str | None) -> str:
    if not command_line:
        return Machine.OTHER_USER.say()
    return Path(command_line.split()[0]).name


def port_owner(kind: str, port: int) -> str | None:
    """The command line, and the working folder, of who listens on a port of this machine.

    None when nobody does or the process belongs to another user.
    """
    inodes = set(_inodes(kind, port))
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            holds = any(os.readlink(fd) in wanted for fd in (process / "fd").iterdir())
            if holds:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                return f"{words} {os.readlink(process / 'cwd')}"
        except OSError:
            continue  # it ended meanwhile, or is another user's
    return None


def _inodes(kind: str, port: int) -> Iterator[str]:
    for table in (f"/proc/net/{kind}", f"/proc/net/{kind}6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = re.split(r"\s+", line.strip())
            listens = kind == "udp" or fields[3] == "0A"
            if listens and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


CHECKS = (host_name, clock, open_files, rtp_range, ports)
