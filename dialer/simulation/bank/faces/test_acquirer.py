"""The test acquirer's own API: small JSON, idempotent by the header ``Idempotency-Key``.

``POST /payments`` charges, authorises or tokenises; ``POST /payments/<key>/close`` says what
became of a key and closes one that was never used; ``/payments/<key>/capture``, ``/refunds``,
``/voids``, ``GET /refunds/<key>``. Webhooks are signed ``t=<time>,v1=<HMAC-SHA256>``.
"""

from __future__ import annotations

import hmac
import json
import time
import uuid
from hmac import compare_digest
from typing import Any

from flask import Blueprint, Response, jsonify, request

from dialer.simulation.bank.asking import Asking, Conflict, Presented, Refusal
from dialer.simulation.bank.conduct import Hooks, Verdict
from dialer.simulation.bank.desk import Desk
from dialer.simulation.bank.hooks import Hook, Signed
from dialer.simulation.bank.records import Charge, Refund, State
from dialer.switch import names

NAME = "test"
SIGNATURE_HEADER = "X-Acquirer-Signature"
_CLIENT_ERRORS = {"key_closed": 410, "moto_required": 403, "resource_missing": 404}


def face(desk: Desk) -> Blueprint:
    """The API over the bank."""
    api = Blueprint(NAME, __name__)
    secret = desk.settings.secret(names.SECRET_TEST_ACQUIRER)

    @api.before_request
    def allowed() -> Response | None:
        given = request.headers.get("Authorization", "")
        if compare_digest(given.encode(), f"Bearer {secret}".encode()):
            return None
        return _problem("not_authorised", 401)

    @api.errorhandler(Refusal)
    def refused(error: Refusal) -> Response:
        status = 409 if isinstance(error, Conflict) else _CLIENT_ERRORS.get(error.reason, 400)
        return _problem(error.reason, status)

    @api.errorhandler(KeyError)
    @api.errorhandler(TypeError)
    @api.errorhandler(ValueError)
    def not_understood(error: Exception) -> Response:
        return _problem("not_understood", 400)

    def tell(charge: Charge) -> list[Hook]:
        end = "declined" if charge.state in (State.DECLINED, State.REFUSED) else "approved"
        if charge.state is State.NEEDS_ACTION:
            end = "needs_action"
        return [_hook(secret, f"payment.{one}", charge) for one in ("received", end)]

    @api.post("/payments")
    def pay() -> Response:
        asked = request.get_json()
        decision = desk.bank.submit(_asking(asked), _presented(asked))
        if decision.conduct.verdict is Verdict.REFUSE:
            return desk.give(decision, lambda _: _problem("merchant_not_allowed", 403), tell)
        return desk.give(decision, _plain, tell)

    @api.post("/payments/<key>/close")
    def close(key: str) -> Response:
        conduct = desk.bank.conduct_of("look_up", NAME)
        desk.wait(conduct)
        return desk.finish(conduct, lambda: _plain(desk.bank.close(NAME, key)))

    @api.post("/payments/<key>/capture")
    def capture(key: str) -> Response:
        charge = _need(desk.bank.find(NAME, key=key))
        conduct = desk.bank.conduct_of("capture", NAME)
        if conduct.verdict is not Verdict.NOTHING:
            charge = desk.bank.capture(NAME, charge.ref, int(request.get_json()["amount"]))
        desk.wait(conduct)
        return desk.finish(conduct, lambda: _plain(charge))

    @api.post("/refunds")
    def refund() -> Response:
        asked = request.get_json()
        charge = _need(desk.bank.find(NAME, key=asked["payment"]))
        if asked["currency"] != charge.currency:
            raise Refusal("currency_mismatch")
        return give_back("refund", charge, int(asked["amount"]))

    @api.post("/voids")
    def void() -> Response:
        return give_back("void", _need(desk.bank.find(NAME, key=request.get_json()["payment"])), 0)

    def give_back(kind: str, charge: Charge, minor: int) -> Response:
        conduct = desk.bank.conduct_of(kind, NAME)
        key = request.headers["Idempotency-Key"]
        made: Refund | None = None
        if conduct.verdict in (Verdict.DECLINE, Verdict.REFUSE):
            raise Refusal(conduct.reason or "refused")
        if conduct.verdict is not Verdict.NOTHING:
            known = desk.bank.find_refund(NAME, key)
            if kind == "void":
                made = desk.bank.void(NAME, charge.ref, key)
            else:
                made = desk.bank.refund(NAME, charge.ref, key, minor)
            if known is None:
                hook = _hook(secret, "refund.done", charge, made)
                desk.hooks.send([hook], conduct.hooks)
        desk.wait(conduct)
        return desk.finish(conduct, lambda: _refund_plain(made))

    @api.get("/refunds/<key>")
    def refunded(key: str) -> Response:
        found = desk.bank.find_refund(NAME, key)
        return _refund_plain(found[1]) if found else _problem("resource_missing", 404)

    @api.post("/payments/<key>/dispute")
    def dispute(key: str) -> Response:
        """For tests: the cardholder disputes it."""
        charge = _need(desk.bank.find(NAME, key=key))
        desk.hooks.send([_hook(secret, "payment.disputed", charge)], Hooks.ONCE)
        return _plain(charge)

    return api


def _asking(asked: dict[str, Any]) -> Asking:
    return Asking(
        face=NAME,
        key=request.headers["Idempotency-Key"],
        order_ref=str(asked["order_ref"]),
        minor=int(asked["amount"]),
        currency=str(asked["currency"]),
        mode=str(asked["mode"]),
    )


def _presented(asked: dict[str, Any]) -> Presented:
    card = asked["card"]
    return Presented(
        number=str(card["number"]),
        month=int(card["month"]),
        year=int(card["year"]),
        security_code=card.get("security_code"),
        moto=asked.get("moto") is True,
    )


def _need(charge: Charge | None) -> Charge:
    if charge is None:
        raise Refusal("resource_missing")
    return charge


def _values(charge: Charge) -> dict[str, Any]:
    return {
        "id": charge.ref,
        "key": charge.key,
        "order_ref": charge.order_ref,
        "state": charge.state.value,
        "amount": charge.minor,
        "currency": charge.currency,
        "reason": charge.reason,
        "auth_code": charge.auth_code,
        "token": charge.token,
        "brand": charge.brand,
        "last_four": charge.last_four,
    }


def _plain(charge: Charge | None) -> Response:
    return _problem("key_closed", 410) if charge is None else jsonify(_values(charge))


def _refund_plain(made: Refund | None) -> Response:
    if made is None:
        return _problem("resource_missing", 404)
    return jsonify({"id": made.ref, "key": made.key, "kind": made.kind, "amount": made.minor})


def _problem(reason: str, status: int) -> Response:
    answer = jsonify({"error": reason})
    answer.status_code = status
    return answer


def _hook(secret: str, kind: str, charge: Charge, refund: Refund | None = None) -> Hook:
    event_id = f"evt_{uuid.uuid4().hex}"
    values: dict[str, Any] = {
        "id": event_id,
        "type": kind,
        "created": time.time(),
        "payment": _values(charge),
    }
    if refund is not None:
        values["refund"] = {"id": refund.ref, "key": refund.key, "amount": refund.minor}
    body = json.dumps(values).encode()

    def sign() -> Signed:
        stamp = str(int(time.time()))
        code = hmac.new(secret.encode(), stamp.encode() + b"." + body, "sha256").hexdigest()
        return body, {"Content-Type": "application/json", SIGNATURE_HEADER: f"t={stamp},v1={code}"}

    return Hook(NAME, event_id, sign)
