"""Whether the calls of a scan were what they should be: a scan after calls that never came to a
card proves nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from dialer.domain.payment import PayError, PayStep
from dialer.local import demo_payments
from dialer.local.cardscan.casting import COMES_TO, REACHED, Planned
from dialer.local.cardscan.rig import GATEWAY, Rig, ScanFailed
from dialer.store.tables import attempt, pay_session, payment, phone

WRONG_TIMES = 3


@dataclass(slots=True)
class Call:
    """One line of the report. ``keyed``: how it is known that the card was; ``problems``: what did
    not come as planned."""

    name: str
    disposition: str
    payments: list[str]
    keyed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def prove(rig: Rig, calls: Sequence[Planned]) -> list[Call]:
    """Every planned call held against the database and against what the bank received. Raises
    ScanFailed where the bank is another one."""
    ledger = demo_payments.bank_ledger(rig.settings, GATEWAY)
    if ledger is None:
        raise ScanFailed("the bank is not the simulated one: unset TEST_ACQUIRER_API_BASE")
    reached = {
        one["number_sha256"]
        for one in (*ledger["attempts"], *ledger["charges"])
        if one["number_sha256"]
    }
    return [_one(rig, one, reached) for one in calls]


def _one(rig: Rig, one: Planned, reached: set[str]) -> Call:
    of_phone = phone.c.number == one.phone
    calls = rig.rows(
        select(attempt.c.id, attempt.c.disposition)
        .join(phone, phone.c.id == attempt.c.phone_id)
        .where(of_phone)
        .order_by(attempt.c.placed_at)
    )
    ids = [row.id for row in calls]
    paid = rig.rows(
        select(payment.c.state)
        .where(payment.c.attempt_id.in_(ids))
        .order_by(payment.c.created_at, payment.c.id)
    )
    sessions = rig.rows(select(pay_session).where(pay_session.c.attempt_id.in_(ids)))
    persona = one.lead.persona
    found = Call(
        one.cards[0].name,
        ", ".join(row.disposition or "none" for row in calls) or "not called",
        [row.state for row in paid],
    )
    expected = [value.value for value in COMES_TO.get(persona.name, persona.expects)]
    if [row.disposition for row in calls] != expected:
        found.problems.append(f"was expected to come to {', '.join(expected)}")
    wanted = [state.value for state in persona.payments]
    if found.payments != wanted:
        found.problems.append(f"payments expected: {', '.join(wanted) or 'none'}")
    if len(sessions) != 1:
        found.problems.append(f"{len(sessions)} payment sessions where one was expected")
    elif persona.payments:
        _at_the_bank(one, reached, found)
    else:
        _on_the_way(one, sessions[0], found)
    return found


def _at_the_bank(one: Planned, reached: set[str], found: Call) -> None:
    for card in one.cards:
        if hashlib.sha256(card.number.encode()).hexdigest() in reached:
            found.keyed.append("received by the bank, digit for digit")
        else:
            found.problems.append(f"the bank never received {card.name}")


def _on_the_way(one: Planned, session: Any, found: Call) -> None:
    wanted = REACHED.get(one.persona)
    if wanted is None or session.step != wanted.value:
        found.problems.append(f"came to the step {session.step}, expected {wanted}")
        return
    found.keyed.append(f"keyed in, up to the step {wanted.value}")
    if wanted is PayStep.CARD_NUMBER and one.lead.persona.cards[0].luhn:
        wrong = (session.errors or {}).get(PayError.INVALID_CARD_NUMBER.value, 0)
        if wrong != WRONG_TIMES:
            found.problems.append(f"{wrong} wrong numbers were heard, {WRONG_TIMES} were keyed")
    elif wanted is not PayStep.CARD_NUMBER and session.last_four != one.cards[0].number[-4:]:
        found.problems.append("the number that was heard is not the one that was keyed")
