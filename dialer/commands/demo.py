"""``dialer demo``: the whole dialer against a simulated telephone network."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.live import Live
from rich.table import Table

from dialer.commands import common
from dialer.commands.exits import FAILED, OK
from dialer.commands.report import show
from dialer.config import load_settings

if TYPE_CHECKING:
    from dialer.local.demo_campaign import Progress
    from dialer.local.stack import Stack

LINE_SECONDS = 5.0


@click.command("demo")
@click.option("--leads", type=click.IntRange(1, 100_000), default=300, show_default=True)
@click.option(
    "--cps",
    type=click.FloatRange(0.1, 100),
    default=10,
    show_default=True,
    help="New calls a second, at most.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the made-up debtors.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the result to this file.",
)
@click.option(
    "--persona",
    "personas",
    multiple=True,
    help="Only debtors of this name (docs/personas.md), in turn; may be repeated.",
)
@click.option("--payments", is_flag=True, help="Debtors pay by card, at a simulated bank.")
@click.option(
    "--gateway",
    default="test",
    show_default=True,
    help="With --payments: the gateway between us and the bank.",
)
@click.option(
    "--agents", type=click.IntRange(0, 100), default=0, help="So many simulated agents take calls."
)
@click.option(
    "--mode",
    type=click.Choice(["progressive", "power", "adaptive", "predictive"]),
    default="predictive",
    show_default=True,
    help="With --agents: how debtors are called for them.",
)
@click.option(
    "--talk-mean", type=click.FloatRange(0.5), default=8.0, show_default=True, help="Seconds."
)
@click.option(
    "--wrap-mean", type=click.FloatRange(0), default=2.0, show_default=True, help="Seconds."
)
@click.option("--timeout", type=float, help="Give up after so many seconds of calling.")
@click.option(
    "--watch", is_flag=True, help="Show the console's address first: look on while it runs."
)
@click.option(
    "--keep/--no-keep",
    default=None,
    help="Leave everything running at the end, until Ctrl-C. Default: on a terminal, with --watch.",
)
def demo(
    leads: int,
    cps: float,
    seed: int,
    json_file: Path | None,
    personas: tuple[str, ...],
    payments: bool,
    gateway: str,
    agents: int,
    mode: str,
    talk_mean: float,
    wrap_mean: float,
    timeout: float | None,
    watch: bool,
    keep: bool | None,
) -> int:
    """Call made-up debtors on a simulated telephone network, and report.

    Debtors answer, hang up, press keys, are busy, have voicemail. Real Asterisk, real audio and
    keys; only the network and Twilio are simulated. It works in demo/ of the state folder, on
    free ports, beside an installation that runs.

    Every debtor behaves as the last two digits of the number say (docs/personas.md), so what each
    should come to is known: the exit code is 1 when one came to something else.

    \b
    dialer demo --leads 50 --json result.json
    dialer --home .dialer/demo report --campaign demo-...      afterwards

    With --agents, debtors are called for agents who talk to them for some seconds, and some ask for
    one in a flow. The exit code is 1 when somebody who answered got neither an agent nor the
    message, or an agent is not free at the end.

    With DIALER_TRUNK=host:port the calls go to that SIP peer instead, and nothing is expected.
    """
    settings_home = load_settings().home / "demo"
    os.environ["DIALER_HOME"] = str(settings_home)
    from dialer.domain.model import DialMode
    from dialer.local.demo import DemoOptions, demo_settings, run_demo
    from dialer.local.demo_agents import PAY_SHARE, AgentOptions
    from dialer.local.demo_campaign import Watch
    from dialer.payments.gateways import KNOWN

    settings = demo_settings(load_settings())
    if payments and gateway not in KNOWN:
        raise click.UsageError(f"there is no gateway {gateway!r}: use one of {', '.join(KNOWN)}")
    staff = None
    if agents:
        pay = PAY_SHARE if payments else 0.0
        staff = AgentOptions(agents, DialMode(mode), talk_mean, wrap_mean, pay=pay)
    options = DemoOptions(leads, cps, seed, timeout, personas, payments, gateway, staff)
    click.echo(f"{leads} debtors at {cps:g} calls a second; state and logs in {settings_home}")
    signal.signal(signal.SIGTERM, _interrupt)
    keep = (watch or sys.stdout.isatty()) if keep is None else keep
    with _Display() as display:
        linger = _Linger(settings.trunk, json_file, display)
        found = run_demo(
            settings,
            options,
            Watch(display.tell, display.look),
            linger=linger if keep else None,
            ready=_show_console if watch else lambda _stack: None,
        )
    if keep:
        return linger.code
    _write(found, json_file)
    code = _tell(found, settings.trunk)
    click.echo(f"to look at it in the browser: dialer --home {settings_home} console")
    return code


def _write(found: dict[str, Any], json_file: Path | None) -> None:
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2, ensure_ascii=False, default=str) + "\n")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class _Linger:
    """The report, then the console, until Ctrl-C."""

    def __init__(self, trunk: str | None, json_file: Path | None, display: _Display) -> None:
        self._trunk = trunk
        self._json_file = json_file
        self._display = display
        self.code = OK

    def __call__(self, stack: Stack, found: dict[str, Any]) -> None:
        self._display.__exit__()
        _write(found, self._json_file)
        self.code = _tell(found, self._trunk)
        common.write_table("still running", ("component", "where"), stack.addresses())
        _show_console(stack)
        if not stack.settings.database_url:
            click.echo("a campaign of your own that is started there calls on this network, too")
        click.echo("stop with Ctrl-C")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo("")


def _show_console(stack: Stack) -> None:
    """A link that opens the console, for an administrator of the demo's own."""
    from dialer.local.console import FIRST, address, fresh_link
    from dialer.store.db import open_database

    engine = open_database(stack.settings.database)
    token = fresh_link(engine, FIRST, "demo", common.now())
    engine.dispose()
    click.echo(f"the console, for {FIRST}; the link works once, then with the password you choose:")
    click.echo(f"  {address(stack.settings, token)}")


