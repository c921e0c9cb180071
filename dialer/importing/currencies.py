"""How amounts in files name their currency."""

from __future__ import annotations

from dialer.domain.currency import MINOR_DIGITS

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
