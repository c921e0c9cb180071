"""How one speaks to Redsys: keys, signed parameters, and the query of an operation.

Two services: REST (`/sis/rest/trataPeticionREST`, JSON with the parameters in base64, signed) for
everything that changes something, and the SOAP query (`/apl02/services/SerClsWSConsulta`,
`consultaOperaciones`) for what became of an order. Both are signed with `HMAC_SHA256_V1`: a key of
the order's own (3DES of the order's number under the shop's key), then HMAC-SHA256.

Nothing here logs, and no exception carries a body: `Ds_MerchantParameters` is the card number in
base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from redsys.api import currencies as _currencies
from redsys.clients import Client
from redsys.crypto import HMAC_SHA256_V1, get_signer
from redsys.exceptions import RedsysError
from redsys.models import decode_merchant_parameters

from dialer.config import ConfigError, Settings
from dialer.switch import names

PRODUCTION = "https://sis.redsys.es"
"""Redsys's own address; the test environment is `https://sis-t.redsys.es:25443`."""
REST_PATH = "/sis/rest/trataPeticionREST"
QUERY_PATH = "/apl02/services/SerClsWSConsulta"
QUERY_ACTION = "consultaOperaciones"
QUERY_NAMESPACE = "http://webservices.apl02.redsys.es"

CHARGE, PREAUTHORISE, CONFIRM, REFUND, CANCEL, CANCEL_CHARGE = "0", "1", "2", "3", "9", "45"
PAYGOLD = "F"
"""Types of operation (`DS_MERCHANT_TRANSACTIONTYPE`)."""

TEST_SHOP = "999008881"
"""The shop that Redsys's documents use in every example."""
KEY_BYTES = 24
ABSENT = "XML0024"
"""The query's error for: there is no such operation."""
FINISHED = "F"
"""`Ds_State` of an operation that is over; every other state is on its way or unclear."""

NUMBERS: dict[str, int] = {
    name: value
    for name, value in vars(_currencies).items()
    if len(name) == 3 and name.isupper() and isinstance(value, int)
}
"""ISO 4217: letters -> number."""
LETTERS = {number: letters for letters, number in NUMBERS.items()}


class BadAnswer(Exception):
    """An answer that cannot be understood, or whose signature is wrong. Says nothing of it."""


def shop_of(settings: Settings) -> str:
    """REDSYS_MERCHANT_CODE; the shop of the examples where a double on this machine is asked."""
    local = urlsplit(settings.redsys_api_base).hostname in ("127.0.0.1", "localhost", "::1")
    return settings.redsys_merchant_code or (TEST_SHOP if local else "")


def shop_key(settings: Settings) -> str:
    """The shop's key, base64 of 24 bytes: REDSYS_SECRET_KEY, or the secret of that name.

    Where nobody gave one it is derived from the secret that this installation made for itself, so
    that the local double works. Raises ConfigError for a key that cannot be one.
    """
    given = settings.redsys_secret_key.get_secret_value()
    if not given and settings.secrets_dir is not None:
        path = settings.secrets_dir / names.SECRET_REDSYS_KEY
        given = path.read_text().strip() if path.is_file() else ""
    own = settings.home / "secrets" / names.SECRET_REDSYS_KEY
    if not given and own.is_file() and _is_key(own.read_text().strip()):
        given = own.read_text().strip()
    if not given:
        made = settings.secret(names.SECRET_REDSYS_KEY)
        return base64.b64encode(hashlib.sha256(made.encode()).digest()[:KEY_BYTES]).decode()
    if not _is_key(given):
        raise ConfigError(
            f"REDSYS_SECRET_KEY (or the secret {names.SECRET_REDSYS_KEY}) is not a key of Redsys:"
            f" it is base64 of {KEY_BYTES} bytes, shown in Redsys's portal as the SHA-256 key"
        )
    return given


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def sign(key: str, order: str, text: bytes) -> str:
    """The signature of base64 parameters, or of the `Version` element of a query."""
    return bytes(get_signer(key, HMAC_SHA256_V1).sign(order, text)).decode()


