"""All forms of all planted cards, looked for in one pass, and in what is packed within."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ahocorasick_rs import BytesAhoCorasick, Implementation

from dialer.local.cardscan.forms import CODE_WORDS, Planted, codes_beside_names, forms

CHUNK = 32 * 1024 * 1024
LONGEST = 512
"""No form is longer; chunks overlap by so much."""
UNPACKED_AT_MOST = 64 * 1024 * 1024
DEEPEST = 3
FIRST_LOOK = 512
LONGEST_CODE = 48
HEARD_IN_A_ROW = 7
_MEMBER = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_DIGIT_LINE = re.compile(
    rb"(?:DTMF|[Dd]igit)[^\n]{0,60}?['\"\s:=]([0-9])['\"]?(?![0-9])[^\n]{0,80}?"
    rb"((?:PJSIP|SIP|Local|IAX2)/[\w@.+-]+-[0-9a-f]{8}|[0-9a-f]{32})",
)
_DIGIT_LINE_CHANNEL_FIRST = re.compile(
    rb"((?:PJSIP|SIP|Local|IAX2)/[\w@.+-]+-[0-9a-f]{8}|[0-9a-f]{32})[^\n]{0,120}?"
    rb"(?:DTMF|[Dd]igit|[Rr]esult)[^\n]{0,40}?['\"\s:=]([0-9])['\"]?(?![0-9])",
)


_DIGIT_ALONE = re.compile(
    rb"((?:DTMF|[Dd]igit|[Kk]ey)[^\n]{0,60}?)['\"\s:=]([0-9])['\"]?(?![0-9])[^\n]*"
)
"""A digit in a line that says no channel, or says it in words of its own."""
_LETTERS = re.compile(rb"[A-Za-z]+")
_AGI_LINE = re.compile(rb"<((?:PJSIP|Local)/[\w@.+-]+)>AGI Tx >> 200 result=(4[89]|5[0-7])\b")
"""A key in an answer to AGI: its code in ASCII."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``what``: call and form, never the digits; ``offset`` in the place searched."""

    what: str
    offset: int


class Matcher:
    """Made once for all planted cards."""

    def __init__(self, planted: Sequence[Planted]) -> None:
        """Raises ValueError where nothing was planted: such a search cannot find anything."""
        if not planted:
            raise ValueError("no card was planted: there is nothing to look for")
        self._planted = list(planted)
        by_pattern: dict[bytes, str] = {}
        for card in planted:
            for form in forms(card):
                by_pattern.setdefault(form.pattern, form.what)
        self._patterns = list(by_pattern)
        self._what = [by_pattern[one] for one in self._patterns]
        assert max(map(len, self._patterns)) <= LONGEST
        self._automaton = BytesAhoCorasick(self._patterns, implementation=Implementation.DFA)
        self._code_words = BytesAhoCorasick(CODE_WORDS, implementation=Implementation.DFA)
        self._codes: dict[bytes, list[str]] = defaultdict(list)
        for card in planted:
            self._codes[card.code.encode()].append(card.name)

    @property
    def forms(self) -> int:
        """How many patterns are looked for."""
        return len(self._patterns) + len(self._codes)

    def search(self, pieces: Iterable[bytes]) -> list[Finding]:
        """Findings in a stream of pieces that belong together, what is compressed in it
        included."""
        found: list[Finding] = []
        before, at = b"", 0
        for piece in pieces:
            found += self._within(before + piece, at - len(before), len(before), 0)
            before = (before + piece)[-LONGEST:]
            at += len(piece)
        return found

    def search_bytes(self, content: bytes) -> list[Finding]:
        """Findings in one piece."""
        return self.search([content])

    def _within(self, content: bytes, offset: int, known: int, depth: int) -> list[Finding]:
        """``known`` bytes at the start were searched before: matches that end there are not new."""
        found = [
            Finding(self._what[index], offset + start)
            for index, start, end in self._automaton.find_matches_as_indexes(content)
            if end > known
        ]
        for _, start, _ in self._code_words.find_matches_as_indexes(content):
            for code, at in codes_beside_names(content, start):
                if code in self._codes and start + LONGEST_CODE > known:
                    what = f"{', '.join(self._codes[code])}: security code beside its name"
                    found.append(Finding(what, offset + at))
        if depth < DEEPEST:
            for match in _MEMBER.finditer(content, max(0, known - 2)):
                inside = _unpacked(memoryview(content)[match.start() :])
                found += [
                    Finding(f"{one.what} (compressed)", offset + match.start())
                    for one in self._within(inside, 0, 0, depth + 1)
                ]
        return found

    def search_digit_lines(self, content: bytes) -> list[Finding]:
        """Findings among digits that stand one a line, put together by channel in order."""
        found: list[Finding] = []
        for pattern, digit, channel in (
            (_DIGIT_LINE, 1, 2),
            (_DIGIT_LINE_CHANNEL_FIRST, 2, 1),
            (_AGI_LINE, 2, 1),
            (_DIGIT_ALONE, 2, 1),
        ):
            by_channel: dict[tuple[bytes, ...], list[str]] = defaultdict(list)
            for match in pattern.finditer(content):
                key = match[digit].decode()
                key = key if len(key) == 1 else chr(int(key))
                # Several lines tell of one key (begin, end, passed on): by their wording too.
                words = b"".join(_LETTERS.findall(match[0].replace(match[channel], b"")))
                by_channel[(match[channel],)].append(key)
                by_channel[match[channel], words].append(key)
            for digits in by_channel.values():
                found += self.search_digits("".join(digits))
        return list(dict.fromkeys(found))

    def search_digits(self, digits: str) -> list[Finding]:
        """Findings in a row of digits; a digit logged at its begin and at its end counts once."""
        found = []
        halved = digits[::2] if digits[::2] == digits[1::2] else ""
        for card in self._planted:
            for part in (card.number, card.number[:12], card.number[6:]):
                doubled = "".join(one * 2 for one in part)
                for how, wanted, where in (
                    ("single digits", part, digits),
                    ("single digits", part, halved),
                    ("doubled single digits", doubled, digits),
                ):
                    if wanted in where:
                        what = f"{card.name}: number from {how}"
                        found.append(Finding(what, where.index(wanted)))
        return list(dict.fromkeys(found))

    def search_keys_heard(self, keys: str) -> list[Finding]:
        """Findings in keys that were heard in a sound: one that was missed hides nothing."""
        found = self.search_digits(keys)
        for card in self._planted:
            number = card.number
            # What stands before is the same on many cards.
            for start in range(6, len(number) - HEARD_IN_A_ROW + 1):
                if number[start : start + HEARD_IN_A_ROW] in keys:
                    found.append(Finding(f"{card.name}: part of the number, heard", 0))
                    break
            if card.expiry + card.code in keys:
                found.append(Finding(f"{card.name}: expiry and code, heard", 0))
        return found


def _unpacked(content: memoryview) -> bytes:
    """What a gzip or zlib member at the start holds, as far as it can be read."""
    unpacker = zlib.decompressobj(wbits=47)  # finds out which of the two it is
    try:
        # Most of what looks like a beginning is none: seen in a few bytes.
        begun = unpacker.decompress(content[:FIRST_LOOK], UNPACKED_AT_MOST)
        rest = content[FIRST_LOOK:CHUNK]
        try:
            return begun + unpacker.decompress(unpacker.unconsumed_tail + rest, UNPACKED_AT_MOST)
        except zlib.error:
            return begun
    except zlib.error:
        return b""
