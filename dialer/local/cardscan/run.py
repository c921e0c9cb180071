"""``dialer pci-scan``: calls in which cards are keyed in, then a search for them everywhere, then
leaks that the search must find."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from dialer.config import Settings
from dialer.domain.payment import PayStep
from dialer.local import demo_payments
from dialer.local.cardscan.casting import KILLED, OUTCOMES, WITH_AGENT, Planned, all_cards, planned
from dialer.local.cardscan.everywhere import EXCLUDED, search_everywhere
from dialer.local.cardscan.leaks import LEAKS
from dialer.local.cardscan.matcher import Matcher
from dialer.local.cardscan.places import Searched
from dialer.local.cardscan.plants import PLANTS, plant_card
from dialer.local.cardscan.proof import Call, prove
from dialer.local.cardscan.rig import Rig
from dialer.local.cardscan.with_agent import card_with_agent
from dialer.simulation.debtor_cards import expiry_keys

Tell = Callable[[str], None]

NAMES = (*LEAKS, *PLANTS)
"""Every leak that can be switched on."""
SETTLE_SECONDS = 3.0
"""From the end of the last call to the search: what lives for a moment only is gone then, what
stays is found."""


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """``personas``: who is called, ``each`` times; ``kill``: once the payment process is killed in
    the middle of an entry; ``agent``: one more call in which an agent has the card asked for;
    ``leaks``: names of ``NAMES``, switched on one after the other.
    ``together``: the call whose process is killed begins while the others go on, which saves time
    where all of them have ended when it comes to its security code."""

    personas: tuple[str, ...] = OUTCOMES
    each: int = 1
    kill: bool = True
    agent: bool = True
    leaks: tuple[str, ...] = ()
    together: bool = False
    seed: int | None = None


@dataclass(slots=True)
class Control:
    """One leak. ``found``: the lines of the report in which it was, with the findings; ``seen``:
    whether the one where it had to be is among them."""

    leak: str
    where: str
    seen: bool
    found: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Scan:
    """What a scan came to."""

    calls: list[Call] = field(default_factory=list)
    searched: list[Searched] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    forms: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Every call came to a card, every place was searched, and nothing was found."""
        return not (
            self.problems
            or any(one.problems for one in self.calls)
            or any(one.findings or one.trouble for one in self.searched)
        )

    @property
    def missed(self) -> list[str]:
        """The leaks that were switched on and not found."""
        return [one.leak for one in self.controls if not one.seen]

    def as_json(self) -> dict[str, Any]:
        """For machines; no digit of a card is in it."""
        return {
            "clean": self.clean,
            "calls": [asdict(one) for one in self.calls],
            "searched": [asdict(one) for one in self.searched],
            "bytes": sum(one.bytes for one in self.searched),
            "forms": self.forms,
            "excluded": EXCLUDED,
            "controls": [asdict(one) for one in self.controls],
            "missed": self.missed,
            "problems": self.problems,
            "seconds": round(self.seconds, 1),
        }


def run_scan(settings: Settings, options: ScanOptions, tell: Tell = lambda _line: None) -> Scan:
    """The whole of it, in the installation of ``settings`` (see ``rig.scan_settings``), whose
    folder is emptied first.

    Raises KeyError for a persona or leak that does not exist, ScanFailed and DemoFailed where
    calls do not come to their end, ComponentFailed.
    """
    unknown = [name for name in options.leaks if name not in NAMES]
    if unknown:
        raise KeyError(unknown[0])
    began = time.monotonic()
    scan = Scan()
    seed = int(time.time()) if options.seed is None else options.seed
    asked = tuple(name for name in options.personas if name != WITH_AGENT)
    personas = asked * options.each
    kill = options.kill and bool(personas)
    agent = WITH_AGENT in options.personas or (options.agent and bool(personas))
    switched = [name for name in options.leaks if name in LEAKS]
    everybody = planned(
        [*personas, *[KILLED] * kill, *[WITH_AGENT] * agent, *(LEAKS[n].persona for n in switched)],
        seed,
        demo_payments.today(),
    )
    calls, rest = everybody[: len(personas)], everybody[len(personas) :]
    with Rig(settings, tell) as rig:
        if calls:
            killed = rest[0] if kill else None
            _call(rig, calls, killed, options.together, scan, tell)
        if agent:
            tell("one more, with an agent who has the card asked for")
            scan.problems += card_with_agent(rig, rest[kill])
        if calls or agent:
            _search(rig, [*calls, *rest[: kill + agent]], scan, tell)
        for name, one in zip(switched, rest[kill + agent :], strict=True):
            tell(f"a leak: {name}")
            scan.controls.append(_with_leak(rig, name, one))
        plants = [name for name in options.leaks if name in PLANTS]
        if plants:
            tell(f"numbers are planted: {', '.join(plants)}")
            scan.controls += _with_plants(rig, plants)
    scan.seconds = time.monotonic() - began
    return scan


def _call(
    rig: Rig,
    calls: Sequence[Planned],
    killed: Planned | None,
    together: bool,
    scan: Scan,
    tell: Tell,
) -> None:
    tell(f"{len(calls)} debtors are called, and key in their cards")
    first = rig.start(calls)
    if killed is None or not together:
        rig.finish(first)
    if killed is None:
        return
    if together:
        rig.wait_for_step(first, PayStep.AMOUNT_CHOICE)
    tell("one more; the payment process is killed in the middle of it")
    last = rig.start([killed])
    held, left = rig.kill_within_code(last, killed, calls)
    scan.searched.append(left)
    if not held:
        scan.problems.append("the payment process did not hold the number when it was killed")
    rig.finish(first)
    rig.finish(last)


def _search(rig: Rig, calls: Sequence[Planned], scan: Scan, tell: Tell) -> None:
    scan.calls = prove(rig, calls)
    time.sleep(SETTLE_SECONDS)
    tell("everything is searched")
    matcher = Matcher(all_cards(calls))
    scan.forms = matcher.forms
    scan.searched += search_everywhere(rig, matcher)


def _with_leak(rig: Rig, name: str, one: Planned) -> Control:
    leak = LEAKS[name]
    with ExitStack() as on:
        campaign_id = rig.start([one])
        rig.wait_for_step(campaign_id, PayStep.CARD_NUMBER)
        on.enter_context(contextmanager(leak.on)(rig))
        rig.finish(campaign_id)
        searched = search_everywhere(rig, Matcher(one.cards), memory=False)
    return _control(name, leak.where, one.cards[0].name, searched)


def _with_plants(rig: Rig, wanted: Sequence[str]) -> list[Control]:
    expiry = expiry_keys(datetime.now(UTC).date())
    cards = {name: plant_card(name, expiry) for name in wanted}
    with ExitStack() as laid:
        for name, card in cards.items():
            laid.enter_context(contextmanager(PLANTS[name][0])(rig, card))
        memory = any(PLANTS[name][1].startswith("process") for name in wanted)
        searched = search_everywhere(rig, Matcher(list(cards.values())), memory=memory)
    return [_control(name, PLANTS[name][1], name, searched) for name in wanted]


def _control(name: str, where: str, card: str, searched: Sequence[Searched]) -> Control:
    found = {}
    for one in searched:
        mine = [finding for finding in one.findings if finding.startswith(f"{card}:")]
        if mine:
            found[one.where] = mine
    return Control(name, where, any(one.startswith(where) for one in found), found)
