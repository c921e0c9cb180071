"""Tones of the telephone network, as samples at 8 kHz.

Frequencies: ITU-T E.180 (special information tone), T.30 (fax), Q.23 (keys).
"""

from __future__ import annotations

import numpy as np

from dialer.speech.audio import RATE, Samples, silence

KEYS = {
    key: (row, column)
    for row, keys in zip((697, 770, 852, 941), ("123A", "456B", "789C", "*0#D"), strict=True)
    for column, key in zip((1209, 1336, 1477, 1633), keys, strict=True)
}
"""The two frequencies (hertz) of each key."""


def tone(frequencies: tuple[float, ...], seconds: float, level_db: float = -12.0) -> Samples:
    """A sum of sines, each with its peak ``level_db`` below full scale, faded over 2 ms."""
    at = np.arange(round(seconds * RATE)) / RATE
    summed = np.zeros(len(at))
    for hertz in frequencies:
        summed += np.sin(2 * np.pi * hertz * at)
    fade = np.minimum(1.0, np.minimum(np.arange(len(at)), np.arange(len(at))[::-1]) / (RATE / 500))
    return np.asarray(summed * fade * 10 ** (level_db / 20), dtype=np.float64)


def beep() -> Samples:
    """The tone after a voicemail greeting: 1000 Hz for 400 ms."""
    return tone((1000.0,), 0.4)


def special_information() -> Samples:
    """The three rising tones before "the number you have dialled"."""
    return np.concatenate([tone((hertz,), 0.33) for hertz in (950.0, 1400.0, 1800.0)])


def fax_answer() -> Samples:
    """The answering tone of a fax machine (CED): 2100 Hz for 3 s."""
    return tone((2100.0,), 3.0)


def key_tones(keys: str, seconds: float = 0.1, gap: float = 0.1) -> Samples:
    """Keys as they sound in the voice band. Raises KeyError for what is no key."""
    parts = [silence(gap)]
    for key in keys:
        parts += [tone(tuple(map(float, KEYS[key])), seconds), silence(gap)]
    return np.concatenate(parts)
