"""The health page over real HTTP."""

from __future__ import annotations

import threading

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter

from dialer.health import HealthError, serve_health


def _url(port: int, path: str) -> str:
    return f"http://127.0.0.1:{port}{path}"


def test_all_well() -> None:
    with serve_health(0, "worker", {"database": lambda: None}) as health:
        answer = requests.get(_url(health.port, "/health"), timeout=5)
    assert answer.status_code == 200
    assert answer.json() == {"name": "worker", "ok": True, "checks": {"database": None}}


def test_one_check_unwell_is_503_and_an_exception_shows_its_class_only() -> None:
    def broken() -> str | None:
        raise ValueError("Ana +34600123456")

    checks = {"redis": lambda: "no answer", "database": broken, "disk": lambda: None}
    with serve_health(0, "worker", checks) as health:
        answer = requests.get(_url(health.port, "/health"), timeout=5)
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "redis": "no answer",
        "database": "ValueError",
        "disk": None,
    }


def test_a_hanging_check_is_reported_and_not_started_twice() -> None:
    free = threading.Event()
    begun: list[int] = []

    def hangs() -> str | None:
        begun.append(1)
        free.wait(30)
        return None

    with serve_health(0, "x", {"slow": hangs, "fast": lambda: None}, check_seconds=0.05) as health:
        for _ in range(2):
            answer = requests.get(_url(health.port, "/health"), timeout=5)
            assert answer.status_code == 503
            assert answer.json()["checks"] == {"slow": "did not answer within 0.05 s", "fast": None}
        assert begun == [1]
        free.set()
        # From the first question after it came back the check is asked afresh.
        while requests.get(_url(health.port, "/health"), timeout=5).status_code != 200:
            pass
    assert len(begun) >= 2


def test_metrics_of_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("made", "Things made.", registry=registry).inc(3)
    with serve_health(0, "x", {}, registry=registry) as health:
        text = requests.get(_url(health.port, "/metrics"), timeout=5).text
        missing = requests.get(_url(health.port, "/other"), timeout=5)
    assert "made_total 3.0" in text
    assert missing.status_code == 404


def test_a_taken_port_says_so() -> None:
    with serve_health(0, "x", {}) as first, pytest.raises(HealthError, match=str(first.port)):
        serve_health(first.port, "y", {})
