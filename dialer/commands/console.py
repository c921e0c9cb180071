"""``dialer console``: look at an installation in the browser."""

from __future__ import annotations

import signal
import threading

import click

from dialer.commands import common
from dialer.commands.exits import OK
from dialer.config import load_settings
from dialer.local.console import FIRST


@click.command("console")
@click.option("--user", "email", default=FIRST, show_default=True, help="Who looks.")
@common.actor_option
def console(email: str, actor: str) -> int:
    """Serve the console of this installation alone, and print a link that opens it.

    Nothing is dialled: only the web process runs (and Redis, where none is named). `dialer up`
    serves the console too, beside everything else.

    \b
    dialer --home .dialer/demo console          what the last demo did
    """
    from dialer.local.console import address, fresh_link
    from dialer.local.ports import with_free_ports
    from dialer.local.stack import REDIS, WEB, Stack, health

    settings = load_settings()
    engine = common.require_database(settings)
    token = fresh_link(engine, email, actor, common.now())
    engine.dispose()
    said = f"the console of {settings.home}, for {email}; the link works once:"
    if health(settings.web_host, settings.web_port, WEB)[0]:  # `dialer up` runs, or `dialer web`
        click.echo(f"{said}\n  {address(settings, token)}")
        return OK
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Stack(with_free_ports(settings), only=(REDIS, WEB), tell=click.echo) as stack:
        click.echo(f"{said}\n  {address(stack.settings, token)}\nstop with Ctrl-C")
        stop.wait()
    return OK
