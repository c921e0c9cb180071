"""``dialer ivr``: the process that interprets flows for answered calls, and the one beside it that
hears cards (``--payments``)."""

from __future__ import annotations

import click

from dialer.commands import common
from dialer.config import Settings, load_settings


@click.command("ivr")
@click.option(
    "--payments", is_flag=True, help="The process that hears card numbers, and nothing else."
)
def ivr(payments: bool) -> int:
    """Interpret flows for answered calls (FastAGI), until stopped (SIGTERM, Ctrl-C).

    When stopped it takes no new call and gives those going on 20 seconds. Flows and prompt texts
    that change are read again; a flow with a problem is refused and calls keep the last good one.

    With --payments: take the payments by card that flows ask for. A process of its own, whose
    memory no other process can read and which prints no digits; `docs/payments.md` says why.
    """
    settings = load_settings()
    if payments:
        return _payments(settings)
    from agi_scripts.run import run_ivr
    from dialer.jobs import enqueue_message, message_queue
    from dialer.logs import configure_logging, get_logger

    configure_logging(settings)
    common.require_database(settings).dispose()
    queue = message_queue(settings)

    def enqueue(message_id: int) -> None:
        enqueue_message(queue, message_id)

    def ready(port: int) -> None:
        get_logger("ivr").info("ivr ready", host=settings.agi_host, port=port)

    return run_ivr(settings, enqueue, ready)


def _payments(settings: Settings) -> int:
    from agi_scripts.hardening import harden
    from agi_scripts.payments_run import run_payments

    harden(settings)
    common.require_database(settings).dispose()
    return run_payments(settings)
