"""Redsys's SOAP query of operations, answered from the simulated bank's books."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from dialer.payments.gateways import redsys_wire as wire
from dialer.simulation.bank.core import Bank
from dialer.simulation.bank.faces._redsys_words import response_of
from dialer.simulation.bank.records import Charge, State

_VERSION = re.compile(r"<Version .*?</Version>", re.DOTALL)
_FIELDS = ("Ds_MerchantCode", "Ds_Terminal", "Ds_Order", "Ds_TransactionType")


def answer_query(bank: Bank, face: str, key: str, shop: tuple[str, str], body: bytes) -> str:
    """The SOAP answer to a SOAP request. ``shop``: number of the shop and its terminal."""
    asked = _asked(body)
    if asked is None:
        return _wrapped(_error("XML0001"))
    version = _VERSION.search(asked)
    if version is None:
        return _wrapped(_error("XML0002"))
    tree = ElementTree.fromstring(asked)
    told = {name: (tree.findtext(f".//{name}") or "").strip() for name in _FIELDS}
    signature = tree.findtext("Signature") or ""
    if tree.findtext("SignatureVersion") != "HMAC_SHA256_V1":
        return _wrapped(_error("XML0030"))
    if not signature:
        return _wrapped(_error("XML0021"))
    mine = wire.sign(key, told["Ds_Order"], version.group().encode())
    if not compare_digest(mine.encode(), signature.encode()):
        return _wrapped(_error("XML0023"))
    if told["Ds_MerchantCode"] != shop[0] or int(told["Ds_Terminal"] or 0) != int(shop[1]):
        return _wrapped(_error("XML0028"))
    if told["Ds_TransactionType"] not in _KNOWN:
        return _wrapped(_error("XML0020"))
    charge = bank.find(face, key=told["Ds_Order"])
    found = _operations(charge, told["Ds_TransactionType"]) if charge is not None else []
    if charge is None or not found:
        return _wrapped(_error("XML0024"))
    return _wrapped("".join(_response(charge, told, *one) for one in found))


_KNOWN = {
    wire.CHARGE, wire.PREAUTHORISE, wire.CONFIRM, wire.REFUND, wire.CANCEL, wire.CANCEL_CHARGE,
}  # fmt: skip


def _operations(charge: Charge, kind: str) -> list[tuple[str, int]]:
    """Response and amount of every operation of this type."""
    if kind in (wire.CHARGE, wire.PREAUTHORISE):
        code = response_of(charge)
        known = charge.details.get("kind") == kind and not code.startswith("SIS")
        return [(code, charge.minor)] if known else []
    if kind == wire.CONFIRM:
        return [("0900", charge.captured_minor)] if charge.state is State.CAPTURED else []
    if kind == wire.REFUND:
        return [("0900", one.minor) for one in charge.refunds if one.kind == "refund"]
    own = wire.CANCEL if charge.mode == "authorise" else wire.CANCEL_CHARGE
    voids = [("0400", one.minor) for one in charge.refunds if one.kind == "void"]
    return voids if kind == own else []


def _response(charge: Charge, told: dict[str, str], code: str, minor: int) -> str:
    at = datetime.fromtimestamp(charge.at, UTC).astimezone(ZoneInfo("Europe/Madrid"))
    values: dict[str, Any] = {
        **told,
        "Ds_Date": at.strftime("%Y-%m-%d"),
        "Ds_Hour": at.strftime("%H:%M:%S"),
        "Ds_Amount": minor,
        "Ds_Currency": wire.NUMBERS[charge.currency],
        "Ds_SecurePayment": 0,
        "Ds_State": wire.FINISHED,
        "Ds_Response": code,
        "Ds_AuthorisationCode": charge.auth_code or "",
    }
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in values.items())
    return f'<Response Ds_Version="0.0">{inner}</Response>'


def _error(code: str) -> str:
    return f"<ErrorMsg><Ds_ErrorCode>{code}</Ds_ErrorCode></ErrorMsg>"


def _wrapped(message: str) -> str:
    inner = f'<Messages><Version Ds_Version="0.0"><Message>{message}</Message></Version></Messages>'
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
        f'<soapenv:Body><p259:{wire.QUERY_ACTION}Response xmlns:p259="{wire.QUERY_NAMESPACE}">'
        f"<{wire.QUERY_ACTION}Return>{escape(inner)}</{wire.QUERY_ACTION}Return>"
        f"</p259:{wire.QUERY_ACTION}Response></soapenv:Body></soapenv:Envelope>"
    )


def _asked(body: bytes) -> str | None:
    try:
        root = ElementTree.fromstring(body)
        found = next((one for one in root.iter() if one.tag == "cadenaXML"), None)
        if found is None or not found.text:
            return None
        ElementTree.fromstring(found.text)
    except ElementTree.ParseError:
        return None
    return found.text
