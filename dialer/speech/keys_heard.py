"""Keys that can be heard in a sound file: what a recording gives away.

Used to prove that a recording was silent while a card was keyed in, so it rather hears a key too
many than one too few: each channel of a file is listened to by itself and mixed.
"""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

from dialer.speech import g711
from dialer.speech.analysis import goertzel_digits
from dialer.speech.audio import RATE, Samples, Sound, SoundError, from_linear, resample

_RAW = {
    ".alaw": g711.decode_a_law,
    ".al": g711.decode_a_law,
    ".ulaw": g711.decode_mu_law,
    ".ul": g711.decode_mu_law,
    ".pcm": g711.decode_mu_law,
}
"""Endings of files that are samples and nothing else, as Asterisk writes them."""
ENDINGS = frozenset({*_RAW, ".wav", ".wav49", ".gsm", ".sln", ".sln16", ".flac", ".ogg"})
"""What ``keys_in`` reads; ``.WAV`` too."""
FRAME = 160


def keys_in(path: Path) -> str:
    """The keys (``0-9*#A-D``) in a file, in order; of several channels what each of them gives.

    Raises SoundError for a file that is no sound.
    """
    found: list[str] = []
    for channel in _channels(path):
        keys = goertzel_digits(channel)
        if keys and keys not in found:
            found.append(keys)
    return " ".join(found)


def seconds_of_sound(path: Path) -> float:
    """How long there is something to hear in a file, over -45 dB. Raises SoundError."""
    loudest = 0.0
    for channel in _channels(path):
        frames = channel[: len(channel) // FRAME * FRAME].reshape(-1, FRAME)
        loud = (frames**2).mean(axis=1) > 10**-4.5 if len(frames) else np.zeros(0)
        loudest = max(loudest, float(loud.sum()) * FRAME / RATE)
    return loudest


def _whole(content: bytes) -> BytesIO:
    """A file; of a WAV all that is there, also where its head says less.

    Asterisk writes the length at the end: what a crash leaves behind says 0.
    """
    at = content.find(b"data", 12, 4096)
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE" and at > 0:
        sizes = struct.pack("<I", len(content) - 8), struct.pack("<I", len(content) - at - 8)
        content = content[:4] + sizes[0] + content[8 : at + 4] + sizes[1] + content[at + 8 :]
    return BytesIO(content)


def _channels(path: Path) -> list[Samples]:
    ending = path.suffix.lower()
    if ending in _RAW:
        codes = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        return [from_linear(_RAW[ending](codes))]
    if ending in (".sln", ".sln16"):
        raw = path.read_bytes()
        linear = np.frombuffer(raw[: len(raw) // 2 * 2], dtype="<i2")
        return [resample(Sound(from_linear(linear), RATE if ending == ".sln" else 16000))]
    try:
        if ending == ".gsm":
            samples, rate = soundfile.read(
                path, always_2d=True, format="RAW", subtype="GSM610", samplerate=RATE, channels=1
            )
        else:
            samples, rate = soundfile.read(_whole(path.read_bytes()), always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise SoundError(f"{path.name} cannot be read as sound: {error}") from error
    channels = [samples[:, one] for one in range(samples.shape[1])]
    if len(channels) > 1:
        channels.append(samples.mean(axis=1))
    return [resample(Sound(np.asarray(one, dtype=np.float64), rate)) for one in channels]
