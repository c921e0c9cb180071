"""Reading, writing and shaping sound.

Every function takes and gives mono ``float64`` samples in -1 .. 1; ``Sound`` carries the rate
beside them where it is not 8 kHz yet. Nothing here is random, so the same input always gives the
same bytes.
"""

from __future__ import annotations

import math
import os
import threading
import wave
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dialer.speech import g711

Samples = NDArray[np.float64]

RATE = 8000
"""Samples a second of everything that is played or heard on the telephone."""

PEAK_DB = -3.0
"""Where the loudest sample of a prompt lies, in dB below full scale."""

_FRAME = RATE // 100  # 10 ms: the grain in which silence is looked for
_SILENCE_DB = -40.0  # below the loudest frame: breath and synthesiser noise, not speech


class SoundError(Exception):
    """A sound file cannot be used; the message says which one, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples in -1 .. 1 with their rate (samples a second)."""

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate


def from_linear(samples: NDArray[np.int16]) -> Samples:
    """16-bit samples as floats."""
    return samples.astype(np.float64) / 32768.0


def to_linear(samples: Samples) -> NDArray[np.int16]:
    """Floats as 16-bit samples; what is out of range is clipped."""
    scaled = np.rint(np.asarray(samples, dtype=np.float64) * 32767.0)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def read_sound(path: Path) -> Sound:
    """A sound file of any usual format (WAV of any coding, FLAC, raw .alaw/.ulaw), mixed to mono.

    Raises SoundError when it is missing, unreadable or empty.
    """
    try:
        if path.suffix in (".alaw", ".ulaw"):
            codes = np.frombuffer(path.read_bytes(), dtype=np.uint8)
            decode = g711.decode_a_law if path.suffix == ".alaw" else g711.decode_mu_law
            found = Sound(from_linear(decode(codes)), RATE)
        else:
            data, rate = soundfile.read(path, dtype="float64", always_2d=True)
            found = Sound(data.mean(axis=1), int(rate))
    except FileNotFoundError as error:
        raise SoundError(f"{path} does not exist") from error
    except (OSError, ValueError, soundfile.SoundFileError) as error:
        if not path.exists():
            raise SoundError(f"{path} does not exist") from error
        reason = getattr(error, "error_string", error)
        raise SoundError(
            f"{path} is not a sound file that can be read ({reason}); save it as a WAV file"
        ) from error
    if not len(found.samples):
        raise SoundError(f"{path} has no sound in it; record it again")
    if not np.isfinite(found.samples).all():
        raise SoundError(f"{path} has samples that are no numbers; export it again")
    return found


def load(path: Path) -> Samples:
    """A sound file as samples at 8 kHz, whatever its rate. Raises SoundError."""
    return resample(read_sound(path))


def resample(sound: Sound) -> Samples:
    """The sound at 8 kHz; what lies above 3.9 kHz is cut."""
    return sound.samples if sound.rate == RATE else _through(sound, _below_nyquist)


def for_telephone(sound: Sound, treble_db: float = 0.0) -> Samples:
    """The sound at 8 kHz, shaped to what a telephone line carries (300 to 3600 Hz).

    ``treble_db`` lifts what lies above some 1500 Hz by so much: synthesisers are darker than
    people on the telephone, and consonants live above 1 kHz.
    """

    def gain(hertz: Samples) -> Samples:
        low_cut = hertz**2 / np.sqrt(hertz**4 + 300.0**4)  # Butterworth, second order
        lift = treble_db * hertz**4 / (hertz**4 + 1500.0**4)  # half of it at 1500 Hz
        return np.asarray(low_cut * 10 ** (lift / 20) * _falling(hertz, 3400.0, 3800.0))

    return _through(sound, gain)


def _below_nyquist(hertz: Samples) -> Samples:
    return _falling(hertz, 3700.0, 3980.0)


def _falling(hertz: Samples, full: float, none: float) -> Samples:
    """A gain of 1 up to ``full`` that falls along a half cosine to 0 at ``none``."""
    position = np.clip((hertz - full) / (none - full), 0.0, 1.0)
    return np.asarray((1.0 + np.cos(np.pi * position)) / 2)


def _through(sound: Sound, gain: Callable[[Samples], Samples]) -> Samples:
    """Filter and resample in one step, in the frequency domain; nothing is delayed."""
    common = math.gcd(sound.rate, RATE)
    block = sound.rate // common  # a whole number of samples at both rates
    # A quarter of a second of silence keeps the end from ringing into the beginning.
    length = -(-(len(sound.samples) + sound.rate // 4) // block) * block
    spectrum = np.fft.rfft(sound.samples, length)
    hertz: Samples = np.arange(len(spectrum), dtype=np.float64) * (sound.rate / length)
    kept = length // block * (RATE // common)
    filtered = (spectrum * gain(hertz))[: kept // 2 + 1]
    out = np.fft.irfft(filtered, kept) * (kept / length)
    return np.asarray(out[: math.ceil(len(sound.samples) * RATE / sound.rate)], dtype=np.float64)


def normalise(samples: Samples, peak_db: float = PEAK_DB) -> Samples:
    """The loudest sample brought to ``peak_db`` below full scale; silence stays as it is."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return samples if peak == 0.0 else samples * (10 ** (peak_db / 20) / peak)


def trim(samples: Samples, before: float = 0.01, after: float = 0.04) -> Samples:
    """Cut the silence at both ends, keeping ``before`` and ``after`` seconds of it.

    Fragments of a sentence (a number, a currency) are played one after the other: their own
    silence would make the sentence stutter. The ends are faded over 5 ms, so that nothing clicks.
    """
    level = frame_levels(samples)
    if not len(level) or level.max() == 0.0:
        return samples
    loud = np.flatnonzero(level > level.max() * 10 ** (_SILENCE_DB / 20))
    start = max(0, int(loud[0]) * _FRAME - int(before * RATE))
    end = min(len(samples), (int(loud[-1]) + 1) * _FRAME + int(after * RATE))
    kept = samples[start:end].copy()
    fade = np.linspace(0.0, 1.0, min(RATE // 200, len(kept)))
    kept[: len(fade)] *= fade
    kept[len(kept) - len(fade) :] *= fade[::-1]
    return kept


def frame_levels(samples: Samples) -> Samples:
    """Root mean square of each 10 ms of 8 kHz sound; the last frame may be shorter."""
    if not len(samples):
        return np.zeros(0)
    padded = np.pad(samples, (0, -len(samples) % _FRAME))
    return np.asarray(np.sqrt((padded.reshape(-1, _FRAME) ** 2).mean(axis=1)))


def energy_above(samples: Samples, hertz: float = 1000.0) -> float:
    """Share (0 .. 1) of the energy that lies above a frequency."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    total = float(power.sum())
    bound = math.ceil(hertz * len(samples) / RATE)
    return float(power[bound:].sum()) / total if total else 0.0


def silence(seconds: float) -> Samples:
    """So many seconds of nothing."""
    return np.zeros(round(seconds * RATE))


def wav_bytes(samples: Samples) -> bytes:
    """A 16-bit mono WAV file at 8 kHz."""
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(to_linear(samples).astype("<i2").tobytes())
    return out.getvalue()


def encodings(samples: Samples) -> dict[str, bytes]:
    """The contents of the files that Asterisk plays, by ending; each coded once from the samples.

    ``alaw`` and ``ulaw`` are raw, ``wav`` is 16-bit linear.
    """
    linear = to_linear(samples)
    return {
        "alaw": g711.encode_a_law(linear).tobytes(),
        "ulaw": g711.encode_mu_law(linear).tobytes(),
        "wav": wav_bytes(samples),
    }


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
