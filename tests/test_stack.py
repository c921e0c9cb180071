"""The stack of one machine: settings that reach the children, ports, components, the demo."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dialer.config import ROOT, Settings, load_settings
from dialer.local.ports import TCP, UDP, with_free_ports
from dialer.local.stack import (
    ACQUIRER,
    AGENTS,
    ALL,
    ASTERISK,
    CARRIER,
    ENGINE,
    PAYMENTS,
    REDIS,
    TWILIO,
    WEB,
    WORKER,
    Simulation,
    Stack,
    environment,
    health,
    what_is_missing,
)
from dialer.local.supervisor import ComponentFailed
from dialer.store.db import migrate


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation of its own on free ports, with an empty database."""
    for name in list(os.environ):
        if name.startswith(("DIALER_", "TWILIO_")) or name in ("DATABASE_URL", "REDIS_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DIALER_HOME", str(tmp_path / "home"))
    made = with_free_ports(load_settings())
    migrate(made.database)
    return made


def test_a_child_has_the_very_settings_of_its_parent(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: dict[str, Any] = {
        "trunk": "127.0.0.1:5999",
        "node": "node7",
        "database_url": f"sqlite:///{tmp_path}/other.db",
        "twilio_account_sid": "ACx",
        "lease_seconds": 3.5,
        "flows_dir": tmp_path / "flows",
        "log_level": "debug",
        "gateways": {"ES": "redsys", "*": "test"},
    }
    wanted = settings.model_copy(update=chosen)
    for name, value in environment(wanted).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert load_settings().model_dump() == wanted.model_dump()


def test_what_nobody_chose_is_taken_out_of_the_child_s_environment(settings: Settings) -> None:
    given = environment(settings)
    assert given["DIALER_TRUNK"] is None
    assert given["DATABASE_URL"] is None
    assert given["DIALER_HOME"] == str(settings.home)


def test_free_ports_differ_and_chosen_ones_stay(tmp_path: Path) -> None:
    made = with_free_ports(load_settings(home=tmp_path, web_port=8123, rtp_start=21000))
    ports = [getattr(made, name) for name in (*TCP, *UDP)]
    assert len(set(ports)) == len(ports)
    assert (made.web_port, made.rtp_start) == (8123, 21000)
    assert made.rtp_end == 24999, "a range is chosen as a whole or not at all"


def test_what_is_simulated_follows_from_what_is_given(settings: Settings) -> None:
    assert what_is_missing(settings) == Simulation(network=True, twilio=True)
    real = settings.model_copy(update={"trunk": "192.0.2.1:5060", "twilio_account_sid": "ACx"})
    assert what_is_missing(real) == Simulation(network=False, twilio=False)
    (settings.home / "trunks.yaml").write_text("trunks: []")
    assert what_is_missing(settings).network is False


def test_only_what_applies_is_run(settings: Settings) -> None:
    usual = [name for name in ALL if name not in (ACQUIRER, PAYMENTS, AGENTS)]
    assert Stack(settings).components == usual
    real = Stack(settings, Simulation(network=False, twilio=False)).components
    assert CARRIER not in real
    assert TWILIO not in real
    trunk = settings.model_copy(update={"trunk": "127.0.0.1:5999", "redis_url": "redis://x"})
    assert Stack(trunk).components == [name for name in usual if name not in (CARRIER, REDIS)]
    assert Stack(settings, only=[WORKER, ASTERISK]).components == [ASTERISK, WORKER]


def test_agents_come_last_and_on_demand(settings: Settings) -> None:
    staffed = Stack(settings, Simulation(network=True, twilio=True, agents=True))
    assert staffed.components[-2:] == [ENGINE, AGENTS]
    assert dict(staffed.addresses())[AGENTS].endswith(f":{settings.web_port}/api/v1/agent")


def test_cards_are_taken_where_a_gateway_is_named_or_simulated(settings: Settings) -> None:
    simulated = Stack(settings, Simulation(network=True, twilio=True, acquirer=True))
    assert simulated.components == [name for name in ALL if name != AGENTS]
    assert simulated.settings.gateways == {"*": "test"}
    base = f"http://127.0.0.1:{settings.acquirer_double_port}"
    assert simulated.settings.test_acquirer_api_base == base
    assert simulated.settings.stripe_api_base == f"{base}/stripe"
    named = settings.model_copy(update={"gateways": {"ES": "redsys"}})
    assert PAYMENTS in Stack(named).components
    assert ACQUIRER not in Stack(named).components
    both = Stack(named, Simulation(network=True, twilio=True, acquirer=True))
    assert both.settings.gateways == {"ES": "redsys"}
    given = settings.model_copy(update={"stripe_api_base": "http://127.0.0.1:1"})
    theirs = Stack(given, Simulation(network=True, twilio=True, acquirer=True)).settings
    assert theirs.stripe_api_base == "http://127.0.0.1:1"


def test_the_payment_process_runs_and_says_why_it_takes_no_card(settings: Settings) -> None:
    simulated = Simulation(network=True, twilio=True, acquirer=True)
    with Stack(settings, simulated, only=[ACQUIRER, PAYMENTS]) as stack:
        well, said = health("127.0.0.1", settings.payments_health_port, PAYMENTS)
        assert stack.settings.gateways == {"*": "test"}
    assert not well
    assert "cannot be asked" in said["checks"]["asterisk"]
    assert said["checks"]["hardened"] is None
    assert said["checks"]["gateways"] is None
    assert said["checks"]["sending"] is None


def test_a_taken_port_is_told_by_its_setting(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.web_port))
        taken.listen()
        with (
            pytest.raises(ComponentFailed, match=rf"{settings.web_port}.*DIALER_WEB_PORT"),
            Stack(settings, only=[WEB]),
        ):
            pass


