"""The bank's reasons in Redsys's codes."""

from __future__ import annotations

from dialer.simulation.bank.records import Charge, State

_DECLINES = {
    "insufficient_funds": "0116",
    "do_not_honor": "0190",
    "stolen_card": "0209",
    "lost_card": "0208",
    "authentication_required": "0195",
    "expired_card": "0101",
    "incorrect_cvc": "0129",
    "incorrect_number": "9253",
    "invalid_expiry_month": "0191",
}
RESPONSES: dict[str, dict[str, str]] = {
    "capture": {
        "missing": "SIS0059",
        "declined": "SIS0061",
        "charge_not_authorised": "SIS0061",
        "amount_too_large": "SIS0062",
    },
    "refund": {
        "missing": "SIS0054",
        "declined": "SIS0056",
        "charge_not_captured": "SIS0056",
        "amount_too_large": "SIS0057",
        "charge_already_refunded": "SIS0057",
    },
    "void": {
        "missing": "SIS0225",
        "declined": "SIS0223",
        "already_voided": "SIS0222",
        "void_too_late": "SIS0072",
        "charge_already_refunded": "SIS0072",
    },
}
"""Operation -> why not -> the error."""


class SisError(Exception):
    """Refused with ``code`` (SIS0042) in place of an answer."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def response_of(charge: Charge) -> str:
    """`Ds_Response`, or a ``SIS`` error for what was refused before any bank was asked."""
    if charge.state is State.REFUSED:
        return "SIS0252"
    if charge.state in (State.DECLINED, State.NEEDS_ACTION):
        return _DECLINES.get(charge.reason or "", "0190")
    return "0000"
