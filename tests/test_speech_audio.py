"""Sound files in and out, the telephone's coding, and the filters."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dialer.speech import audio, g711, tones
from dialer.speech.audio import RATE, Sound, SoundError


def sine(hertz: float, seconds: float = 1.0, rate: int = RATE, level: float = 0.5) -> audio.Samples:
    return np.asarray(level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate))


def strongest(samples: audio.Samples) -> float:
    """The frequency that holds most energy."""
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum.argmax() * RATE / len(samples))


def loudness_db(samples: audio.Samples) -> float:
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return float(20 * np.log10(np.sqrt((middle**2).mean()) + 1e-12))


# G.711, tables 1a and 2a: (16-bit sample, code on the line).
A_LAW = [(0, 0xD5), (-1, 0x55), (1000, 0xFA), (-1000, 0x7A), (32767, 0xAA), (-32768, 0x2A)]
MU_LAW = [(0, 0xFF), (-1, 0x7E), (1000, 0xCE), (-1000, 0x4E), (32767, 0x80), (-32768, 0x00)]


def test_known_codes() -> None:
    for law, encode in ((A_LAW, g711.encode_a_law), (MU_LAW, g711.encode_mu_law)):
        samples = np.array([sample for sample, _ in law], dtype=np.int16)
        assert encode(samples).tolist() == [code for _, code in law]


def test_every_sample_is_coded_as_by_the_reference_implementation() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    digests = [
        hashlib.sha256(encode(every).tobytes()).hexdigest()
        for encode in (g711.encode_a_law, g711.encode_mu_law)
    ]
    assert digests == [  # of CPython's audioop, gone since 3.13
        "38488f6fd710f4686360edc4d38639f96c491595ef93f8eb8d62d5e07ca6ce7b",
        "81d633c9e6972a18c74a58720b96cb8ca0bdd096d4060b646dd708c3b846019a",
    ]


def test_codes_survive_decoding_and_encoding() -> None:
    codes = np.arange(256).astype(np.uint8)
    assert (g711.encode_a_law(g711.decode_a_law(codes)) == codes).all()
    again = g711.encode_mu_law(g711.decode_mu_law(codes))
    assert np.flatnonzero(again != codes).tolist() == [0x7F]  # minus nothing is nothing


def test_the_error_of_coding_is_small() -> None:
    samples = audio.to_linear(sine(440.0))
    for encode, decode in (
        (g711.encode_a_law, g711.decode_a_law),
        (g711.encode_mu_law, g711.decode_mu_law),
    ):
        error = decode(encode(samples)).astype(float) - samples
        assert np.sqrt((error**2).mean()) < 0.02 * np.sqrt((samples.astype(float) ** 2).mean())


@pytest.mark.parametrize(
    ("subtype", "rate", "channels"),
    [
        ("PCM_U8", 8000, 1),
        ("PCM_16", 8000, 1),
        ("PCM_16", 44100, 2),
        ("PCM_24", 48000, 2),
        ("PCM_32", 22050, 1),
        ("FLOAT", 16000, 1),
        ("ALAW", 8000, 1),
        ("ULAW", 8000, 2),
        ("GSM610", 8000, 1),
    ],
)
def test_any_usual_wav_becomes_8_khz(
    tmp_path: Path, subtype: str, rate: int, channels: int
) -> None:
    path = tmp_path / "in.wav"
    one = sine(1000.0, 0.8, rate)
    soundfile.write(path, np.column_stack([one] * channels), rate, subtype=subtype, format="WAV")
    samples = audio.load(path)
    assert len(samples) == pytest.approx(0.8 * RATE, abs=200)
    assert strongest(samples) == pytest.approx(1000.0, abs=3)
    assert loudness_db(samples) == pytest.approx(loudness_db(one), abs=0.5)


def test_raw_files_are_read_by_their_ending(tmp_path: Path) -> None:
    one = sine(700.0)
    for ending in ("alaw", "ulaw", "wav"):
        path = tmp_path / f"x.{ending}"
        path.write_bytes(audio.encodings(one)[ending])
        assert np.abs(audio.load(path) - one).max() < 0.02


def test_what_lies_above_the_new_nyquist_is_cut_not_folded() -> None:
    high = Sound(sine(5000.0, rate=16000), 16000)
    assert loudness_db(audio.resample(high)) < -80


@pytest.mark.parametrize(
    "content", [b"", b"RIFF\x00\x00\x00\x00WAVE", b"this is text, not sound " * 50]
)
def test_a_broken_file_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(SoundError, match=r"broken.wav is not a sound .* save it as a WAV file"):
        audio.load(path)


def test_a_missing_or_empty_file_is_refused_in_words(tmp_path: Path) -> None:
    for ending in ("wav", "alaw"):
        with pytest.raises(SoundError, match="does not exist"):
            audio.load(tmp_path / f"none.{ending}")
    (tmp_path / "empty.alaw").write_bytes(b"")
    with pytest.raises(SoundError, match="no sound in it"):
        audio.load(tmp_path / "empty.alaw")


def test_the_telephone_band() -> None:
    def gain(hertz: float, treble_db: float = 0.0) -> float:
        tone = Sound(sine(hertz, rate=16000), 16000)
        return loudness_db(audio.for_telephone(tone, treble_db)) - loudness_db(tone.samples)

    assert gain(50.0) < -25
    assert gain(300.0) == pytest.approx(-3.0, abs=0.3)
    assert gain(1000.0) == pytest.approx(0.0, abs=0.3)
    assert gain(3600.0) == pytest.approx(-6.0, abs=0.5)
    assert gain(3900.0) < -60
    assert gain(1500.0, 12.0) == pytest.approx(6.0, abs=0.3)
    assert gain(3200.0, 12.0) == pytest.approx(11.5, abs=0.5)
    assert gain(500.0, 12.0) == pytest.approx(0.0, abs=0.6)


def test_the_end_of_a_sound_does_not_ring_into_its_beginning() -> None:
    samples = np.concatenate([audio.silence(0.5), sine(1000.0, 0.5)])
    filtered = audio.for_telephone(Sound(samples, RATE))
    assert len(filtered) == len(samples)
    assert np.abs(filtered[: RATE // 4]).max() < 0.001


def test_normalising_sets_the_peak_and_leaves_silence_alone() -> None:
    peak = np.abs(audio.normalise(sine(440.0, level=0.1))).max()
    assert 20 * np.log10(peak) == pytest.approx(-3.0, abs=0.01)
    assert not audio.normalise(audio.silence(0.1)).any()


def test_trimming_keeps_the_sound_and_little_around_it() -> None:
    inside = sine(500.0, 0.5)
    trimmed = audio.trim(np.concatenate([audio.silence(0.7), inside, audio.silence(1.1)]))
    assert len(trimmed) / RATE == pytest.approx(0.55, abs=0.011)
    assert trimmed[0] == 0.0
    assert trimmed[-1] == 0.0
    assert (trimmed**2).sum() == pytest.approx((inside**2).sum(), rel=0.02)
    assert len(audio.trim(audio.silence(0.3))) == round(0.3 * RATE)


def test_energy_above_a_frequency_is_a_share() -> None:
    both = sine(500.0) + sine(2000.0)
    assert audio.energy_above(both, 1000.0) == pytest.approx(0.5, abs=0.01)
    assert audio.energy_above(audio.silence(0.1)) == 0.0


def test_out_of_range_is_clipped_not_wrapped() -> None:
    assert audio.to_linear(np.array([2.0, -2.0, 0.0])).tolist() == [32767, -32768, 0]


def test_tones_have_the_frequencies_of_their_standards() -> None:
    assert strongest(tones.beep()) == pytest.approx(1000.0, abs=3)
    assert strongest(tones.fax_answer()) == pytest.approx(2100.0, abs=1)
    assert len(tones.fax_answer()) == 3 * RATE
    thirds = np.array_split(tones.special_information(), 3)
    assert [round(strongest(part), -1) for part in thirds] == [950.0, 1400.0, 1800.0]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.alaw"
    audio.write_atomically(path, b"one")
    audio.write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [one.name for one in path.parent.iterdir()] == ["x.alaw"]
