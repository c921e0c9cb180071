"""Currencies and amounts as people write them. No amount is ever guessed: a currency that is not
known here has no digits, and nothing is said or charged in it."""

from __future__ import annotations

import re

from dialer.domain.model import Money

_WITHOUT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
    CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ
    GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
    PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
    TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW
"""
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"

MINOR_DIGITS: dict[str, int] = {
    code: digits
    for digits, codes in ((0, _WITHOUT), (2, _TWO), (3, _THREE), (4, _FOUR))
    for code in codes.split()
}
"""ISO 4217 code to the digits of its minor unit."""

_WRITTEN = re.compile(r"([0-9]{1,12})(?:\.([0-9]+))? ?([A-Z]{3})")


def minor_digits(currency: str) -> int:
    """Digits of the minor unit (ISO 4217): 2 for EUR, 0 for CLP. Raises ValueError for what is no
    currency."""
    digits = MINOR_DIGITS.get(currency)
    if digits is None:
        raise ValueError(f"{currency} is no currency that is known here")
    return digits


def written(money: Money, point: str = ".") -> str:
    """``1234.50 EUR``; ``1234 CLP``. Raises ValueError as ``minor_digits``."""
    digits = minor_digits(money.currency)
    whole, rest = divmod(money.minor, 10**digits)
    return (
        f"{whole}{point}{rest:0{digits}d} {money.currency}"
        if digits
        else (f"{whole} {money.currency}")
    )


def parse_written(text: str) -> Money:
    """The amount of ``10 EUR``, ``10.00 EUR`` or ``10.00EUR``, in major units. Raises ValueError
    for anything else, also for more decimals than the currency has."""
    match = _WRITTEN.fullmatch(text.strip().upper())
    if match is None:
        raise ValueError(f"write an amount with its currency, like 10.00 EUR, not {text!r}")
    digits, fraction = minor_digits(match[3]), match[2] or ""
    if len(fraction) > digits:
        raise ValueError(f"{match[3]} has {digits} decimals, so {text!r} is no amount")
    return Money(int(match[1] + fraction.ljust(digits, "0")), match[3])
