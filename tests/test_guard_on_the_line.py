"""The guard of cards before a real Asterisk: each dangerous setting is switched on and seen."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from keys_line import KeysLine, keys_line

from agi_scripts.wire import Agi
from dialer.local.checks import switch as checks
from dialer.local.checks.result import Status, Subject
from dialer.simulation.key_sender import number_to_dial
from dialer.speech.keys_heard import keys_in
from dialer.switch import dangers, names
from dialer.switch.ami_client import AmiClient
from dialer.switch.guard import Guard, MuteFailed
from dialer.switch.portable import AsteriskBinary
from dialer.switch.render import DENIED_COMMANDS

CARD = "4539148803436467"


@dataclass
class Place:
    """The running Asterisk with its guard."""

    line: KeysLine
    guard: Guard

    @property
    def etc(self) -> Path:
        return self.line.instance.folder / "etc"

    def rx(self, command: str) -> str:
        return self.line.instance.rx(command)

    def as_payments(self) -> AmiClient:
        """With the rights of the payment process: the only one who could."""
        settings = self.line.settings
        return AmiClient(
            host="127.0.0.1",
            port=settings.ami_port,
            user=settings.payments_ami_user,
            secret=settings.secret(names.SECRET_PAYMENTS_AMI),
        )

    @contextmanager
    def with_config(self, name: str, change: tuple[str, str], reload: str) -> Iterator[None]:
        """A file of the configuration changed, and read again; then as it was."""
        path = self.etc / name
        before = path.read_text()
        old, new = change
        assert old in before
        path.write_text(before.replace(old, new, 1) if old else before + new)
        try:
            self.rx(reload)
            yield
        finally:
            path.write_text(before)
            self.rx(reload)


@pytest.fixture(scope="module")
def place(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with keys_line(tmp_path_factory.mktemp("guard"), asterisk_binary) as line:
        guard = Guard(line.settings)
        yield Place(line, guard)
        guard.close()


@pytest.fixture(autouse=True)
def _safe_before_and_after(place: Place) -> Iterator[None]:
    assert place.guard.check() == []
    yield
    assert place.guard.check() == []


def says(reasons: list[str], *words: str) -> None:
    assert any(all(word in reason for word in words) for reason in reasons), reasons


@pytest.mark.parametrize("level", ["dtmf", "verbose", "debug"])
def test_a_log_that_takes_keys(place: Place, level: str) -> None:
    place.rx(f"logger add channel keys.log warning,{level}")
    try:
        says(place.guard.check(), "log", level.upper(), "logger.conf")
    finally:
        place.rx("logger remove channel keys.log")


def test_a_console_that_takes_keys(place: Place) -> None:
    change = ("[logfiles]\n", "[logfiles]\nconsole => notice,dtmf\n")
    with place.with_config("logger.conf", change, "logger reload"):
        says(place.guard.check(), "console", "DTMF")


def test_much_debugging(place: Place) -> None:
    place.rx("core set debug 4")
    try:
        says(place.guard.check(), "debug level is 4", "core set debug 0")
    finally:
        place.rx("core set debug 0")


@pytest.mark.parametrize("command", DENIED_COMMANDS)
def test_no_console_switches_a_trace_on(place: Place, command: str) -> None:
    how = {"core set debug channel": "all", "logger set level": "DTMF on"}.get(command, "on")
    tracer = "res_pjsip_logger.so" if command.startswith("pjsip") else ""
    if tracer:
        place.rx(f"module load {tracer}")
    try:
        for written in (f"{command} {how}", f" {command.upper()}   {how}"):
            assert "You don't have permissions" in place.rx(written)
    finally:
        if tracer:
            place.rx(f"module unload {tracer}")


@pytest.mark.parametrize(
    "change",
    [
        ("default_perm = deny", "default_perm = permit\n[nobody]\n"),
        ("deny = agi set debug", ""),
        ("deny = rtp set debug", "deny = rtp set debug\npermit = rtp set debug on"),
        ("deny = pjsip set logger", "deny = pjsip set logger\npermit = all"),
    ],
)
def test_consoles_that_may_switch_a_trace_on(place: Place, change: tuple[str, str]) -> None:
    with place.with_config("cli_permissions.conf", change, "cli reload permissions"):
        says(place.guard.check(), "cli_permissions.conf")


@pytest.mark.parametrize(
    ("command", "trace"), [("agi set debug", "AGI Tx"), ("rtp set debug", "RTP packet")]
)
def test_a_trace_that_is_on_is_off_after_the_check(
    place: Place, command: str, trace: str, request: pytest.FixtureRequest
) -> None:
    log = place.line.instance.folder / "log" / "trace.log"

    def traced() -> bool:
        """Whether a call leaves the trace in a log made for it."""
        place.rx("logger add channel trace.log verbose")
        try:
            place.line.ring(
                [number_to_dial("r", 80, 40, 0, "1")], lambda agi: agi.wait_for_digit(3)
            )
        finally:
            place.rx("logger remove channel trace.log")
            text = log.read_text()
            log.unlink()
        return trace in text

    as_payments = place.as_payments()
    try:
        assert "Enabled" in as_payments.console(f"{command} on")
        assert traced()
        assert place.guard.check() == []
        assert not traced()
    finally:
        as_payments.console(f"{command} off")
        as_payments.close()


def test_a_tracer_of_sip(place: Place) -> None:
    assert "No such command" in place.rx("pjsip set logger on")
    place.rx("module load res_pjsip_logger.so")
    try:
        says(place.guard.check(), "res_pjsip_logger", "module unload")
    finally:
        place.rx("module unload res_pjsip_logger.so")


def test_a_way_to_listen_in_where_no_agents_work(place: Place) -> None:
    assert not place.line.settings.agents
    place.rx("module load app_chanspy.so")
    try:
        says(place.guard.check(), "app_chanspy", "module unload")
    finally:
        place.rx("module unload app_chanspy.so")


ROW = (
    "PJSIP/carrier-1!dialer-assist!s!2!Up!AGI!agi://127.0.0.1/pay,s!+34!!!3!3!{bridge}!" + "a" * 32
)
BROWSER = "PJSIP/browser-2!dialer-agent-leg!s!2!Up!ConfBridge!c!browser!!!3!1!b!node1-17.2"
SPY = "PJSIP/phones-3!dialer-whisper!s!2!Up!{app}!{data}!!!!3!1!!node1-17.3"


@pytest.mark.parametrize(
    ("app", "data", "seen"),
    [
        ("ChanSpy", f"{'a' * 32},quWES", False),
        ("ChanSpy", "node1-17.2,quwES", False),
        ("ChanSpy", f"leg-{'b' * 32},quwES", True),
        ("ChanSpy", f"{'a' * 32},quwES", True),
        ("ChanSpy", f"{'a' * 32},quWESd", True),
        ("ChanSpy", "", True),
        ("CHANSPY", f"{'a' * 32},quWES", True),
        ("ExtenSpy", "node1-17.2,quwES", True),
    ],
)
def test_which_listeners_do_no_harm(app: str, data: str, seen: bool) -> None:
    """One whose agent's leg is gone may hear anybody next: it is seen."""
    rows = [ROW.format(bridge=""), BROWSER, SPY.format(app=app, data=data)]
    assert bool(dangers.spies("\n".join(rows))) is seen


