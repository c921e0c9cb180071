"""``dialer web``: the process that is reached from outside."""

from __future__ import annotations

import signal
from types import FrameType

import click

from dialer.commands import common
from dialer.config import load_settings

THREADS = 8


@click.command("web")
def web() -> int:
    """Serve webhooks and the addresses in messages, until stopped (SIGTERM, Ctrl-C).

    Listens on DIALER_WEB_HOST and DIALER_WEB_PORT. Put a proxy that speaks TLS in front of it and
    name its address in DIALER_PUBLIC_URL: Twilio signs what it was given there.
    """
    from waitress import create_server

    from dialer.logs import configure_logging, get_logger
    from web import create_app

    settings = load_settings()
    configure_logging(settings)
    log = get_logger(__name__)
    database = common.require_database(settings)
    app = create_app(settings, database)
    try:
        server = create_server(
            app,
            host=settings.web_host,
            port=settings.web_port,
            threads=THREADS,
            ident="",
            # Nothing is believed on their word; they tell that a request came from outside.
            clear_untrusted_proxy_headers=False,
        )
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {settings.web_host}:{settings.web_port} ({error.strerror}): end "
            "the other process there or set DIALER_WEB_PORT"
        ) from error

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    log.info("web started", host=settings.web_host, port=settings.web_port)
    try:
        server.run()  # returns on SIGINT and SIGTERM, after the answers under way
    finally:
        server.close()
        database.dispose()
        log.info("web ended")
    return 0
