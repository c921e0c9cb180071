"""Checks of Asterisk: its version, and what a running one may do and writes down."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from dialer.local.checks.findings import Looked, Mend, Switch
from dialer.local.checks.result import CheckResult, Subject, fault, ok
from dialer.switch import names
from dialer.switch.guard import Guard
from dialer.switch.portable import OLDEST_VERSION, AsteriskNotFound, find_asterisk

NEEDED_MODULES = (
    "app_amd",
    "app_exec",
    "app_userevent",
    "app_waitforsilence",
    "chan_pjsip",
    "codec_alaw",
    "codec_ulaw",
    "format_pcm",
    "func_logic",
    "func_talkdetect",
    "pbx_config",
    "res_agi",
    "res_pjsip",
    "res_pjsip_outbound_registration",
    "res_pjsip_sdp_rtp",
    "res_pjsip_session",
    "res_rtp_asterisk",
    "res_tonedetect",
)
"""What the product's dialplan, trunks and prompts use."""

SECRET_READS = {"all", "dtmf", "dialplan", "verbose", "log", "agi", "command", "config"}
"""AMI classes by which keys, numbers or secrets leave Asterisk."""
DANGEROUS_WRITES = {"all", "command", "config", "system", "agi", "dialplan"}
"""AMI classes by which a stolen AMI password changes the machine.

``system`` may also originate through the shell application.
"""


_LOG_TAIL = 512 * 1024  # bytes of each log that are looked through
_WIRE = (
    ("SIP messages (pjsip set logger)", re.compile(r"<--- (Transmitting|Received) SIP re")),
    (
        "speech packets (rtp set debug)",
        re.compile(r"\b(Sent|Got)\s+RTP (DTMF |P2P )?.*packet", re.IGNORECASE),
    ),
    ("AGI dialogue (agi set debug)", re.compile(r"AGI (Tx|Rx) (>>|<<)")),
    ("keys pressed (dtmf logging)", re.compile(r"\bDTMF(\[\d+\])?.*\bDTMF (begin|end) '")),
)


def version(subject: Subject) -> CheckResult:
    """A usable Asterisk is on this machine."""
    settings = subject.settings
    try:
        found = find_asterisk(named=settings.asterisk, cache=settings.cache_dir)
    except AsteriskNotFound as error:
        return fault(
            Looked.ASTERISK,
            str(error),
            Mend.ASTERISK_PATH,
        )
    if found is None:
        return fault(
            Looked.ASTERISK,
            Switch.NONE_HERE.say(oldest=OLDEST_VERSION),
            Mend.ASTERISK,
        )
    return ok(Looked.ASTERISK, f"{found.version} ({found.kind})")


def modules(subject: Subject) -> CheckResult:
    """A module that declined to load leaves one line in a log, and calls fail."""
    running = set(
        re.findall(r"^(\w+)\.so .*(?<!Not )Running", subject.console("module show"), re.MULTILINE)
    )
    missing = [name for name in NEEDED_MODULES if name not in running]
    if not missing:
        return ok(Looked.MODULES, Switch.MODULES_GOOD)
    return fault(
        Looked.MODULES,
        Switch.NO_MODULES.say(modules=", ".join(missing)),
        Mend.MODULES,
    )


def ami_permissions(subject: Subject) -> CheckResult:
    """AMI accounts must neither hear keys nor be able to run programs."""
    users = re.findall(r"^(\S+)$", subject.console("manager show users"), re.MULTILINE)
    wide: list[str] = []
    for user in users:
        if user == "username" or set(user) == {"-"}:
            continue
        told = subject.console(f"manager show user {user}")
        for kind, bad in (("read", SECRET_READS), ("write", DANGEROUS_WRITES)):
            match = re.search(rf"^\s*{kind} perm: (.*)$", told, re.MULTILINE)
            granted = set(match[1].strip().split(",")) if match else set()
            if user == subject.settings.payments_ami_user and kind == "write":
                granted -= {"command"}  # with which it asks what would write keys down
            if granted & bad:
                wide.append(f"{user} {kind}={','.join(sorted(granted & bad))}")
    if wide:
        return fault(
            Looked.AMI_PERMISSIONS,
            Switch.TOO_WIDE.say(which=wide),
            Mend.AMI_CLASSES,
        )
    return ok(Looked.AMI_PERMISSIONS, Switch.NARROW)


def ami_address(subject: Subject) -> CheckResult:
    """AMI is not encrypted: it stays on the loopback interface."""
    told = subject.console("manager show settings")
    match = re.search(r"^\s*TCP Bindaddress:\s+(\S+)", told, re.MULTILINE)
    address = match[1] if match else ""
    if re.match(r"(127\.|\[?::1\]?:|Disabled)", address):
        return ok(Looked.AMI_ADDRESS, Switch.LISTENS.say(address=address))
    return fault(
        Looked.AMI_ADDRESS,
        Switch.OPEN.say(address=address or Switch.UNKNOWN_ADDRESS.say()),
        Mend.AMI_BIND,
    )


