"""``dialer doctor``: what is wrong here, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from dialer.commands import common
from dialer.commands.exits import FAILED, OK
from dialer.config import load_settings


@click.command("doctor")
@common.json_option
def doctor(as_json: bool) -> int:
    """Check this machine and this installation; every fault comes with what to do about it.

    Exit code 1 when something does not work; warnings alone leave it at 0.
    """
    from dialer.local.doctor import Status, run_checks

    results = run_checks(load_settings())
    faults = sum(result.status is Status.FAULT for result in results)
    if as_json:
        common.write_json([asdict(result) for result in results])
        return FAILED if faults else OK
    colours = {Status.OK: "green", Status.WARNING: "yellow", Status.FAULT: "red"}
    table = Table("", "check", "finding", "what to do")
    for result in results:
        mark = f"[{colours[result.status]}]{result.status.value}[/]"
        table.add_row(mark, result.name, result.message, result.mend)
    common.console().print(table)
    warnings = sum(result.status is Status.WARNING for result in results)
    click.echo(f"{len(results)} checks: {faults} faults, {warnings} warnings")
    return FAILED if faults else OK
