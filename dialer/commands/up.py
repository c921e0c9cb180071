"""``dialer up``: everything on one machine, in one terminal."""

from __future__ import annotations

import signal
import threading
from datetime import datetime

import click

from dialer.commands import common
from dialer.commands.exits import OK
from dialer.config import load_settings


@click.command("up")
@click.option(
    "--simulate-network/--real-network",
    default=None,
    help="Default: simulated unless trunks.yaml or DIALER_TRUNK is there.",
)
@click.option(
    "--simulate-twilio/--real-twilio",
    default=None,
    help="Default: simulated unless TWILIO_ACCOUNT_SID or TWILIO_API_BASE is set.",
)
def up(simulate_network: bool | None, simulate_twilio: bool | None) -> int:
    """Run everything on this machine until stopped (Ctrl-C, SIGTERM).

    Redis, Asterisk, the IVR, a worker, the web and the engine, each as a process of its own that
    is started again when it ends; logs are in log/ of the state folder. Campaigns are started
    with `dialer campaign start` from another terminal.
    """
    from dialer.local.installation import make_prompts
    from dialer.local.stack import Simulation, Stack, what_is_missing

    settings = load_settings()
    common.require_database(settings).dispose()
    usual = what_is_missing(settings)
    simulation = Simulation(
        network=usual.network if simulate_network is None else simulate_network,
        twilio=usual.twilio if simulate_twilio is None else simulate_twilio,
    )
    make_prompts(settings)
    if simulation.network:
        click.echo("the telephone network is SIMULATED: no real telephone rings")
    if simulation.twilio:
        click.echo("Twilio is SIMULATED: no real message is sent")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def tell(line: str) -> None:
        click.echo(f"{datetime.now():%H:%M:%S} {line}")

    with Stack(settings, simulation, tell=tell) as stack:
        common.write_table("", ("component", "where"), stack.addresses())
        click.echo(f"logs: {stack.supervisor.logs}; stop with Ctrl-C")
        stop.wait()
    return OK
