"""A field keyed in digit by digit: one small answer of Asterisk a key, never a number in a string.

Asterisk throws away what arrives between two commands of AGI, which is why nothing may wait
between two keys: ``collect`` holds the time from each answer to the next command against
``SLOWEST``, and a field in which a key may have been missed is void (``Ending.LOST``). It is still
heard to its end, so that the rest of it does not fall into the next question.

What is decided here about keys at the wrong moment:

- Over the prompt: the prompt stops, the key counts.
- Too early, that is within ``EARLY`` of the start of a prompt nobody can have understood yet,
  after a field that was complete or after we were busy: dropped, with those that follow within
  ``SAME_BREATH`` (a digit too many, a doubled key), and the prompt goes on. Keys pressed while we
  are busy are thrown away by Asterisk itself.
- ``#`` typed late, behind a field that ended by itself: one, before any other key of the next
  field, while its prompt plays or within ``LATE_HASH`` of the end of the field before. Behind a
  field that was ended by ``#`` a doubled one is dropped within ``DOUBLED_HASH``.
- ``*``: a second one within ``SECOND_STAR`` makes it ``**``. Another key within that time is the
  first of the field keyed anew.
- A doubled digit is two digits: nobody can know better than the debtor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from weakref import WeakKeyDictionary

from agi_scripts.wire import Agi
from dialer.payments.entry import Rule, Verdict
from dialer.payments.secret import SecretDigits
from dialer.switch import names

SLOWEST = 0.080
"""Seconds between an answer and the next command within which no key was ever lost; see
docs/measurements.md."""
EARLY = 0.3
SAME_BREATH = 0.4
LATE_HASH = 3.5
DOUBLED_HASH = 1.0
SECOND_STAR = 0.8

SLICE = 0.4
"""Seconds that one wait for a key lasts where somebody may wish for something meanwhile. Between
two waits Asterisk waits for us as it does between two keys."""

ALL_KEYS = "0123456789*#"
_DIGITS = frozenset("0123456789")

Wishing = Callable[[], Verdict | None]
"""What ends the field although no key does; asked while a key is waited for."""


class Ending(StrEnum):
    """How a field ended."""

    DONE = "done"
    AGAIN = "again"  # `*`
    LEAVE = "leave"  # `**`
    TIMEOUT = "timeout"  # the digits before it are there
    LOST = "lost"  # keys may have been missed: there are no digits


@dataclass(slots=True)
class Collected:
    """A field. The digits belong to the caller, who wipes them.

    ``seconds``: from the end of the prompt, or from the key that cut it short, to the end.
    ``worst_turnaround``: the longest that Asterisk waited for us within the field, in seconds.
    """

    digits: SecretDigits
    verdict: Ending
    seconds: float
    worst_turnaround: float


class Keypad:
    """The keys of one channel, with what one field leaves for the next."""

    def __init__(self, agi: Agi) -> None:
        self._agi = agi
        self._was_complete = False
        self._late_hash = False
        self._hash_until = 0.0
        self._over_prompt = False  # a late `#` is looked for as long as the prompt plays
        self._early_until = 0.0
        self._pending = ""  # pressed behind a `*`
        self._worst = 0.0
        self._wishing: Wishing | None = None
        self._wished: Verdict | None = None

    def collect(
        self,
        paths: Sequence[str],
        rule: Rule,
        first: float,
        between: float,
        *,
        on_digit: Callable[[int], None] | None = None,
        wishing: Wishing | None = None,
    ) -> Collected:
        """Play the files and take a field; see the module's ``collect``."""
        digits = SecretDigits()
        self._worst = 0.0
        self._wishing, self._wished = wishing, None
        try:
            key = self._pending or self._hear_out(paths)
            self._pending = ""
            if wishing is not None:
                self._sound_silence()
            begun = time.monotonic()
            if not key and self._ended_by_wish is None:
                key = self._first_key(first)
            pressed = bool(key)
            ending = self._take(key, digits, rule, between, on_digit)
            if (wished := self._ended_by_wish) is not None:
                ending = wished
        except BaseException:
            digits.wipe()
            raise
        if pressed and ending in (Ending.DONE, Ending.TIMEOUT) and self._worst > SLOWEST:
            digits.wipe()
            ending = Ending.LOST
        self._was_complete = ending in (Ending.DONE, Ending.LOST)
        return Collected(digits, ending, time.monotonic() - begun, self._worst)

    @property
    def _ended_by_wish(self) -> Ending | None:
        return None if self._wished is None else Ending(self._wished.value)

    # --- before the first key -------------------------------------------------------------

    def _hear_out(self, paths: Sequence[str]) -> str:
        """The key that cuts the prompt short, or ''."""
        begins_anew = self._was_complete or self._agi.idle > SLOWEST
        self._early_until = time.monotonic() + EARLY if begins_anew and paths else 0.0
        for index, path in enumerate(paths):
            offset = 0
            while True:
                counts = index > 0 or offset > 0
                key, offset = self._agi.stream_from(path, ALL_KEYS, offset)
                if counts:
                    self._note()
                if not key:
                    if self._wishing is not None:
                        self._wished = self._wishing()
                    if self._wished is not None:
                        return ""
                    break
                if not self._is_early(key) and not self._is_late_hash(key, over_prompt=True):
                    return key
        return ""

    def _first_key(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            key = self._wait(left)
            if not key or not self._is_late_hash(key, over_prompt=False):
                return key
        return ""

    def _wait(self, seconds: float, meanwhile: Callable[[], None] | None = None) -> str:
        """One key, or '' at the end of the time or where somebody wishes for something."""
        if self._wishing is None:
            key = self._agi.wait_for_digit(seconds, meanwhile)
            self._note()
            return key
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            key = self._agi.wait_for_digit(max(0.001, min(SLICE, left)), meanwhile)
            self._note()
            meanwhile = None
            if key or left <= SLICE:
                return key
            self._wished = self._wishing()
            if self._wished is not None:
                return ""

    def _sound_silence(self) -> None:
        """So that an agent can be heard while keys are waited for. Keys pressed meanwhile are lost
        as while we are busy, and it counts as that."""
        busy = self._agi.idle
        began = time.monotonic()
        self._agi.music(on=True, kind=names.MUSIC_SILENCE)
        self._worst = max(self._worst, busy + time.monotonic() - began)

    def _is_early(self, key: str) -> bool:
        now = time.monotonic()
        if now >= self._early_until:
            return False
        self._early_until = now + SAME_BREATH
        if key == "#":
            self._late_hash = False
        return True

    def _is_late_hash(self, key: str, *, over_prompt: bool) -> bool:
        late, self._late_hash = self._late_hash, False
        in_time = time.monotonic() < self._hash_until or (over_prompt and self._over_prompt)
        return late and key == "#" and in_time

    # --- the field ------------------------------------------------------------------------

    def _take(
        self,
        key: str,
        digits: SecretDigits,
        rule: Rule,
        between: float,
        on_digit: Callable[[int], None] | None,
    ) -> Ending:
        while key:
            self._late_hash = False
            if key in _DIGITS:
                digits.add(ord(key))
            with digits.reveal() as so_far:
                verdict = rule(so_far, ord(key))
            if verdict is not Verdict.MORE:
                return self._ended(verdict, key)
            count = len(digits)
            key = self._wait(between, partial(on_digit, count) if on_digit else None)
        return Ending.TIMEOUT

    def _ended(self, verdict: Verdict, key: str) -> Ending:
        if verdict is Verdict.AGAIN and key == "*":
            following = self._agi.wait_for_digit(SECOND_STAR)
            self._note()
            if following == "*":
                return Ending.LEAVE
            self._pending = following
        if verdict is Verdict.DONE:
            self._late_hash = True
            self._over_prompt = key != "#"
            grace = LATE_HASH if self._over_prompt else DOUBLED_HASH
            self._hash_until = time.monotonic() + grace
        return Ending(verdict.value)

    def _note(self) -> None:
        self._worst = max(self._worst, self._agi.turnaround)


_keypads: WeakKeyDictionary[Agi, Keypad] = WeakKeyDictionary()


def collect(
    agi: Agi,
    paths: Sequence[str],
    rule: Rule,
    first: float,
    between: float,
    *,
    on_digit: Callable[[int], None] | None = None,
    wishing: Wishing | None = None,
) -> Collected:
    """Play the files (paths without ending) and take a field.

    ``first`` and ``between``: seconds to the first key after the prompt, and between two.
    ``on_digit(count)`` is called while Asterisk waits for the next key: it must not block, and
    what it raises ends the field. ``wishing()`` is asked between two waits for a key, and must not
    block either: a verdict ends the field as if a key had. Raises Gone when the caller hangs up;
    nothing is left then.
    """
    keypad = _keypads.setdefault(agi, Keypad(agi))
    return keypad.collect(paths, rule, first, between, on_digit=on_digit, wishing=wishing)