def _tell(found: dict[str, Any], trunk: str | None) -> int:
    """The report, and the exit code."""
    show({**found["report"], "campaign": found["campaign"], "state": "finished"})
    rate, carrier = found["calls_per_second"], found["carrier"]
    click.echo(
        f"calls a second: asked {rate['asked']:g}, most in any 5 s {rate['most_in_5_s']:g};"
        f" calling took {found['seconds']['calling']:g} s"
    )
    if carrier and carrier["redials_measured"]:
        times = ", ".join(
            f"{key} {value} ms" for key, value in carrier["redial_latency_ms"].items()
        )
        click.echo(f"hang-up to the next INVITE as the carrier saw it: {times}")
    if "payments" in found:
        _tell_payments(found["payments"])
    if "agents" in found:
        said = _tell_agents(found["agents"])
        return said if _payments_match(found) else FAILED
    if found["match"] is None:
        click.echo(f"the calls went to {trunk}: what should have come of them is not known")
        return OK
    if found["match"] and _payments_match(found):
        click.echo(f"every one of {found['leads']} debtors came to what was expected")
        return OK
    click.echo(f"{found['differences_total']} debtors came to something else:", err=True)
    for one in found["differences"]:
        click.echo(
            f"  lead {one['lead']} ({', '.join(one['personas'])}): expected"
            f" {' > '.join(one['expected_calls'])}, was {' > '.join(one['observed_calls'])}",
            err=True,
        )
    return FAILED


