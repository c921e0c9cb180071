"""Who asks, and what they may: bearer tokens of agents, the one of supervisors, and the sessions of
browsers.

An agent acts on the session that is theirs and open, never on one that is named; ``Agent-Session``
may say which one the page believes to have, and is refused where that is not so. Who comes by the
secret ``supervisor_api`` sees every company and is not told apart; who comes by the session of
their browser sees their own company alone, and is known by name.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from flask import g, request
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection, Engine

from dialer.config import Settings
from dialer.domain.access import READERS, Role, Viewer
from dialer.logs import get_logger
from dialer.store import desk_views, log_ins
from dialer.store.agents import Agent, agent_by_token, load_agent
from dialer.store.desk_views import OpenSession, session_of
from web.access.doors import SAFE, check_form_token, session_token, viewer_of_browser
from web.problems import Problem, forbidden, no_session, redis_away, unauthorised

log = get_logger(__name__)

SESSION_HEADER = "Agent-Session"
SECRET_SUPERVISOR = "supervisor_api"
DESK_ROLES = frozenset({Role.AGENT, Role.SUPERVISOR})
"""Who may sit at a desk, if they are an agent too."""
DESK_RATE = "dialer:desk:rate:"
PER_SECOND = 50
"""Requests of one agent, or of one user; of all who come by the supervisors' secret together ten
times as many. A person's fingers and a page's heartbeat stay far below."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An agent who asks; ``session``: the open one, None where they are not logged in. ``cookie``:
    of the browser, where that let them in."""

    agent: Agent
    session: OpenSession | None
    cookie: str | None = None

    @property
    def open_session(self) -> OpenSession:
        """The session. Raises Problem (404) where there is none."""
        if self.session is None:
            raise no_session()
        return self.session


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who looks at the floor: ``name`` in the audit and for limits; ``company_id``: None sees every
    company. ``cookie`` as with ``Caller``."""

    name: str
    company_id: int | None
    cookie: str | None = None

    def sees(self, company_id: int) -> bool:
        """Whether something of that company is theirs to see."""
        return self.company_id in (None, company_id)


