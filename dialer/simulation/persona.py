"""What a simulated debtor is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dialer.domain.model import Disposition as D
from dialer.domain.payment import PaymentState
from dialer.simulation.debtor_cards import CardKind
from dialer.simulation.steps import Script


class Memory(StrEnum):
    """What a persona goes by to choose its script, where it has several."""

    CALLS = "calls"  # the first call, the second, ...; the last script from then on
    CALLER_ID = "caller_id"  # the first caller ID it ever saw; any other one


@dataclass(frozen=True, slots=True)
class Persona:
    """One way to behave.

    ``scripts`` and ``expects`` go call by call (see ``Memory``); the last one holds from then on.
    ``expects`` is the disposition of the call when the flow is ``reminder`` and the campaign has
    the default detector. ``weight`` is its share in lists made up by ``dialer.simulation.leads``
    (0: only on demand). ``payments``: the states that its payments come to, in order, when the
    flow takes cards; ``amount``: the debt it must have, in minor units; ``language``: of its own;
    ``cards``: what it keys in.
    """

    code: str
    name: str
    description: str
    scripts: tuple[Script, ...]
    expects: tuple[D, ...]
    memory: Memory = Memory.CALLS
    weight: float = 1.0
    payments: tuple[PaymentState, ...] = ()
    amount: int | None = None
    language: str | None = None
    cards: tuple[CardKind, ...] = ()

    def script_at(self, call: int) -> Script:
        """The script of the nth call (from 1)."""
        return self.scripts[min(call, len(self.scripts)) - 1]

    def expected_at(self, call: int) -> D:
        """The disposition expected of the nth call (from 1)."""
        return self.expects[min(call, len(self.expects)) - 1]
