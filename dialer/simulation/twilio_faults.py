"""How the double of Twilio misbehaves: by the last four digits of a number, or by chance.

Pure: chance comes in as a generator.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum


class Fault(StrEnum):
    """What a request to send meets with."""

    NONE = "none"
    INVALID = "invalid"  # 21211
    OPTED_OUT = "opted_out"  # 21610
    NOT_MOBILE = "not_mobile"  # 21614
    BUSY = "busy"  # 429 with Retry-After
    ERROR = "error"  # 500, the message is not kept
    ERROR_KEPT = "error_kept"  # 500 although the message is kept
    UNAVAILABLE = "unavailable"  # 503
    SLOW = "slow"  # kept at once, answered late
    DROP_KEPT = "drop_kept"  # kept, then the connection is cut without an answer
    DROP_LOST = "drop_lost"  # the connection is cut, nothing is kept

    @property
    def keeps(self) -> bool:
        """Whether the message exists afterwards."""
        return self in (Fault.NONE, Fault.ERROR_KEPT, Fault.SLOW, Fault.DROP_KEPT)


class Delivery(StrEnum):
    """What becomes of a message that was kept, and how it is reported."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"  # 30003
    DISORDERED = "disordered"  # delivered is reported before sent
    REPEATED = "repeated"  # every report comes twice
    LATE = "late"
    SILENT = "silent"  # no report at all


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Both together. ``seconds`` is how long a slow answer takes, or what a busy one asks to wait;
    None: the double's own."""

    fault: Fault = Fault.NONE
    delivery: Delivery = Delivery.DELIVERED
    seconds: float | None = None


FIRST_TIME = {
    "0004": Fault.BUSY,
    "0005": Fault.ERROR,
    "0007": Fault.DROP_KEPT,
    "0008": Fault.DROP_LOST,
    "0009": Fault.ERROR_KEPT,
}
"""Numbers that fail once and then work."""
ALWAYS = {
    "0001": Fault.INVALID,
    "0002": Fault.OPTED_OUT,
    "0003": Fault.NOT_MOBILE,
    "0006": Fault.SLOW,
    "0014": Fault.BUSY,
    "0015": Fault.UNAVAILABLE,
}
DELIVERIES = {
    "0010": Delivery.UNDELIVERED,
    "0011": Delivery.DISORDERED,
    "0012": Delivery.REPEATED,
    "0013": Delivery.SILENT,
    "0016": Delivery.LATE,
}


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares (0 to 1) of requests, or of messages, that misbehave by chance."""

    busy: float = 0.0
    error: float = 0.0
    error_kept: float = 0.0
    slow: float = 0.0
    drop_kept: float = 0.0
    drop_lost: float = 0.0
    invalid: float = 0.0
    undelivered: float = 0.0
    disordered: float = 0.0
    repeated: float = 0.0
    late: float = 0.0


def parse_rates(text: str) -> Rates:
    """``busy=0.1,undelivered=0.02`` as rates. Raises ValueError naming the wrong part."""
    known = {field.name for field in fields(Rates)}
    values: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, share = part.partition("=")
        if name not in known:
            raise ValueError(f"no rate {name!r}: use one of {', '.join(sorted(known))}")
        try:
            values[name] = float(share)
        except ValueError:
            values[name] = -1.0
        if not 0.0 <= values[name] <= 1.0:
            raise ValueError(f"{name} needs a share from 0 to 1, for example {name}=0.1")
    return Rates(**values)


def behaviour_of(number: str, earlier: int, rates: Rates, chance: random.Random) -> Behaviour:
    """What a request to send to ``number`` meets, after ``earlier`` requests to it."""
    ending = number[-4:]
    fault = ALWAYS.get(ending) or (FIRST_TIME.get(ending) if earlier == 0 else None)
    delivery = DELIVERIES.get(ending)
    by_chance = Behaviour(
        Fault(_draw(rates, chance, [f.value for f in Fault], Fault.NONE.value)),
        Delivery(_draw(rates, chance, [d.value for d in Delivery], Delivery.DELIVERED.value)),
    )
    return Behaviour(fault or by_chance.fault, delivery or by_chance.delivery)


def _draw(rates: Rates, chance: random.Random, names: list[str], otherwise: str) -> str:
    drawn = chance.random()
    for name in names:
        drawn -= getattr(rates, name, 0.0)
        if drawn < 0:
            return name
    return otherwise


def reports(delivery: Delivery, pause: float) -> list[tuple[float, str]]:
    """The reports of a message as (seconds after it was kept, status), in order of sending."""
    sent, end = (pause, "sent"), (2 * pause, "delivered")
    plans: Mapping[Delivery, list[tuple[float, str]]] = {
        Delivery.DELIVERED: [sent, end],
        Delivery.UNDELIVERED: [sent, (2 * pause, "undelivered")],
        Delivery.DISORDERED: [(pause, "delivered"), (2 * pause, "sent"), (3 * pause, "queued")],
        Delivery.REPEATED: [sent, sent, end, end, (3 * pause, "delivered")],
        Delivery.LATE: [(10 * pause, "sent"), (20 * pause, "delivered")],
        Delivery.SILENT: [],
    }
    return plans[delivery]
