"""What Redsys's codes mean for a payment.

Sources: the table "Códigos de respuesta" of Redsys's developer portal (`Ds_Response` and the
`SIS0xxx` errors) and Visa's and Mastercard's rules on repeating that 0172 to 0174 carry. A code
that is not listed is a plain decline if it came signed in `Ds_Response`, and our own mistake if it
came as a `SIS` error: Redsys sends those before it asks the card's bank.
"""

from __future__ import annotations

from dialer.domain.payment import PaymentOutcome

APPROVED = range(100)
"""`Ds_Response` of an approved payment or preauthorisation."""
REFUND_DONE = 900
"""`Ds_Response` of an approved refund or confirmation."""
CANCEL_DONE = 400
"""`Ds_Response` of an approved cancellation."""

_HARD = {
    101,  # expired
    102,  # suspended, or suspected of fraud
    104,  # the card may not do this
    106,  # PIN tried too often: blocked
    118,  # not registered
    125,  # not in force
    172,  # not to be repeated
    173,  # not to be repeated without new card data
    174,  # not to be repeated within 72 hours
    180,  # the card does not take part
    202,  # suspended, to be withheld
    208,  # lost
    209,  # stolen
    9078,  # the shop may not take this kind of card
    9093,  # no such card
    9094,  # refused abroad
    9257,  # the card does not do preauthorisations
    9932,  # fraud (Redsys's own rules)
    9933,  # the same
}
_NEEDS_ACTION = {195, 8102, 8210, 8220, 9999}
"""The issuer wants its customer to confirm, which a telephone payment cannot do."""
_CONFIGURATION = {904, 9104, 9218, 9256}
_UNKNOWN = {913, 9998}
"""913: the order exists already, so an earlier request did arrive. 9998: still going on."""

_SIS_HARD = {46, 71, 93, 448, 450, 453, 454}
"""BIN not known, expired, no range of cards, a brand that the shop does not take."""
_SIS_SOFT = {
    *range(63, 71),  # number and date
    *(89, 92),  # date
    *(216, 217, 221),  # security code
    *(198, 199, 200, 219, 220, 254, 255, 261),  # limits of the shop
    253,  # check digit
}
_SIS_UNKNOWN = {
    *range(1, 7),  # internal, general
    *(34, 35, 38, 39),  # internal: database, session, Java
    51,  # the order exists already: an earlier request did arrive
    *(126, 295),  # the same operation twice: one of the two may be ours
    *(113, 127, 128),  # internal
}


def response_outcome(code: int) -> PaymentOutcome:
    """Of a signed `Ds_Response` to a payment or a preauthorisation."""
    if code in APPROVED:
        return PaymentOutcome.APPROVED
    if code in _UNKNOWN:
        return PaymentOutcome.UNKNOWN
    if code in _NEEDS_ACTION:
        return PaymentOutcome.NEEDS_ACTION
    if code in _CONFIGURATION:
        return PaymentOutcome.CONFIGURATION_ERROR
    return PaymentOutcome.DECLINED_HARD if code in _HARD else PaymentOutcome.DECLINED_SOFT


def error_outcome(code: str) -> PaymentOutcome:
    """Of an `errorCode` in place of an answer (`SIS0042`: the signature is wrong)."""
    if not code.startswith("SIS") or not code[3:].isdigit():
        return PaymentOutcome.UNKNOWN
    number = int(code[3:])
    if number in _SIS_UNKNOWN:
        return PaymentOutcome.UNKNOWN
    if number in _SIS_HARD:
        return PaymentOutcome.DECLINED_HARD
    return (
        PaymentOutcome.DECLINED_SOFT if number in _SIS_SOFT else PaymentOutcome.CONFIGURATION_ERROR
    )
