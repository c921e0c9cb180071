"""A demo with agents: who is called, the campaigns, and what the agents' side of it came to.

Debtors are called for the agents in the mode that was asked for; beside that a few are called by a
campaign without agents and ask for one in its flow.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from dialer.config import Settings
from dialer.domain.model import AgentState, DialMode
from dialer.importing.run import Options, import_file
from dialer.local.demo_campaign import ACTOR, DemoFailed, demo_campaign
from dialer.local.launch import make_campaign
from dialer.simulation.agents_made import make_people, save_people
from dialer.simulation.leads import MadeUpLead, make_leads, save_leads
from dialer.simulation.persona import Persona
from dialer.simulation.personas import named
from dialer.store import imports
from dialer.store.campaign_file import CampaignFile
from dialer.store.import_sink import DatabaseSink, find_target
from dialer.store.tables import account, agent_session, campaign, lead

WRAP_LIMIT = 30.0
"""Seconds after which the engine ends a wrap-up by itself; simulated agents are quicker."""
RING_SECONDS = 16.0
SETTLE_SECONDS = 20.0
"""How long agents may take to be free after the last call, on top of a wrap-up."""
REPORT_SECONDS = 5.0
LOOK_SECONDS = 0.5
ASK_SHARE = 0.15
"""Of all debtors those who are called by the campaign without agents, and ask for one."""
ANSWERED_SHARE = 0.36

CALLED: dict[str, float] = {
    "talks_to_agent": 26.0,
    "hangs_up_on_agent": 7.0,
    "gone_at_once": 3.0,
    "voicemail": 4.0,
    "no_answer": 38.0,
    "network_gives_up": 8.0,
    "busy": 9.0,
    "rejects": 3.0,
    "congestion": 1.0,
    "unallocated": 1.0,
}
"""Who is called for agents, in per cent: 36 are people who answer."""
PAYING: dict[str, float] = {
    "pays_with_agent": 20.0,
    "pays_aloud_with_agent": 3.0,
    "hangs_up_in_number_with_agent": 3.0,
}
"""In place of those who only talk, where agents take cards."""
PAY_SHARE = 0.7
"""Of talks in which a card is asked for then."""
ASKING: dict[str, float] = {
    "talks_to_agent_asked_for": 6.0,
    "gives_up_waiting": 2.0,
    "waits_for_callback": 2.0,
}
"""Who is called without, and wants one."""


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """Means in seconds; ``blind`` and ``attended`` are shares of talks that are passed on, ``pay``
    of those in which a card is asked for: agents' telephones say nothing then, so that debtors hear
    what they are asked."""

    agents: int
    mode: DialMode = DialMode.PREDICTIVE
    talk_mean: float = 8.0
    wrap_mean: float = 2.0
    blind: float = 0.05
    attended: float = 0.04
    pay: float = 0.0

    def arguments(self, home: Path, seed: int) -> list[str]:
        """The command line of ``agents-double``."""
        given = {
            "--people": people_file(home), "--report": report_file(home), "--seed": seed,
            "--talk-mean": self.talk_mean, "--wrap-mean": self.wrap_mean,
            "--blind": self.blind if self.agents > 1 else 0,
            "--attended": self.attended if self.agents > 1 else 0,
            "--pay": self.pay,
        }  # fmt: skip
        return [str(part) for pair in given.items() for part in pair]

    def seconds(self, leads: int) -> float:
        """That the calls may take: bounded by how many talks the agents can have."""
        talks = leads * (ANSWERED_SHARE + ASK_SHARE) / self.agents
        return 180.0 + 2.0 * talks * (self.talk_mean + self.wrap_mean + RING_SECONDS / 2)


def people_file(home: Path) -> Path:
    """Where the simulated agents find their tokens."""
    return home / "run" / "agents-double.json"


def report_file(home: Path) -> Path:
    """Where they say what they measured."""
    return home / "agents-double-report.json"


# --- before --------------------------------------------------------------------------------


def called(
    count: int, seed: int, personas: Sequence[Persona] | None, *, paying: bool = False
) -> list[MadeUpLead]:
    """Debtors who are called for agents (``personas``: others than usual)."""
    usual = CALLED
    if paying:
        usual = {name: share for name, share in CALLED.items() if name != "talks_to_agent"} | PAYING
    chosen = personas if personas is not None else _weighted(usual)
    return make_leads(count, seed, today=datetime.now(UTC).date(), personas=chosen)


def asking(count: int, seed: int, taken: Sequence[MadeUpLead]) -> list[MadeUpLead]:
    """Debtors who will ask for an agent, in turn; nobody of ``taken`` a second time."""
    chosen = [replace(named(name), weight=0) for name in ASKING]
    today = datetime.now(UTC).date()
    numbers = {phone for one in taken for phone in one.phones}
    documents = {one.document for one in taken}
    made = [
        replace(one, reference=f"A-{one.reference}")
        for one in make_leads(2 * count, seed + 1, today=today, personas=chosen)
        if numbers.isdisjoint(one.phones) and one.document not in documents
    ]
    return made[:count]


def how_many_ask(leads: int) -> int:
    """Of so many debtors."""
    return math.floor(leads * ASK_SHARE)


def _weighted(shares: dict[str, float]) -> list[Persona]:
    return [replace(named(name), weight=share) for name, share in shares.items()]


def agents_campaign(name: str, cps: float, options: AgentOptions) -> CampaignFile:
    """Everybody is called once, as the mode has it; who was abandoned would have to wait for three
    days otherwise."""
    return demo_campaign(
        name,
        cps,
        ring_timeout=f"{RING_SECONDS:g}s",
        retry=_NEVER,
        fallback=[{"sms": {}}, "retry"],
        on_machine="hang_up",
        agents={"mode": options.mode.value, "wrap": f"{WRAP_LIMIT:g}s"},
    )


def asking_campaign(name: str, company: str, cps: float) -> CampaignFile:
    """Without agents, so that they are asked for; slowly, so that it goes on for a while."""
    return demo_campaign(
        name, min(cps, 0.5), company=company, retry=_NEVER, fallback=[{"sms": {}}, "retry"]
    )


_NEVER = dict.fromkeys(
    (
        "busy", "no_answer", "congestion", "answered_abandoned", "failed", "rejected", "machine",
        "no_input", "incomplete", "abandoned",
    ),
    "never",
)  # fmt: skip


def hire(engine: Engine, settings: Settings, company: str, options: AgentOptions) -> None:
    """The agents' accounts, and the file with their tokens."""
    now = datetime.now(UTC)
    with engine.begin() as connection:
        target = find_target(connection, company, None)
        assert target.company_id is not None
        people = make_people(
            connection,
            settings,
            target.company_id,
            options.agents,
            now,
            telephone="quiet" if options.pay else "agent",
        )
    save_people(people, people_file(settings.home))
    report_file(settings.home).unlink(missing_ok=True)


