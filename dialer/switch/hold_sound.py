"""What a debtor hears who is held, where the company has given no music of its own: slow, soft
chords, made here so that nobody's rights are touched. And silence that is sent. Standard library
only.
"""

from __future__ import annotations

import math
import os
import wave
from array import array
from pathlib import Path

RATE = 8000
CHORD_SECONDS = 3.0
PEAK = 0.08
"""Of full scale (-22 dB): beside a voice, not in its place."""
_CHORDS = (  # hertz; C, A minor, F, G in equal temperament
    (261.63, 329.63, 392.00),
    (220.00, 261.63, 329.63),
    (174.61, 220.00, 261.63),
    (196.00, 246.94, 293.66),
)
NAME, SILENCE = "calm.wav", "silence.wav"
SILENCE_SECONDS = 5


def music_folder(home: Path, own: Path) -> Path:
    """The folder to play from: ``<home>/hold-music`` if the company has put sound there (mono
    8 kHz WAV, or raw A-law or µ-law as ``.alaw`` and ``.ulaw``), else ``own`` with the chords."""
    given = home / "hold-music"
    if given.is_dir() and any(one.is_file() for one in given.iterdir()):
        return given
    if not (own / NAME).is_file():
        _write(own / NAME, chords())
    return own


def silence_folder(own: Path) -> Path:
    """The folder whose music is digital silence.

    Asterisk sends nothing at all while it waits for a key, and so nobody can be heard then who
    speaks to that channel alone; with this music it sends.
    """
    if not (own / SILENCE).is_file():
        _write(own / SILENCE, array("h", bytes(2 * SILENCE_SECONDS * RATE)))
    return own


def _write(path: Path, samples: array[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with wave.open(str(fresh), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    fresh.replace(path)


def chords() -> array[int]:
    """One round as 16-bit samples. Chords overlap, so that it is never silent, also from one
    round to the next."""
    each = round(CHORD_SECONDS * RATE)
    samples = array("h")
    for number, chord in enumerate(_CHORDS):
        before = _CHORDS[number - 1]
        for index in range(each):
            at = index / RATE
            rising = math.sin(math.pi / 2 * index / each) ** 2
            value = rising * _sum(chord, at) + (1 - rising) * _sum(before, at + CHORD_SECONDS)
            samples.append(round(32767 * PEAK * value))
    return samples


def _sum(chord: tuple[float, ...], at: float) -> float:
    """Between -1 and 1."""
    return sum(math.sin(2 * math.pi * hertz * at) for hertz in chord) / len(chord)
