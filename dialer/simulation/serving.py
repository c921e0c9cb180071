"""How a double of somebody's HTTP API runs: quietly, on a loopback port, until it is stopped."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

import click
from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server


class _Quiet(WSGIRequestHandler):
    """Requests are kept by the double, not printed: their addresses hold numbers."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


def listen(app: Flask, port: int) -> BaseWSGIServer:
    """The application on a loopback port (0: a free one, see ``server.port``), not yet looping."""
    return make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)


def serve_until_stopped(server: BaseWSGIServer, name: str) -> None:
    """Say where it listens, then answer until SIGTERM or Ctrl-C."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    click.echo(f"{name} listens on http://127.0.0.1:{server.port}")
    sys.stdout.flush()
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
