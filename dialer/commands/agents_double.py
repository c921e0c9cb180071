"""``dialer agents-double``: simulated agents as a process of its own."""

from __future__ import annotations

import json
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click

from dialer.commands import common
from dialer.config import Settings, load_settings
from dialer.simulation.agent_mind import Habits
from dialer.simulation.agents_double import Crew, Person
from dialer.simulation.agents_made import load_people, make_people
from dialer.speech.audio import write_atomically

REPORT_SECONDS = 1.0


@click.command("agents-double", hidden=True)
@click.option("--agents", type=click.IntRange(1, 120), default=2, show_default=True)
@click.option("--company", help="Whose agents they are; needed where there are several.")
@click.option(
    "--people",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="File with ids, logins and tokens of agents that are there; none are made then.",
)
@click.option("--talk-mean", type=click.FloatRange(0), default=8.0, show_default=True)
@click.option("--talk-sigma", type=click.FloatRange(0), default=0.6, show_default=True)
@click.option("--wrap-mean", type=click.FloatRange(0), default=2.0, show_default=True)
@click.option("--wrap-sigma", type=click.FloatRange(0), default=0.4, show_default=True)
@click.option("--blind", type=click.FloatRange(0, 1), default=0.0, help="Share passed on at once.")
@click.option(
    "--attended", type=click.FloatRange(0, 1), default=0.0, help="Share passed on after a word."
)
@click.option("--pay", type=click.FloatRange(0, 1), default=0.0, help="Share asked for a card.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--url", help="Address of the API (default: this installation's).")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for what they measure, written every second.",
)
def agents_double(
    agents: int,
    company: str | None,
    people: Path | None,
    talk_mean: float,
    talk_sigma: float,
    wrap_mean: float,
    wrap_sigma: float,
    blind: float,
    attended: float,
    pay: float,
    seed: int,
    url: str | None,
    report: Path | None,
) -> int:
    """Run simulated agents on telephones of the simulated network, until stopped (SIGTERM,
    Ctrl-C); then they end their talks and log out.

    Talk and wrap-up last by lognormals of these means (seconds).
    """
    from dialer.logs import configure_logging

    settings = load_settings()
    configure_logging(settings)
    crew = Crew(
        url or f"http://127.0.0.1:{settings.web_port}",
        load_people(people) if people else _made(settings, company, agents),
        Habits(talk_mean, talk_sigma, wrap_mean, wrap_sigma, blind, attended, pay),
        seed,
    )
    over = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        over.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    crew.start()
    while not over.wait(REPORT_SECONDS):
        _write(crew, report)
    gone = crew.stop()
    _write(crew, report)
    return 0 if gone else 1


def _made(settings: Settings, company: str | None, count: int) -> list[Person]:
    from dialer.store.companies import find_company

    database = common.require_database(settings)
    try:
        with database.begin() as connection:
            found = find_company(connection, company).id
            return make_people(connection, settings, found, count, datetime.now(UTC))
    finally:
        database.dispose()


def _write(crew: Crew, report: Path | None) -> None:
    if report is not None:
        write_atomically(report, json.dumps(crew.measured(), indent=2).encode())


if __name__ == "__main__":
    agents_double()