def test_a_row_that_hides_what_a_channel_does_is_not_passed_over() -> None:
    hidden = ROW.format(bridge="").replace("!s!", "!s!s!")
    with pytest.raises(ValueError, match="not understood"):
        dangers.spies(hidden)


@pytest.mark.parametrize(
    ("channel", "bridge", "why"),
    [("PJSIP/carrier-1", "", ""), ("PJSIP/carrier-1", "b-1", "conference"), ("x", "", "not among")],
)
def test_a_channel_is_alone_or_it_is_told_why_not(channel: str, bridge: str, why: str) -> None:
    found = dangers.in_company(channel, ROW.format(bridge=bridge))
    assert why in found and bool(found) is bool(why)


@pytest.mark.parametrize("events", ["ALL", "DTMF,HANGUP"])
def test_call_events_with_keys(place: Place, events: str) -> None:
    change = ("enable = no", f"enable = yes\nevents = {events}\n")
    with place.with_config("cel.conf", change, "module reload cel"):
        says(place.guard.check(), "call event", "cel.conf")


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ("read = all\nwrite =", "reads agi,all,dtmf"),
        ("read = call,dtmf\nwrite =", "reads dtmf"),
        ("read = agi\nwrite =", "reads agi"),
        ("read =\nwrite = command", "write command"),
        ("read =\nwrite = all", "command,config,system"),
        ("read =\nwrite = system", "write system"),
    ],
)
def test_an_ami_user_who_hears_or_traces(place: Place, rights: str, words: str) -> None:
    user = f"\n[other]\nsecret = x\n{rights}\n"
    with place.with_config("manager.conf", ("", user), "manager reload"):
        says(place.guard.check(), "AMI user other", words)


def test_an_ami_session_that_has_kept_its_rights(place: Place) -> None:
    user = "\n[other]\nsecret = x\nread = dtmf\nwrite =\n"
    with socket.socket() as session:
        with place.with_config("manager.conf", ("", user), "manager reload"):
            session.connect(("127.0.0.1", place.line.settings.ami_port))
            session.sendall(b"Action: Login\r\nUsername: other\r\nSecret: x\r\n\r\n")
            told = b""
            while b"accepted" not in told:
                told += session.recv(4096)
        says(place.guard.check(), "session", "other", "dtmf")
        session.sendall(b"Action: Logoff\r\n\r\n")
        while session.recv(4096):
            pass


def test_the_payment_process_that_would_hear_events(place: Place) -> None:
    with place.with_config("manager.conf", ("read =\n", "read = call\n"), "manager reload"):
        says(place.guard.check(), "dialer-payments", "reads events")


def test_events_of_agi_that_are_made(place: Place) -> None:
    with place.with_config("manager.conf", ("AGIExecEnd,", ""), "manager reload"):
        says(place.guard.check(), "AGIExecEnd", "disabledevents")