def _tell_agents(found: dict[str, Any]) -> int:
    """What agents did, and the exit code."""
    sound, heard = found["answer_to_sound_ms"], found["answer_to_sound_heard_ms"]
    click.echo(
        f"{found['agents']} agents, {found['mode']}: occupancy {_percent(found['occupancy'])} while"
        f" calls were placed, {_percent(found['occupancy_whole'])} in all; {found['served']} of"
        f" {found['live_answers']} who answered were served, {found['abandoned']} abandoned"
        f" ({_percent(found['abandoned_share'])})"
    )
    click.echo(
        f"answer to sound: p50 {sound['p50']} ms, p90 {sound['p90']} ms, p99 {sound['p99']} ms;"
        f" as the debtor's end heard it: p50 {heard['p50']} ms, p90 {heard['p90']} ms"
    )
    transfers = ", ".join(f"{kind} {n}" for kind, n in found["transfers"]["by_kind"].items())
    asked = ", ".join(f"{how} {n}" for how, n in found["escalations"]["results"].items())
    click.echo(
        f"transfers: {transfers or 'none'}; asked for an agent: {found['escalations']['count']}"
        f" ({asked or 'nobody'}); callbacks: {found['callbacks']['count']};"
        f" payments while talking: {found['payments_while_talking']['count']}"
    )
    seconds = ", ".join(f"{state} {s:g} s" for state, s in found["seconds_by_state"].items())
    click.echo(f"agents' time: {seconds}")
    if found["pacing_reason"]:
        click.echo(f"pacing at the end: {found['pacing_reason']}")
    for line in found["problems"]:
        click.echo(f"  {line}", err=True)
    return FAILED if found["problems"] else OK


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _tell_payments(found: dict[str, Any]) -> None:
    money = ", ".join(
        f"{one['minor']} minor units of {currency} in {one['payments']} payments"
        for currency, one in found["money"].items()
    )
    states = ", ".join(f"{state} {count}" for state, count in found["states"].items())
    click.echo(f"payments: {states or 'none'}; charged: {money or 'nothing'}")
    seconds = ", ".join(f"{name} {one['mean']} s" for name, one in found["entry_seconds"].items())
    click.echo(f"mean time of entry: {seconds or 'nothing was keyed in'}")
    if found["charged_once"]:
        click.echo("the bank's ledger and ours agree: everything charged was charged once")
    for line in (*found["disagreements"], *found["books"]):
        click.echo(f"  {line}", err=True)
    for one in found["differences"] if found["match"] is False else ():
        click.echo(
            f"  lead {one['lead']} ({one['persona']}): payments expected {one['expected']},"
            f" were {one['observed']}",
            err=True,
        )


def _payments_match(found: dict[str, Any]) -> bool:
    paid = found.get("payments")
    return paid is None or bool(
        paid["match"] is not False
        and paid["charged_once"] is not False
        and paid["cards_as_keyed"] is not False
        and not paid["books"]
    )


class _Display:
    """Progress: a table that moves on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._console = common.console()
        self._live: Live | None = None
        self._last_line = 0.0
        self._over = False
        self.tell: Callable[[str], None] = self._print

    def __enter__(self) -> _Display:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def _print(self, line: str) -> None:
        if self._live is not None:
            self._live.console.print(line)
        else:
            click.echo(line)
            sys.stdout.flush()

    def look(self, progress: Progress) -> None:
        """Show where it stands."""
        over = progress.leads_done == progress.leads
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(console=self._console, refresh_per_second=4)
                self._live.start()
            self._live.update(_table(progress))
        elif not self._over and (over or time.monotonic() - self._last_line >= LINE_SECONDS):
            self._last_line = time.monotonic()
            click.echo(_line(progress))
            sys.stdout.flush()
        self._over = over


def _line(progress: Progress) -> str:
    calls = sum(progress.calls.values())
    ended = sum(progress.dispositions.values())
    return (
        f"{progress.seconds:5.0f} s  {progress.leads_done}/{progress.leads} debtors done,"
        f" {calls} calls going on, {ended} ended, {progress.redials} redials,"
        f" {sum(progress.messages.values())} messages"
    )


def _table(progress: Progress) -> Table:
    table = Table(title=_line(progress), title_justify="left", show_header=False)
    for name, counts in (
        ("calls", progress.calls),
        ("ended as", progress.dispositions),
        ("messages", progress.messages),
    ):
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        table.add_row(name, ", ".join(f"{key} {count}" for key, count in ordered))
    return table
