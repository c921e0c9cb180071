"""Before each request: the session of the browser, the rule of the route, the token of the form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from flask import Flask, Response, g, redirect, render_template, request, session, url_for
from flask_wtf.csrf import CSRFError, CSRFProtect, validate_csrf
from sqlalchemy import Engine
from werkzeug.exceptions import Forbidden
from wtforms.validators import ValidationError

from dialer.config import Settings
from dialer.domain.access import SESSION_LIFE, Viewer
from dialer.logs import get_logger
from dialer.store import log_ins
from web.access.rules import OWN_DOORS, rule_of

log = get_logger(__name__)

SESSION_KEY = "session"
SECRET = "web_session"
SEEN_EVERY = timedelta(minutes=1)
"""How exactly the database knows when a session was last used."""
CSRF_HEADER = "X-CSRFToken"
SAFE = ("GET", "HEAD", "OPTIONS")

csrf = CSRFProtect()


def install(app: Flask, settings: Settings, engine: Engine) -> None:
    """Sessions, rules and form tokens for an application."""
    secure = settings.web_url.startswith("https://")
    app.config.update(
        SECRET_KEY=settings.secret(SECRET),
        SESSION_COOKIE_NAME="__Host-dialer" if secure else "dialer",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=SESSION_LIFE,
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
        # The referrer is not sent (Referrer-Policy); the token and SameSite do without it.
        WTF_CSRF_SSL_STRICT=False,
    )

    @app.before_request
    def guard() -> Response | None:
        g.viewer = None
        if request.endpoint is None:
            g.viewer = viewer_of_browser(engine)
            return None  # no such page, which is told to anybody
        rule = rule_of(app, request.endpoint)
        if rule is None:
            log.error("route_without_rule", endpoint=request.endpoint)
            raise Forbidden
        if (request.blueprint or "") in OWN_DOORS or request.endpoint == "static":
            return None
        g.viewer = viewer_of_browser(engine)
        if not rule.needs_viewer:
            return None
        if g.viewer is None:
            return _log_in_first()
        if g.viewer.role not in rule.roles:
            raise Forbidden
        return None

    csrf.init_app(app)  # after the guard: who may not come in learns nothing of tokens
    app.jinja_env.globals["viewer"] = lambda: getattr(g, "viewer", None)


def exempt(app: Flask) -> None:
    """Blueprints with doors of their own ask for no form token."""
    for name in OWN_DOORS:
        if name in app.blueprints:
            csrf.exempt(app.blueprints[name])


def session_token() -> str | None:
    """What the cookie of this request holds."""
    token = session.get(SESSION_KEY)
    return token if isinstance(token, str) else None


def viewer_of_browser(engine: Engine) -> Viewer | None:
    """Who the cookie of this request is; notes that they are there."""
    token = session_token()
    if token is None:
        return None
    now = datetime.now(UTC)
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        found = log_ins.viewer_of(connection, token, now)
    if found is None:
        session.pop(SESSION_KEY, None)
        return None
    viewer, seen_at = found
    if now - seen_at >= SEEN_EVERY:
        with engine.begin() as connection:
            log_ins.seen(connection, token, now)
    return viewer


def check_form_token() -> bool:
    """Whether a request that a cookie lets in also has the form token, which another site's page
    cannot know. For doors that take a cookie or a bearer token."""
    if request.method in SAFE:
        return True
    try:
        validate_csrf(request.headers.get(CSRF_HEADER))
    except ValidationError:
        return False
    return True


def viewer() -> Viewer:
    """Who looks. Only in views that ``allow`` lets in."""
    found = g.viewer
    assert isinstance(found, Viewer)
    return found


def _log_in_first() -> Response:
    """To the log-in and back; a part of a page that is asked for makes the whole page go there."""
    wanted = request.full_path.rstrip("?") if request.method == "GET" else url_for("access.start")
    target = url_for("access.log_in") + "?next=" + quote(wanted)
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": url_for("access.log_in")})
    if request.headers.get("Accept", "").startswith("text/event-stream"):
        return Response(status=401)
    answer = redirect(target)
    assert isinstance(answer, Response)
    return answer


def explain_csrf(_error: CSRFError) -> tuple[str, int]:
    """The form was left open for too long, or is not ours."""
    return render_template("access/stale.html"), 400
