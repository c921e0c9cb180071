"""The simulated bank: what it knows, decides and remembers. Thread-safe; knows nothing of HTTP.

A face (see ``faces``) translates a gateway's requests into ``Bank.submit`` and so on, gives the
answer through ``app.answer`` in the manner that the bank decided, and sends its webhooks through
``hooks``.
"""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from dialer.simulation.bank.asking import (
    Asking,
    Conflict,
    Presented,
    Refusal,
    after_checks,
    other_brand,
)
from dialer.simulation.bank.conduct import CONDUCT, Conduct, Hooks, Verdict
from dialer.simulation.bank.records import Charge, LedgerFile, Refund, State, charge_from_json
from dialer.simulation.cards import Behaviour, behaviour_of, brand_of

KEPT_ATTEMPTS = 20_000


@dataclass(frozen=True, slots=True)
class Decision:
    """``charge`` is a copy, None where nothing was written. ``finish``: to be called once the wait
    is over, where the bank decides only then."""

    conduct: Conduct
    charge: Charge | None
    repeated: bool = False
    finish: Callable[[], Charge | None] | None = None


@dataclass(slots=True)
class _Told:
    operation: str
    behaviour: Behaviour
    times: int
    face: str | None
    number_sha256: str | None


class Bank:
    """All accounts of the world. ``soft_first`` and what it was told are gone with the process,
    charges and the faces' objects are not if there is a ledger file."""

    def __init__(self, file: LedgerFile | None = None) -> None:
        self._lock = threading.RLock()
        self._file = file or LedgerFile(None)
        self._charges: dict[tuple[str, str], Charge] = {}
        self._objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._seen: Counter[str] = Counter()
        self._told: list[_Told] = []
        self._attempts: list[dict[str, Any]] = []
        self._outage: dict[str, str] = {}
        self._days = 0
        self._resets = 0
        for line in self._file.read():
            if line["kind"] == "charge":
                charge = charge_from_json(line)
                self._charges[charge.face, charge.key] = charge
            elif line["kind"] == "object":
                self._objects[line["face"], line["type"], line["id"]] = line["value"]

    # --- what faces ask ------------------------------------------------------------------

    def submit(self, asking: Asking, card: Presented) -> Decision:
        """Charge, authorise or tokenise. Raises Conflict (same key, something else) and Refusal
        (asked wrongly: nothing is written but the attempt)."""
        with self._lock:
            before = self._charges.get((asking.face, asking.key))
            if before is not None:
                return self._again(before, asking, card)
            conduct = self._conduct("submit", asking.face, card.sha256, behaviour_of(card.number))
            try:
                conduct = after_checks(conduct, asking, card, self.today())
            except Refusal as refusal:
                self._note(asking, card, refusal.reason)
                raise
            self._note(asking, card, conduct.verdict)
            if conduct.verdict is Verdict.NOTHING:
                return Decision(conduct, None)
            if conduct.verdict is Verdict.LATER:
                era = self._resets
                return Decision(conduct, None, finish=lambda: self._decide_late(asking, card, era))
            return Decision(conduct, self._write_down(asking, card, conduct))

    def find(self, face: str, *, key: str | None = None, ref: str | None = None) -> Charge | None:
        """A charge of this face by its key or by the bank's reference; a copy."""
        with self._lock:
            if key is not None:
                return copy.deepcopy(self._charges.get((face, key)))
            return copy.deepcopy(self._by_ref(face, ref))

    def close(self, face: str, key: str, order_ref: str = "") -> Charge:
        """What became of this key; one never heard of can be charged no more from now on."""
        with self._lock:
            charge = self._charges.get((face, key))
            if charge is None:
                charge = Charge(
                    face=face, key=key, ref=_fresh("cl"), order_ref=order_ref, minor=0,
                    currency="", mode="", state=State.CLOSED, at=self.now(),
                )  # fmt: skip
                self._keep(charge)
            return copy.deepcopy(charge)

    def capture(self, face: str, ref: str, minor: int) -> Charge:
        """Take what was authorised, or a part. Raises Refusal."""
        with self._lock:
            charge = self._need(face, ref)
            if charge.state is State.CAPTURED and charge.captured_minor == minor:
                return copy.deepcopy(charge)
            if charge.state is not State.AUTHORISED:
                raise Refusal("charge_not_authorised")
            if not 0 < minor <= charge.minor:
                raise Refusal("amount_too_large")
            charge.state, charge.captured_minor = State.CAPTURED, minor
            self._keep(charge)
            return copy.deepcopy(charge)

    def refund(self, face: str, ref: str, key: str, minor: int, name: str = "") -> Refund:
        """Give back, once for each key. Raises Conflict and Refusal. ``name``: the reference that
        the face gives it."""
        with self._lock:
            charge = self._need(face, ref)
            before = next((one for one in charge.refunds if one.key == key), None)
            if before is not None:
                if (before.kind, before.minor) != ("refund", minor):
                    raise Conflict
                return copy.deepcopy(before)
            if not charge.state.moved:
                raise Refusal("charge_not_captured")
            if minor <= 0:
                raise Refusal("amount_invalid")
            if minor > charge.held_minor:
                whole = charge.held_minor == 0
                raise Refusal("charge_already_refunded" if whole else "amount_too_large")
            made = Refund(key, name or _fresh("re"), "refund", minor, self.now())
            charge.refunds.append(made)
            self._keep(charge)
            return copy.deepcopy(made)

    def void(self, face: str, ref: str, key: str, name: str = "") -> Refund:
        """Reverse the whole: an authorisation, or a charge on the day it was made (UTC) of which
        nothing was given back. Raises Refusal."""
        with self._lock:
            charge = self._need(face, ref)
            before = next((one for one in charge.refunds if one.key == key), None)
            if before is not None:
                if before.kind != "void":
                    raise Conflict
                return copy.deepcopy(before)
            if charge.state is State.VOIDED:
                raise Refusal("already_voided")
            if charge.state is not State.AUTHORISED:
                if not charge.state.moved:
                    raise Refusal("charge_not_captured")
                if charge.refunds:
                    raise Refusal("charge_already_refunded")
                if datetime.fromtimestamp(charge.at, UTC).date() != self.today():
                    raise Refusal("void_too_late")
            made = Refund(key, name or _fresh("vo"), "void", charge.minor, self.now())
            charge.refunds.append(made)
            charge.state = State.VOIDED
            self._keep(charge)
            return copy.deepcopy(made)

    def find_refund(self, face: str, key: str) -> tuple[Charge, Refund] | None:
        """A refund or void by the key it was asked with."""
        with self._lock:
            for charge in self._charges.values():
                for one in charge.refunds:
                    if charge.face == face and one.key == key:
                        return copy.deepcopy(charge), copy.deepcopy(one)
            return None

    def put(self, face: str, kind: str, ref: str, value: dict[str, Any]) -> None:
        """Keep an object of a face's own; nothing of a card may be in it."""
        with self._lock:
            self._objects[face, kind, ref] = copy.deepcopy(value)
            self._file.write("object", {"face": face, "type": kind, "id": ref, "value": value})

    def get(self, face: str, kind: str, ref: str) -> dict[str, Any] | None:
        """A copy of what was put."""
        with self._lock:
            return copy.deepcopy(self._objects.get((face, kind, ref)))

    def objects(self, face: str, kind: str) -> list[dict[str, Any]]:
        """Copies of all objects of a kind, the newest last."""
        with self._lock:
            found = [v for (f, k, _), v in self._objects.items() if (f, k) == (face, kind)]
            return copy.deepcopy(found)

    def conduct_of(self, operation: str, face: str) -> Conduct:
        """How an operation other than submitting is answered (``capture``, ``refund``, ``void``,
        ``look_up``, ``prepare``): as told, else plainly."""
        with self._lock:
            return self._conduct(operation, face, None, Behaviour.APPROVE)

    def now(self) -> float:
        """Unix time, as the bank's clock was set."""
        return time.time() + self._days * 86_400

    def today(self) -> date:
        """The bank's day, UTC."""
        return datetime.fromtimestamp(self.now(), UTC).date()

    # --- what the control asks -----------------------------------------------------------

    def ledger(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        with self._lock:
            charges = [one.as_json() for one in self._charges.values()]
            refunds = [
                {"face": one.face, "charge_ref": one.ref, "charge_key": one.key, **refund}
                for one in self._charges.values()
                for refund in one.as_json()["refunds"]
            ]
            return copy.deepcopy(
                {"charges": charges, "refunds": refunds, "attempts": self._attempts}
            )

    def tell(
        self,
        behaviour: str,
        *,
        times: int = 1,
        operation: str = "submit",
        face: str | None = None,
        number_sha256: str | None = None,
    ) -> None:
        """Behave so for the next ``times`` operations that fit. Raises ValueError."""
        told = _Told(operation, Behaviour(behaviour), times, face, number_sha256)
        with self._lock:
            self._told.append(told)

    def set_outage(self, how: str | None, faces: list[str] | None = None) -> None:
        """``how``: error, drop or silent; None: all is well again. No faces: every face."""
        with self._lock:
            for face in faces or ["*"]:
                if how is None:
                    self._outage.pop(face, None)
                else:
                    self._outage[face] = how
            if how is None and not faces:
                self._outage.clear()

    def outage(self, face: str) -> str | None:
        """How this face is out of order now."""
        with self._lock:
            return self._outage.get(face) or self._outage.get("*")

    def set_days(self, days: int) -> None:
        """The bank's clock runs so many days ahead."""
        self._days = days

    def reset(self) -> None:
        """Forget everything, the ledger file too."""
        with self._lock:
            self._charges.clear()
            self._objects.clear()
            self._seen.clear()
            self._told.clear()
            self._attempts.clear()
            self._outage.clear()
            self._days = 0
            self._resets += 1
            self._file.clear()

    # --- inside --------------------------------------------------------------------------

    def _conduct(self, operation: str, face: str, sha: str | None, usual: Behaviour) -> Conduct:
        behaviour = usual
        for told in self._told:
            fits = told.face in (None, face) and told.number_sha256 in (None, sha)
            if told.operation == operation and fits and told.times > 0:
                told.times -= 1
                behaviour = told.behaviour
                break
        if behaviour is Behaviour.SOFT_THEN_APPROVE and sha is not None:
            self._seen[sha] += 1
            if self._seen[sha] > 1:
                behaviour = Behaviour.APPROVE
        return CONDUCT[behaviour]

    def _again(self, before: Charge, asking: Asking, card: Presented) -> Decision:
        closed = before.state is State.CLOSED
        same = (before.minor, before.currency, before.mode, before.number_sha256) == (
            asking.minor, asking.currency, asking.mode, card.sha256,
        )  # fmt: skip
        self._note(asking, card, "closed" if closed else "repeated" if same else "conflict")
        if closed:
            raise Refusal("key_closed")
        if not same:
            raise Conflict
        return Decision(Conduct(hooks=Hooks.NEVER), copy.deepcopy(before), repeated=True)

    def _decide_late(self, asking: Asking, card: Presented, era: int) -> Charge | None:
        with self._lock:
            if era != self._resets or (asking.face, asking.key) in self._charges:
                return None
            return self._write_down(asking, card, Conduct())

    def _write_down(self, asking: Asking, card: Presented, conduct: Conduct) -> Charge:
        brand = brand_of(card.number) or other_brand(card.number)
        approved = conduct.verdict is Verdict.APPROVE
        state = {
            Verdict.DECLINE: State.DECLINED,
            Verdict.ACTION: State.NEEDS_ACTION,
            Verdict.REFUSE: State.REFUSED,
        }.get(conduct.verdict) or _state_of_mode(asking.mode)
        number = uuid.uuid4().int
        charge = Charge(
            face=asking.face, key=asking.key, ref=asking.ref or _fresh("ch"),
            order_ref=asking.order_ref, minor=asking.minor, currency=asking.currency,
            mode=asking.mode, state=state, at=self.now(), reason=conduct.reason,
            brand=brand.value if brand else None, last_four=card.number[-4:],
            number_sha256=card.sha256, auth_code=f"{number % 10**6:06d}" if approved else None,
            token=_fresh("tok") if approved and asking.mode == "tokenise" else None,
            behaviour=behaviour_of(card.number).value,
            captured_minor=asking.minor if state is State.APPROVED else 0,
            details=dict(asking.details or {}),
        )  # fmt: skip
        self._keep(charge)
        return copy.deepcopy(charge)

    def _keep(self, charge: Charge) -> None:
        self._charges[charge.face, charge.key] = charge
        self._file.write("charge", charge.as_json())

    def _by_ref(self, face: str, ref: str | None) -> Charge | None:
        found = (c for c in self._charges.values() if c.face == face and c.ref == ref)
        return next(found, None)

    def _need(self, face: str, ref: str) -> Charge:
        charge = self._by_ref(face, ref)
        if charge is None:
            raise Refusal("resource_missing")
        return charge

    def _note(self, asking: Asking, card: Presented, what: str) -> None:
        if len(self._attempts) < KEPT_ATTEMPTS:
            self._attempts.append(
                {
                    "face": asking.face,
                    "key": asking.key,
                    "order_ref": asking.order_ref,
                    "minor": asking.minor,
                    "currency": asking.currency,
                    "number_sha256": card.sha256,
                    "last_four": card.number[-4:],
                    "verdict": str(what),
                    "at": time.time(),
                }
            )


def _state_of_mode(mode: str) -> State:
    states = {"authorise": State.AUTHORISED, "tokenise": State.TOKENISED}
    return states.get(mode, State.APPROVED)


def _fresh(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:24]}"
