"""``dialer ivr``: the process that interprets flows for answered calls."""

from __future__ import annotations

import click

from dialer.commands import common
from dialer.config import load_settings


@click.command("ivr")
def ivr() -> int:
    """Interpret flows for answered calls (FastAGI), until stopped (SIGTERM, Ctrl-C).

    When stopped it takes no new call and gives those going on 20 seconds. Flows and prompt texts
    that change are read again; a flow with a problem is refused and calls keep the last good one.
    """
    from agi_scripts.run import run_ivr
    from dialer.jobs import enqueue_message, message_queue
    from dialer.logs import configure_logging, get_logger

    settings = load_settings()
    configure_logging(settings)
    common.require_database(settings).dispose()
    queue = message_queue(settings)

    def enqueue(message_id: int) -> None:
        enqueue_message(queue, message_id)

    def ready(port: int) -> None:
        get_logger("ivr").info("ivr ready", host=settings.agi_host, port=port)

    return run_ivr(settings, enqueue, ready)
