"""Accounts for simulated agents: rows and tokens in an installation's database, telephones on the
simulated network."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from dialer.config import Settings
from dialer.simulation.agents_double import Person
from dialer.simulation.phones import phone_address
from dialer.store import agents
from dialer.store.agents import AgentChanges
from dialer.store.companies import NotPossible

ACTOR = "agents-double"
LANGUAGES = ("es", "en")


def make_people(  # noqa: PLR0913 - what an account is made of
    connection: Connection,
    settings: Settings,
    company_id: int,
    count: int,
    now: datetime,
    *,
    telephone: str = "agent",
) -> list[Person]:
    """``count`` agents of a company, each with a fresh token, called ``c<company>-agent01`` and so
    on; those that are there already are taken. ``telephone``: the kind, see ``phones``. Raises
    NotPossible."""
    people = []
    for number in range(1, count + 1):
        login, user = f"c{company_id}-agent{number:02d}", f"{telephone}{number:02d}"
        changes: AgentChanges = {
            "name": f"Agent {number}",
            "languages": LANGUAGES,
            "station": phone_address(settings, user),
        }
        try:
            made = agents.agent_by_login(connection, login).id
            agents.update_agent(connection, made, {**changes, "active": True}, ACTOR, now)
        except NotPossible:
            made = agents.create_agent(connection, company_id, login, changes, ACTOR, now)
        people.append(Person(made, login, agents.new_token(connection, made, ACTOR, now)))
    return people


def save_people(people: Sequence[Person], path: Path) -> None:
    """Write their tokens to a file that only this user reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump([asdict(one) for one in people], out)


def load_people(path: Path) -> list[Person]:
    """Read it. Raises OSError, ValueError."""
    return [Person(**one) for one in json.loads(path.read_text())]
