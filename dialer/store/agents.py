"""Agents: who they are, and their tokens. Changed by people, with an audit row each, without names.

What they do at their desks is in ``dialer.store.agent_sessions``.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import Connection, Row, insert, select, update

from dialer.domain.said import of_error
from dialer.store import audit
from dialer.store.companies import NotPossible
from dialer.store.countries import parse_caller_id
from dialer.store.refusals import WhyNobody
from dialer.store.tables import agent, company

BROWSER = "browser"
TOKEN_BYTES = 32

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_SKILL = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_LANGUAGE = re.compile(r"[a-z]{2}")
_SIP = re.compile(r"sip:[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,120}(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Agent:
    """``station``: ``browser``, ``sip:...`` or a number in E.164. ``wrap_seconds``: None leaves it
    to the campaign. ``has_token``: whether one may log in by it (the token itself is nowhere)."""

    id: int
    company_id: int
    company: str
    login: str
    name: str
    skills: tuple[str, ...]
    languages: tuple[str, ...]
    station: str
    ringing: bool
    wrap_seconds: float | None
    active: bool
    has_token: bool


class AgentChanges(TypedDict, total=False):
    """What of an agent may be changed; what is left out stays as it is."""

    name: str
    skills: Collection[str]
    languages: Collection[str]
    station: str
    ringing: bool
    wrap_seconds: float | None
    active: bool


def create_agent(
    connection: Connection,
    company_id: int,
    login: str,
    changes: AgentChanges,
    actor: str,
    now: datetime,
) -> int:
    """Make an agent; the id. ``changes``: what differs from an agent named like the login, with a
    browser, without skills (who takes what asks for none). Raises NotPossible."""
    if not _LOGIN.fullmatch(login):
        raise NotPossible(WhyNobody.LIKE_A_LOGIN.say(login=login))
    if connection.execute(select(agent.c.id).where(agent.c.login == login)).first():
        raise NotPossible(WhyNobody.AGENT_TAKEN.say(login=login))
    values = {
        "name": login,
        "skills": [],
        "languages": [],
        "station": BROWSER,
        "ringing": False,
        "wrap_seconds": None,
        "active": True,
        **_checked(connection, company_id, changes),
    }
    made: int = connection.execute(
        insert(agent)
        .values(company_id=company_id, login=login, created_at=now, **values)
        .returning(agent.c.id)
    ).scalar_one()
    _audit(connection, "agent.create", made, actor, now, None, values)
    return made


def update_agent(
    connection: Connection, agent_id: int, changes: AgentChanges, actor: str, now: datetime
) -> None:
    """Change an agent. Who is no longer active has no token any more and cannot log in; a session
    that is open ends by itself, for its desk is refused. Raises NotPossible."""
    before = connection.execute(select(agent).where(agent.c.id == agent_id)).first()
    if before is None:
        raise NotPossible(WhyNobody.NO_AGENT_ID.say(id=agent_id))
    values = _checked(connection, before.company_id, changes)
    if not values:
        return
    more = {"token_hash": None} if values.get("active") is False else {}
    connection.execute(update(agent).where(agent.c.id == agent_id).values(**values, **more))
    old = {key: before._mapping[key] for key in values}
    _audit(connection, "agent.change", agent_id, actor, now, old, values)


def list_agents(
    connection: Connection, *, company_id: int | None = None, active_only: bool = False
) -> list[Agent]:
    """The agents, of one company or of all, by login."""
    query = _AGENTS.order_by(agent.c.login)
    if company_id is not None:
        query = query.where(agent.c.company_id == company_id)
    if active_only:
        query = query.where(agent.c.active)
    return [_agent(row) for row in connection.execute(query)]


def load_agent(connection: Connection, agent_id: int) -> Agent | None:
    """The agent, None where there is none."""
    row = connection.execute(_AGENTS.where(agent.c.id == agent_id)).first()
    return None if row is None else _agent(row)


def agent_by_login(connection: Connection, login: str) -> Agent:
    """The agent of that login. Raises NotPossible."""
    row = connection.execute(_AGENTS.where(agent.c.login == login)).first()
    if row is None:
        raise NotPossible(WhyNobody.NO_AGENT.say(login=login))
    return _agent(row)


def new_token(connection: Connection, agent_id: int, actor: str, now: datetime) -> str:
    """A token to log in with, told this once: only its hash is kept. The one before is void.

    Raises NotPossible where there is no such agent, or where they are not active.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    changed = connection.execute(
        update(agent).where(agent.c.id == agent_id, agent.c.active).values(token_hash=_hash(token))
    )
    if changed.rowcount != 1:
        raise NotPossible(WhyNobody.AGENT_AWAY.say())
    _audit(connection, "agent.token", agent_id, actor, now, None, None)
    return token


