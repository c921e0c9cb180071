"""Speak one text with libespeak-ng and end: ``python -I espeak_process.py VOICE SPEED PITCH``.

The text comes on standard input (UTF-8); raw 16-bit mono samples go to standard output, after one
line with their rate. It is a process of its own because the library keeps state between texts
(the second rendering of a sentence has other bytes than the first), and because it is GPL while
it is only used, never linked. Standard library and ``espeakng-loader`` (a wheel that carries the
library with its data) only, so that it starts in some 30 ms.
"""

from __future__ import annotations

import ctypes
import sys

import espeakng_loader

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: a wrong data path is reported, not fatal
_RATE, _PITCH = 1, 3  # espeak_PARAMETER
_UTF8 = 1

_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def speak(text: str, voice: str, words_a_minute: int, pitch: int) -> tuple[bytes, int]:
    """Samples (16-bit, machine order) and their rate. Raises RuntimeError if it cannot."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(espeakng_loader.get_data_path()).encode()
    rate = int(library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DO_NOT_EXIT))
    if rate <= 0:
        raise RuntimeError("libespeak-ng does not start: its data is missing")
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise RuntimeError(f"espeak-ng has no voice {voice!r}")
    library.espeak_SetParameter(_RATE, words_a_minute, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    spoken = bytearray()

    def take(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        if samples and count > 0:
            spoken.extend(ctypes.string_at(samples, count * 2))
        return 0

    callback = _CALLBACK(take)
    library.espeak_SetSynthCallback(callback)
    said = text.encode()
    if library.espeak_Synth(said, len(said) + 1, 0, 1, 0, _UTF8, None, None) != 0:
        raise RuntimeError("espeak-ng refused the text")
    library.espeak_Synchronize()
    return bytes(spoken), rate


if __name__ == "__main__":
    _samples, _hertz = speak(
        sys.stdin.buffer.read().decode(), sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    )
    sys.stdout.buffer.write(f"{_hertz}\n".encode() + _samples)
