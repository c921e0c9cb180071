"""Speak one text with SVOX Pico and end: ``python -I pico_process.py LINGWARE SPEED PITCH``.

The text comes on standard input (UTF-8); raw 16-bit mono samples go to standard output, after one
line with their rate. A process for each text: an engine that has spoken before gives other bytes,
and one that crashes on a text takes nothing with it.
"""

from __future__ import annotations

import sys

import ttspico

_HERTZ = 16000  # all of its voices


def speak(text: str, lingware: str, speed: int, pitch: int) -> bytes:
    """Samples (16-bit, machine order); ``speed`` and ``pitch`` in percent."""
    engine = ttspico.TtsEngine(lingware)
    engine.rate = speed
    engine.pitch = pitch
    return bytes(engine.speak(text) or b"")


if __name__ == "__main__":
    _samples = speak(
        sys.stdin.buffer.read().decode(), sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    )
    sys.stdout.buffer.write(f"{_HERTZ}\n".encode() + _samples)
