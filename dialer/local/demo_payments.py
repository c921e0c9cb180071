"""What the payments of a demo came to: our books held against the simulated bank's ledger."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, select

from dialer.config import Settings
from dialer.domain.payment import PaymentState
from dialer.simulation.debtor_cards import card_of
from dialer.simulation.payers import PAYERS
from dialer.simulation.persona import Persona
from dialer.simulation.personas import PERSONAS, persona_of
from dialer.store.ledger import audit_books
from dialer.store.tables import attempt, pay_session, payment, phone

SHARE = 4.0
"""Payers are so many times as frequent as their weight says among all."""
PRESSES_PAY_FOR_LINK = frozenset({"10", "20", "40", "42", "43"})
"""Who press the key for paying to be sent a link, and would now be asked for a card."""
CURRENCY_OF = {"mercadopago": "MXN"}
"""Of the debts, where the gateway takes no euros."""
MONEY_MOVED = frozenset({"approved", "captured"})
LOOK_SECONDS = 0.5


def cast() -> list[Persona]:
    """Who is called in a demo with payments."""
    others = [one for code, one in PERSONAS.items() if code not in PRESSES_PAY_FOR_LINK]
    return others + [replace(one, weight=one.weight * SHARE) for one in PAYERS.values()]


def wait_until_known(engine: Engine, seconds: float) -> bool:
    """Until no payment is open any more; False where one still is."""
    open_states = [state.value for state in PaymentState if state.open]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            left = connection.execute(
                select(payment.c.id).where(payment.c.state.in_(open_states)).limit(1)
            ).first()
        if left is None:
            return True
        time.sleep(LOOK_SECONDS)
    return False


def bank_ledger(settings: Settings, gateway: str) -> dict[str, Any] | None:
    """Everything that the simulated bank wrote down; None where the gateway's address is not the
    simulated bank's."""
    bank = f"http://127.0.0.1:{settings.acquirer_double_port}"
    name = "test_acquirer" if gateway == "test" else gateway
    if not getattr(settings, f"{name}_api_base").startswith(bank):
        return None
    url = f"{bank}/_bank/ledger"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own process
        found: dict[str, Any] = json.load(answer)
    return found


def payment_result(
    connection: Connection, campaign_id: int, ledger: dict[str, Any] | None, today: date
) -> dict[str, Any]:
    """The figures of the payments of a campaign.

    ``charged_once``: whether both sides know the same charges, each once and of the same amount;
    None where the bank was not ours to ask. ``match``: whether the payments of each debtor came to
    the states that its persona says.
    """
    ours = _payments(connection, campaign_id)
    sessions = _sessions(connection, campaign_id)
    called = _called(connection, campaign_id)
    expected, observed, differences = held_against(called, ours)
    apart = None if ledger is None else disagreements(ours, ledger)
    return {
        "outcomes": dict(Counter(one["outcome"] or "none" for one in ours).most_common()),
        "states": dict(Counter(one["state"] for one in ours).most_common()),
        "results": dict(Counter(one["result"] or "none" for one in sessions).most_common()),
        "errors": dict(_errors(sessions).most_common()),
        "money": _money(ours),
        "entry_seconds": _entry_seconds(sessions),
        "unresolved": sum(PaymentState(one["state"]).open for one in ours),
        "books": audit_books(connection),
        "expected": expected,
        "observed": observed,
        "match": not differences,
        "differences": differences[:50],
        "charged_once": None if apart is None else not apart,
        "disagreements": apart or [],
        "cards_as_keyed": None if ledger is None else as_keyed(called, ours, ledger, today),
        "ours": ours,
        "acquirer": None if ledger is None else ledger["charges"],
    }