def test_components_answer_and_come_back_after_being_killed(settings: Settings) -> None:
    with Stack(settings, only=[REDIS, TWILIO, WORKER, WEB]) as stack:
        assert health("127.0.0.1", settings.worker_health_port, "worker")[0]
        assert health("127.0.0.1", settings.web_port, "web")[0]
        assert not health("127.0.0.1", settings.web_port, "engine")[0]
        assert stack.settings.twilio_base == f"http://127.0.0.1:{settings.twilio_double_port}"
        stack.supervisor.signal(WEB, signal.SIGKILL)
        assert stack.supervisor.wait_for_restart(WEB)
    assert not health("127.0.0.1", settings.web_port, "web")[0]


def test_the_demo_comes_to_what_its_personas_say(tmp_path: Path) -> None:
    """The whole: real Asterisk twice, importer, IVR, engine, worker, webhooks, report."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DIALER_", "TWILIO_")) or name == "DIALER_CACHE"
    }
    env.pop("DATABASE_URL", None)
    env.pop("REDIS_URL", None)
    result = tmp_path / "result.json"
    names = ("hangs_up_then_listens", "hangs_up_always", "hasty_promiser", "busy_then_listens",
             "unallocated", "rejects")  # fmt: skip
    personas = [part for name in names for part in ("--persona", name)]
    done = subprocess.run(
        [sys.executable, "-m", "dialer", "--home", str(tmp_path / "home"), "demo", "--leads", "16",
         "--cps", "5", "--seed", "4", "--timeout", "90", "--json", str(result), *personas],
        cwd=ROOT, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(result.read_text())
    assert found["match"] is True
    assert found["observed"]["finals"] == found["expected"]["finals"]
    assert found["leads"] == found["report"]["leads"]["done"] == 16
    assert sum(found["dispositions"].values()) == found["attempts"]
    redial = found["fallbacks"]["redial"]
    assert redial["count"] == found["report"]["attempts"]["redials"] > 0
    assert redial["measured"] == redial["count"]
    assert redial["latency_ms"]["p50"] > 0
    assert found["fallbacks"]["sms"]["count"] > 0
    assert found["carrier"]["redials_measured"] == redial["count"]
    assert set(found["report"]["messages"]) == {"delivered"}
    assert "every one of 16 debtors came to what was expected" in done.stdout
