"""``dialer acquirer-double``: the simulated acquirer as a process of its own."""

from __future__ import annotations

from pathlib import Path

import click

from dialer.config import load_settings
from dialer.simulation.bank.app import serving
from dialer.simulation.bank.core import Bank
from dialer.simulation.bank.desk import Desk, Waits
from dialer.simulation.bank.hooks import HookSender
from dialer.simulation.bank.records import LedgerFile
from dialer.simulation.serving import serve_until_stopped
from dialer.switch import names


@click.command("acquirer-double", hidden=True)
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--ledger", type=click.Path(path_type=Path), help="File that survives a restart.")
@click.option("--latency", type=float, default=0.05, show_default=True, help="Seconds an answer.")
@click.option("--slow", type=float, default=8.0, show_default=True, help="Seconds, slow answer.")
@click.option("--silent", type=float, default=20.0, show_default=True, help="Seconds, no answer.")
@click.option("--pause", type=float, default=0.2, show_default=True, help="Seconds a webhook.")
@click.option("--late", type=float, default=5.0, show_default=True, help="Seconds, late webhook.")
def acquirer_double(
    port: int | None,
    ledger: Path | None,
    latency: float,
    slow: float,
    silent: float,
    pause: float,
    late: float,
) -> None:
    """Run the simulated acquirer, until stopped (SIGTERM, Ctrl-C).

    Secrets and the address of webhooks are those of this installation's settings. What the bank
    does with a card is in the card's number (see dialer/simulation/cards.py).
    """
    settings = load_settings()
    path = ledger or settings.home / "acquirer-double" / "ledger.jsonl"
    hooks = HookSender(settings.web_url + names.HOOK_GATEWAY, pause, late)
    desk = Desk(Bank(LedgerFile(path)), hooks, settings, Waits(latency, slow, silent))

    with serving(desk, settings.acquirer_double_port if port is None else port) as server:
        serve_until_stopped(server, "acquirer double")


if __name__ == "__main__":
    acquirer_double()
