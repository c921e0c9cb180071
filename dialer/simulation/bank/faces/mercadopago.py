"""The simulated bank as Mercado Pago: payment methods, card tokens, payments, refunds, notices.

Idempotent by `X-Idempotency-Key`, as documented. A token is good for one payment and is kept in
memory only, since it stands for a card.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from hmac import compare_digest
from typing import Any

from flask import Blueprint, Response, jsonify, request

from dialer.domain.payment import PaymentMode
from dialer.payments.gateways.mercadopago import secrets_of
from dialer.simulation.bank.asking import Asking, Conflict, Presented, Refusal
from dialer.simulation.bank.conduct import Verdict
from dialer.simulation.bank.desk import Desk
from dialer.simulation.bank.hooks import Hook, Signed
from dialer.simulation.bank.records import Charge, Refund, State

NAME = "mercadopago"
CURRENCY = "MXN"
_DETAILS = {
    "insufficient_funds": "cc_rejected_insufficient_amount",
    "do_not_honor": "cc_rejected_other_reason",
    "stolen_card": "cc_rejected_blacklist",
    "lost_card": "cc_rejected_blacklist",
    "incorrect_cvc": "cc_rejected_bad_filled_security_code",
    "expired_card": "cc_rejected_bad_filled_date",
    "incorrect_number": "cc_rejected_bad_filled_card_number",
    "authentication_required": "cc_rejected_3ds_mandatory",
}
_STATUS = {
    State.APPROVED: ("approved", "accredited"),
    State.CAPTURED: ("approved", "accredited"),
    State.AUTHORISED: ("authorized", "pending_capture"),
    State.VOIDED: ("cancelled", "by_collector"),
}


def _method(name: str, kind: str, pattern: str, but_not: str | None = None) -> dict[str, Any]:
    return {
        "id": name,
        "payment_type_id": kind,
        "status": "active",
        "settings": [{"bin": {"pattern": pattern, "exclusion_pattern": but_not}}],
        "additional_info_needed": ["cardholder_name"],
    }


METHODS = [
    _method("oxxo", "ticket", ".*"),
    _method("visa", "credit_card", "^4", "^(499999)"),
    _method("debvisa", "debit_card", "^(499999)"),
    _method("master", "credit_card", "^(5[1-5]|2[2-7])"),
    _method("amex", "credit_card", "^3[47]"),
]


class _Problem(Exception):
    def __init__(self, status: int, *codes: str) -> None:
        super().__init__(status)
        self.status, self.codes = status, codes


def face(desk: Desk) -> Blueprint:
    """The blueprint, below ``/mercadopago``."""
    api = Blueprint(NAME, __name__)
    token, secret = secrets_of(desk.settings)
    till = _Till(desk, secret)

    @api.before_request
    def allowed() -> Response | None:
        given = request.headers.get("Authorization", "")
        if compare_digest(given.encode(), f"Bearer {token}".encode()):
            return None
        return _problem(_Problem(401, "unauthorized"))

    @api.errorhandler(_Problem)
    def problem(error: _Problem) -> Response:
        return _problem(error)

    @api.get("/v1/payment_methods")
    def methods() -> Response:
        return jsonify(METHODS)

    rules: list[tuple[str, str, Callable[..., Response]]] = [
        ("POST", "/v1/card_tokens", till.tokenise),
        ("POST", "/v1/payments", till.pay),
        ("GET", "/v1/payments/search", till.search),
        ("GET", "/v1/payments/<ref>", till.fetch),
        ("PUT", "/v1/payments/<ref>", till.change),
        ("POST", "/v1/payments/<ref>/refunds", till.refund),
    ]
    for method, path, view in rules:
        api.add_url_rule(path, view.__name__, view, methods=[method])
    return api


class _Till:
    def __init__(self, desk: Desk, secret: str) -> None:
        self._desk = desk
        self._secret = secret
        self._lock = threading.Lock()
        self._tokens: dict[str, Presented] = {}

    def tokenise(self) -> Response:
        asked = _asked()
        number, code = str(asked.get("card_number", "")), asked.get("security_code")
        if not number.isdigit() or not 13 <= len(number) <= 19:
            raise _Problem(400, "E301")
        if not (asked.get("cardholder") or {}).get("name"):
            raise _Problem(400, "221")
        if not 1 <= int(asked.get("expiration_month") or 0) <= 12:
            raise _Problem(400, "325")
        if not code:
            raise _Problem(400, "224")
        made = uuid.uuid4().hex
        card = Presented(
            number, int(asked["expiration_month"]), int(asked["expiration_year"]), str(code), True
        )
        with self._lock:
            self._tokens[made] = card
        return _answer({"id": made, "status": "active"}, 201)

    def pay(self) -> Response:
        asked, key = _asked(), _key()
        before = self._desk.bank.find(NAME, key=key)
        if before is not None:
            if _minor(asked.get("transaction_amount")) != before.minor:
                raise _Problem(409, "idempotency")
            return _answer(self._payment(before), 200)
        for name, code in (("token", "2006"), ("payment_method_id", "3011"), ("payer", "4050")):
            if not asked.get(name):
                raise _Problem(400, code)
        if "@" not in str(asked["payer"].get("email")) or not asked.get("installments"):
            raise _Problem(400, "4050")
        with self._lock:
            card = self._tokens.pop(str(asked["token"]), None)
        if card is None:
            raise _Problem(400, "2062")
        mode = PaymentMode.CHARGE if asked.get("capture", True) else PaymentMode.AUTHORISE
        details = {"external_reference": asked.get("external_reference")}
        order_ref = str((asked.get("metadata") or {}).get("order_ref"))
        asking = Asking(
            NAME, key, order_ref, _minor(asked["transaction_amount"]),
            CURRENCY, mode.value, ref=str(10**11 + uuid.uuid4().int % 10**11), details=details,
        )  # fmt: skip
        try:
            decision = self._desk.bank.submit(asking, card)
        except Conflict:
            raise _Problem(409, "idempotency") from None
        except Refusal:
            raise _Problem(400, "2072") from None

        def respond(charge: Charge | None) -> Response:
            if charge is None:
                return _problem(_Problem(500, "internal"))
            if charge.state is State.REFUSED:
                return _problem(_Problem(403, "4"))
            return _answer(self._payment(charge), 201)

        return self._desk.give(
            decision, respond, self._tell, lambda status: _problem(_Problem(status, "internal"))
        )

    def search(self) -> Response:
        conduct = self._desk.bank.conduct_of("look_up", NAME)
        self._desk.wait(conduct)
        if not request.args.get("sort") or not request.args.get("criteria"):
            raise _Problem(400, "1")
        wanted = request.args.get("external_reference")
        keys = [
            one["key"]
            for one in self._desk.bank.ledger()["charges"]
            if one["face"] == NAME and one["details"].get("external_reference") == wanted
        ]
        found = [self._desk.bank.find(NAME, key=key) for key in keys]
        results = [self._payment(one) for one in found if one is not None and one.state in _SHOWN]
        return self._desk.finish(
            conduct, lambda: _answer({"results": results, "paging": {"total": len(results)}})
        )

    def fetch(self, ref: str) -> Response:
        return _answer(self._payment(self._need(ref)))

    def change(self, ref: str) -> Response:
        """Capture, or cancel what is only authorised."""
        asked, charge = _asked(), self._need(ref)
        capture = bool(asked.get("capture"))
        conduct = self._desk.bank.conduct_of("capture" if capture else "void", NAME)
        if conduct.verdict is not Verdict.NOTHING:
            try:
                if capture:
                    wanted = asked.get("transaction_amount")
                    minor = charge.minor if wanted is None else _minor(wanted)
                    charge = self._desk.bank.capture(NAME, ref, minor)
                elif asked.get("status") != "cancelled":
                    raise _Problem(400, "1")
                elif charge.state is not State.VOIDED:
                    if charge.state is not State.AUTHORISED:
                        raise _Problem(400, "2018")
                    self._desk.bank.void(NAME, ref, _key())
                    charge = self._need(ref)
            except Refusal:
                raise _Problem(400, "2018") from None
        self._desk.wait(conduct)
        return self._desk.finish(conduct, lambda: _answer(self._payment(charge)))

    def refund(self, ref: str) -> Response:
        asked, key = _asked(), _key()
        charge = self._need(ref)
        conduct = self._desk.bank.conduct_of("refund", NAME)
        minor = _minor(asked.get("amount")) if asked.get("amount") else charge.held_minor
        done: Refund | None = None
        if conduct.verdict is not Verdict.NOTHING:
            known = self._desk.bank.find_refund(NAME, key) is not None
            try:
                name = str(uuid.uuid4().int % 10**10)
                done = self._desk.bank.refund(NAME, ref, key, minor, name)
            except Conflict:
                raise _Problem(409, "idempotency") from None
            except Refusal:
                raise _Problem(400, "2063") from None
            if not known:
                self._desk.bank.put(NAME, "refund", key, dict(asked.get("metadata") or {}))
                self._desk.hooks.send([self._hook("payment.updated", ref)], conduct.hooks)
        self._desk.wait(conduct)
        return self._desk.finish(
            conduct,
            lambda: _answer(self._refund(done), 201) if done else _problem(_Problem(500, "x")),
        )

    def _need(self, ref: str) -> Charge:
        charge = self._desk.bank.find(NAME, ref=ref)
        if charge is None or charge.state not in _SHOWN:
            raise _Problem(404, "2000")
        return charge

    def _payment(self, charge: Charge) -> dict[str, Any]:
        status, detail = _STATUS.get(
            charge.state,
            ("rejected", _DETAILS.get(charge.reason or "", "cc_rejected_other_reason")),
        )
        given = charge.refunded_minor
        if given:
            whole = given == charge.captured_minor
            status, detail = ("refunded", "refunded") if whole else (status, "partially_refunded")
        return {
            "id": int(charge.ref),
            "status": status,
            "status_detail": detail,
            "external_reference": charge.details.get("external_reference"),
            "transaction_amount": charge.minor / 100,
            "transaction_amount_refunded": given / 100,
            "currency_id": charge.currency,
            "authorization_code": charge.auth_code,
            "captured": charge.state in (State.APPROVED, State.CAPTURED),
            "refunds": [self._refund(one) for one in charge.refunds if one.kind == "refund"],
        }

    def _refund(self, refund: Refund) -> dict[str, Any]:
        return {
            "id": int(refund.ref),
            "amount": refund.minor / 100,
            "status": "approved",
            "metadata": self._desk.bank.get(NAME, "refund", refund.key) or {},
        }

    def _tell(self, charge: Charge) -> list[Hook]:
        if charge.state not in _SHOWN:
            return []
        return [self._hook(f"payment.{one}", charge.ref) for one in ("created", "updated")]

    def _hook(self, action: str, ref: str) -> Hook:
        number = uuid.uuid4().int % 10**12
        body = {"id": number, "type": "payment", "action": action, "api_version": "v1"}
        body |= {"live_mode": False, "data": {"id": ref}}

        def sign() -> Signed:
            asked, stamp = uuid.uuid4().hex, str(int(time.time() * 1000))
            text = f"id:{ref};request-id:{asked};ts:{stamp};"
            mine = hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest()
            headers = {"x-request-id": asked, "x-signature": f"ts={stamp},v1={mine}"}
            return json.dumps(body).encode(), {**headers, "Content-Type": "application/json"}

        return Hook(NAME, str(number), sign)


_SHOWN = set(State) - {State.REFUSED, State.CLOSED}
"""What exists as a payment at Mercado Pago."""


def _asked() -> dict[str, Any]:
    found = request.get_json(silent=True)
    if not isinstance(found, dict):
        raise _Problem(400, "1")
    return found


def _key() -> str:
    try:
        return uuid.UUID(request.headers.get("X-Idempotency-Key", "")).hex
    except ValueError:
        raise _Problem(400, "4292") from None


def _minor(value: object) -> int:
    try:
        minor = Decimal(str(value)).scaleb(2)
    except InvalidOperation:
        raise _Problem(400, "2072") from None
    if minor != minor.to_integral_value() or minor <= 0:
        raise _Problem(400, "2072")
    return int(minor)


def _problem(error: _Problem) -> Response:
    cause = [{"code": code, "description": "see the documentation"} for code in error.codes]
    return _answer({"status": error.status, "error": "bad_request", "cause": cause}, error.status)


def _answer(values: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(values), status, mimetype="application/json")
