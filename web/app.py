"""The Flask application, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, Response, request
from flask_wtf.csrf import CSRFError
from sqlalchemy import Engine, text
from werkzeug.exceptions import HTTPException

from dialer.config import Settings
from dialer.desk.wire import desk_redis
from dialer.health import health_app
from dialer.logs import get_logger
from dialer.store.db import open_database
from web.access import doors, refusals
from web.access.rules import OWN_DOORS
from web.agents_api import agents_api
from web.agents_events import Streams
from web.api_parts import Desk, explain
from web.gateway_hooks import gateway_hooks
from web.headers import PAGE_HEADERS, SAFE_HEADERS
from web.hooks import twilio_hooks
from web.pages import pages
from web.parts import Parts, blueprints
from web.serving import STREAMS
from web.supervisors_api import supervisors_api
from web.ui import frame

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

log = get_logger(__name__)

MAX_REQUEST = 64 * 1024
API = "/api/"
"""Below it errors are problem details, also where no route is."""
FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_VIA")


def create_app(settings: Settings, database: Engine | None = None) -> Flask:
    """The web application of one installation.

    ``database`` is opened from the settings unless given.
    """
    engine = database or open_database(settings.database)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST
    doors.install(app, settings, engine)
    frame.install(app)
    app.register_blueprint(twilio_hooks(settings, engine))
    app.register_blueprint(gateway_hooks(settings, engine))
    app.register_blueprint(pages(settings, engine))
    streams = Streams()
    app.extensions[STREAMS] = streams
    redis = desk_redis(settings.redis)
    desk = Desk(settings, engine, redis, streams)
    for blueprint in blueprints(Parts(settings, engine, redis, desk)):
        app.register_blueprint(blueprint)
    app.register_blueprint(agents_api(desk))
    app.register_blueprint(supervisors_api(desk))
    doors.exempt(app)
    app.register_error_handler(CSRFError, doors.explain_csrf)
    app.register_error_handler(Exception, _explain)
    app.after_request(_add_headers)
    app.wsgi_app = _InsideOnly(app.wsgi_app, _health(engine))  # type: ignore[method-assign]
    return app


def _health(engine: Engine) -> WSGIApplication:
    def database() -> None:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            connection.execute(text("SELECT 1"))

    return health_app("web", {"database": database})


class _InsideOnly:
    """``/health`` and ``/metrics`` for whoever asks this process itself; what a proxy passes on
    from outside finds nothing there."""

    def __init__(self, outside: WSGIApplication, inside: WSGIApplication) -> None:
        self._outside = outside
        self._inside = inside

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = environ.get("PATH_INFO") in ("/health", "/metrics")
        if asked and not any(name in environ for name in FORWARDED):
            return self._inside(environ, start_response)
        return self._outside(environ, start_response)


def _add_headers(response: Response) -> Response:
    if (request.blueprint or "") not in OWN_DOORS:
        for name, value in PAGE_HEADERS.items():
            response.headers.setdefault(name, value)
    for name, value in SAFE_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _explain(error: Exception) -> Response:
    """An answer without insides; what is our fault is logged, and 503 lets others try again."""
    if request.path.startswith(API):
        return explain(error)
    status = (error.code or 500) if isinstance(error, HTTPException) else 503
    if not isinstance(error, HTTPException):
        log.error("request failed", exc_info=error)
    if (request.blueprint or "") in OWN_DOORS or not request.accept_mimetypes.accept_html:
        said = error.name if isinstance(error, HTTPException) else "Try again later"
        return Response(f"{said}\n", status=status, mimetype="text/plain")
    return refusals.page(status)
