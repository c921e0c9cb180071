"""The shapes in which a card number or a security code could lie somewhere.

A number is sixteen digits or so: alone it is found in any of them. A security code is three or
four, which are everywhere by chance: it counts only where something beside it says what it is, or
where it stands right behind the number or the expiry date it belongs to.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

GROUPS = {13: (4, 3, 3, 3), 14: (4, 6, 4), 15: (4, 6, 5), 16: (4, 4, 4, 4), 19: (4, 4, 4, 4, 3)}
"""How people and programs group a number of so many digits (ISO/IEC 7812 leaves it to them)."""
SEPARATORS = (" ", "-", ".", "_", "\t", "\u00a0", ", ", ",", "\n", "%20", "+", "%2D")


@dataclass(frozen=True, slots=True)
class Planted:
    """What one simulated debtor keyed. ``name``: of the call, for the report; never the number.
    ``expiry`` MMYY."""

    name: str
    number: str
    expiry: str
    code: str


@dataclass(frozen=True, slots=True)
class Form:
    """One pattern; ``what`` names call and form."""

    what: str
    pattern: bytes


def forms(planted: Planted) -> Iterator[Form]:
    """Every pattern of one card, each once."""
    seen: set[bytes] = set()
    for kind, text in _texts(planted):
        for encoding, pattern in _encodings(text):
            if pattern not in seen:
                seen.add(pattern)
                yield Form(f"{planted.name}: {kind}, {encoding}", pattern)
    for kind, pattern in _binaries(planted.number):
        if pattern not in seen:
            seen.add(pattern)
            yield Form(f"{planted.name}: {kind}", pattern)


def _texts(planted: Planted) -> Iterator[tuple[str, str]]:
    number = planted.number
    yield "number", number
    for separator in SEPARATORS:
        yield "number in groups", _grouped(number, separator)
        yield "number digit by digit", separator.join(number)
    yield "number as a list", ", ".join(f"'{one}'" for one in number)
    yield "number as a list", ", ".join(f'"{one}"' for one in number)
    yield "number reversed", number[::-1]
    # More than the first eight or the last four is a leak too (PCI DSS 3.4.1).
    yield "number without its beginning", number[6:]
    yield "number without its end", number[:12]
    yield "end of number, expiry, code", number[-4:] + planted.expiry + planted.code


def _grouped(number: str, separator: str) -> str:
    parts, at = [], 0
    for length in GROUPS.get(len(number), (4,) * (len(number) // 4 + 1)):
        parts.append(number[at : at + length])
        at += length
    return separator.join(part for part in parts if part)


def _encodings(text: str) -> Iterator[tuple[str, bytes]]:
    raw = text.encode()
    yield "as it is", raw
    yield "URL-encoded", quote(text, safe="").encode()
    yield "percent each", "".join(f"%{byte:02X}" for byte in raw).encode()
    yield "hex", raw.hex().encode()
    yield "hex upper", raw.hex().upper().encode()
    yield "hex spaced", raw.hex(" ").encode()
    yield "UTF-16 LE", text.encode("utf-16-le")
    yield "UTF-16 BE", text.encode("utf-16-be")
    yield "UTF-32 LE", text.encode("utf-32-le")
    for alignment in range(3):
        for name, alphabet in (("base64", None), ("base64 for URLs", b"-_")):
            yield name, _base64_inside(raw, alignment, alphabet)
    for alignment in range(3):  # once more encoded, as a header in a JSON in a log
        inner = _base64_inside(raw, alignment, None)
        for outer in range(3):
            yield "base64 twice", _base64_inside(inner, outer, None)


def _base64_inside(raw: bytes, alignment: int, alphabet: bytes | None) -> bytes:
    """The part of the base64 text that does not depend on what stands before and behind."""
    padded = b"\0" * alignment + raw
    whole = base64.b64encode(padded, alphabet)
    start = -(-alignment * 8 // 6)
    end = len(padded) * 8 // 6
    return whole[start:end]


def _binaries(number: str) -> Iterator[tuple[str, bytes]]:
    even = number if len(number) % 2 == 0 else number + "f"
    yield "packed decimal", bytes.fromhex(even)
    odd = number if len(number) % 2 == 0 else "0" + number
    yield "packed decimal", bytes.fromhex(odd)
    value = int(number)
    yield "integer LE", value.to_bytes(8, "little")
    yield "integer BE", value.to_bytes(8, "big")
    # CPython's own: digits of 30 bits in four bytes each.
    limbs = []
    while value:
        limbs.append((value & 0x3FFFFFFF).to_bytes(4, "little"))
        value >>= 30
    yield "integer of Python", b"".join(limbs)
    yield "double", _double(number)
    yield "bytes 0 to 9", bytes(int(one) for one in number)


def _double(number: str) -> bytes:
    return struct.pack("<d", float(number))


CODE_WORDS = tuple(
    style(word).encode()
    for word in ("cvv", "cvc", "cid", "cav2", "security", "seguridad")
    for style in (str.lower, str.upper, str.title)
)
"""One of them stands in every name of a security code."""
_CODE_BESIDE_NAME = re.compile(
    rb"(?:cvv2?|cvc2?|cid|cav2|security[ _-]?code|seguridad)"
    rb"[^0-9a-zA-Z]{1,12}([0-9]{3,4})(?![0-9])",
    re.IGNORECASE,
)


def codes_beside_names(content: bytes, word_at: int) -> Iterator[tuple[bytes, int]]:
    """(digits, offset) where a number of three or four digits stands behind the name of a security
    code; ``word_at``: where one of ``CODE_WORDS`` begins."""
    found = _CODE_BESIDE_NAME.match(content, word_at, word_at + 48)
    if found is not None:
        yield found[1], found.start()
