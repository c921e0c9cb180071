"""Spanish numbers, money and dates as fragments.

Rules: Real Academia Española, Ortografía (2010) and Diccionario panhispánico de dudas, entries
"cardinales", "uno" and "fecha": *uno* and what ends in it is shortened before a masculine noun
(veintiún euros) and before *mil* (veintiún mil); *millón* and *billón* take *de* when the noun
follows them at once (un millón de euros, but un millón cien euros). Every currency here is
masculine. A billón is 10**12.
"""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

from dialer.flow.fragments import Fragment, fragment

_TO_29 = (
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
    "dieciséis diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro "
    "veinticinco veintiséis veintisiete veintiocho veintinueve"
).split()
_TENS = "treinta cuarenta cincuenta sesenta setenta ochenta noventa".split()
_HUNDREDS = (
    "ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos "
    "novecientos"
).split()
_MONTHS = (
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
).split()
_LETTERS = (
    "a be ce de e efe ge hache i jota ka ele eme ene o pe cu erre ese te u uve uve_doble equis "
    "i_griega zeta"
).split()
_SCALE = ("mil", "millón", "millones", "billón", "billones")

_CURRENCIES: dict[str, tuple[str, str, str, str]] = {
    "EUR": ("euro", "euros", "céntimo", "céntimos"),
    "MXN": ("peso mexicano", "pesos mexicanos", "centavo", "centavos"),
    "COP": ("peso colombiano", "pesos colombianos", "centavo", "centavos"),
    "CLP": ("peso chileno", "pesos chilenos", "", ""),
    "PEN": ("sol", "soles", "céntimo", "céntimos"),
    "ARS": ("peso argentino", "pesos argentinos", "centavo", "centavos"),
    "USD": ("dólar", "dólares", "centavo", "centavos"),
}

FIRST_OF_MONTH = fragment("day", "primero")
_CON, _DE = fragment("w", "con"), fragment("w", "de")


def _n(text: str) -> Fragment:
    return fragment("n", text)


def _below_100(n: int, short: bool) -> str:
    if n < 30:
        word = _TO_29[n]
    else:
        ten, unit = divmod(n, 10)
        word = _TENS[ten - 3] + (f" y {_TO_29[unit]}" if unit else "")
    if short and n == 21:
        return "veintiún"
    return word[:-1] if short and word.endswith("uno") else word


def _below_1000(n: int, short: bool) -> list[Fragment]:
    hundreds, rest = divmod(n, 100)
    if n == 100:
        return [_n("cien")]
    parts = [_n(_HUNDREDS[hundreds - 1])] if hundreds else []
    return parts + ([_n(_below_100(rest, short))] if rest else [])


def _below_million(n: int, short: bool) -> list[Fragment]:
    thousands, rest = divmod(n, 1000)
    parts: list[Fragment] = []
    if thousands:
        parts = [*(_below_1000(thousands, True) if thousands > 1 else []), _n("mil")]
    return parts + (_below_1000(rest, short) if rest else [])


def cardinal(n: int, *, short: bool) -> list[Fragment]:
    """``n`` in 0..10**18-1; ``short`` before a masculine noun (un, veintiún, treinta y un)."""
    if n == 0:
        return [_n("cero")]
    parts: list[Fragment] = []
    for unit, one, many in ((10**12, "billón", "billones"), (10**6, "millón", "millones")):
        count, n = divmod(n, unit)
        if count:
            parts += [*_below_million(count, True), _n(one if count == 1 else many)]
    return parts + _below_million(n, short)


def amount(major: int, minor: int, currency: str) -> list[Fragment]:
    """Money: the major part, then ``con`` and the minor part where there is one."""
    one, many, minor_one, minor_many = _CURRENCIES[currency]
    parts: list[Fragment] = []
    if major or not minor:
        parts += cardinal(major, short=True)
        if major and major % 10**6 == 0:
            parts.append(_DE)
        parts.append(fragment("cur", one if major == 1 else many))
    if minor:
        parts += [_CON] if parts else []
        parts += cardinal(minor, short=True)
        parts.append(fragment("cur", minor_one if minor == 1 else minor_many))
    return parts


def day(day_of_month: int, month: int) -> list[Fragment]:
    """``quince de marzo``; the first is ``primero``."""
    number = FIRST_OF_MONTH if day_of_month == 1 else _n(_below_100(day_of_month, False))
    return [number, _DE, fragment("month", _MONTHS[month - 1])]


def year(number: int) -> list[Fragment]:
    """``de dos mil veintiséis``."""
    return [_DE, *cardinal(number, short=False)]


def letter(which: str) -> Fragment:
    """The name of a letter, ``a`` to ``z`` (Ortografía 2010, 5.4: the names in use in Spain, which
    are understood everywhere)."""
    return fragment("letter", _LETTERS[ord(which) - ord("a")].replace("_", " "))


def every_fragment() -> Iterator[Fragment]:
    """Every fragment the functions above can give."""
    for n in range(100):
        yield _n(_below_100(n, False))
        yield _n(_below_100(n, True))
    yield from map(_n, ("cien", *_HUNDREDS, *_SCALE))
    for names in _CURRENCIES.values():
        yield from (fragment("cur", name) for name in names if name)
    yield from (fragment("month", name) for name in _MONTHS)
    yield from map(letter, ascii_lowercase)
    yield from (_CON, _DE, FIRST_OF_MONTH)
