"""The simulated bank as Redsys: REST with signed parameters, the SOAP query, PayGold, notices.

As strict as Redsys about what is signed and how, with its own errors (`SIS0042` and so on). Like
Redsys it has no idempotency keys: an order is taken once (`SIS0051`), and a refund that is asked
for twice is given twice, as far as the amount allows.
"""

from __future__ import annotations

import json
import uuid
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, jsonify, request
from redsys.models import decode_merchant_parameters

from dialer.domain.payment import PaymentMode
from dialer.payments.gateways import redsys_wire as wire
from dialer.simulation.bank.asking import Asking, Presented, Refusal
from dialer.simulation.bank.conduct import Verdict
from dialer.simulation.bank.desk import Desk
from dialer.simulation.bank.faces._redsys_query import answer_query
from dialer.simulation.bank.faces._redsys_words import RESPONSES, SisError, response_of
from dialer.simulation.bank.hooks import Hook
from dialer.simulation.bank.records import Charge, State

NAME = "redsys"
MADRID = ZoneInfo("Europe/Madrid")
_MODES = {wire.CHARGE: PaymentMode.CHARGE, wire.PREAUTHORISE: PaymentMode.AUTHORISE}
_OPERATIONS = {
    wire.CONFIRM: "capture",
    wire.REFUND: "refund",
    wire.CANCEL: "void",
    wire.CANCEL_CHARGE: "void",
}
_LINK_PAID = "38"
Fields = dict[str, str]


def face(desk: Desk) -> Blueprint:
    """The blueprint, below ``/redsys``."""
    pages = Blueprint(NAME, __name__)
    shop = Shop(desk)
    pages.add_url_rule(wire.REST_PATH, "rest", shop.rest, methods=["POST"])
    pages.add_url_rule(wire.QUERY_PATH, "query", shop.query, methods=["POST"])
    pages.add_url_rule("/sis/p2f", "link", shop.pay_link, methods=["POST"])
    return pages


