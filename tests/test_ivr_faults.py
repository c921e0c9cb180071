"""What goes wrong ends one call politely, and never the server."""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures_ivr import WAIT, Asterisk, Ended, Office, in_threads, office
from flows import FLOWS
from prometheus_client import REGISTRY
from sqlalchemy import Engine

from agi_scripts import wire
from agi_scripts.database import open_for_calls
from agi_scripts.run import checks
from agi_scripts.server import AgiServer, IvrError
from agi_scripts.sounds import Sounds
from agi_scripts.wire import Agi
from dialer.flow.prompts import company_fragment
from dialer.store import tables as t
from dialer.store.db import migrate, open_database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'dialer.db'}"
    migrate(url)
    engine = open_database(url)
    yield engine
    engine.dispose()


@pytest.fixture
def desk(engine: Engine, tmp_path: Path, ivr_sounds: Path) -> Iterator[Office]:
    with office(engine, tmp_path, ivr_sounds) as one:
        yield one


def _connection(desk: Office) -> socket.socket:
    return socket.create_connection(("127.0.0.1", desk.server.port), timeout=WAIT)


def _is_closed(sock: socket.socket) -> bool:
    """Waits for the far end to close; False where it speaks instead."""
    with contextlib.suppress(ConnectionError):
        return sock.recv(100) == b""
    return True


def _ended(how: str) -> float:
    return REGISTRY.get_sample_value("dialer_ivr_connections_total", {"ended": how}) or 0.0


def _serves(desk: Office) -> None:
    """The proof that the server lives: a whole call."""
    call = desk.dial(desk.call(), answers="1 5678 0").run()
    assert call.outcomes == ["wants_agent"]


# --- those who are not Asterisk ---------------------------------------------------------------


def test_a_port_scan_closes_only_itself(desk: Office) -> None:
    before = _ended("garbage")
    for _ in range(20):
        _connection(desk).close()
    with _connection(desk) as reset:
        reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _serves(desk)
    desk.settle()
    assert _ended("garbage") == before + 21


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\n",
        b"agi_network: yes\n\n",
        b"agi_request\n\n",
        b"\n",
        b"agi_x: y\n" * 200,
        b"a" * 10_000,
        b"agi_\xff\xfe\n",
    ],
)
def test_garbage_closes_only_itself(desk: Office, bytes_sent: bytes) -> None:
    with _connection(desk) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(bytes_sent)
        assert _is_closed(sock)
    _serves(desk)


def test_a_connection_that_says_little_for_long_is_cut_off(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "GREETING_SECONDS", 0.3)
    with _connection(desk) as silent, _connection(desk) as slow:
        slow.sendall(b"agi_network: yes\nagi_")
        _serves(desk)  # while the two hang
        assert _is_closed(silent)
        assert _is_closed(slow)


def test_more_sessions_than_there_is_room_for_are_refused(
    engine: Engine, tmp_path: Path, ivr_sounds: Path
) -> None:
    with office(engine, tmp_path, ivr_sounds) as desk:
        ivr = desk.ivr
        with AgiServer(ivr, "127.0.0.1", 0, most_sessions=1) as small:
            first = Asterisk(small.port, desk.call(), answers="2")
            first.greet()
            assert "UserEvent" in first.serve_one()
            with socket.create_connection(("127.0.0.1", small.port), timeout=WAIT) as second:
                assert _is_closed(second)
            with contextlib.suppress(Ended):
                while True:
                    first.serve_one()
            assert first.outcomes == ["wrong_person"]
            first.close()
            assert small.wait_idle(WAIT)
            with Asterisk(small.port, desk.call(), answers="2") as third:
                assert third.run().outcomes == ["wrong_person"]


# --- calls that cannot go on ------------------------------------------------------------------


def _neutral(call: Asterisk) -> bool:
    return call.played == ["es/neutral_goodbye"] and not call.events


def test_a_call_that_is_not_ours(desk: Office) -> None:
    assert _neutral(desk.dial("0" * 32).run())
    assert _neutral(desk.dial("").run())
    _serves(desk)


def test_a_script_that_is_not_there(desk: Office) -> None:
    assert _neutral(desk.dial(desk.call(), script="../etc/passwd").run())


def test_the_goodbye_is_in_the_campaigns_language(desk: Office) -> None:
    call = desk.dial("0" * 32, language="en").run()
    assert call.played == ["en/neutral_goodbye"]
    call = desk.dial("0" * 32, language="").run()
    assert call.played == ["es/neutral_goodbye"]


