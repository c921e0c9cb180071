"""What a file is, and which encoding its text has, from one pass over its bytes.

UTF-8 is verified to the last byte. What is no UTF-8 is held against the encodings that Spanish
and English lists come in, by which letters would appear; an encoding is never assumed because it
happens to decode.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from dialer.importing.errors import ImportFileError

CHUNK = 1 << 20
SAMPLE = 256 * 1024  # bytes of lines with letters beyond ASCII
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_KINDS = (
    (b"\xd0\xcf\x11\xe0", "an old .xls (or a workbook with a password): save it as .xlsx or CSV"),
    (b"%PDF", "a PDF: export the list as CSV or .xlsx"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "compressed with xz: unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"{\\rtf", "a rich text document: export the list as CSV or .xlsx"),
    (b"SQLite format 3", "a database: export the list as CSV"),
)
_LEGACY = ("cp1252", "mac_roman", "cp850")
_HIGH_LINE = re.compile(rb"[^\n\r]*[\x80-\xff][^\n\r]*")
# How likely a letter is in a list of debtors written in Spanish or English (most) or in another
# language of the west of Europe.
_LIKELY = {
    **dict.fromkeys("áéíóúñÁÉÍÓÚÑüÜ", 1.0),
    **dict.fromkeys("€ºª", 0.9),
    **dict.fromkeys("çÇàèòïÀÈÒÏ·¿¡’“”–«»\u00a0ãõâêôäöåœß", 0.7),
}
_ENOUGH = 0.65
_LEAD = 0.1


@dataclass(frozen=True, slots=True)
class FileKind:
    """``encoding`` is a Python codec, empty for a workbook. ``sha256`` is of the bytes."""

    kind: Literal["text", "xlsx"]
    encoding: str
    sha256: str
    size: int


def inspect_file(path: Path, told: str | None = None) -> FileKind:
    """Read the file once. ``told``: the encoding the user says it has.

    Raises ImportFileError for a file that is missing, empty, of another kind or not text, and
    where the encoding cannot be told.
    """
    if told is not None:
        told = _codec(told)
    try:
        with path.open("rb") as source:
            return _inspect(source, told)
    except IsADirectoryError:
        raise ImportFileError("this is a folder, not a file") from None
    except OSError as error:
        raise ImportFileError(f"the file cannot be read: {error.strerror}") from error


def _codec(name: str) -> str:
    try:
        found = codecs.lookup(name)
    except LookupError:
        raise ImportFileError(
            f"there is no encoding {name!r}: usual ones are utf-8, utf-16, cp1252, latin-1,"
            " mac_roman and cp850"
        ) from None
    if not getattr(found, "_is_text_encoding", True):
        raise ImportFileError(f"{name!r} is not an encoding of text")
    return "utf-8-sig" if found.name == "utf-8" else found.name


def _inspect(source: BinaryIO, told: str | None) -> FileKind:
    start = source.read(CHUNK)
    if not start:
        raise ImportFileError("the file is empty")
    if start.startswith(b"PK\x03\x04"):
        return FileKind("xlsx", "", *_hash_rest(source, start))
    for magic, what in _OTHER_KINDS:
        if start.startswith(magic):
            raise ImportFileError(f"this is {what}")
    encoding = told or next((name for bom, name in _BOMS if start.startswith(bom)), None)
    if encoding is None or encoding == "utf-8-sig":
        encoding = encoding or _utf16_without_mark(start)
    if encoding is not None and encoding != "utf-8-sig":
        return FileKind("text", encoding, *_hash_rest(source, start))
    scan = _Utf8Scan()
    digest, size, chunk = hashlib.sha256(), 0, start
    while chunk:
        digest.update(chunk)
        scan.feed(chunk, size)
        size += len(chunk)
        chunk = source.read(CHUNK)
    found = scan.conclude(must=encoding is not None)
    return FileKind("text", found, digest.hexdigest(), size)


def _hash_rest(source: BinaryIO, start: bytes) -> tuple[str, int]:
    digest, size, chunk = hashlib.sha256(), 0, start
    while chunk:
        digest.update(chunk)
        size += len(chunk)
        chunk = source.read(CHUNK)
    return digest.hexdigest(), size


def _utf16_without_mark(start: bytes) -> str | None:
    """UTF-16 of mostly ASCII has a NUL in every second place."""
    head = start[:4096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(len(head) // 2, 1)
    if odd > half * 0.7 and even < half * 0.05:
        return "utf-16-le"
    if even > half * 0.7 and odd < half * 0.05:
        return "utf-16-be"
    return None


class _Utf8Scan:
    """Verifies UTF-8; from the first byte that is none, collects lines to guess from."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._letters = 0  # beyond ASCII, before the first bad byte
        self._lines = 0
        self._bad_line: int | None = None
        self._sample = bytearray()

    def feed(self, chunk: bytes, offset: int) -> None:
        if b"\0" in chunk:
            place = offset + chunk.index(b"\0")
            raise ImportFileError(f"this is no text file: byte {place} is NUL")
        if self._bad_line is None:
            pending = len(self._decoder.getstate()[0])
            try:
                text = self._decoder.decode(chunk)
            except UnicodeDecodeError as error:
                good = chunk[: max(error.start - pending, 0)]
                self._letters += sum(byte >= 0xC2 for byte in good)
                self._bad_line = self._lines + good.count(b"\n") + 1
            else:
                self._letters += len(chunk) - len(text)  # not the number, but more than none
                self._lines += chunk.count(b"\n")
        if self._bad_line is not None:
            for match in _HIGH_LINE.finditer(chunk):
                if len(self._sample) >= SAMPLE:
                    break
                self._sample += match[0][:2000] + b"\n"

    def conclude(self, *, must: bool) -> str:
        if self._bad_line is None:
            try:
                self._decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                self._bad_line = self._lines + 1
            else:
                return "utf-8-sig"  # takes a mark at the start as well as none
        if must or self._letters:
            raise ImportFileError(
                f"line {self._bad_line} is not UTF-8, though the rest before it is: correct that"
                " line, or say --encoding (for example cp1252) if the whole file has another one"
            )
        return guess_legacy(bytes(self._sample))


def guess_legacy(sample: bytes) -> str:
    """The encoding of lines that are no UTF-8. Raises ImportFileError where it cannot be told."""
    scores = sorted(((_score(sample, name), name) for name in _LEGACY), reverse=True)
    (best, name), (second, _) = scores[0], scores[1]
    if best < _ENOUGH or best - second < _LEAD:
        raise ImportFileError(
            "the encoding cannot be told: it is not UTF-8, and in the usual older ones the names"
            " come out as nonsense; save the file as UTF-8 or say --encoding"
        )
    return name


def _score(sample: bytes, name: str) -> float:
    """The mean likelihood of the letters beyond ASCII, from 0 to 1."""
    try:
        text = sample.decode(name)
    except UnicodeDecodeError:
        return 0.0
    total = count = 0.0
    before = " "
    for char in text:
        if not char.isascii():
            count += 1
            odd_case = before.islower() and char.isupper()  # JosÈ
            total += 0.0 if odd_case else _LIKELY.get(char, 0.0)
        before = char
    return total / count if count else 0.0


def has_control(text: str) -> bool:
    """Whether a cell holds a control character other than a tab or a line's end."""
    return not text.isprintable() and any(
        unicodedata.category(char) == "Cc" and char not in "\t\r\n" for char in text
    )