def ami_login(subject: Subject) -> CheckResult:
    """The engine can log in with the secret of this installation."""
    settings = subject.settings
    mend = Mend.AMI_SECRET
    lines = (
        f"Action: Login\r\nUsername: {settings.ami_user}\r\n"
        f"Secret: {settings.secret(names.SECRET_AMI)}\r\nEvents: off\r\n\r\n"
    )
    try:
        with socket.create_connection((settings.switch_host, settings.ami_port), 5) as link:
            link.settimeout(5)
            link.sendall(lines.encode())
            answer = b""
            while b"Response:" not in answer or not answer.endswith(b"\r\n\r\n"):
                part = link.recv(4096)
                if not part:
                    break
                answer += part
    except OSError as error:
        return fault(
            Looked.AMI,
            Switch.AMI_SILENT.say(
                port=settings.ami_port, host=settings.switch_host, why=error.strerror or str(error)
            ),
            mend,
        )
    if b"Response: Success" not in answer:
        return fault(Looked.AMI, Switch.AMI_REFUSES, mend)
    return ok(Looked.AMI, Switch.AMI_GOOD)


def call_event_log(subject: Subject) -> CheckResult:
    """CEL of all events writes every key of every call down."""
    told = subject.console("cel show status")
    if "CEL Logging: Enabled" not in told:
        return ok(Looked.CALL_EVENT_LOG, Switch.OFF)
    tracked = set(re.findall(r"^CEL Tracking Event: (\w+)", told, re.MULTILINE))
    bad = sorted(tracked & {"ALL", "DTMF"})
    if bad:
        return fault(
            Looked.CALL_EVENT_LOG,
            Switch.RECORDS.say(what=", ".join(bad)),
            Mend.CEL,
        )
    return ok(Looked.CALL_EVENT_LOG, Switch.NO_KEYS)


def log_levels(subject: Subject) -> CheckResult:
    """Log files with keys, numbers or the dialogue of calls in them."""
    # The console cuts the path off: the levels are what counts.
    levels = re.findall(
        r"^\S.*?\s(?:File|Console|Syslog)\s+\S+\s+Enabled\s+-\s*(.*)$",
        subject.console("logger show channels"),
        re.MULTILINE,
    )
    written = {level for line in levels for level in line.split()}
    found = [level for level in ("DTMF", "DEBUG", "VERBOSE") if level in written]
    level = re.search(
        r"^\s*Debug level:\s+(\d+)", subject.console("core show settings"), re.MULTILINE
    )
    if level and int(level[1]) > 0:
        found.append(f"debug level {level[1]} (core set debug)")
    if found:
        return fault(
            Looked.LOG_LEVELS,
            Switch.WRITTEN.say(levels=", ".join(found)),
            Mend.LOGGER,
        )
    return ok(Looked.LOG_LEVELS, Switch.WARNINGS_ONLY)


def wire_logging(subject: Subject) -> CheckResult:
    """Traces that somebody switched on at the console: Asterisk tells nobody that they are on,
    so what they write is looked for."""
    found = set()
    match = re.search(
        r"^\s*debug\s*:\s*(\S+)", subject.console("pjsip show settings"), re.MULTILINE
    )
    if match and match[1].lower() not in ("no", "false"):
        found.add("SIP messages (debug in pjsip.conf)")
    folder = re.search(
        r"^\s*Log directory:\s+(\S.*)$", subject.console("core show settings"), re.MULTILINE
    )
    for path in sorted(Path(folder[1].strip()).iterdir()) if folder else ():
        text = _tail(path)
        found |= {what for what, mark in _WIRE if mark.search(text)}
    if found:
        return fault(
            Looked.TRACES,
            Switch.TRACED.say(what=", ".join(sorted(found))),
            Mend.DELETE_LOGS,
        )
    return ok(Looked.TRACES, Switch.UNTRACED)


def cards(subject: Subject) -> CheckResult:
    """Whether the payment process would take a card now."""
    guard = Guard(subject.settings)
    try:
        reasons = guard.check()
    finally:
        guard.close()
    if reasons:
        return fault(
            Looked.CARDS,
            Switch.NO_CARDS.say(reasons=reasons),
            Mend.CARDS,
        )
    return ok(Looked.CARDS, Switch.CARDS_GOOD)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _LOG_TAIL))
            return log.read().decode(errors="replace")
    except OSError:
        return ""


CHECKS = (version,)
RUNNING_CHECKS = (
    modules,
    ami_permissions,
    ami_address,
    ami_login,
    call_event_log,
    log_levels,
    wire_logging,
    cards,
)
