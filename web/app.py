"""The Flask application, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, Response
from sqlalchemy import Engine, text
from werkzeug.exceptions import HTTPException

from dialer.config import Settings
from dialer.health import health_app
from dialer.logs import get_logger
from dialer.store.db import open_database
from web.gateway_hooks import gateway_hooks
from web.hooks import twilio_hooks
from web.pages import pages

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

log = get_logger(__name__)

MAX_REQUEST = 64 * 1024
SAFE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
"""On every answer. Strict-Transport-Security is the business of whoever ends TLS before us."""
FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_VIA")


def create_app(settings: Settings, database: Engine | None = None) -> Flask:
    """The web application of one installation.

    ``database`` is opened from the settings unless given.
    """
    engine = database or open_database(settings.database)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST
    app.register_blueprint(twilio_hooks(settings, engine))
    app.register_blueprint(gateway_hooks(settings, engine))
    app.register_blueprint(pages(settings, engine))
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
    for name, value in SAFE_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _explain(error: Exception) -> Response:
    """An answer without insides; what is our fault is logged, and 503 lets others try again."""
    if isinstance(error, HTTPException):
        return Response(f"{error.name}\n", status=error.code or 500, mimetype="text/plain")
    log.error("request failed", exc_info=error)
    return Response("Try again later\n", status=503, mimetype="text/plain")