def add_asking(
    engine: Engine,
    settings: Settings,
    wanted: CampaignFile,
    made_up: Sequence[MadeUpLead],
    campaign_id: int,
) -> int:
    """The second campaign, with these debtors and none of the first; its id. Raises DemoFailed."""
    assert wanted.company is not None
    with engine.begin() as connection:
        target = find_target(connection, wanted.company, None)
    path = settings.home / "leads-asking.csv"
    save_leads(made_up, path)
    with DatabaseSink(engine, target, ACTOR, lambda: datetime.now(UTC)) as sink:
        summary = import_file(path, Options(), sink)
    if summary.rejected or summary.new_accounts != len(made_up):
        raise DemoFailed(f"the importer took {summary.new_accounts} of {len(made_up)} debtors")
    with engine.begin() as connection:
        made, _ = make_campaign(connection, settings, wanted, ACTOR, datetime.now(UTC))
        first = select(lead.c.account_id).where(lead.c.campaign_id == campaign_id)
        others = connection.execute(
            select(account.c.id)
            .join(campaign, campaign.c.company_id == account.c.company_id)
            .where(campaign.c.id == made, account.c.id.not_in(first))
        ).scalars()
        imports.add_leads(connection, made, list(others))
    return made


# --- during --------------------------------------------------------------------------------


def wait_until_working(engine: Engine, agents: int, seconds: float) -> None:
    """Until every agent takes calls. Raises DemoFailed."""
    until = time.monotonic() + seconds
    while True:
        there = states_now(engine)
        if there[AgentState.AVAILABLE] >= agents:
            return
        if time.monotonic() > until:
            raise DemoFailed(f"after {seconds:.0f} s agents are: {dict(there) or 'not there'}")
        time.sleep(LOOK_SECONDS)


def wait_until_idle(engine: Engine, seconds: float = SETTLE_SECONDS) -> list[str]:
    """Until no agent has a call or wraps one up; the states of those who still do."""
    until = time.monotonic() + seconds
    while True:
        stuck = [
            state
            for state in (AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)
            for _ in range(states_now(engine)[state])
        ]
        if not stuck or time.monotonic() > until:
            return [state.value for state in stuck]
        time.sleep(LOOK_SECONDS)


def states_now(engine: Engine) -> Counter[AgentState]:
    """How many open sessions are in which state."""
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        rows = connection.execute(
            select(agent_session.c.state, func.count())
            .where(agent_session.c.ended_at.is_(None))
            .group_by(agent_session.c.state)
        ).all()
    return Counter({AgentState(state): count for state, count in rows})


def measured(home: Path, within: float = REPORT_SECONDS) -> dict[str, Any] | None:
    """What the simulated agents saw from their side, once all of them are free (what they say is a
    second old), or after ``within`` seconds; None where they have not said."""
    until = time.monotonic() + within
    while True:
        try:
            found: dict[str, Any] | None = json.loads(report_file(home).read_text())
        except (OSError, ValueError):
            found = None
        if found is not None and found["states"].get("available") == found["agents"]:
            return found
        if time.monotonic() > until:
            return found
        time.sleep(LOOK_SECONDS)


def pacing_reason(log: Path) -> str:
    """Why the pacer held back at the end, in its words; empty where it did not."""
    reason = ""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        if '"pacing"' not in line:
            continue
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if said.get("event") == "pacing":
            reason = str(said.get("reason", ""))
    return "" if reason == "as usual" else reason
