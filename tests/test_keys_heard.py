"""Keys read out of sound files of every kind that Asterisk writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dialer.speech import g711, tones
from dialer.speech.audio import RATE, Samples, SoundError, encodings, silence, to_linear
from dialer.speech.keys_heard import keys_in

CARD = "4539148803436467"
KEYS: Samples = 0.5 * tones.key_tones(CARD, 0.08, 0.04)


def raw(encode: Callable[[Any], Any]) -> Callable[[Path, Samples], object]:
    return lambda path, samples: path.write_bytes(encode(to_linear(samples)).tobytes())


def written(**how: str) -> Callable[[Path, Samples], object]:
    return lambda path, samples: soundfile.write(path, samples, RATE, **how)


WRITERS: dict[str, Callable[[Path, Samples], object]] = {
    "a.alaw": raw(g711.encode_a_law),
    "a.ulaw": raw(g711.encode_mu_law),
    "a.sln": raw(lambda linear: linear),
    "a.wav": written(subtype="PCM_16"),
    "a.WAV": written(subtype="GSM610", format="WAV"),
    "a.gsm": written(subtype="GSM610", format="RAW"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_key_of_a_file_is_heard(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, KEYS)
    assert keys_in(tmp_path / name) == CARD
    WRITERS[name](tmp_path / name, silence(3.0))
    assert keys_in(tmp_path / name) == ""


def test_each_side_of_a_file_is_heard_by_itself(tmp_path: Path) -> None:
    """Speech on the other side must not cover the keys."""
    rng = np.random.default_rng(1)
    speech = 0.3 * rng.standard_normal(len(KEYS))
    soundfile.write(tmp_path / "two.wav", np.stack([speech, KEYS], axis=1), RATE)
    assert CARD in keys_in(tmp_path / "two.wav").split()


def test_a_file_that_was_never_closed_is_heard(tmp_path: Path) -> None:
    """Asterisk was killed: the head says that nothing follows."""
    path = tmp_path / "killed.wav"
    content = bytearray(encodings(KEYS)["wav"])
    at = content.find(b"data")
    content[4:8] = content[at + 4 : at + 8] = bytes(4)
    path.write_bytes(content)
    assert len(soundfile.read(path)[0]) == 0
    assert keys_in(path) == CARD


def test_a_file_that_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("nothing")
    with pytest.raises(SoundError, match="a.wav"):
        keys_in(tmp_path / "a.wav")
