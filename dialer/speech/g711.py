"""G.711: A-law and µ-law, as tables.

ITU-T G.711 defines both laws on 13 (A) and 14 (µ) bits of sign and magnitude; 16-bit samples are
cut to those widths first. A table of all 65536 samples makes encoding one look-up a sample, and
makes it the same on every machine.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]
Linear = NDArray[np.int16]

_A_LAW_ENDS = np.array([0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF])
_MU_LAW_ENDS = np.array([0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF, 0x1FFF])
_MU_LAW_BIAS = 33  # on 14 bits
_MU_LAW_CLIP = 8158  # with the bias, the last code of the last segment


def _all_samples() -> NDArray[np.int64]:
    """Every 16-bit sample in the order of its unsigned bit pattern: the index of the tables."""
    return np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int64)


@cache
def _a_law_codes() -> Codes:
    samples = _all_samples()
    magnitude = np.where(samples >= 0, samples, ~samples) >> 3
    segment = np.searchsorted(_A_LAW_ENDS, magnitude)
    step = np.maximum(segment, 1)  # the two lowest segments have the same step
    code = (segment << 4) | ((magnitude >> step) & 0x0F)
    # Even bits are inverted on the line (0x55), and the sign bit is 1 for positive samples.
    return (code ^ np.where(samples >= 0, 0xD5, 0x55)).astype(np.uint8)


@cache
def _a_law_samples() -> Linear:
    code = np.arange(256) ^ 0x55
    segment, step = (code >> 4) & 7, code & 0x0F
    middle = (step << 4) + 8  # the middle of the interval, on 16 bits
    magnitude = np.where(segment == 0, middle, (middle + 0x100) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


@cache
def _mu_law_codes() -> Codes:
    samples = _all_samples()
    cut = samples >> 2
    magnitude = np.minimum(np.abs(cut), _MU_LAW_CLIP) + _MU_LAW_BIAS
    segment = np.searchsorted(_MU_LAW_ENDS, magnitude)
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0F)
    codes: Codes = (code ^ np.where(cut >= 0, 0xFF, 0x7F)).astype(np.uint8)
    return codes


@cache
def _mu_law_samples() -> Linear:
    code = ~np.arange(256) & 0xFF
    segment, step = (code >> 4) & 7, code & 0x0F
    magnitude = ((((step << 3) + 0x84) << segment) - 0x84).astype(np.int64)
    samples: Linear = np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    return samples


def encode_a_law(samples: Linear) -> Codes:
    """16-bit samples to A-law codes, one byte a sample."""
    return _a_law_codes()[samples.view(np.uint16)]


def decode_a_law(codes: Codes) -> Linear:
    """A-law codes to 16-bit samples (the middle of each interval)."""
    return _a_law_samples()[codes]


def encode_mu_law(samples: Linear) -> Codes:
    """16-bit samples to µ-law codes, one byte a sample."""
    return _mu_law_codes()[samples.view(np.uint16)]


def decode_mu_law(codes: Codes) -> Linear:
    """µ-law codes to 16-bit samples (the middle of each interval)."""
    return _mu_law_samples()[codes]
