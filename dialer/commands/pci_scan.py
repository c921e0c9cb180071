"""``dialer pci-scan``: looks for card numbers where none may be."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dialer.commands import common
from dialer.commands.exits import FAILED, OK
from dialer.config import load_settings

if TYPE_CHECKING:
    from dialer.local.cardscan.run import Scan

SHOWN = 8
"""Findings of one place that are printed; the JSON has them all."""


@click.command("pci-scan")
@click.option(
    "--calls-each",
    type=click.IntRange(1, 20),
    default=1,
    show_default=True,
    help="Calls for each way in which a card entry ends.",
)
@click.option(
    "--only",
    "personas",
    multiple=True,
    metavar="PERSONA",
    help="Only this debtor (docs/personas.md); may be repeated.",
)
@click.option("--controls", is_flag=True, help="Then switch on every leak; each must be found.")
@click.option(
    "--leak",
    "leaks",
    multiple=True,
    metavar="NAME",
    help="Switch on this leak (docs/pci.md), to see the scan fail; may be repeated.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file too.",
)
def pci_scan(
    calls_each: int,
    personas: tuple[str, ...],
    controls: bool,
    leaks: tuple[str, ...],
    json_file: Path | None,
) -> int:
    """Have cards keyed in on a simulated network, then look for them everywhere.

    Real Asterisk, every process at its most verbose, calls recorded; each call has a number and a
    security code of its own. Files, database, Redis, AMI, memory of every process, HTTP and the
    tones in recordings are searched. It works in pci-scan/ of the state folder, which it empties
    first. Run it as root: memory of other processes is read.

    The exit code is 0 when every call came to its card, every place could be searched and nothing
    was found; with --controls also every leak has to be found. With --leak alone only that leak is
    tried: 1 when it is found, as after any leak.
    """
    home = load_settings().home / "pci-scan"
    os.environ["DIALER_HOME"] = str(home)
    from dialer.local.cardscan.casting import OUTCOMES
    from dialer.local.cardscan.rig import scan_settings
    from dialer.local.cardscan.run import NAMES, ScanOptions, run_scan

    unknown = [name for name in leaks if name not in NAMES]
    if unknown:
        raise click.UsageError(f"there is no leak {unknown[0]!r}: use one of {', '.join(NAMES)}")
    alone = bool(leaks) and not controls and not personas
    options = ScanOptions(
        personas=() if alone else personas or OUTCOMES,
        each=calls_each,
        kill=not personas,
        agent=not personas,
        leaks=NAMES if controls else leaks,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    click.echo(f"state and logs in {home}")
    try:
        scan = run_scan(scan_settings(load_settings()), options, click.echo)
    except KeyError as error:
        raise click.UsageError(f"there is no persona {error}: see docs/personas.md") from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if json_file is not None:
        json_file.write_text(json.dumps(scan.as_json(), indent=2, ensure_ascii=False) + "\n")
    _show(scan)
    if controls:
        return OK if scan.clean and not scan.missed else FAILED
    return OK if scan.clean and not any(one.found for one in scan.controls) else FAILED


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _show(scan: Scan) -> None:
    if scan.calls:
        common.write_table(
            "calls",
            ("debtor", "came to", "payments", "card", "not as planned"),
            [
                (
                    one.name,
                    one.disposition,
                    ", ".join(one.payments) or "-",
                    "; ".join(dict.fromkeys(one.keyed)) or "-",
                    "; ".join(one.problems) or "-",
                )
                for one in scan.calls
            ],
        )
        _show_places(scan)
    if scan.controls:
        common.write_table(
            "leaks switched on",
            ("leak", "has to be found in", "result", "found in"),
            [
                (one.leak, one.where, "found" if one.seen else "MISSED", ", ".join(one.found))
                for one in scan.controls
            ],
        )
    for line in scan.problems:
        click.echo(line, err=True)
    if scan.calls:
        click.echo(
            "nothing of a card was found outside of where it belongs"
            if scan.clean
            else "NOT CLEAN: see above"
        )


def _show_places(scan: Scan) -> None:
    common.write_table(
        f"searched for {len(scan.calls)} calls' cards in {scan.forms} forms",
        ("where", "what", "bytes", "findings"),
        [
            (
                one.where,
                one.what,
                f"{one.bytes:,}",
                one.trouble and f"NOT SEARCHED: {one.trouble}" or str(len(one.findings)),
            )
            for one in scan.searched
        ],
    )
    click.echo(f"{sum(one.bytes for one in scan.searched):,} bytes in {scan.seconds:.0f} s")
    for one in scan.searched:
        for line in one.findings[:SHOWN]:
            click.echo(f"  {one.where}: {line}", err=True)
    from dialer.local.cardscan.everywhere import EXCLUDED

    for what, why in EXCLUDED.items():
        click.echo(f"not searched: {what} ({why})")
