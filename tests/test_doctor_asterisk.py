"""Checks of Asterisk, with the fault provoked on a real one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doctor_support import settings_at, tells

from dialer.config import Settings
from dialer.local import doctor
from dialer.local.checks import switch, trunks
from dialer.local.checks.result import Check, CheckResult, Status, Subject
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import cache_folder, ensure_asterisk
from dialer.switch.render import product_folder, render_product
from dialer.switch.trunks import load_trunks, trunks_path

WAIT_TRIES = 150  # of a tenth of a second


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    for name in ("REDIS_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return Subject(settings_at(tmp_path / "home"))


# --- Asterisk ------------------------------------------------------------------------------


def test_asterisk_that_is_missing_or_misnamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIALER_ASTERISK", raising=False)
    nowhere = Settings(home=tmp_path, asterisk=str(tmp_path / "none"))
    tells(switch.version(Subject(nowhere)), Status.FAULT, "DIALER_ASTERISK", "make setup")
    monkeypatch.setattr(switch, "find_asterisk", lambda **_: None)
    tells(switch.version(Subject(nowhere)), Status.FAULT, "20 or newer", "make setup")
    monkeypatch.undo()
    tells(switch.version(Subject(Settings(home=tmp_path, cache=cache_folder()))), Status.OK)


class Peer:
    """A SIP peer on the loopback interface that answers OPTIONS with 200."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            request, sender = self._socket.recvfrom(65535)
            if request == b"stop":
                return
            keep = ("via:", "from:", "call-id:", "cseq:", "to:")
            lines = [
                line for line in request.decode().split("\r\n") if line.lower().startswith(keep)
            ]
            lines = [line + ";tag=1" if line.lower().startswith("to:") else line for line in lines]
            answer = "\r\n".join(["SIP/2.0 200 OK", *lines, "Content-Length: 0", "", ""])
            self._socket.sendto(answer.encode(), sender)

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as knock:
            knock.sendto(b"stop", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Subject, AsteriskInstance]]:
    """The product's Asterisk with its own configuration and a trunk that answers."""
    settings = settings_at(tmp_path_factory.mktemp("well"))
    binary = ensure_asterisk()
    render_product(settings, binary, load_trunks(settings))
    peer = Peer(settings.carrier_sip_port)
    instance = AsteriskInstance(binary, product_folder(settings))
    try:
        instance.start()
        yield Subject(settings, instance.rx), instance
    finally:
        instance.stop()
        peer.stop()


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Subject, AsteriskInstance]]:
    """An Asterisk with each fault, and a trunk where nobody answers."""
    settings = settings_at(tmp_path_factory.mktemp("ill"))
    binary = ensure_asterisk()
    trunks_path(settings).write_text(
        "trunks:\n"
        f"  - {{name: silent, address: 127.0.0.1:{settings.carrier_sip_port}, check_every: 1}}\n"
    )
    render_product(settings, binary, load_trunks(settings))
    etc = product_folder(settings) / "etc"
    (etc / "manager.conf").write_text(
        f"[general]\nenabled = yes\nbindaddr = 0.0.0.0\nport = {settings.ami_port}\n"
        "[dialer]\nsecret = another\nread = call,dtmf\nwrite = originate\n"
        "[panel]\nsecret = x\nread = call\nwrite = all\n"
    )
    (etc / "cel.conf").write_text("[general]\nenable = yes\nevents = DTMF,HANGUP\n")
    (etc / "logger.conf").write_text(
        "[general]\n[logfiles]\nfull.log => warning,error,verbose,dtmf\n"
    )
    (etc / "cli_permissions.conf").write_text("[general]\ndefault_perm = permit\n")
    modules = (etc / "modules.conf").read_text().replace("noload = res_pjsip_logger.so", "")
    (etc / "modules.conf").write_text(f"{modules}\nnoload = res_tonedetect.so\n")
    instance = AsteriskInstance(binary, product_folder(settings))
    try:
        instance.start()
        yield Subject(settings, instance.rx), instance
    finally:
        instance.stop()


def _until(check: Callable[[], CheckResult], status: Status) -> CheckResult:
    """The result of a check that needs the time of an OPTIONS round trip."""
    result = check()
    for _ in range(WAIT_TRIES):
        if result.status is status:
            break
        time.sleep(0.1)
        result = check()
    return result


@pytest.mark.parametrize("check", doctor.RUNNING_CHECKS, ids=lambda check: check.__name__)
def test_the_products_own_configuration_is_well(
    well: tuple[Subject, AsteriskInstance], check: Check
) -> None:
    tells(check(well[0]), Status.OK)


def test_a_trunk_that_answers(well: tuple[Subject, AsteriskInstance]) -> None:
    tells(trunks.reachable(well[0]), Status.OK, "1 answer")