def agent_by_token(connection: Connection, token: str) -> Agent | None:
    """The active agent whose token this is."""
    hashed = _hash(token)
    row = connection.execute(
        _AGENTS.where(agent.c.token_hash == hashed, agent.c.active)
    ).one_or_none()
    # Found by the index of its hash: what an attacker could time is no part of the token.
    if row is None or not hmac.compare_digest(row.token_hash, hashed):
        return None
    return _agent(row)


def parse_station(text: str, country: str) -> str:
    """``browser``, a SIP address, or a number in E.164 (national writing is read as the country's).

    It ends up in a dial string, so nothing else is let in. Raises NotPossible.
    """
    text = text.strip()
    if text == BROWSER or _SIP.fullmatch(text):
        return text
    if text.lower().startswith("sip"):
        raise NotPossible(WhyNobody.LIKE_A_SIP.say(station=text))
    try:
        return parse_caller_id(text, country)
    except ValueError as error:
        raise NotPossible(WhyNobody.STATION.say(why=of_error(error))) from error


def _checked(connection: Connection, company_id: int, changes: AgentChanges) -> dict[str, Any]:
    """The values for the row. Raises NotPossible for the first that is none."""
    values: dict[str, Any] = dict(changes)
    for key, pattern, like in (("skills", _SKILL, "payments"), ("languages", _LANGUAGE, "es")):
        if key in values:
            wrong = [one for one in values[key] if not pattern.fullmatch(one)]
            if wrong:
                raise NotPossible(WhyNobody.LIKE.say(key=key, like=like, wrong=", ".join(wrong)))
            values[key] = list(dict.fromkeys(values[key]))
    if "name" in values and not 0 < len(values["name"].strip()) <= 200:
        raise NotPossible(WhyNobody.NAME.say())
    wrap = values.get("wrap_seconds")
    if wrap is not None and not 0 <= wrap <= 3600:
        raise NotPossible(WhyNobody.WRAP.say(wrap=wrap))
    if "station" in values:
        country = connection.execute(
            select(company.c.country).where(company.c.id == company_id)
        ).scalar_one()
        values["station"] = parse_station(values["station"], country)
    return values


def _hash(token: str) -> str:
    # The token is 256 random bits: no salt and no slow hash would make it harder to guess.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


_AGENTS = select(agent, company.c.name.label("company")).join(
    company, company.c.id == agent.c.company_id
)


def _agent(row: Row[Any]) -> Agent:
    return Agent(
        id=row.id,
        company_id=row.company_id,
        company=row.company,
        login=row.login,
        name=row.name,
        skills=tuple(row.skills),
        languages=tuple(row.languages),
        station=row.station,
        ringing=row.ringing,
        wrap_seconds=row.wrap_seconds,
        active=row.active,
        has_token=row.token_hash is not None,
    )


def _audit(
    connection: Connection,
    action: str,
    agent_id: int,
    actor: str,
    now: datetime,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    def plain(values: dict[str, Any] | None) -> dict[str, Any] | None:
        # The trail holds no names and no numbers.
        hidden = ("name", "station")
        return values and {k: "..." if k in hidden else v for k, v in values.items()}

    audit.record(
        connection,
        actor=actor,
        action=action,
        target=f"agent:{agent_id}",
        now=now,
        before=plain(before),
        after=plain(after),
    )
