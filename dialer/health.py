"""The health page and metrics of a process: ``/health`` for people and supervisors, ``/metrics``
for Prometheus, on a loopback port of its own."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Check = Callable[[], str | None]
"""None where all is well, otherwise what is wrong, in words an operator can act on."""

CHECK_SECONDS = 2.0


class HealthError(Exception):
    """The health page could not be opened; the message says which port and what to do."""


class _Checker:
    """Runs the checks, bounded together: one that hangs is reported, and not begun a second
    time while it does."""

    def __init__(self, checks: Mapping[str, Check], seconds: float) -> None:
        self._checks = dict(checks)
        self._seconds = seconds
        self._running: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()

    def run(self) -> dict[str, str | None]:
        with self._lock:
            # Whoever answers late writes into the dict of a question that is over.
            answers: dict[str, str | None] = {}
            for name, check in self._checks.items():
                if name not in self._running:
                    self._running[name] = threading.Thread(
                        target=_ask, args=(name, check, answers), daemon=True
                    )
                    self._running[name].start()
            end = time.monotonic() + self._seconds
            for thread in self._running.values():
                thread.join(max(0.0, end - time.monotonic()))
            self._running = {n: t for n, t in self._running.items() if t.is_alive()}
            silent = f"did not answer within {self._seconds:g} s"
            return {
                name: silent if name in self._running else answers.get(name, silent)
                for name in self._checks
            }


def _ask(name: str, check: Check, answers: dict[str, str | None]) -> None:
    try:
        answers[name] = check()
    except Exception as error:  # noqa: BLE001 - the page must answer whatever a check does
        answers[name] = type(error).__name__


def health_app(
    name: str,
    checks: Mapping[str, Check],
    *,
    registry: CollectorRegistry = REGISTRY,
    check_seconds: float = CHECK_SECONDS,
) -> WSGIApplication:
    """A WSGI application with ``/health`` and ``/metrics``.

    ``/health`` answers ``{"name", "ok", "checks": {name: null | reason}}``, 200 where every check
    is well and 503 otherwise. A check that raises is unwell under the exception's class name
    (its text may hold personal data); one that takes longer than ``check_seconds`` as well.
    """
    checker = _Checker(checks, check_seconds)
    metrics = make_wsgi_app(registry)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        if path != "/health":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"try /health or /metrics\n"]
        results = checker.run()
        ok = all(reason is None for reason in results.values())
        body = json.dumps({"name": name, "ok": ok, "checks": results}) + "\n"
        start_response(
            "200 OK" if ok else "503 Service Unavailable",
            [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
        )
        return [body.encode()]

    return app


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True

    def server_bind(self) -> None:
        # Without WSGIServer's look-up of the host's name, which can hang where DNS does.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass(frozen=True)
class Health:
    """An open health page; ``port`` is the one it listens on."""

    port: int
    _server: WSGIServer
    _thread: threading.Thread

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve_health(
    port: int,
    name: str,
    checks: Mapping[str, Check],
    *,
    host: str = "127.0.0.1",
    registry: CollectorRegistry = REGISTRY,
    check_seconds: float = CHECK_SECONDS,
) -> Health:
    """Answer ``/health`` and ``/metrics`` from threads of their own until ``close()``.

    ``port`` 0 takes a free one (see ``Health.port``). Raises HealthError where it is taken.
    """
    app = health_app(name, checks, registry=registry, check_seconds=check_seconds)
    try:
        server = make_server(host, port, app, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        raise HealthError(
            f"the health page of {name} cannot listen on {host}:{port} ({error.strerror}): "
            "end the other process there or set another port (DIALER_..._HEALTH_PORT)"
        ) from error
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.2}, name="health", daemon=True
    )
    thread.start()
    return Health(server.server_port, server, thread)