class Access:
    """The doors of one application."""

    def __init__(self, settings: Settings, engine: Engine, redis: Redis) -> None:
        self._settings = settings
        self._engine = engine
        self._redis = redis

    @cached_property
    def _supervisor(self) -> str:
        return self._settings.secret(SECRET_SUPERVISOR)

    # --- agents --------------------------------------------------------------------------

    def agent_door(self) -> None:
        """Before each request of an agent. Raises Problem; sets ``g.caller``."""
        g.caller = me = self._by_cookie() if _bears_none() else self._by_token(_bearer())
        believed = request.headers.get(SESSION_HEADER)
        if believed is not None and (me.session is None or me.session.id != believed):
            raise forbidden("That session is not yours, or it has ended.")
        self._limit(f"agent:{me.agent.id}", PER_SECOND)

    def _by_token(self, token: str) -> Caller:
        with self._reading() as connection:
            agent = agent_by_token(connection, token)
            if agent is None:
                if self._is_supervisor(token):
                    raise forbidden("This is for agents.")
                raise unauthorised()
            return Caller(agent, session_of(connection, agent.id))

    def _by_cookie(self) -> Caller:
        """The agent whom the user of this browser is; each request keeps their session alive."""
        viewer = self._viewer()
        with self._reading() as connection:
            agent = _agent_of(connection, viewer)
            if agent is None:
                raise forbidden("This is for agents.")
            return Caller(agent, session_of(connection, agent.id), session_token())

    def may_stay(self, me: Caller) -> Callable[[], bool]:
        """Whether the session is still open, and what let its agent in still does: asked again and
        again while they listen."""
        was = me.open_session

        def look(connection: Connection) -> bool:
            now = desk_views.open_session(connection, was.id)
            if now is None:
                return False
            if me.cookie is None:
                return now.token_hash is not None and now.token_hash == was.token_hash
            viewer = _viewer_of(connection, me.cookie)
            agent = None if viewer is None else _agent_of(connection, viewer)
            return agent is not None and agent.id == me.agent.id

        return lambda: self._looked(look)

    # --- supervisors ---------------------------------------------------------------------

    def supervisor_door(self) -> None:
        """Before each request of a supervisor. Raises Problem; sets ``g.watcher``."""
        if _bears_none():
            viewer = self._viewer()
            if viewer.role not in READERS:
                raise forbidden("This is for supervisors.")
            if request.method not in SAFE and not viewer.manages:
                raise forbidden("Auditors see everything and change nothing.")
            g.watcher = Watcher(f"user:{viewer.user_id}", viewer.company_id, session_token())
            self._limit(g.watcher.name, PER_SECOND)
            return
        token = _bearer()
        if not self._is_supervisor(token):
            with self._reading() as connection:
                known = agent_by_token(connection, token)
            raise unauthorised() if known is None else forbidden("This is for supervisors.")
        g.watcher = Watcher("supervisor", None)
        self._limit("supervisors", 10 * PER_SECOND)

    def may_watch(self, who: Watcher) -> Callable[[], bool]:
        """The same for whoever watches the floor."""
        cookie = who.cookie
        if cookie is None:
            return lambda: True

        def look(connection: Connection) -> bool:
            viewer = _viewer_of(connection, cookie)
            return (
                viewer is not None
                and viewer.role in READERS
                and viewer.company_id == who.company_id
            )

        return lambda: self._looked(look)

    # --- both ----------------------------------------------------------------------------

    def _viewer(self) -> Viewer:
        """The user of this browser. Raises Problem: nobody, or a page of somebody else's that makes
        the browser ask."""
        found = viewer_of_browser(self._engine)
        if found is None:
            raise unauthorised()
        if not check_form_token():
            raise forbidden("Send the form token of your page in X-CSRFToken.")
        g.viewer = found
        return found

    def _reading(self) -> Connection:
        return self._engine.connect().execution_options(dialer_readonly=True)

    def _looked(self, look: Callable[[Connection], bool]) -> bool:
        try:
            with self._reading() as connection:
                return look(connection)
        except Exception as error:  # noqa: BLE001 - a database that is away ends no page
            log.warning("session_not_checked", error=type(error).__name__)
            return True

    def _is_supervisor(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._supervisor.encode())

    def _limit(self, who: str, most: int) -> None:
        key = f"{DESK_RATE}{who}:{int(time.time())}"
        try:
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.incr(key)
            pipeline.expire(key, 5)
            asked = int(pipeline.execute()[0])
        except RedisError as error:
            raise redis_away() from error
        if asked > most:
            raise Problem(
                429,
                "too_many_requests",
                "Too many requests",
                f"At most {most} a second.",
                headers={"Retry-After": "1"},
            )


def caller() -> Caller:
    """The agent of this request."""
    found: Caller = g.caller
    return found


def watcher() -> Watcher:
    """Who watches, of this request."""
    found: Watcher = g.watcher
    return found


def _agent_of(connection: Connection, viewer: Viewer) -> Agent | None:
    """The active agent whom a user is."""
    if viewer.agent_id is None or viewer.role not in DESK_ROLES:
        return None
    agent = load_agent(connection, viewer.agent_id)
    if agent is None or not agent.active or not viewer.sees(agent.company_id):
        return None
    return agent


def _viewer_of(connection: Connection, cookie: str) -> Viewer | None:
    found = log_ins.viewer_of(connection, cookie, datetime.now(UTC))
    return None if found is None else found[0]


def _bears_none() -> bool:
    """Whether the browser's session has to say who asks: a token, where there is one, says it."""
    return "Authorization" not in request.headers


def _bearer() -> str:
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        raise unauthorised()
    return str(given.token)
