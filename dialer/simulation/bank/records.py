"""What the simulated bank writes down, and the file that survives it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any


class State(StrEnum):
    """Where a submission stands."""

    APPROVED = "approved"  # charged
    AUTHORISED = "authorised"
    CAPTURED = "captured"  # charged
    TOKENISED = "tokenised"
    DECLINED = "declined"
    NEEDS_ACTION = "needs_action"
    REFUSED = "refused"  # the merchant may not do this, or asked wrongly
    CLOSED = "closed"  # closed before anything was charged: can be charged no more
    VOIDED = "voided"

    @property
    def moved(self) -> bool:
        """Whether the cardholder's money has moved (refunds apart)."""
        return self in (State.APPROVED, State.CAPTURED)


@dataclass(slots=True)
class Refund:
    """Money given back, or a void (``kind``), with the key it was asked with."""

    key: str
    ref: str
    kind: str
    minor: int
    at: float


@dataclass(slots=True)
class Charge:
    """One submission that the bank decided. Times are Unix seconds; of the card there is the
    brand, the last four digits and the SHA-256 of the number, by which checks find it again."""

    face: str
    key: str
    ref: str
    order_ref: str
    minor: int
    currency: str
    mode: str
    state: State
    at: float
    reason: str | None = None
    brand: str | None = None
    last_four: str | None = None
    number_sha256: str | None = None
    auth_code: str | None = None
    token: str | None = None
    behaviour: str | None = None
    captured_minor: int = 0
    refunds: list[Refund] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    """What the face wants to find again."""

    @property
    def refunded_minor(self) -> int:
        """What was given back so far."""
        return sum(one.minor for one in self.refunds if one.kind == "refund")

    @property
    def held_minor(self) -> int:
        """What the merchant holds of it now."""
        if not self.state.moved:
            return 0
        return self.captured_minor - self.refunded_minor

    def as_json(self) -> dict[str, Any]:
        """As the ledger shows it."""
        plain = asdict(self)
        plain["charged"] = self.state.moved
        plain["refunded_minor"] = self.refunded_minor
        plain["held_minor"] = self.held_minor
        return plain


def charge_from_json(plain: dict[str, Any]) -> Charge:
    """A charge as ``as_json`` gave it."""
    known = {one.name for one in fields(Charge)}
    values = {name: value for name, value in plain.items() if name in known}
    values["state"] = State(values["state"])
    values["refunds"] = [Refund(**one) for one in values["refunds"]]
    return Charge(**values)


class LedgerFile:
    """JSON lines, only ever added to; the last line about a thing counts."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> Iterator[dict[str, Any]]:
        """What was written, oldest first; a last line cut short by a crash is left out."""
        if self._path is None or not self._path.exists():
            return
        for line in self._path.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def write(self, kind: str, value: dict[str, Any]) -> None:
        """One more line, on disk when this returns."""
        if self._path is None:
            return
        with self._path.open("a") as out:
            out.write(json.dumps({"kind": kind, **value}) + "\n")

    def clear(self) -> None:
        """Begin anew."""
        if self._path is not None:
            self._path.write_text("")
