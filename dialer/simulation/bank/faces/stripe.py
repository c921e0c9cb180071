"""As much of Stripe's API as a payment by telephone needs, as its documentation describes it.

Payment methods, payment intents (create, retrieve, list, confirm, capture, cancel) and refunds;
idempotency as documented: the first answer of a key is given again, errors too, another body with
the same key is an ``idempotency_error``, a key still being worked on a 409.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from hmac import compare_digest
from typing import Any

from flask import Blueprint, Response, request

from dialer.payments.gateways.stripe import secrets_of
from dialer.simulation.bank.asking import Asking, Presented, Refusal
from dialer.simulation.bank.conduct import Hooks, Verdict
from dialer.simulation.bank.core import Decision
from dialer.simulation.bank.desk import Desk
from dialer.simulation.bank.faces._stripe_objects import (
    NAME,
    answer,
    card_problem,
    charge_object,
    event,
    fresh,
    metadata_of,
    new_intent,
    problem,
    refund_object,
    shown,
)
from dialer.simulation.bank.hooks import Hook
from dialer.simulation.bank.records import Charge, State
from dialer.simulation.cards import luhn_digit

Answer = tuple[int, dict[str, Any]]
MOST_CARDS = 1_000
CANCELABLE = ("requires_payment_method", "requires_confirmation", "requires_action")


def face(desk: Desk) -> Blueprint:
    """The API over the bank."""
    api = Blueprint(NAME, __name__)
    stripe = Stripe(desk)

    @api.before_request
    def allowed() -> Response | None:
        given = request.headers.get("Authorization", "")
        if compare_digest(given.encode(), f"Bearer {stripe.key}".encode()):
            return None
        return answer(*problem(401, "invalid_request_error"))

    api.post("/v1/payment_methods")(stripe.create_method)
    api.post("/v1/payment_intents")(stripe.create_intent)
    api.get("/v1/payment_intents")(stripe.list_intents)
    api.get("/v1/payment_intents/<ref>")(stripe.retrieve_intent)
    api.post("/v1/payment_intents/<ref>/confirm")(stripe.confirm)
    api.post("/v1/payment_intents/<ref>/capture")(stripe.capture)
    api.post("/v1/payment_intents/<ref>/cancel")(stripe.cancel)
    api.post("/v1/refunds")(stripe.create_refund)
    api.get("/v1/refunds")(stripe.list_refunds)
    return api


class Stripe:
    """The requests. Cards live here between the payment method and its confirmation only."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bank = desk.bank
        self.key, self._secret = secrets_of(desk.settings)
        self._lock = threading.RLock()
        self._cards: OrderedDict[str, Presented] = OrderedDict()
        self._busy: set[str] = set()

    # --- payment methods -----------------------------------------------------------------

    def create_method(self) -> Response:
        """``POST /v1/payment_methods``: checks what can be checked without a bank."""
        form = request.form
        number = form.get("card[number]", "")
        card = Presented(
            number=number,
            month=form.get("card[exp_month]", 0, type=int),
            year=form.get("card[exp_year]", 0, type=int),
            security_code=form.get("card[cvc]"),
            moto=True,
        )
        if not number.isdigit() or not 13 <= len(number) <= 19:
            return answer(*card_problem("incorrect_number", param="number"))
        if luhn_digit(number[:-1]) != int(number[-1]):
            return answer(*card_problem("incorrect_number", param="number"))
        if not 1 <= card.month <= 12:
            return answer(*card_problem("invalid_expiry_month", param="exp_month"))
        if card.year < self._bank.today().year:
            return answer(*card_problem("invalid_expiry_year", param="exp_year"))
        conduct = self._bank.conduct_of("hand_over", NAME)
        self._desk.wait(conduct)
        method = fresh("pm")
        with self._lock:
            self._cards[method] = card
            while len(self._cards) > MOST_CARDS:
                self._cards.popitem(last=False)
        plain = {
            "id": method,
            "object": "payment_method",
            "type": "card",
            "livemode": False,
            "created": int(self._bank.now()),
            "card": {"last4": number[-4:], "exp_month": card.month, "exp_year": card.year},
        }
        return self._desk.finish(conduct, lambda: answer(200, plain), _error)

    # --- payment intents -----------------------------------------------------------------

    def create_intent(self) -> Response:
        """``POST /v1/payment_intents``, without a card only."""

        def work() -> Answer:
            form = request.form
            amount = form.get("amount", -1, type=int)
            if amount < 1 or len(form.get("currency", "")) != 3:
                return problem(400, "invalid_request_error", "parameter_invalid_integer")
            if form.get("confirm") == "true":
                return problem(400, "invalid_request_error", "parameter_unknown")
            intent = new_intent(form, amount, self._bank.now())
            self._keep(intent)
            return 200, shown(intent, None, False)

        return self._keyed("prepare", work)

    def retrieve_intent(self, ref: str) -> Response:
        """``GET /v1/payment_intents/<id>``."""
        conduct = self._bank.conduct_of("look_up", NAME)
        self._desk.wait(conduct)

        def respond() -> Response:
            intent = self._intent(ref)
            return answer(200, self._shown(intent)) if intent else _missing()

        return self._desk.finish(conduct, respond, _error)

    def list_intents(self) -> Response:
        """``GET /v1/payment_intents``: the newest first, one page."""
        found = reversed(self._bank.objects(NAME, "intent"))
        return _list("/v1/payment_intents", [self._shown(one) for one in found])

    def confirm(self, ref: str) -> Response:
        """``POST /v1/payment_intents/<id>/confirm`` with a payment method."""
        key = request.headers.get("Idempotency-Key", "")
        before = self._saved(key)
        if before is not None:
            return before
        try:
            return self._confirm(ref, key)
        finally:
            self._busy.discard(key)

    def _confirm(self, ref: str, key: str) -> Response:
        with self._lock:
            intent = self._intent(ref)
            card = self._cards.get(request.form.get("payment_method", ""))
            if intent is None or card is None:
                return _missing()
            if intent["status"] not in CANCELABLE:
                return self._save(key, self._unexpected(intent))
            moto = request.form.get("payment_method_options[card][moto]") == "true"
            card = Presented(card.number, card.month, card.year, card.security_code, moto)
            try:
                decision = self._bank.submit(self._asking(intent), card)
            except Refusal as refusal:
                return answer(*problem(400, "invalid_request_error", refusal.reason))
            if decision.conduct.verdict not in (Verdict.NOTHING, Verdict.LATER):
                self._cards.pop(request.form["payment_method"], None)
                self._decided(intent, decision.conduct.verdict, decision.charge)
                self._save(key, self._told(intent, decision))

        def respond(charge: Charge | None) -> Response:
            now = self._intent(ref)
            assert now is not None
            if decision.conduct.verdict is not Verdict.LATER:
                return answer(*self._told(now, decision))
            if charge is None:
                return answer(*self._unexpected(now))
            return self._save(key, (200, self._shown(now)))

        def tell(charge: Charge) -> list[Hook]:
            now = self._intent(ref)
            assert now is not None
            if decision.conduct.verdict is Verdict.LATER:
                self._decided(now, Verdict.APPROVE, charge)
            return self._events(now, charge)

        return self._desk.give(decision, respond, tell, _error)

    def capture(self, ref: str) -> Response:
        """``POST /v1/payment_intents/<id>/capture``."""

        def work() -> Answer:
            intent = self._intent(ref)
            if intent is None or intent["latest_charge"] is None:
                return problem(404, "invalid_request_error", "resource_missing")
            if intent["status"] != "requires_capture":
                return self._unexpected(intent)
            amount = request.form.get("amount_to_capture", intent["amount"], type=int)
            try:
                charge = self._bank.capture(NAME, intent["latest_charge"], amount)
            except Refusal as refusal:
                return problem(400, "invalid_request_error", refusal.reason)
            intent |= {"status": "succeeded", "amount_capturable": 0, "amount_received": amount}
            self._keep(intent)
            self._send(self._events(intent, charge))
            return 200, self._shown(intent)

        return self._keyed("capture", work)

    def cancel(self, ref: str) -> Response:
        """``POST /v1/payment_intents/<id>/cancel``: what did not charge never will."""

        def work() -> Answer:
            intent = self._intent(ref)
            if intent is None:
                return problem(404, "invalid_request_error", "resource_missing")
            if intent["status"] not in (*CANCELABLE, "requires_capture"):
                return self._unexpected(intent)
            if intent["status"] == "requires_capture":
                self._bank.void(NAME, intent["latest_charge"], f"cancel-{ref}")
            else:
                self._bank.close(NAME, self._bank_key(intent), self._order_ref(intent))
            intent |= {
                "status": "canceled",
                "canceled_at": int(self._bank.now()),
                "amount_capturable": 0,
            }
            self._keep(intent)
            self._send([event(self._secret, "payment_intent.canceled", shown(intent, None, False))])
            return 200, self._shown(intent)

        return self._keyed("void", work)

    # --- refunds -------------------------------------------------------------------------

    def create_refund(self) -> Response:
        """``POST /v1/refunds`` of a payment intent."""

        def work() -> Answer:
            form = request.form
            intent = self._intent(form.get("payment_intent", ""))
            if intent is None or intent["latest_charge"] is None:
                return problem(400, "invalid_request_error", "resource_missing")
            charge = self._bank.find(NAME, ref=intent["latest_charge"])
            assert charge is not None
            amount = form.get("amount", charge.held_minor, type=int)
            key = request.headers.get("Idempotency-Key") or str(self._bank.now())
            try:
                made = self._bank.refund(NAME, charge.ref, key, amount)
            except Refusal as refusal:
                return problem(400, "invalid_request_error", refusal.reason)
            asked = {"metadata": metadata_of(form), "payment_intent": intent["id"]}
            plain = refund_object(made, charge, asked)
            self._bank.put(NAME, "refund", made.ref, plain)
            now = self._bank.find(NAME, ref=charge.ref) or charge
            self._send(
                [
                    event(self._secret, "refund.created", plain),
                    event(self._secret, "charge.refunded", charge_object(now, intent)),
                ]
            )
            return 200, plain

        return self._keyed("refund", work)

    def list_refunds(self) -> Response:
        """``GET /v1/refunds``, of one payment intent if asked so."""
        wanted = request.args.get("payment_intent")
        found = [
            one
            for one in reversed(self._bank.objects(NAME, "refund"))
            if wanted in (None, one["payment_intent"])
        ]
        return _list("/v1/refunds", found)

    # --- inside --------------------------------------------------------------------------

    def _keyed(self, operation: str, work: Callable[[], Answer]) -> Response:
        """An operation once for each key, answered in the manner that was told."""
        key = request.headers.get("Idempotency-Key", "")
        before = self._saved(key)
        if before is not None:
            return before
        try:
            conduct = self._bank.conduct_of(operation, NAME)
            told: Answer = (500, {})
            if conduct.verdict is Verdict.DECLINE:
                told = problem(400, "invalid_request_error", conduct.reason)
            elif conduct.verdict is not Verdict.NOTHING:
                with self._lock:
                    told = work()
                    self._save(key, told)
            self._desk.wait(conduct)
            return self._desk.finish(conduct, lambda: answer(*told), _error)
        finally:
            self._busy.discard(key)

    def _saved(self, key: str) -> Response | None:
        """The answer that this key had, or why it cannot be used; else the key is taken."""
        if not key:
            return None
        with self._lock:
            saved = self._bank.get(NAME, "key", key)
            if saved is not None:
                if saved["asked"] != _fingerprint():
                    return answer(*problem(400, "idempotency_error"))
                return answer(saved["status"], saved["body"], replayed=True)
            if key in self._busy:
                return answer(*problem(409, "idempotency_error", "idempotency_key_in_use"))
            self._busy.add(key)
            return None

    def _save(self, key: str, told: Answer) -> Response:
        if key:
            value = {"asked": _fingerprint(), "status": told[0], "body": told[1]}
            self._bank.put(NAME, "key", key, value)
        return answer(*told)

    def _intent(self, ref: str) -> dict[str, Any] | None:
        return self._bank.get(NAME, "intent", ref)

    def _keep(self, intent: dict[str, Any]) -> None:
        self._bank.put(NAME, "intent", intent["id"], intent)

    def _shown(self, intent: dict[str, Any]) -> dict[str, Any]:
        values = [*request.values.items()]
        expand = any(k.startswith("expand") and v == "latest_charge" for k, v in values)
        charge = self._bank.find(NAME, ref=intent["latest_charge"])
        return shown(intent, charge, expand)

    def _bank_key(self, intent: dict[str, Any]) -> str:
        """An intent may be confirmed again after a decline: each time is a submission."""
        return f"{intent['id']}/{intent['tries']}"

    def _order_ref(self, intent: dict[str, Any]) -> str:
        return str(intent["metadata"].get("order_ref", ""))

    def _asking(self, intent: dict[str, Any]) -> Asking:
        return Asking(
            face=NAME,
            key=self._bank_key(intent),
            order_ref=self._order_ref(intent),
            minor=intent["amount"],
            currency=intent["currency"].upper(),
            mode="authorise" if intent["capture_method"] == "manual" else "charge",
            details={"intent": intent["id"], "payment_id": intent["metadata"].get("payment_id")},
        )

    def _decided(self, intent: dict[str, Any], verdict: Verdict, charge: Charge | None) -> None:
        """The intent after the bank's word."""
        if charge is None or verdict is Verdict.REFUSE:
            return
        intent["latest_charge"] = charge.ref
        if verdict is Verdict.APPROVE:
            held = charge.state is State.AUTHORISED
            intent["status"] = "requires_capture" if held else "succeeded"
            intent["amount_capturable" if held else "amount_received"] = charge.minor
        elif verdict is Verdict.ACTION:
            intent["status"] = "requires_action"
            intent["next_action"] = {"type": "use_stripe_sdk"}
        else:
            intent["tries"] += 1
            reason = charge.reason or ""
            intent["last_payment_error"] = card_problem(reason, charge=charge.ref)[1]["error"]
        self._keep(intent)

    def _told(self, intent: dict[str, Any], decision: Decision) -> Answer:
        verdict, charge = decision.conduct.verdict, decision.charge
        if verdict is Verdict.DECLINE and charge is not None:
            more = {"charge": charge.ref, "payment_intent": shown(intent, None, False)}
            return card_problem(charge.reason or "", **more)
        if verdict is Verdict.REFUSE:
            param = "payment_method_options[card][moto]"
            return problem(400, "invalid_request_error", "parameter_unknown", param=param)
        return 200, self._shown(intent)

    def _unexpected(self, intent: dict[str, Any]) -> Answer:
        code = "payment_intent_unexpected_state"
        more = {"payment_intent": shown(intent, None, False)}
        return problem(400, "invalid_request_error", code, **more)

    def _events(self, intent: dict[str, Any], charge: Charge) -> list[Hook]:
        kinds = {
            "succeeded": ("charge.succeeded", "payment_intent.succeeded"),
            "requires_capture": ("charge.succeeded", "payment_intent.amount_capturable_updated"),
            "requires_action": ("", "payment_intent.requires_action"),
        }.get(intent["status"], ("charge.failed", "payment_intent.payment_failed"))
        things = (charge_object(charge, intent), shown(intent, None, False))
        return [
            event(self._secret, kind, thing)
            for kind, thing in zip(kinds, things, strict=True)
            if kind
        ]

    def _send(self, hooks: list[Hook]) -> None:
        self._desk.hooks.send(hooks, Hooks.ONCE)


def _fingerprint() -> str:
    asked = (
        f"{request.method} {request.path} ".encode() + repr(sorted(request.form.items())).encode()
    )
    return hashlib.sha256(asked).hexdigest()


def _missing() -> Response:
    return answer(*problem(404, "invalid_request_error", "resource_missing"))


def _error(status: int) -> Response:
    if status == 429:
        return answer(*problem(429, "invalid_request_error", "rate_limit"))
    return answer(*problem(status, "api_error"))


def _list(url: str, found: list[dict[str, Any]]) -> Response:
    return answer(200, {"object": "list", "url": url, "has_more": False, "data": found})
