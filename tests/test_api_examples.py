"""The examples of docs/api.md, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from api_office import key
from console_world import AT, attempt, campaign, debtor, lead
from desk_web import Worker
from fixtures_site import Site
from sqlalchemy import select
from world import SPANISH

from dialer.store import tables as t
from dialer.store.holidays import days_off
from dialer.webhooks.signing import signature
from web.api import openapi
from web.api.registry import OPERATIONS

DOCS = Path(__file__).resolve().parent.parent / "docs" / "api.md"
_BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    """The examples, in the order of the page."""
    return [text for found, text in _BLOCK.findall(DOCS.read_text()) if found == kind]


@pytest.fixture
def served(site: Site) -> Iterator[Worker]:
    worker = Worker(site.settings, site.engine)
    yield worker
    worker.stop()


def environment(site: Site, served: Worker, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "DIALER": f"{served.url}/api/v1", "KEY": key(site, site.acme),
        "NO_PROXY": "*", **more,
    }  # fmt: skip


@pytest.mark.database("sqlite")
def test_the_python_of_the_page(site: Site, served: Worker) -> None:
    program = "\n".join(blocks("python"))
    assert program.count("api.post") + program.count("api.get") >= 6
    body, secret = b'{"id": "evt_1"}', "whsec_x"
    header = signature(secret, body, int(time.time()))
    program += f"\nassert ours({secret!r}, {body!r}, {header!r})"
    program += f"\nassert not ours('whsec_y', {body!r}, {header!r})"
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", program],
        env=environment(site, served), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with site.engine.connect() as c:
        row = c.execute(select(t.campaign)).one()
        assert (row.name, row.state) == ("recobro-noviembre", "stopped")
        assert c.scalar(select(t.account.c.reference)) == "R-1"


@pytest.mark.database("sqlite")
def test_the_shell_of_the_page(site: Site, served: Worker) -> None:
    today = days_off(None, "ES", datetime.now(UTC).date())  # else it takes a second person
    spanish = replace(SPANISH, holidays=today)
    june = campaign(site, site.acme, "june", state="draft", rules=spanish)
    one = lead(site, debtor(site), june)
    attempt(site, one, "a0", AT + timedelta(minutes=1))
    found = blocks("sh")
    assert len(found) == 5
    values = environment(site, served, CAMPAIGN=str(june))
    said = []
    for text in found:
        done = subprocess.run(
            ["sh", "-c", text], env=values, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        said.append(json.loads(done.stdout))
    pushed, started, live, results, stopped = said
    assert pushed["accepted"] == 1 and started["state"] == "running"
    assert live["leads"]["waiting"] == 2
    assert [call["id"] for call in results["items"]] == ["a0"]
    assert stopped["state"] == "stopped"


@pytest.mark.database("sqlite")
def test_the_description_is_served_to_all(site: Site, served: Worker) -> None:
    told = httpx.get(f"{served.url}/api/v1/openapi.json", trust_env=False)
    assert told.json()["openapi"] == "3.1.0"


def test_the_page_names_every_scope_and_status() -> None:
    page = DOCS.read_text()
    for one in OPERATIONS:
        assert f"`{one.scope.value}`" in page
    for status in openapi.REFUSALS:
        assert str(status) in page
