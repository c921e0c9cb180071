"""``dialer flow`` and ``dialer ivr`` as people use them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fixtures_ivr import NOW, WAIT, Asterisk, Office, office
from fixtures_switch import free_port
from flows import FLOWS

from dialer.cli import run
from dialer.flow.errors import FlowError
from dialer.local.launch import make_campaign
from dialer.store import tables as t
from dialer.store.campaign_file import CampaignFile, RedialEntry, StepEntry
from dialer.store.db import migrate, open_database

ROOT = Path(__file__).parent.parent


@pytest.fixture
def own_flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "flows"
    shutil.copytree(FLOWS, folder)
    monkeypatch.setenv("DIALER_FLOWS_DIR", str(folder))
    monkeypatch.setenv("DIALER_HOME", str(tmp_path / "home"))
    return folder


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_list(own_flows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_flows / "broken.yaml").write_text("start: [", encoding="utf-8")
    assert run(["flow", "list", "--json"]) == 0
    found = {one["name"]: one for one in _json(capsys)}
    assert found["reminder"]["problems"] == 0
    assert found["reminder"]["languages"] == "es en"
    assert found["broken"]["problems"] == 1
    assert run(["flow", "list"]) == 0
    assert "Collections reminder" in capsys.readouterr().out


def test_check_says_what_is_wrong_and_fails(
    own_flows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["flow", "check"]) == 0
    assert "reminder: proven; 27 nodes" in capsys.readouterr().out
    path = own_flows / "reminder.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("keys: {1: identity,", "keys: {1: disclosure,"), encoding="utf-8")
    assert run(["flow", "check", "reminder"]) == 1
    said = capsys.readouterr().out
    assert "reminder: node disclosure: says disclosure without a proven identity" in said
    assert run(["flow", "check", "--json"]) == 1
    found = _json(capsys)
    assert found["second_try"] == []
    assert {"node", "proof", "what", "todo"} == set(found["reminder"][0])


def test_check_of_a_flow_that_is_not_there(
    own_flows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["flow", "check", "nothing"]) == 1
    assert "there are abandoned, inbound, machine, reminder, second_try" in capsys.readouterr().out


def test_an_empty_folder_of_flows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIALER_FLOWS_DIR", str(tmp_path))
    assert run(["flow", "check"]) == 1
    assert "DIALER_FLOWS_DIR" in capsys.readouterr().err


def test_show(own_flows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "reminder.svg"
    assert run(["flow", "show", "reminder", "--out", str(out), "--language", "en"]) == 0
    assert ET.parse(out).getroot().tag.endswith("svg")
    assert "press one" in out.read_text(encoding="utf-8")
    capsys.readouterr()
    assert run(["flow", "show", "machine", "--out", "-"]) == 0
    assert capsys.readouterr().out.startswith("<svg")
    assert run(["flow", "show", "reminder", "--out", str(tmp_path / "no" / "x.svg")]) == 1
    assert "give --out" in capsys.readouterr().err
    assert run(["flow", "show", "reminder", "--language", "fr", "--out", "-"]) == 2


def test_try_with_keys(own_flows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["flow", "try", "reminder", "--keys", "1 5678 2 1", "--amount", "21.21 PEN"]
    assert run(arguments) == 0
    said = capsys.readouterr().out
    assert "veintiún soles con veintiún céntimos" in said
    assert "concludes promise at promise_3_days" in said
    assert run([*arguments, "--language", "en", "--json"]) == 0
    assert any("twenty-one" in one for one in _json(capsys)["transcript"])
    assert run(["flow", "try", "reminder", "--keys", "2 2"]) == 1
    assert "over before" in capsys.readouterr().err
    assert run(["flow", "try", "reminder", "--amount", "1.234 EUR"]) == 2
    assert run(["flow", "try", "reminder", "--amount", "1 XXX"]) == 2


def test_try_on_a_landline_and_by_name(own_flows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["flow", "try", "reminder", "--keys", "1 5678 3 x", "--landline", "--name", "Eva"]
    assert run(arguments) == 0
    said = capsys.readouterr().out
    assert "says greeting_named" in said
    assert "says no_sms" in said
    assert "concludes incomplete" in said


def test_try_with_a_card(own_flows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["flow", "try", "reminder", "--cards", "--keys"]
    assert run([*arguments, "1 5678 1 =success"]) == 0
    out = capsys.readouterr().out
    assert "takes a payment at pay: charge whole or part or instalment" in out
    assert "concludes paid at pay" in out
    assert run([*arguments, "1 5678 1 4000"]) == 1
    assert "a payment is under way at pay: answer what becomes of it" in capsys.readouterr().err
    assert run([*arguments, "1 5678 1 =sucess"]) == 1
    assert "'=sucess' is no result of a payment: use one of success" in capsys.readouterr().err


def test_try_at_the_keyboard(own_flows: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dialer", "flow", "try", "reminder", "--language", "en"],
        input="what\n1\n5678\n0\n", capture_output=True, text=True, cwd=ROOT, timeout=60,
        check=True,
    )  # fmt: skip
    assert "'what' is no answer" in done.stdout
    assert "concludes wants_agent at agent" in done.stdout


def test_a_campaign_with_a_flow_that_has_a_hole_is_refused(desk: Office, own_flows: Path) -> None:
    settings = desk.settings.model_copy(update={"flows_dir": own_flows})
    wanted = CampaignFile(name="june", flow="second_try", caller_ids=("+34910000009",))

    def make(wanted: CampaignFile) -> int:
        with desk.engine.begin() as connection:
            return make_campaign(connection, settings, wanted, "tester", NOW)[0]

    assert make(wanted) > 0
    path = own_flows / "second_try.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("keys: {1: identity,", "keys: {1: disclosure,"), encoding="utf-8")
    with pytest.raises(FlowError, match="second_try: node disclosure: says disclosure without"):
        make(wanted.model_copy(update={"name": "july"}))
    redial = StepEntry(redial=RedialEntry(flow="second_try"))
    steps = {"name": "august", "flow": "reminder", "fallback": (redial,)}
    with pytest.raises(FlowError, match="second_try"):
        make(wanted.model_copy(update=steps))
    assert [row.name for row in desk.world.rows(t.campaign)] == ["test", "june"]


# --- the process ------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path, ivr_sounds: Path) -> Iterator[Office]:
    """Rows for the process; its own server is not asked."""
    home = tmp_path / "home"
    url = f"sqlite:///{home / 'dialer.db'}"
    migrate(url)
    engine = open_database(url)
    shutil.copytree(ivr_sounds, home / "prompts")
    with office(engine, home, home / "prompts") as one:
        yield one
    engine.dispose()


def _health(port: int) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            return dict(json.load(error))
    except OSError:
        return None


def test_the_ivr_serves_calls_until_it_is_told_to_stop(desk: Office) -> None:
    port, health = free_port(), free_port()
    environment = os.environ | {
        "DIALER_HOME": str(desk.settings.home),
        "DIALER_AGI_PORT": str(port),
        "DIALER_IVR_HEALTH_PORT": str(health),
        "REDIS_URL": "redis://127.0.0.1:1/0",  # nobody is there: the message waits for a sweep
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "dialer", "ivr"], cwd=ROOT, env=environment, text=True,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        end = time.monotonic() + 100
        while not ((said := _health(health)) and said["ok"]):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, said
            time.sleep(0.05)
        call = _when_listening(port, desk.call()).run()
        assert call.outcomes == ["link_sent"]
        assert call.prompts[-1] == "link_sent"
        with urllib.request.urlopen(f"http://127.0.0.1:{health}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
        assert "dialer_ivr_first_prompt_seconds_count 1.0" in metrics
        assert 'dialer_ivr_connections_total{ended="done"} 1.0' in metrics
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=WAIT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, log
    assert "ivr stopped" in log
    (row,) = desk.world.rows(t.attempt, id=call.attempt_id)
    assert row.number not in log
    assert "5678" not in log


def _when_listening(port: int, attempt: str) -> Asterisk:
    end = time.monotonic() + WAIT
    while True:
        try:
            return Asterisk(port, attempt, answers="1 5678 3")
        except ConnectionRefusedError:
            assert time.monotonic() < end


def test_without_a_database_the_ivr_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIALER_HOME", str(tmp_path / "new"))
    assert run(["ivr"]) == 2
    assert "dialer init" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(
    desk: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIALER_HOME", str(desk.settings.home))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("DIALER_AGI_PORT", str(taken.getsockname()[1]))
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        try:
            assert run(["ivr"]) == 1
        finally:
            signal.signal(signal.SIGTERM, before[0])
            signal.signal(signal.SIGINT, before[1])
    assert "DIALER_AGI_PORT" in capsys.readouterr().err


def test_a_person_is_there_or_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flow", "try", "reminder", "--agents", "--keys", "1 5678 0 =agent"]) == 0
    assert "asks for a person at agent: menu" in capsys.readouterr().out
    assert run(["flow", "try", "reminder", "--agents", "--keys", "1 5678 0 =nobody"]) == 0
    assert "concludes wants_agent at agent" in capsys.readouterr().out
    assert run(["flow", "try", "reminder", "--agents", "--keys", "1 5678 0 1"]) == 1
    assert "answer whether one works" in capsys.readouterr().err
    assert run(["flow", "try", "reminder", "--keys", "1 5678 0"]) == 0
    assert "asks for a person" not in capsys.readouterr().out
