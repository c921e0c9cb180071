"""The authorities are read once for a process, not for each request."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from dialer.payments.gateways.http import exchange
from dialer.tls import trusted


def test_requests_share_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    before = ssl.create_default_context

    def counted(*args: Any, **more: Any) -> ssl.SSLContext:
        read.append(1)
        return before(*args, **more)

    trusted.cache_clear()
    monkeypatch.setattr(ssl, "create_default_context", counted)
    for _ in range(3):  # nobody listens there: the client is made all the same
        exchange("GET", "http://127.0.0.1:9/", seconds=1.0)
    assert len(read) == 1
    assert trusted().verify_mode is ssl.CERT_REQUIRED
    assert trusted().check_hostname