def _payments(connection: Connection, campaign_id: int) -> list[dict[str, Any]]:
    p = payment.c
    rows = connection.execute(
        select(
            p.id, p.order_ref, p.attempt_id, p.gateway, p.mode, p.amount_minor, p.currency,
            p.state, p.outcome, p.brand, p.last_four, p.provider_ref, p.reason, p.look_ups,
            p.created_at, p.settled_at, attempt.c.lead_id,
        )
        .join(attempt, attempt.c.id == p.attempt_id)
        .where(attempt.c.campaign_id == campaign_id)
        .order_by(p.created_at, p.id)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def _sessions(connection: Connection, campaign_id: int) -> list[dict[str, Any]]:
    s = pay_session.c
    rows = connection.execute(
        select(s.id, s.result, s.seconds, s.errors, s.step)
        .join(attempt, attempt.c.id == s.attempt_id)
        .where(attempt.c.campaign_id == campaign_id)
    )
    return [dict(row._mapping) for row in rows]


def _errors(sessions: Sequence[dict[str, Any]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in sessions:
        found.update(one["errors"] or {})
    return found


def _money(ours: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Currency -> minor units that were charged, and how many times."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"minor": 0, "payments": 0})
    for one in ours:
        if one["state"] == PaymentState.APPROVED:
            found[one["currency"]]["minor"] += one["amount_minor"]
            found[one["currency"]]["payments"] += 1
    return dict(found)


def _entry_seconds(sessions: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Field -> mean seconds from the first chance to press a key to the last key, and of how
    many sessions."""
    by_field: dict[str, list[float]] = defaultdict(list)
    for one in sessions:
        for name, seconds in (one["seconds"] or {}).items():
            by_field[name].append(float(seconds))
    return {
        name: {"mean": round(sum(values) / len(values), 2), "sessions": len(values)}
        for name, values in sorted(by_field.items())
    }


def held_against(
    called: Mapping[int, str], ours: Sequence[dict[str, Any]]
) -> tuple[dict[str, int], dict[str, int], list[dict[str, Any]]]:
    """What each debtor's persona says of its payments, and what they came to."""
    by_lead: dict[int, list[str]] = defaultdict(list)
    for one in ours:
        by_lead[one["lead_id"]].append(one["state"])
    expected: Counter[str] = Counter()
    observed: Counter[str] = Counter(one["state"] for one in ours)
    differences = []
    for lead_id, number in called.items():
        persona = persona_of(number)
        wanted = [state.value for state in persona.payments] if persona else []
        expected.update(wanted)
        if wanted != by_lead[lead_id]:
            differences.append(
                {
                    "lead": lead_id,
                    "persona": persona.name if persona else None,
                    "expected": wanted,
                    "observed": by_lead[lead_id],
                }
            )
    return dict(expected.most_common()), dict(observed.most_common()), differences


def _called(connection: Connection, campaign_id: int) -> dict[int, str]:
    rows = connection.execute(
        select(attempt.c.lead_id, phone.c.number)
        .join(phone, phone.c.id == attempt.c.phone_id)
        .where(attempt.c.campaign_id == campaign_id)
    )
    return {row.lead_id: row.number for row in rows}


def disagreements(ours: Sequence[dict[str, Any]], ledger: dict[str, Any]) -> list[str]:
    """Where the two ledgers differ, in words."""
    charged = [one for one in ledger["charges"] if one["state"] in MONEY_MOVED]
    theirs = _by_payment(ours, charged)
    found = []
    for one in ours:
        known = theirs[one["id"]]
        approved = one["state"] == PaymentState.APPROVED
        if len(known) != approved:
            found.append(f"payment {one['id']} is {one['state']}, the bank charged {len(known)}")
        elif approved and (known[0]["minor"], known[0]["currency"]) != (
            one["amount_minor"],
            one["currency"],
        ):
            found.append(f"payment {one['id']} has another amount at the bank")
    return found + [
        f"the bank charged {charge['key']}, which is no payment of ours" for charge in theirs[""]
    ]


def _by_payment(
    ours: Sequence[dict[str, Any]], charges: Sequence[dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Payment -> every charge that the bank knows by its id or by its order reference; under the
    empty name those that are none of ours."""
    names = {one["order_ref"]: one["id"] for one in ours} | {one["id"]: one["id"] for one in ours}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for charge in charges:
        found[names.get(charge["key"]) or names.get(charge["order_ref"], "")].append(charge)
    return found


def as_keyed(
    called: Mapping[int, str], ours: Sequence[dict[str, Any]], ledger: dict[str, Any], today: date
) -> bool:
    """Whether every card that reached the bank is one that its debtor keyed, digit for digit."""
    wanted: dict[int, set[str]] = {}
    for lead_id, number in called.items():
        persona = persona_of(number)
        if persona is not None:
            wanted[lead_id] = {
                hashlib.sha256(card_of(number, kind, today).number.encode()).hexdigest()
                for kind in persona.cards
            }
    theirs = _by_payment(ours, ledger["charges"])
    return all(
        charge["number_sha256"] in wanted.get(one["lead_id"], set())
        for one in ours
        for charge in theirs[one["id"]]
        if charge["number_sha256"] is not None
    )


def today() -> date:
    """The day by which the network's cards were made."""
    return datetime.now(UTC).date()
