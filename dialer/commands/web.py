"""``dialer web``: the process that is reached from outside."""

from __future__ import annotations

import signal
from types import FrameType

import click

from dialer.commands import common
from dialer.config import load_settings


@click.command("web")
def web() -> int:
    """Serve webhooks and the addresses in messages, until stopped (SIGTERM, Ctrl-C).

    Listens on DIALER_WEB_HOST and DIALER_WEB_PORT. Put a proxy that speaks TLS in front of it and
    name its address in DIALER_PUBLIC_URL: Twilio signs what it was given there.
    """
    from dialer.logs import configure_logging, get_logger
    from web import create_app
    from web.serving import end_streams, make_server

    settings = load_settings()
    configure_logging(settings)
    log = get_logger(__name__)
    database = common.require_database(settings)
    app = create_app(settings, database)
    try:
        server = make_server(app, settings.web_host, settings.web_port)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {settings.web_host}:{settings.web_port} ({error.strerror}): end "
            "the other process there or set DIALER_WEB_PORT"
        ) from error

    def stop(_signal: int, _frame: FrameType | None) -> None:
        end_streams(app)
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("web started", host=settings.web_host, port=settings.web_port)
    try:
        server.run()  # returns on SIGINT and SIGTERM, after the answers under way
    finally:
        server.close()
        database.dispose()
        log.info("web ended")
    return 0