def test_ami_beyond_this_machine(place: Place) -> None:
    change = ("bindaddr = 127.0.0.1", "bindaddr = 0.0.0.0")
    with place.with_config("manager.conf", change, "manager reload"):
        says(place.guard.check(), "0.0.0.0", "bindaddr")


def test_a_dialplan_that_keeps_keys(place: Place) -> None:
    change = ("", "\n[more]\nexten => s,1,Read(number,,16)\n")
    with place.with_config("extensions.conf", change, "dialplan reload"):
        says(place.guard.check(), "Read", "dialplan")


def test_agi_that_leaves_the_machine(place: Place) -> None:
    guard = Guard(place.line.settings.model_copy(update={"agi_host": "192.0.2.7"}))
    says(guard.check(), "192.0.2.7", "unencrypted")
    guard.close()


def test_an_asterisk_that_cannot_be_asked(place: Place, tmp_path: Path) -> None:
    settings = place.line.settings
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        says(Guard(settings.model_copy(update={"ami_port": port})).check(), "not answer in time")
    says(Guard(settings.model_copy(update={"ami_port": port})).check(), "is not there")
    stranger = settings.model_copy(update={"home": tmp_path})
    says(Guard(stranger).check(), "refuses the login")


def test_many_threads_ask_at_once(place: Place) -> None:
    answers: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(place.guard.check())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [[]] * 8


# --- recordings ------------------------------------------------------------------------------


# Some carriers send each key twice, as an event and as a tone, which the recording keeps. (Where
# Asterisk listens for tones itself it takes them out of the speech.)


def hear(agi: Agi, keys: int) -> None:
    """Take so many keys; what was pressed is in the line's sound."""
    for _ in range(keys):
        assert agi.wait_for_digit(5)


def recordings(place: Place) -> list[Path]:
    return sorted((place.line.instance.folder / "spool/recordings").glob("*.wav"))


def test_a_muted_recording_has_no_key_and_one_that_is_not_has_all(
    place: Place, tmp_path: Path
) -> None:
    number = number_to_dial("b", 80, 40, 1500, CARD)
    second = tmp_path / "second.wav"

    def muted(agi: Agi) -> str:
        agi.appexec("MixMonitor", f"{second},r({tmp_path}/in.wav)t({tmp_path}/out.wav)")
        assert place.guard.mute(agi.env["agi_channel"]) == 2
        hear(agi, len(CARD))
        assert place.guard.unmute(agi.env["agi_channel"]) == 2
        return agi.attempt_id

    def heard(agi: Agi) -> str:
        hear(agi, len(CARD))
        return agi.attempt_id

    silent = place.line.ring([number], muted, record=True)[0]
    loud = place.line.ring([number], heard, record=True)[0]
    place.line.wait_for_silence()
    folder = place.line.instance.folder / "spool/recordings"
    assert keys_in(folder / f"{loud}.wav") == CARD
    for path in (folder / f"{silent}.wav", second, tmp_path / "in.wav", tmp_path / "out.wav"):
        assert path.stat().st_size > 16_000, "a second of sound at least"
        assert keys_in(path) == ""


def test_after_the_mute_the_recording_goes_on(place: Place) -> None:
    def session(agi: Agi) -> str:
        place.guard.mute(agi.env["agi_channel"])
        hear(agi, 2)
        place.guard.unmute(agi.env["agi_channel"])
        hear(agi, 2)
        return agi.attempt_id

    call = place.line.ring([number_to_dial("b", 80, 40, 1000, "12www34")], session, record=True)[0]
    place.line.wait_for_silence()
    assert keys_in(place.line.instance.folder / f"spool/recordings/{call}.wav") == "34"


def test_a_call_without_a_recording_is_known_to_have_none(place: Place) -> None:
    before = recordings(place)
    number = number_to_dial("r", 80, 40, 0, "1")
    assert place.line.ring([number], lambda agi: place.guard.mute(agi.env["agi_channel"])) == [0]
    assert recordings(place) == before


def test_a_mute_that_is_not_certain_is_none(place: Place) -> None:
    with pytest.raises(MuteFailed, match="does not list"):
        place.guard.mute("PJSIP/gone-00000000")
    lonely = Guard(place.line.settings.model_copy(update={"ami_port": 1}))
    with pytest.raises(MuteFailed, match="is not there"):
        lonely.mute("PJSIP/gone-00000000")


# --- doctor ----------------------------------------------------------------------------------


def test_the_doctor_says_whether_cards_are_safe(place: Place) -> None:
    subject = Subject(place.line.settings, place.rx)
    found = checks.cards(subject)
    assert (found.status, found.mend) == (Status.OK, "")
    place.rx("logger add channel keys.log dtmf")
    try:
        found = checks.cards(subject)
    finally:
        place.rx("logger remove channel keys.log")
    assert found.status is Status.FAULT
    assert "DTMF" in found.message and re.search("link", found.mend)


def test_a_restarted_asterisk_is_asked_again(place: Place) -> None:
    place.line.instance.stop()
    says(place.guard.check(), "is not there")
    place.line.instance.start()
