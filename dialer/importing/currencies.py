"""Currencies: how many digits the minor unit has (ISO 4217), and how amounts name them."""

from __future__ import annotations

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

SIGNS: dict[str, frozenset[str]] = {
    "€": frozenset({"EUR"}),
    "EUROS": frozenset({"EUR"}),
    "EURO": frozenset({"EUR"}),
    "US$": frozenset({"USD"}),
    "U$S": frozenset({"USD"}),
    "S/": frozenset({"PEN"}),
    "S/.": frozenset({"PEN"}),
    "R$": frozenset({"BRL"}),
    "£": frozenset({"GBP", "EGP", "FKP", "GIP", "SHP", "LBP", "SYP"}),
    "¥": frozenset({"JPY", "CNY"}),
    "$": frozenset(
        """ARS AUD BBD BMD BND BRL BSD BZD CAD CLP COP CUP CVE DOP FJD GYD HKD JMD KYD LRD MXN
        NAD NIO NZD SBD SGD SRD TTD TWD USD UYU XCD""".split()
    ),
    "MX$": frozenset({"MXN"}),
    "MN": frozenset({"MXN"}),
    "M.N.": frozenset({"MXN"}),
    "PESOS": frozenset({"ARS", "CLP", "COP", "CUP", "DOP", "MXN", "PHP", "UYU"}),
    "SOLES": frozenset({"PEN"}),
}
"""A sign beside an amount, and the currencies it may stand for."""

_NAMES = {
    "EURO": "EUR",
    "EUROS": "EUR",
    "€": "EUR",
    "SOL": "PEN",
    "SOLES": "PEN",
    "US$": "USD",
}


def parse_currency(text: str) -> str | None:
    """The ISO code of a currency cell (``EUR``, ``euros``, ``€``), None where it is none.

    ``$`` and ``pesos`` say nothing: eight countries and more use them.
    """
    code = text.strip().upper()
    return code if code in MINOR_DIGITS else _NAMES.get(code)
