"""``dialer engine``: the process that places calls."""

from __future__ import annotations

import asyncio

import click

from dialer.commands import common
from dialer.config import load_settings


@click.command("engine")
@click.option("--campaign", help="Run only this one; default every campaign that is running.")
@click.option("--until-finished", is_flag=True, help="End when a campaign has no lead left.")
def engine(campaign: str | None, until_finished: bool) -> int:
    """Place calls for the campaigns that are running, until stopped (SIGTERM, Ctrl-C).

    Several engines may run: a campaign belongs to the one that holds its lease. Asterisk, the IVR,
    Redis and a worker must be there; `dialer up` starts all of them.
    """
    from dialer.engine.run import run_engine
    from dialer.logs import configure_logging

    settings = load_settings()
    configure_logging(settings)
    common.require_database(settings).dispose()
    return asyncio.run(run_engine(settings, campaign=campaign, until_finished=until_finished))
