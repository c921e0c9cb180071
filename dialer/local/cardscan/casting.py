"""Who is called in a scan, and which cards they key in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from dialer.domain.model import Disposition
from dialer.domain.payment import PayStep
from dialer.local.cardscan.forms import Planted
from dialer.simulation.debtor_cards import card_of
from dialer.simulation.leads import MadeUpLead, make_leads
from dialer.simulation.personas import named

OUTCOMES = (
    "pays_card",
    "pays_amex",
    "pays_aloud",
    "declined_wants_link",
    "second_card_pays",
    "needs_action",
    "bank_is_silent",
    "hangs_up_while_charged",
    "wrong_number_keyed",
    "corrects_with_star",
    "asks_person_at_confirmation",
    "hangs_up_in_number",
    "hangs_up_in_expiry",
    "hangs_up_in_code",
)
"""The personas (``dialer.simulation.payers``) of a whole scan: how card entry can end."""
KILLED = "falls_silent_in_code"
"""Whose payment process is killed in the middle of the security code."""
WITH_AGENT = "pays_aloud_with_agent"
"""Who talks with an agent who has the card asked for; the tones of the keys can be heard."""
COMES_TO = {WITH_AGENT: (Disposition.PAID,)}
"""What a call comes to where that is not what the persona says of a campaign without agents."""
REACHED = {
    "wrong_number_keyed": PayStep.CARD_NUMBER,
    "asks_person_at_confirmation": PayStep.CONFIRM,
    "hangs_up_in_number": PayStep.CARD_NUMBER,
    "hangs_up_in_expiry": PayStep.EXPIRATION_DATE,
    "hangs_up_in_code": PayStep.SECURITY_CODE,
    KILLED: PayStep.SECURITY_CODE,
}
"""Where those end whose card reaches no bank. A subscriber goes on when its keys are pressed, so
what it does next (hang up, key the next field) shows that they were."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One debtor and the cards that it keys in."""

    lead: MadeUpLead
    cards: tuple[Planted, ...]

    @property
    def persona(self) -> str:
        """Its name."""
        return self.lead.persona.name

    @property
    def phone(self) -> str:
        """E.164."""
        return self.lead.phones[0]


def planned(personas: Sequence[str], seed: int, today: date) -> list[Planned]:
    """One debtor for each name, in order, each with a number, document and cards of its own.

    Raises KeyError for a persona that does not exist, ValueError for one without a card.
    """
    chosen = [replace(named(name), weight=0) for name in personas]
    without = [one.name for one in chosen if not one.cards]
    if without:
        raise ValueError(f"{without[0]} keys in no card: nothing could be looked for")
    # Mobiles alone: a link is sent by SMS, and a landline would be led another way.
    leads = make_leads(len(chosen), seed, today=today, personas=chosen, mobile_share=1.0)
    found = []
    for at, lead in enumerate(leads, start=1):
        cards = []
        for which, kind in enumerate(lead.persona.cards, start=1):
            keyed = card_of(lead.phones[0], kind, today)
            name = f"{lead.persona.name} #{at}" + (f" card {which}" if which > 1 else "")
            cards.append(Planted(name, keyed.number, keyed.expiry, keyed.code))
        found.append(Planned(lead, tuple(cards)))
    return found


def all_cards(calls: Sequence[Planned]) -> list[Planted]:
    """Every card of these debtors."""
    return [card for one in calls for card in one.cards]