def test_a_database_that_is_gone(engine: Engine, tmp_path: Path, ivr_sounds: Path) -> None:
    with office(engine, tmp_path, ivr_sounds) as desk:
        attempt = desk.call()
        with engine.begin() as c:
            c.exec_driver_sql("ALTER TABLE attempt RENAME TO gone")
        assert _neutral(desk.dial(attempt).run())
        with engine.begin() as c:
            c.exec_driver_sql("ALTER TABLE gone RENAME TO attempt")
        _serves(desk)


def test_a_database_that_goes_in_mid_call(desk: Office) -> None:
    """What could not be written down is neither told nor confirmed."""
    attempt = desk.call()

    def go(command: str) -> None:
        if "GET DATA" in command:
            with desk.engine.begin() as c:
                c.exec_driver_sql("DROP TABLE IF EXISTS flow_outcome")

    call = desk.dial(attempt, answers="9", before_answer=go).run()
    assert call.played[-1] == "es/neutral_goodbye"
    assert "opted_out" not in call.prompts
    assert call.outcomes == []
    assert desk.world.rows(t.suppression) == []


def test_a_sound_that_was_never_rendered(engine: Engine, tmp_path: Path, ivr_sounds: Path) -> None:
    poor = tmp_path / "poor"
    shutil.copytree(ivr_sounds, poor)
    (poor / "es" / "disclosure-1.ulaw").unlink()
    with office(engine, tmp_path, poor) as desk:
        call = desk.dial(desk.call(), answers="1 5678").run()
        assert call.played[-2:] == ["es/ask_document+3", "es/neutral_goodbye"]
        assert call.outcomes == []
        english = desk.dial(desk.call(language="en"), answers="1 5678 0").run()
        assert english.outcomes == ["wants_agent"]
        report = checks(desk.ivr)["prompts"]()
        assert report is not None
        assert report.startswith("1 prompts have no sound (es/disclosure-1)")


def test_a_company_whose_name_was_never_rendered_is_told(desk: Office) -> None:
    with desk.engine.begin() as c:
        c.execute(t.company.update().values(spoken_name="Another Bank"))
    report = checks(desk.ivr)["prompts"]()
    assert report is not None
    assert company_fragment("Another Bank").key in report


def test_silence_that_cannot_be_written_is_left_out(
    engine: Engine, tmp_path: Path, ivr_sounds: Path
) -> None:
    full = tmp_path / "full"
    shutil.copytree(ivr_sounds, full, ignore=shutil.ignore_patterns(".with-silence"))
    (full / ".with-silence").write_text("a file where the folder should be", encoding="utf-8")
    with office(engine, tmp_path, full) as desk:
        _serves(desk)


def test_without_any_sound_the_call_ends_in_silence(engine: Engine, tmp_path: Path) -> None:
    with office(engine, tmp_path, tmp_path / "nothing") as desk:
        for _ in range(2):
            assert desk.dial(desk.call()).run().played == []


def test_a_fault_of_our_own_ends_one_call(desk: Office) -> None:
    def broken(_agi: Agi, _ivr: object) -> None:
        raise ZeroDivisionError

    with AgiServer(desk.ivr, "127.0.0.1", 0, entries={"flow": broken}) as server:
        call = Asterisk(server.port, desk.call()).run()
        assert call.played == ["es/neutral_goodbye"]
        assert Asterisk(server.port, desk.call()).run().played == ["es/neutral_goodbye"]


def test_an_asterisk_that_stops_answering_is_given_up(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.3)
    call = desk.dial(desk.call())
    call.greet()
    desk.settle()
    call.close()