def envelope(key: str, order: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """The signed body of a REST request. (The library's own request models would keep the number
    in an object that shows it, and do not know of PayGold's type.)"""
    packed = base64.b64encode(json.dumps(dict(parameters), sort_keys=True).encode())
    return {
        "Ds_SignatureVersion": HMAC_SHA256_V1,
        "Ds_MerchantParameters": packed.decode(),
        "Ds_Signature": sign(key, order, packed),
    }


def read_signed(key: str, payload: Mapping[str, Any]) -> dict[str, str]:
    """The parameters (`Ds_Order` and so on) of an answer or a notification, if its signature is
    Redsys's. Raises BadAnswer."""
    try:
        Client(key).parse_response(dict(payload))
        found = decode_merchant_parameters(str(payload["Ds_MerchantParameters"]).encode("ascii"))
    except (RedsysError, ValueError, KeyError, TypeError, AttributeError):
        raise BadAnswer from None
    return {str(name): unquote(str(value)) for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Operation:
    """What the query tells of one operation. ``response``: None while it has none."""

    order: str
    kind: str
    state: str
    response: int | None
    minor: int | None
    currency: str | None
    auth_code: str | None


def query(key: str, shop: str, terminal: str, order: str, kind: str) -> bytes:
    """The SOAP request that asks for the operations of one order and type."""
    version = (
        '<Version Ds_Version="0.0"><Message><Transaction>'
        f"<Ds_MerchantCode>{escape(shop)}</Ds_MerchantCode>"
        f"<Ds_Terminal>{escape(terminal)}</Ds_Terminal>"
        f"<Ds_Order>{escape(order)}</Ds_Order>"
        f"<Ds_TransactionType>{escape(kind)}</Ds_TransactionType>"
        "</Transaction></Message></Version>"
    )
    asked = (
        f"<Messages>{version}<Signature>{sign(key, order, version.encode())}</Signature>"
        f"<SignatureVersion>{HMAC_SHA256_V1}</SignatureVersion></Messages>"
    )
    return (
        '<?xml version="1.0"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        f' xmlns:web="{QUERY_NAMESPACE}"><soapenv:Header/><soapenv:Body>'
        f"<web:{QUERY_ACTION}><cadenaXML><![CDATA[{asked}]]></cadenaXML></web:{QUERY_ACTION}>"
        "</soapenv:Body></soapenv:Envelope>"
    ).encode()


def read_query(body: bytes) -> tuple[str | None, list[Operation]]:
    """The error (XML0024: none there) or the operations. Raises BadAnswer."""
    try:
        outer = _find(ElementTree.fromstring(body), f"{QUERY_ACTION}Return")
        if outer is None:
            raise BadAnswer
        inner = outer if len(outer) else ElementTree.fromstring(outer.text or "")
        error = _text(inner, "Ds_ErrorCode")
        return error, [_operation(found) for found in inner.iter() if _name(found) == "Response"]
    except (ElementTree.ParseError, ValueError):
        raise BadAnswer from None


def _operation(found: ElementTree.Element) -> Operation:
    response, minor = _text(found, "Ds_Response"), _text(found, "Ds_Amount")
    currency = _text(found, "Ds_Currency")
    return Operation(
        order=_text(found, "Ds_Order") or "",
        kind=_text(found, "Ds_TransactionType") or "",
        state=_text(found, "Ds_State") or "",
        response=int(response) if response else None,
        minor=int(minor) if minor else None,
        currency=LETTERS.get(int(currency)) if currency else None,
        auth_code=_text(found, "Ds_AuthorisationCode"),
    )


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _find(root: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((one for one in root.iter() if _name(one) == name), None)


def _text(root: ElementTree.Element, name: str) -> str | None:
    found = _find(root, name)
    return (found.text or "").strip() or None if found is not None else None