class Shop:
    """One shop (FUC) and terminal, those of the settings."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._key = wire.shop_key(desk.settings)
        settings = desk.settings
        self._shop = settings.redsys_merchant_code or wire.TEST_SHOP
        self._terminal = settings.redsys_terminal

    # --- what is asked -------------------------------------------------------------------

    def rest(self) -> Response:
        """`trataPeticionREST`."""
        try:
            fields = self._verified(request.get_json(silent=True))
            kind = fields.get("DS_MERCHANT_TRANSACTIONTYPE", "")
            if kind in _MODES:
                return self._pay(fields, kind)
            if kind in _OPERATIONS:
                return self._after(fields, kind)
            if kind in (wire.PAYGOLD, "15"):
                return self._make_link(fields)
            raise SisError("SIS0023")
        except SisError as error:
            return jsonify({"errorCode": error.code})

    def query(self) -> Response:
        """`consultaOperaciones`."""
        desk = self._desk
        conduct = desk.bank.conduct_of("look_up", NAME)
        desk.wait(conduct)
        body = request.get_data()
        answer = answer_query(desk.bank, NAME, self._key, (self._shop, self._terminal), body)
        return desk.finish(conduct, lambda: Response(answer, mimetype="text/xml"))

    def pay_link(self) -> Response:
        """What the page behind a PayGold link does: form fields t, pan, expiry (YYMM), cvv2."""
        form = request.form
        links = self._desk.bank.objects(NAME, "link")
        link = next((one for one in links if one["token"] == form.get("t")), None)
        if link is None:
            return Response("no such link", 404, mimetype="text/plain")
        key = link["order"]
        if self._desk.bank.find(NAME, key=key) is not None:
            return Response("paid or refused before", 410, mimetype="text/plain")
        asking = Asking(
            NAME, key, key, int(link["minor"]), link["currency"], PaymentMode.CHARGE.value,
            details={"kind": _LINK_PAID},
        )  # fmt: skip
        expiry = form.get("expiry", "")
        card = Presented(
            form.get("pan", ""), int(expiry[2:]), 2000 + int(expiry[:2]), form.get("cvv2"), True
        )
        decision = self._desk.bank.submit(asking, card)

        def page(charge: Charge | None) -> Response:
            return Response(charge.state if charge else "", mimetype="text/plain")

        return self._desk.give(decision, page, self._tell)

    # --- operations ----------------------------------------------------------------------

    def _pay(self, fields: Fields, kind: str) -> Response:
        order = fields["DS_MERCHANT_ORDER"]
        card = _card(fields)
        if self._desk.bank.find(NAME, key=order) is not None:
            raise SisError("SIS0051")
        if self._desk.bank.get(NAME, "link", order) is not None:
            raise SisError("SIS0051")
        asking = Asking(
            NAME, order, order, _minor(fields), _currency(fields), _MODES[kind].value,
            details={"kind": kind},
        )  # fmt: skip
        if not card.moto:  # without it a cardholder has to confirm
            return self._signed(fields, "0195")
        try:
            decision = self._desk.bank.submit(asking, card)
        except Refusal:  # the same order at the same moment
            raise SisError("SIS0051") from None

        def respond(charge: Charge | None) -> Response:
            return self._paid(fields, charge)

        return self._desk.give(decision, respond, self._tell)

    def _paid(self, fields: Fields, charge: Charge | None) -> Response:
        if charge is None:
            return jsonify({"errorCode": "SIS0034"})
        code = response_of(charge)
        if code.startswith("SIS"):
            return jsonify({"errorCode": code})
        return self._signed(fields, code, charge.auth_code or "")

    def _after(self, fields: Fields, kind: str) -> Response:
        """Confirmation, refund, cancellation: of an order that is there."""
        desk, operation = self._desk, _OPERATIONS[kind]
        conduct = desk.bank.conduct_of(operation, NAME)
        if conduct.verdict is Verdict.NOTHING:
            desk.wait(conduct)
            return desk.finish(conduct, lambda: Response("", 500))
        charge = desk.bank.find(NAME, key=fields["DS_MERCHANT_ORDER"])
        if charge is None or charge.state in (State.DECLINED, State.REFUSED, State.NEEDS_ACTION):
            raise SisError(RESPONSES[operation]["missing" if charge is None else "declined"])
        if operation == "capture" and charge.state is State.CAPTURED:
            raise SisError("SIS0060")
        done = {"capture": "0900", "refund": "0900", "void": "0400"}[operation]
        self._change(charge, kind, _minor(fields))
        changed = desk.bank.find(NAME, key=charge.key)
        if changed is not None:
            minor = _minor(fields)
            desk.hooks.send([self._notice(changed, kind, done, minor)], conduct.hooks)
        desk.wait(conduct)
        return desk.finish(conduct, lambda: self._signed(fields, done, charge.auth_code or ""))

    def _change(self, charge: Charge, kind: str, minor: int) -> None:
        bank, key = self._desk.bank, uuid.uuid4().hex
        try:
            if kind == wire.CONFIRM:
                bank.capture(NAME, charge.ref, minor)
            elif kind == wire.REFUND:
                bank.refund(NAME, charge.ref, key, minor)
            else:
                fits = State.AUTHORISED if kind == wire.CANCEL else State.APPROVED
                if charge.state not in (fits, State.VOIDED):
                    raise SisError("SIS0072")
                bank.void(NAME, charge.ref, key)
        except Refusal as refusal:
            raise SisError(RESPONSES[_OPERATIONS[kind]].get(refusal.reason, "SIS0226")) from None

    def _make_link(self, fields: Fields) -> Response:
        bank, order = self._desk.bank, fields["DS_MERCHANT_ORDER"]
        if bank.get(NAME, "link", order) or bank.find(NAME, key=order):
            raise SisError("SIS0051")
        token = uuid.uuid4().hex.upper()
        bank.put(
            NAME, "link", order,
            {"order": order, "minor": _minor(fields), "currency": _currency(fields)}
            | {"token": token, "expires": fields.get("DS_MERCHANT_P2F_EXPIRYDATE")},
        )  # fmt: skip
        url = f"{request.host_url}{NAME}/sis/p2f?{urlencode({'t': token})}"
        return self._signed(fields, "9998", "", {"Ds_UrlPago2Fases": url})

    # --- what is sent back ---------------------------------------------------------------

    def _signed(
        self, fields: Fields, code: str, auth_code: str = "", more: Fields | None = None
    ) -> Response:
        told = {
            "Ds_Amount": fields["DS_MERCHANT_AMOUNT"],
            "Ds_Currency": fields["DS_MERCHANT_CURRENCY"],
            "Ds_Order": fields["DS_MERCHANT_ORDER"],
            "Ds_MerchantCode": self._shop,
            "Ds_Terminal": self._terminal,
            "Ds_Response": code,
            "Ds_AuthorisationCode": auth_code,
            "Ds_TransactionType": fields["DS_MERCHANT_TRANSACTIONTYPE"],
            "Ds_MerchantData": fields.get("DS_MERCHANT_MERCHANTDATA", ""),
            "Ds_SecurePayment": "0",
            **(more or {}),
        }
        return jsonify(self._sealed(told))

    def _sealed(self, told: Fields) -> Fields:
        packed = b64encode(json.dumps(told).encode())
        # Redsys answers with the web's alphabet of base64.
        signature = wire.sign(self._key, told["Ds_Order"], packed)
        return {
            "Ds_SignatureVersion": "HMAC_SHA256_V1",
            "Ds_MerchantParameters": packed.decode(),
            "Ds_Signature": signature.replace("+", "-").replace("/", "_"),
        }

    def _tell(self, charge: Charge) -> list[Hook]:
        code = response_of(charge)
        if code.startswith("SIS"):
            return []
        return [self._notice(charge, charge.details["kind"], code, charge.minor)]

    def _notice(self, charge: Charge, kind: str, code: str, minor: int) -> Hook:
        at = datetime.fromtimestamp(charge.at, UTC).astimezone(MADRID)
        told = {
            "Ds_Date": at.strftime("%d%%2F%m%%2F%Y"),
            "Ds_Hour": at.strftime("%H%%3A%M"),
            "Ds_Amount": str(minor),
            "Ds_Currency": str(wire.NUMBERS[charge.currency]),
            "Ds_Order": charge.order_ref,
            "Ds_MerchantCode": self._shop,
            "Ds_Terminal": self._terminal.zfill(3),
            "Ds_Response": code,
            "Ds_TransactionType": kind,
            "Ds_MerchantData": "",
            "Ds_AuthorisationCode": charge.auth_code or "",
            "Ds_SecurePayment": "0",
            "Ds_Card_Brand": "1",
        }
        sealed = self._sealed(told)

        def sign() -> tuple[bytes, dict[str, str]]:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return urlencode(sealed).encode(), headers

        return Hook(NAME, uuid.uuid4().hex, sign)

    # --- checks --------------------------------------------------------------------------

    def _verified(self, body: Any) -> Fields:
        """The parameters, names in capitals, if they are whole, ours and signed."""
        if not isinstance(body, dict) or not isinstance(body.get("Ds_MerchantParameters"), str):
            raise SisError("SIS0007")
        if body.get("Ds_SignatureVersion") != "HMAC_SHA256_V1":
            raise SisError("SIS0429")
        packed = body["Ds_MerchantParameters"].encode()
        try:
            told = decode_merchant_parameters(packed)
        except ValueError:
            raise SisError("SIS0430") from None
        if not isinstance(told, dict):
            raise SisError("SIS0431")
        fields = {str(name).upper(): str(value) for name, value in told.items()}
        self._needs(fields)
        mine = wire.sign(self._key, fields["DS_MERCHANT_ORDER"], packed)
        if not compare_digest(mine.encode(), str(body.get("Ds_Signature")).encode()):
            raise SisError("SIS0042")
        return fields

    def _needs(self, fields: Fields) -> None:
        checks: list[tuple[str, Callable[[str], bool], str, str]] = [
            ("DS_MERCHANT_MERCHANTCODE", str.isdigit, "SIS0008", "SIS0009"),
            ("DS_MERCHANT_TERMINAL", str.isdigit, "SIS0010", "SIS0011"),
            ("DS_MERCHANT_ORDER", lambda text: 4 <= len(text) <= 12, "SIS0074", "SIS0075"),
            ("DS_MERCHANT_ORDER", lambda text: text[:4].isdigit(), "SIS0074", "SIS0076"),
            ("DS_MERCHANT_ORDER", lambda text: text.isascii() and text.isalnum(), "", "SIS0014"),
            ("DS_MERCHANT_CURRENCY", str.isdigit, "SIS0015", "SIS0016"),
            ("DS_MERCHANT_AMOUNT", str.isdigit, "SIS0018", "SIS0019"),
        ]
        for name, good, missing, wrong in checks:
            if name not in fields:
                raise SisError(missing)
            if not good(fields[name]):
                raise SisError(wrong)
        if fields["DS_MERCHANT_MERCHANTCODE"] != self._shop:
            raise SisError("SIS0026")
        if int(fields["DS_MERCHANT_TERMINAL"]) != int(self._terminal):
            raise SisError("SIS0026")
        if int(fields["DS_MERCHANT_CURRENCY"]) not in wire.LETTERS:
            raise SisError("SIS0027")
        if int(fields["DS_MERCHANT_AMOUNT"]) == 0:
            raise SisError("SIS0019")


def _card(fields: Fields) -> Presented:
    number = fields.get("DS_MERCHANT_PAN", "")
    expiry = fields.get("DS_MERCHANT_EXPIRYDATE", "")
    code = fields.get("DS_MERCHANT_CVV2")
    if not number:
        raise SisError("SIS0063")
    if not number.isdigit():
        raise SisError("SIS0065")
    if len(number) > 19:
        raise SisError("SIS0064")
    if len(expiry) != 4 or not expiry.isdigit():
        raise SisError("SIS0089")
    if not 1 <= int(expiry[2:]) <= 12:
        raise SisError("SIS0068")
    if code is not None and not code.isdigit():
        raise SisError("SIS0217")
    moto = fields.get("DS_MERCHANT_DIRECTPAYMENT", "").lower() == "moto"
    return Presented(number, int(expiry[2:]), 2000 + int(expiry[:2]), code, moto)


def _minor(fields: Fields) -> int:
    return int(fields["DS_MERCHANT_AMOUNT"])


def _currency(fields: Fields) -> str:
    return wire.LETTERS[int(fields["DS_MERCHANT_CURRENCY"])]