def test_a_trunk_that_does_not_answer(ill: tuple[Subject, AsteriskInstance]) -> None:
    subject, _ = ill
    tells(trunks.reachable(subject), Status.FAULT, "silent (127.0.0.1)", "firewall")
    tells(
        _until(lambda: trunks.seen_by_asterisk(subject), Status.FAULT),
        Status.FAULT,
        "silent",
        "calls are refused",
    )


def test_a_tcp_trunk_is_reached_by_a_connection(subject: Subject) -> None:
    settings = subject.settings
    settings.home.mkdir()
    port = settings.carrier_sip_port
    trunks_path(settings).write_text(
        f"trunks: [{{name: t, address: 127.0.0.1:{port}, transport: tcp}}]\n"
    )
    tells(trunks.reachable(subject), Status.FAULT, "t (127.0.0.1)")
    with socket.create_server(("127.0.0.1", port)):
        tells(trunks.reachable(subject), Status.OK)


def test_a_simulated_network_that_does_not_run(subject: Subject) -> None:
    tells(trunks.reachable(subject), Status.WARNING, "dialer carrier")


def test_trunks_described_wrongly(subject: Subject) -> None:
    subject.settings.home.mkdir()
    trunks_path(subject.settings).write_text("trunks: [{name: a, address: 'sip:x'}]\n")
    tells(trunks.reachable(subject), Status.FAULT, "is no address", "trunks.yaml")


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (switch.modules, ("res_tonedetect",)),
        (switch.ami_permissions, ("dialer read=dtmf", "panel write=", "manager.conf")),
        (switch.ami_address, ("0.0.0.0", "bindaddr = 127.0.0.1")),
        (switch.ami_login, ("refuses the secret", "DIALER_HOME")),
        (switch.call_event_log, ("DTMF", "cel.conf")),
        (switch.log_levels, ("DTMF, VERBOSE", "logger.conf")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_fault_of_a_running_asterisk_is_found(
    ill: tuple[Subject, AsteriskInstance], check: Check, words: tuple[str, ...]
) -> None:
    tells(check(ill[0]), Status.FAULT, *words)


def test_debugging_left_on_is_found(well: tuple[Subject, AsteriskInstance]) -> None:
    subject, instance = well
    instance.rx("core set debug 3")
    try:
        tells(switch.log_levels(subject), Status.FAULT, "debug level 3", "core set debug 0")
    finally:
        instance.rx("core set debug 0")
    tells(switch.log_levels(subject), Status.OK)


def test_sip_messages_traced_into_a_log_are_found(ill: tuple[Subject, AsteriskInstance]) -> None:
    subject, instance = ill
    assert switch.wire_logging(subject).status is Status.OK
    instance.rx("pjsip set logger on")
    instance.rx("pjsip qualify silent")
    tells(
        _until(lambda: switch.wire_logging(subject), Status.FAULT),
        Status.FAULT,
        "SIP messages",
        "delete these logs",
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (
            "[1] VERBOSE[1] res_rtp_asterisk.c: Got  RTP packet from    127.0.0.1:4000 (type 8)",
            "speech packets",
        ),
        (
            "[Jan 1] VERBOSE[1] res_agi.c: <PJSIP/x>AGI Tx >> agi_request: agi://127.0.0.1",
            "AGI dialogue",
        ),
        ("[Jan 1] DTMF[1] channel.c: DTMF begin '4' received on PJSIP/x", "keys pressed"),
    ],
)
def test_other_traces_are_known_by_their_lines(
    subject: Subject, tmp_path: Path, line: str, what: str
) -> None:
    log = tmp_path / "full.log"

    def ask(command: str) -> str:
        return f"  Log directory:   {tmp_path}\n" if command == "core show settings" else ""

    log.write_text("[Jan 1] WARNING[1] x.c: nothing to see\n")
    assert switch.wire_logging(Subject(subject.settings, ask)).status is Status.OK
    log.write_text(line + "\n")
    tells(switch.wire_logging(Subject(subject.settings, ask)), Status.FAULT, what)


def test_an_asterisk_without_trunks(subject: Subject) -> None:
    empty = Subject(subject.settings, lambda _: "No objects found.\n")
    tells(trunks.seen_by_asterisk(empty), Status.FAULT, "no call can leave")


def test_ami_that_does_not_answer(subject: Subject) -> None:
    tells(switch.ami_login(subject), Status.FAULT, str(subject.settings.ami_port))


def test_all_checks_of_a_running_installation(well: tuple[Subject, AsteriskInstance]) -> None:
    """It finds the running Asterisk by itself, and no check breaks."""
    settings = well[0].settings
    results = doctor.run_checks(settings)
    assert [r for r in results if "check itself failed" in r.message] == []
    assert len(results) == len(doctor.CHECKS) + len(doctor.RUNNING_CHECKS)
    told = {result.name: result for result in results}
    assert told["AMI permissions"].status is Status.OK
    assert told["ports"].status is Status.OK, "its own Asterisk is no stranger"
    for result in results:
        assert (result.status is Status.OK) == (result.mend == "")
