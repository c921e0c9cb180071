"""Checks of the trunks: described well, and somebody answers at the other end."""

from __future__ import annotations

import re
import secrets
import socket

from dialer.config import Settings
from dialer.local.checks.findings import Looked, Mend, Switch
from dialer.local.checks.result import CheckResult, Subject, fault, ok, warning
from dialer.switch.trunks import Trunk, TrunkError, load_trunks, trunks_path

ANSWER_TRIES = 3  # UDP loses packets
ANSWER_SECONDS = 0.7


def reachable(subject: Subject) -> CheckResult:
    """Each trunk's far end answers an OPTIONS from here (tcp and tls: takes a connection)."""
    settings = subject.settings
    try:
        told = load_trunks(settings)
        told.check_against(settings)
    except TrunkError as error:
        return fault(Looked.TRUNKS, str(error), Mend.TRUNKS_FILE.say(path=trunks_path(settings)))
    if not told.trunks:
        return fault(
            Looked.TRUNKS,
            Switch.NO_TRUNK,
            Mend.A_TRUNK.say(path=trunks_path(settings)),
        )
    silent = [trunk for trunk in told.trunks if not _answers(trunk)]
    if not silent:
        return ok(Looked.TRUNKS, Switch.ANSWER.say(count=len(told.trunks)))
    listed = ", ".join(f"{trunk.name} ({_way(trunk)[0]})" for trunk in silent)
    if _simulated(settings):
        return warning(
            Looked.TRUNKS,
            Switch.SIMULATED_SILENT.say(trunks=listed),
            Mend.CARRIER.say(path=trunks_path(settings)),
        )
    return fault(Looked.TRUNKS, Switch.TRUNKS_SILENT.say(trunks=listed), Mend.CHECK_LINE)


def seen_by_asterisk(subject: Subject) -> CheckResult:
    """A trunk that Asterisk watches (``check_every``) and finds silent refuses every call."""
    told = subject.console("pjsip show contacts")
    contacts = re.findall(r"^\s*Contact:\s+(\S+?)/\S+\s+\S+\s+(\w+)\b", told, re.MULTILINE)
    if not contacts:
        return fault(
            Looked.TRUNKS_IN_ASTERISK,
            Switch.NO_CONTACT,
            Mend.START_AGAIN,
        )
    dead = sorted(name for name, state in contacts if state == "Unavail")
    if dead:
        return fault(
            Looked.TRUNKS_IN_ASTERISK,
            Switch.CONTACTS_DEAD.say(trunks=", ".join(dead)),
            Mend.CHECK_LINE,
        )
    return ok(Looked.TRUNKS_IN_ASTERISK, Switch.CONTACTS_GOOD.say(count=len(contacts)))


def _simulated(settings: Settings) -> bool:
    return settings.trunk is None and not trunks_path(settings).exists()


def _way(trunk: Trunk) -> tuple[str, int]:
    """Host and port that calls of this trunk are sent to."""
    host, _, port = (trunk.outbound_proxy or trunk.address).partition(":")
    return host, int(port or (5061 if trunk.transport == "tls" else 5060))


def _answers(trunk: Trunk) -> bool:
    host, port = _way(trunk)
    try:
        if trunk.transport != "udp":
            socket.create_connection((host, port), ANSWER_SECONDS * ANSWER_TRIES).close()
            return True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.settimeout(ANSWER_SECONDS)
            # Connected, so that only this peer's answer (or its refusal) is taken.
            link.connect((host, port))
            request = _options(host, port, *link.getsockname())
            for _ in range(ANSWER_TRIES):
                link.send(request)
                try:
                    # Any answer will do: also a refusal comes from a living SIP peer.
                    if link.recv(65535).startswith(b"SIP/2.0 "):
                        return True
                except TimeoutError:
                    continue
    except OSError:
        return False
    return False


def _options(host: str, port: int, own_host: str, own_port: int) -> bytes:
    """An OPTIONS request outside of a dialog (RFC 3261, section 11)."""
    lines = (
        f"OPTIONS sip:{host}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {own_host}:{own_port};rport;branch=z9hG4bK{secrets.token_hex(8)}",
        "Max-Forwards: 70",
        f"From: <sip:doctor@{own_host}>;tag={secrets.token_hex(4)}",
        f"To: <sip:{host}:{port}>",
        f"Call-ID: {secrets.token_hex(12)}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:doctor@{own_host}:{own_port}>",
        "Accept: application/sdp",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


CHECKS = (reachable,)
RUNNING_CHECKS = (seen_by_asterisk,)
