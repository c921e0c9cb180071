"""English numbers, money and dates as fragments.

``and`` stands between hundreds and what follows (two hundred and five), as on British and Irish
lines; American listeners take it as well. A billion is 10**9.
"""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

from dialer.flow.fragments import Fragment, fragment

_TO_19 = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALE = (
    (10**15, "quadrillion"),
    (10**12, "trillion"),
    (10**9, "billion"),
    (10**6, "million"),
    (10**3, "thousand"),
)
_MONTHS = (
    "January February March April May June July August September October November December"
).split()
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first "
    "twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth twenty-seventh "
    "twenty-eighth twenty-ninth thirtieth thirty-first"
).split()

_CURRENCIES: dict[str, tuple[str, str, str, str]] = {
    "EUR": ("euro", "euros", "cent", "cents"),
    "MXN": ("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "COP": ("Colombian peso", "Colombian pesos", "centavo", "centavos"),
    "CLP": ("Chilean peso", "Chilean pesos", "", ""),
    "PEN": ("Peruvian sol", "Peruvian soles", "centimo", "centimos"),
    "ARS": ("Argentine peso", "Argentine pesos", "centavo", "centavos"),
    "USD": ("dollar", "dollars", "cent", "cents"),
}

_AND, _OH = fragment("w", "and"), fragment("w", "oh")


def _n(text: str) -> Fragment:
    return fragment("n", text)


def _below_100(n: int) -> str:
    if n < 20:
        return _TO_19[n]
    ten, unit = divmod(n, 10)
    return _TENS[ten - 2] + (f"-{_TO_19[unit]}" if unit else "")


def _below_1000(n: int) -> list[Fragment]:
    hundreds, rest = divmod(n, 100)
    parts = [_n(f"{_TO_19[hundreds]} hundred")] if hundreds else []
    if rest:
        parts += [_AND] if hundreds else []
        parts.append(_n(_below_100(rest)))
    return parts


def cardinal(n: int) -> list[Fragment]:
    """``n`` in 0..10**18-1."""
    if n == 0:
        return [_n("zero")]
    parts: list[Fragment] = []
    for unit, name in _SCALE:
        count, n = divmod(n, unit)
        if count:
            parts += [*_below_1000(count), _n(name)]
    if n:
        parts += [_AND] if parts and n < 100 else []
        parts += _below_1000(n)
    return parts


def amount(major: int, minor: int, currency: str) -> list[Fragment]:
    """Money: the major part, then ``and`` and the minor part where there is one."""
    one, many, minor_one, minor_many = _CURRENCIES[currency]
    parts: list[Fragment] = []
    if major or not minor:
        parts += [*cardinal(major), fragment("cur", one if major == 1 else many)]
    if minor:
        parts += [_AND] if parts else []
        parts += [*cardinal(minor), fragment("cur", minor_one if minor == 1 else minor_many)]
    return parts


def day(day_of_month: int, month: int) -> list[Fragment]:
    """``March fifteenth``."""
    return [
        fragment("month", _MONTHS[month - 1]),
        fragment("day", _ORDINALS[day_of_month - 1]),
    ]


def year(number: int) -> list[Fragment]:
    """``twenty twenty-six``, ``two thousand and five``, ``nineteen oh five``."""
    century, rest = divmod(number, 100)
    if number // 1000 >= 1 and century % 10 == 0 and rest < 10:
        return cardinal(number)
    if not 1000 <= number <= 9999:
        return cardinal(number)
    head = _n(_below_100(century))
    if rest == 0:
        return [head, fragment("w", "hundred")]
    return [head, *([_OH] if rest < 10 else []), _n(_below_100(rest))]


def letter(which: str) -> Fragment:
    """The name of a letter, ``a`` to ``z``: a voice reads a capital by its name."""
    return fragment("letter", which.upper())


def every_fragment() -> Iterator[Fragment]:
    """Every fragment the functions above can give."""
    yield from (_n(_below_100(n)) for n in range(100))
    yield from (_n(f"{_TO_19[n]} hundred") for n in range(1, 10))
    yield from (_n(name) for _, name in _SCALE)
    for names in _CURRENCIES.values():
        yield from (fragment("cur", name) for name in names if name)
    yield from (fragment("month", name) for name in _MONTHS)
    yield from (fragment("day", name) for name in _ORDINALS)
    yield from map(letter, ascii_lowercase)
    yield from (_AND, _OH, fragment("w", "hundred"))
