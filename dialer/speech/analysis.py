"""What can be heard in a recording: which prompt, where, and whether any key was pressed.

Everything works on 8 kHz samples (``audio.load`` reads any file). A prompt keeps its waveform
through A-law, µ-law and GSM well enough that its normalised cross-correlation with the file that
was played stays near 1, while another prompt stays far below ``HEARD``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialer.speech.audio import RATE, Samples, frame_levels
from dialer.speech.tones import KEYS

HEARD = 0.8
"""Score from which a prompt counts as heard (docs/speech.md has the measured margins)."""

_KEY_WINDOW = 205  # samples (26 ms): a whole number of periods, nearly, of all eight tones
_KEY_STEP = 80
_KEY_FEWEST = 3  # windows in a row: some 45 ms of tone; Q.24 asks receivers to take 40
_ROWS = np.array([697.0, 770.0, 852.0, 941.0])
_COLUMNS = np.array([1209.0, 1336.0, 1477.0, 1633.0])


@dataclass(frozen=True, slots=True)
class Heard:
    """A prompt found in a recording: ``score`` -1 .. 1, ``offset`` seconds from its start."""

    name: str
    score: float
    offset: float


def find_prompt(
    recording: Samples, prompt: Samples, head: float | None = None
) -> tuple[float, float]:
    """Where a prompt fits best: normalised cross-correlation (-1 .. 1) and offset in seconds.

    Each stretch of the recording is compared at its own loudness, so neither level nor a DC
    offset matters. ``head`` compares only so many seconds of the prompt's beginning, for one
    that was interrupted. A recording shorter than what is looked for gives (0, 0).
    """
    wanted = prompt if head is None else prompt[: round(head * RATE)]
    wanted = wanted - wanted.mean() if len(wanted) else wanted
    size, places = len(wanted), len(recording) - len(wanted) + 1
    norm = float(np.sqrt((wanted**2).sum()))
    if size == 0 or places <= 0 or norm == 0.0:
        return 0.0, 0.0
    length = 1 << (len(recording) + size - 2).bit_length()
    product = np.fft.rfft(recording, length) * np.conj(np.fft.rfft(wanted, length))
    correlation = np.fft.irfft(product, length)[:places]
    sums = _sliding_sums(recording, size)
    squares = _sliding_sums(recording**2, size)
    energy = np.maximum(squares - sums**2 / size, 0.0)
    # Silence correlates with nothing; dividing by its rounding errors would find anything in it.
    floor = max(float(energy.max()) * 1e-6, 1e-12)
    score = np.where(energy > floor, correlation / (norm * np.sqrt(np.maximum(energy, floor))), 0.0)
    best = int(score.argmax())
    return float(score[best]), best / RATE


def heard_prompts(
    recording: Samples, prompts: Mapping[str, Samples], least: float = HEARD
) -> list[Heard]:
    """The prompts that are heard in full, in the order in which they begin.

    Two prompts of the same text are the same sound: both are found, at the same place.
    """
    found = []
    for name, prompt in prompts.items():
        score, offset = find_prompt(recording, prompt)
        if score >= least:
            found.append(Heard(name, score, offset))
    return sorted(found, key=lambda one: one.offset)


def first_sound(recording: Samples, level: float = 0.01, lasting: float = 0.03) -> float | None:
    """Seconds until sound begins that lasts; None when there is none.

    ``level`` is a root mean square (0.01 is -40 dB below full scale), ``lasting`` in seconds: a
    click is no sound. The grain is 10 ms.
    """
    loud = frame_levels(recording) >= level
    frames = max(1, round(lasting * 100))
    if len(loud) < frames:
        return None
    runs = np.convolve(loud.astype(np.int64), np.ones(frames, dtype=np.int64), "valid") == frames
    return float(np.argmax(runs)) / 100 if runs.any() else None


def goertzel_digits(recording: Samples) -> str:
    """The keys (``0-9*#A-D``) whose tones are in the recording, in order; speech gives none.

    A key is two pure tones of like level, one of each group, that hold nearly all of the energy
    for at least some 45 ms; the same key again needs a gap.
    """
    if len(recording) < _KEY_WINDOW:
        return ""
    windows = np.lib.stride_tricks.sliding_window_view(recording, _KEY_WINDOW)[::_KEY_STEP]
    rows, columns = _powers(windows, _ROWS), _powers(windows, _COLUMNS)
    energy = np.maximum((windows**2).mean(axis=1), 1e-12)
    row, column = rows.argmax(axis=1), columns.argmax(axis=1)
    low, high = rows.max(axis=1), columns.max(axis=1)
    twist = 10 * np.log10(np.maximum(low, 1e-12) / np.maximum(high, 1e-12))
    is_key = (
        (energy > 1e-6)  # -60 dB: below that it is line noise
        & (low + high > 0.7 * energy)
        & (np.abs(twist) < 10.0)
        & _alone(rows, row)
        & _alone(columns, column)
    )
    return _read_keys(np.where(is_key, row * 4 + column, -1))


def _powers(windows: Samples, hertz: Samples) -> Samples:
    """Mean power of each tone in each window: Goertzel's result, as a product of matrices."""
    angles = 2j * np.pi * np.outer(np.arange(_KEY_WINDOW), hertz) / RATE
    return np.asarray(2 * np.abs(windows @ np.exp(angles)) ** 2 / _KEY_WINDOW**2)


def _alone(powers: Samples, strongest: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the strongest tone of a group stands 8 dB above the others of its group."""
    others = powers.copy()
    np.put_along_axis(others, strongest[:, None], 0.0, axis=1)
    return np.asarray(powers.max(axis=1) > 6.3 * others.max(axis=1))


def _read_keys(codes: NDArray[np.int64]) -> str:
    """Runs of the same code, long enough, as keys."""
    names = {(row, column): key for key, (row, column) in KEYS.items()}
    read = []
    ends = np.flatnonzero(np.diff(codes)) + 1
    for run in np.split(codes, ends):
        if len(run) >= _KEY_FEWEST and run[0] >= 0:
            row, column = divmod(int(run[0]), 4)
            read.append(names[int(_ROWS[row]), int(_COLUMNS[column])])
    return "".join(read)


def _sliding_sums(values: Samples, size: int) -> Samples:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(total[size:] - total[:-size], dtype=np.float64)
