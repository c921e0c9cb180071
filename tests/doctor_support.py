"""What the tests of the doctor share: settings with free ports, and how a finding is read."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

from dialer.config import Settings
from dialer.local.checks.result import CheckResult, Status
from dialer.switch.portable import cache_folder


def free_ports(count: int) -> list[int]:
    """So many different ports that nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def settings_at(home: Path) -> Settings:
    """Settings of an installation of its own, with free ports."""
    names = (
        "sip_port",
        "ami_port",
        "agi_port",
        "carrier_sip_port",
        "web_port",
        "redis_port",
        "engine_health_port",
        "ivr_health_port",
        "worker_health_port",
    )
    values: dict[str, Any] = dict(zip(names, free_ports(len(names)), strict=True))
    return Settings(home=home, cache=cache_folder(), **values)


def tells(result: CheckResult, status: Status, *words: str) -> None:
    """The finding has this status and these words, and says what to do unless all is well."""
    assert result.status is status, result
    assert (result.status is Status.OK) == (result.mend == ""), "a fault says what to do"
    for word in words:
        assert word in result.message + " " + result.mend