@pytest.mark.parametrize(
    "answer",
    ["520-Invalid command syntax.  Proper usage follows:\nUsage: X\n520 End of proper usage.\n",
     "510 Invalid or unknown command\n", "200 nonsense\n", "999 what\n"],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_ends_one_call(desk: Office, answer: str) -> None:
    call = desk.dial(desk.call())
    call.greet()
    call._file.readline()
    call._send(answer)
    with contextlib.suppress(Ended):
        while True:
            call.serve_one()
    assert call.played == ["es/neutral_goodbye"]
    call.close()


# --- flows with a hole ------------------------------------------------------------------------


@pytest.fixture
def own_flows(tmp_path: Path) -> Path:
    folder = tmp_path / "flows"
    shutil.copytree(FLOWS, folder)
    return folder


def _make_hole(folder: Path) -> None:
    path = folder / "reminder.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("keys: {1: identity,", "keys: {1: disclosure,"), encoding="utf-8")


def test_a_flow_with_a_hole_is_refused_and_the_others_go_on(
    engine: Engine, tmp_path: Path, ivr_sounds: Path, own_flows: Path
) -> None:
    _make_hole(own_flows)
    with office(engine, tmp_path, ivr_sounds, flows_dir=own_flows) as desk:
        assert _neutral(desk.dial(desk.call(), answers="1").run())
        other = desk.dial(desk.call(flow="second_try"), answers="1 5678 0").run()
        assert other.outcomes == ["callback"]
        why = checks(desk.ivr)["flows"]()
        assert why is not None
        assert "reminder: node disclosure" in why


def test_a_flow_changed_into_something_wrong_goes_on_as_it_was(
    engine: Engine, tmp_path: Path, ivr_sounds: Path, own_flows: Path
) -> None:
    with office(engine, tmp_path, ivr_sounds, flows_dir=own_flows) as desk:
        _serves(desk)
        assert checks(desk.ivr)["flows"]() is None
        _make_hole(own_flows)
        _serves(desk)
        assert checks(desk.ivr)["flows"]() is not None


def test_a_flow_that_was_changed_is_read_again(
    engine: Engine, tmp_path: Path, ivr_sounds: Path, own_flows: Path
) -> None:
    with office(engine, tmp_path, ivr_sounds, flows_dir=own_flows) as desk:
        _serves(desk)
        path = own_flows / "reminder.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("outcome: wants_agent", "outcome: callback"), encoding="utf-8")
        call = desk.dial(desk.call(), answers="1 5678 0").run()
        assert call.outcomes == ["callback"]


def test_a_flow_that_is_not_there(desk: Office) -> None:
    assert _neutral(desk.dial(desk.call(flow="nothing")).run())


# --- the process ------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_told(desk: Office) -> None:
    with pytest.raises(IvrError, match="DIALER_AGI_PORT"):
        AgiServer(desk.ivr, "127.0.0.1", desk.server.port)


def test_calls_going_on_may_finish_when_the_server_stops(
    engine: Engine, tmp_path: Path, ivr_sounds: Path
) -> None:
    with office(engine, tmp_path, ivr_sounds) as desk:
        server = AgiServer(desk.ivr, "127.0.0.1", 0)
        server.start()
        call = Asterisk(server.port, desk.call(), answers="2")
        call.greet()
        call.serve_one()
        closed: list[bool] = []
        closing = threading.Thread(target=lambda: closed.append(server.close(drain=WAIT)))
        closing.start()
        with contextlib.suppress(Ended):
            while True:
                call.serve_one()
        closing.join(WAIT)
        assert closed == [True]
        assert call.outcomes == ["wrong_person"]
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", server.port), timeout=WAIT)
        call.close()


def test_all_is_well_on_the_health_page(desk: Office) -> None:
    assert {name: check() for name, check in checks(desk.ivr).items()} == {
        "database": None, "flows": None, "prompts": None, "messages": None,
    }  # fmt: skip


def test_the_health_page_tells_of_a_database_that_is_gone(desk: Office) -> None:
    broken = open_for_calls("postgresql+psycopg://x:y@127.0.0.1:1/none")
    desk_checks = checks(
        type(desk.ivr)(
            desk.settings, broken, desk.ivr.shelf, Sounds(desk.settings.home), lambda _m: None
        )
    )
    said = desk_checks["database"]()
    assert said is not None
    assert "OperationalError" in said
    assert "connect_timeout=3" in str(broken.url)
    broken.dispose()


def test_numbers_of_the_ivr_move(desk: Office) -> None:
    def count(name: str) -> float:
        return REGISTRY.get_sample_value(f"{name}_count") or 0.0

    before = {
        name: count(name)
        for name in (
            "dialer_ivr_first_prompt_seconds",
            "dialer_ivr_turnaround_seconds",
            "dialer_ivr_effect_seconds",
        )
    }
    done = _ended("done")
    _serves(desk)
    desk.settle()
    after = {name: count(name) - value for name, value in before.items()}
    assert after["dialer_ivr_first_prompt_seconds"] == 1
    assert after["dialer_ivr_effect_seconds"] == 1
    assert after["dialer_ivr_turnaround_seconds"] > 10
    assert _ended("done") == done + 1


def test_scans_and_calls_at_once(desk: Office) -> None:
    attempts = [desk.call() for _ in range(10)]

    def one(index: int) -> None:
        if index % 2:
            _connection(desk).close()
            with _connection(desk) as sock, contextlib.suppress(ConnectionError):
                sock.sendall(b"\x00" * 5000)
        else:
            call = desk.dial(attempts[index // 2], answers="1 5678 0").run()
            assert call.outcomes == ["wants_agent"]

    in_threads(20, one)
