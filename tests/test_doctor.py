"""Each check of the doctor, with the fault provoked: on a real Asterisk where it is about one."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest
import redis

from dialer.config import Settings
from dialer.local import doctor
from dialer.local.checks import machine, services, switch, trunks
from dialer.local.checks.result import Check, CheckResult, Status, Subject, ok
from dialer.local.redis_server import RedisInstance, ensure_redis
from dialer.store.db import migrate
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import cache_folder, ensure_asterisk
from dialer.switch.render import product_folder, render_product
from dialer.switch.trunks import load_trunks, trunks_path

WAIT_TRIES = 150  # of a tenth of a second


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _settings(home: Path) -> Settings:
    names = ("sip_port", "ami_port", "agi_port", "carrier_sip_port", "web_port", "redis_port",
             "engine_health_port", "ivr_health_port", "worker_health_port")
    values: dict[str, Any] = dict(zip(names, _free_ports(len(names)), strict=True))
    return Settings(home=home, cache=cache_folder(), **values)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return Subject(_settings(tmp_path / "home"))


def _tells(result: CheckResult, status: Status, *words: str) -> None:
    assert result.status is status, result
    assert (result.status is Status.OK) == (result.mend == ""), "a fault says what to do"
    for word in words:
        assert word in result.message + " " + result.mend


# --- the machine ---------------------------------------------------------------------------


def test_a_host_name_that_is_slow_or_unknown(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "RESOLVE_SECONDS", 0.05)
    hang = threading.Event()
    _tells(machine.host_name(subject, resolve=lambda _: hang.wait(20)), Status.FAULT,
           "no answer within", "/etc/hosts", socket.gethostname())
    hang.set()

    def unknown(_: str) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    _tells(machine.host_name(subject, resolve=unknown), Status.FAULT, "Name or service not known")
    _tells(machine.host_name(subject, resolve=lambda _: None), Status.OK)


def test_a_clock_that_is_wrong_or_left_alone(subject: Subject) -> None:
    def after_boot() -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC)

    _tells(machine.clock(subject, now=after_boot), Status.FAULT, "1970")
    _tells(machine.clock(subject, kernel_state=lambda: 5), Status.WARNING, "chrony")
    _tells(machine.clock(subject, kernel_state=lambda: 0), Status.OK)
    _tells(machine.clock(subject, zones=_no_zone), Status.FAULT, "Europe/Madrid", "tzdata")


def _no_zone(name: str) -> None:
    raise ZoneInfoNotFoundError(name)


def test_the_kernel_tells_the_state_of_its_clock() -> None:
    assert machine._kernel_state() in range(6)


def test_too_few_open_files(subject: Subject) -> None:
    _tells(machine.open_files(subject, limit=lambda: 1024), Status.WARNING, "1024", "ulimit")
    _tells(machine.open_files(subject, limit=lambda: 65536), Status.OK)


@pytest.mark.parametrize(
    ("first", "last", "status", "word"),
    [
        (20000, 24999, Status.OK, "2500 calls"),
        (24999, 20000, Status.FAULT, "empty"),
        (20000, 40000, Status.WARNING, "32768-60999"),
    ],
)
def test_rtp_ranges(
    tmp_path: Path, first: int, last: int, status: Status, word: str
) -> None:
    ephemeral = tmp_path / "range"
    ephemeral.write_text("32768\t60999\n")
    settings = Settings(home=tmp_path, rtp_start=first, rtp_end=last)
    _tells(machine.rtp_range(Subject(settings), ephemeral), status, word)


def test_a_port_within_the_rtp_range(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, rtp_start=5000, rtp_end=5999, sip_port=5160)
    _tells(machine.rtp_range(Subject(settings)), Status.FAULT, "SIP 5160")


@contextlib.contextmanager
def _holder(port: int, *words: str) -> Iterator[None]:
    """Another process that listens on a TCP port, with ``words`` on its command line."""
    code = (
        "import socket, sys\n"
        f"s = socket.create_server(('127.0.0.1', {port}))\n"
        "print(flush=True)\nsys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, *words], cwd="/", text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.communicate()


def test_a_port_held_by_another_program_is_named(subject: Subject) -> None:
    _tells(machine.ports(subject), Status.OK)
    with _holder(subject.settings.web_port):
        _tells(machine.ports(subject), Status.FAULT, f"web {subject.settings.web_port}", "python",
               "DIALER_WEB_PORT")
    with _holder(subject.settings.web_port, str(subject.settings.home)):
        _tells(machine.ports(subject), Status.OK)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", subject.settings.sip_port))
        _tells(machine.ports(subject, owner=lambda *_: None), Status.FAULT, "SIP",
               "another user")


# --- Redis, database, prompts --------------------------------------------------------------


@pytest.fixture
def own_redis(subject: Subject) -> Iterator[RedisInstance]:
    instance = ensure_redis(subject.settings)
    yield instance
    instance.stop()


def test_redis_that_is_away(subject: Subject) -> None:
    _tells(services.redis_server(subject), Status.FAULT, "dialer redis")
    url = f"redis://:s3cret@127.0.0.1:{subject.settings.redis_port}/0"
    given = Subject(subject.settings.model_copy(update={"redis_url": url}))
    result = services.redis_server(given)
    _tells(result, Status.FAULT, "REDIS_URL", f"127.0.0.1:{subject.settings.redis_port}")
    assert "s3cret" not in result.message


def test_redis_that_may_lose_messages(subject: Subject, own_redis: RedisInstance) -> None:
    _tells(services.redis_server(subject), Status.OK)
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        _tells(services.redis_server(subject), Status.WARNING, "allkeys-lru", "noeviction")
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "no")
        _tells(services.redis_server(subject), Status.WARNING, "appendonly yes")
    _tells(services.redis_server(subject, now=lambda: time.time() - 3600), Status.FAULT,
           "differs by 3600 s")


def test_a_database_that_is_away_empty_or_old(tmp_path: Path, subject: Subject) -> None:
    def at(url: str) -> Subject:
        return Subject(subject.settings.model_copy(update={"database_url": url}))

    away = at(f"postgresql://u:s3cret@127.0.0.1:{_free_ports(1)[0]}/dialer")
    result = services.database(away)
    _tells(result, Status.FAULT, "DATABASE_URL", "127.0.0.1")
    assert "s3cret" not in result.message
    file = tmp_path / "d.db"
    _tells(services.database(at(f"sqlite:///{file}")), Status.FAULT, "no tables", "dialer init")
    migrate(f"sqlite:///{file}")
    _tells(services.database(at(f"sqlite:///{file}")), Status.OK)
    import sqlite3

    with contextlib.closing(sqlite3.connect(file)) as link, link:
        link.execute("UPDATE alembic_version SET version_num = '0000'")
    _tells(services.database(at(f"sqlite:///{file}")), Status.FAULT, "version 0000", "dialer init")


def test_prompts_that_are_not_there(subject: Subject, tmp_path: Path) -> None:
    _tells(services.prompts(subject), Status.FAULT, "cannot be played", "dialer prompts")
    broken = tmp_path / "flows/prompts"
    broken.mkdir(parents=True)
    (broken / "es.yaml").write_text("greeting: [not, a, text\n")
    settings = subject.settings.model_copy(update={"flows_dir": broken.parent})
    _tells(services.prompts(Subject(settings)), Status.FAULT, "es.yaml")


# --- Asterisk ------------------------------------------------------------------------------


def test_asterisk_that_is_missing_or_misnamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                              ) -> None:
    monkeypatch.delenv("DIALER_ASTERISK", raising=False)
    nowhere = Settings(home=tmp_path, asterisk=str(tmp_path / "none"))
    _tells(switch.version(Subject(nowhere)), Status.FAULT, "DIALER_ASTERISK", "make setup")
    monkeypatch.setattr(switch, "find_asterisk", lambda **_: None)
    _tells(switch.version(Subject(nowhere)), Status.FAULT, "20 or newer", "make setup")
    monkeypatch.undo()
    _tells(switch.version(Subject(Settings(home=tmp_path, cache=cache_folder()))), Status.OK)


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
            lines = [line for line in request.decode().split("\r\n")
                     if line.lower().startswith(keep)]
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
    settings = _settings(tmp_path_factory.mktemp("well"))
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
    settings = _settings(tmp_path_factory.mktemp("ill"))
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
    with (etc / "modules.conf").open("a") as out:
        out.write("\nnoload = res_tonedetect.so\n")
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
    _tells(check(well[0]), Status.OK)


def test_a_trunk_that_answers(well: tuple[Subject, AsteriskInstance]) -> None:
    _tells(trunks.reachable(well[0]), Status.OK, "1 answer")


def test_a_trunk_that_does_not_answer(ill: tuple[Subject, AsteriskInstance]) -> None:
    subject, _ = ill
    _tells(trunks.reachable(subject), Status.FAULT, "silent (127.0.0.1)", "firewall")
    _tells(_until(lambda: trunks.seen_by_asterisk(subject), Status.FAULT), Status.FAULT,
           "silent", "calls are refused")


def test_a_tcp_trunk_is_reached_by_a_connection(subject: Subject) -> None:
    settings = subject.settings
    settings.home.mkdir()
    port = settings.carrier_sip_port
    trunks_path(settings).write_text(
        f"trunks: [{{name: t, address: 127.0.0.1:{port}, transport: tcp}}]\n"
    )
    _tells(trunks.reachable(subject), Status.FAULT, "t (127.0.0.1)")
    with socket.create_server(("127.0.0.1", port)):
        _tells(trunks.reachable(subject), Status.OK)


def test_a_simulated_network_that_does_not_run(subject: Subject) -> None:
    _tells(trunks.reachable(subject), Status.WARNING, "dialer carrier")


def test_trunks_described_wrongly(subject: Subject) -> None:
    subject.settings.home.mkdir()
    trunks_path(subject.settings).write_text("trunks: [{name: a, address: 'sip:x'}]\n")
    _tells(trunks.reachable(subject), Status.FAULT, "is no address", "trunks.yaml")


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
    _tells(check(ill[0]), Status.FAULT, *words)


def test_debugging_left_on_is_found(well: tuple[Subject, AsteriskInstance]) -> None:
    subject, instance = well
    instance.rx("core set debug 3")
    try:
        _tells(switch.log_levels(subject), Status.FAULT, "debug level 3", "core set debug 0")
    finally:
        instance.rx("core set debug 0")
    _tells(switch.log_levels(subject), Status.OK)


def test_sip_messages_traced_into_a_log_are_found(
    ill: tuple[Subject, AsteriskInstance]
) -> None:
    subject, instance = ill
    assert switch.wire_logging(subject).status is Status.OK
    instance.rx("pjsip set logger on")
    instance.rx("pjsip qualify silent")
    _tells(_until(lambda: switch.wire_logging(subject), Status.FAULT), Status.FAULT,
           "SIP messages", "pjsip set logger off")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[Jan 1] VERBOSE[1] res_rtp_asterisk.c: Got  RTP packet from    127.0.0.1:4000 (type 8)",
         "speech packets"),
        ("[Jan 1] VERBOSE[1] res_agi.c: <PJSIP/x>AGI Tx >> agi_request: agi://127.0.0.1",
         "AGI dialogue"),
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
    _tells(switch.wire_logging(Subject(subject.settings, ask)), Status.FAULT, what)


def test_an_asterisk_without_trunks(subject: Subject) -> None:
    empty = Subject(subject.settings, lambda _: "No objects found.\n")
    _tells(trunks.seen_by_asterisk(empty), Status.FAULT, "no call can leave")


def test_ami_that_does_not_answer(subject: Subject) -> None:
    _tells(switch.ami_login(subject), Status.FAULT, str(subject.settings.ami_port))


# --- all together --------------------------------------------------------------------------


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


def test_without_a_running_asterisk_its_checks_are_left_out(tmp_path: Path) -> None:
    results = doctor.run_checks(_settings(tmp_path), checks=())
    assert [(r.name, r.status) for r in results] == [("running Asterisk", Status.WARNING)]


def test_a_check_that_breaks_hides_no_other(tmp_path: Path) -> None:
    def broken(_: Subject) -> CheckResult:
        raise RuntimeError("debtor +34600111222")

    def fine(_: Subject) -> CheckResult:
        return ok("fine", "well")

    results = doctor.run_checks(_settings(tmp_path), ask=lambda _: "", checks=(broken, fine),
                                running_checks=())
    assert [r.status for r in results] == [Status.FAULT, Status.OK]
    assert "34600111222" not in str(results)


def test_the_owner_of_a_port_is_found() -> None:
    port = _free_ports(1)[0]
    assert machine.port_owner("tcp", port) is None
    with socket.create_server(("127.0.0.1", port)):
        owner = machine.port_owner("tcp", port)
    assert owner is not None
    assert owner.endswith(os.getcwd())
