"""What all tests share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

pytest_plugins = [
    "fixtures_db",
    "fixtures_ivr",
    "fixtures_messaging",
    "fixtures_bank",
    "fixtures_stack",
    "fixtures_agents",
    "fixtures_switch",
    "fixtures_payments",
    "fixtures_site",
    "fixtures_refunds",
]


@pytest.fixture(autouse=True)
def _root_as_before() -> Iterator[None]:
    """A command that sets logging up does so for its own test: the next one has another stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
