"""Logging in by an OpenID provider: there, back, and the second factor of those who have one here.

Nobody is made a user by it, and nobody gets another role: who comes back is let in if there is a
user with their verified address.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint, Response, make_response, redirect, render_template, request, session
from redis import Redis
from sqlalchemy import Engine
from werkzeug.wrappers import Response as AnyResponse

from dialer.logs import get_logger
from dialer.store import log_ins
from web.access import attempts
from web.access.openid import BACK, NotLetIn, Provider, Why
from web.access.rules import public

log = get_logger(__name__)

COMES_BY = "openid"
_STATE = "openid"
_SECOND = "second_factor_of"
SECOND_SECONDS = 300
"""How long who has come back may look for their code."""
STATUS = {Why.AWAY: 503, Why.REFUSED: 401, Why.UNKNOWN: 403}

ComeIn = Callable[[Engine, int, datetime, str | None, str | None], AnyResponse]


def provider_routes(
    blueprint: Blueprint, provider: Provider, engine: Engine, redis: Redis, come_in: ComeIn
) -> None:
    """Three routes below /log-in. ``come_in``: opens the session."""

    @blueprint.get("/log-in/provider")
    @public("where one comes in")
    def to_provider() -> Response | AnyResponse:
        if not attempts.may_try(redis, request.remote_addr or "", datetime.now(UTC)):
            return _page("many", 429)
        try:
            url, session[_STATE] = provider.begin(request.args.get("next"))
        except NotLetIn as refused:
            return _refused(refused)
        return redirect(url)

    @blueprint.get(BACK)
    @public("where one comes in; what comes back is the provider's, and checked")
    def from_provider() -> Response | AnyResponse:
        try:
            person = provider.finish(session.pop(_STATE, None), request.args)
            with engine.connect().execution_options(dialer_readonly=True) as connection:
                user = log_ins.user_of(connection, person.email)
            if user is None:
                raise NotLetIn(Why.UNKNOWN, "no user has that address")
        except NotLetIn as refused:
            return _refused(refused)
        now = datetime.now(UTC)
        if user.totp_secret is None:
            return come_in(engine, user.id, now, person.target, COMES_BY)
        session[_SECOND] = [user.id, int(now.timestamp()), person.target]
        return make_response(render_template("access/second_step.html", fault=None))

    @blueprint.post("/log-in/provider/code")
    @public("where one comes in")
    def second_step() -> Response | AnyResponse:
        now = datetime.now(UTC)
        user_id, since, target = session.get(_SECOND) or (None, 0, None)
        if user_id is None or now.timestamp() - since > SECOND_SECONDS:
            return _page("openid_refused", 401)
        found = log_ins.second_step(engine, user_id, request.form.get("code", "")[:10], now)
        if found.user_id is None:
            page = render_template("access/second_step.html", fault=found.fault, until=found.until)
            return make_response(page, 401)
        return come_in(engine, found.user_id, now, target, COMES_BY)


def _refused(refused: NotLetIn) -> Response:
    log.warning("not_let_in_by_provider", why=refused.why.value, detail=str(refused))
    return _page(f"openid_{refused.why.value}", STATUS[refused.why])


def _page(fault: str, status: int) -> Response:
    return make_response(render_template("access/log_in.html", fault=fault, email=""), status)
