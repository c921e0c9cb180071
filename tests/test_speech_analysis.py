"""Which prompt is heard in a recording, and whether keys were pressed."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dialer.config import Settings, load_settings
from dialer.speech import audio, g711, tones
from dialer.speech.analysis import (
    HEARD,
    find_prompt,
    first_sound,
    goertzel_digits,
    heard_prompts,
)
from dialer.speech.audio import RATE, Samples, silence
from dialer.speech.render import speak

TEXTS = {
    "greeting": "Hola. Le llamamos de Banco Uno. Este aviso es personal para el titular.",
    "goodbye": "Gracias por su tiempo. Hasta luego.",
    "menu": "Para pagar ahora, pulse uno. Para recibir un enlace de pago, pulse dos.",
    "wrong": "Disculpe la molestia. No le robamos más tiempo.",
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("speech")
    return load_settings(home=home, cache=home / "cache", voice="espeak")


@pytest.fixture(scope="module")
def prompts(settings: Settings) -> dict[str, Samples]:
    return {key: speak(settings, text, "es")[0] for key, text in TEXTS.items()}


def a_law(samples: Samples) -> Samples:
    coded = g711.encode_a_law(audio.to_linear(samples))
    return audio.from_linear(g711.decode_a_law(coded))


def gsm(samples: Samples) -> Samples:
    """Through a real GSM 06.10 coder and back."""
    file = BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="GSM610")
    file.seek(0)
    return np.asarray(soundfile.read(file, dtype="float64")[0])


def received(played: Samples, before: float, noise: float, mobile: bool = False) -> Samples:
    """What a callee records: quieter, late, noisy, coded."""
    rng = np.random.default_rng(7)
    whole = np.concatenate([silence(before), 0.4 * played, silence(0.8)])
    whole = a_law(whole + rng.normal(0.0, noise, len(whole)))
    return gsm(whole) if mobile else whole


@pytest.mark.parametrize("mobile", [False, True], ids=["a-law", "a-law and GSM"])
@pytest.mark.parametrize("noise", [0.0, 0.003, 0.01])
def test_a_prompt_is_found_where_it_was_played_and_no_other(
    prompts: dict[str, Samples], noise: float, mobile: bool
) -> None:
    for name, prompt in prompts.items():
        heard = heard_prompts(received(prompt, 0.35, noise, mobile), prompts)
        assert [one.name for one in heard] == [name]
        assert heard[0].offset == pytest.approx(0.35, abs=0.005)


def test_the_wrong_prompt_stays_far_below_the_threshold(prompts: dict[str, Samples]) -> None:
    recording = received(prompts["greeting"], 0.2, 0.003)
    others = [find_prompt(recording, prompts[key])[0] for key in ("goodbye", "menu", "wrong")]
    assert max(others) < HEARD - 0.2


def test_prompts_are_told_in_the_order_in_which_they_are_heard(
    prompts: dict[str, Samples],
) -> None:
    recording = a_law(np.concatenate([prompts["menu"], silence(0.3), prompts["greeting"]]))
    assert [one.name for one in heard_prompts(recording, prompts)] == ["menu", "greeting"]


def test_loudness_and_offset_do_not_matter(prompts: dict[str, Samples]) -> None:
    recording = np.concatenate([silence(0.1), 0.05 * prompts["menu"]]) + 0.2
    assert find_prompt(recording, prompts["menu"])[0] > 0.999


def test_an_interrupted_prompt_is_known_by_its_beginning(prompts: dict[str, Samples]) -> None:
    recording = received(prompts["menu"][: round(1.2 * RATE)], 0.3, 0.003)
    assert find_prompt(recording, prompts["menu"])[0] < HEARD
    score, offset = find_prompt(recording, prompts["menu"], head=1.0)
    assert score > HEARD
    assert offset == pytest.approx(0.3, abs=0.005)


def test_nothing_is_found_in_silence_noise_or_too_little(prompts: dict[str, Samples]) -> None:
    prompt = prompts["goodbye"]
    assert find_prompt(silence(5.0), prompt) == (0.0, 0.0)
    assert find_prompt(prompt[:1000], prompt) == (0.0, 0.0)
    assert find_prompt(prompt, prompt[:0]) == (0.0, 0.0)
    noise = np.random.default_rng(3).normal(0.0, 0.1, 10 * RATE)
    assert find_prompt(noise, prompt)[0] < 0.2


def test_the_first_sound_is_told_in_seconds(prompts: dict[str, Samples]) -> None:
    assert first_sound(received(prompts["menu"], 0.5, 0.001)) == pytest.approx(0.53, abs=0.04)
    click = silence(1.0)
    click[2000:2040] = 0.5
    assert first_sound(click) is None
    assert first_sound(silence(0.01)) is None


KEYS = "0123456789*#ABCD1100"


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.3])
def test_every_key_is_read(seconds: float) -> None:
    assert goertzel_digits(a_law(0.5 * tones.key_tones(KEYS, seconds, 0.06))) == KEYS


def test_keys_are_read_in_noise_and_after_a_mobile_network() -> None:
    played = 0.5 * tones.key_tones(KEYS, 0.1, 0.1)
    noise = np.random.default_rng(5).normal(0.0, 0.01, len(played))
    assert goertzel_digits(a_law(played + noise)) == KEYS
    assert goertzel_digits(gsm(played)) == KEYS


def test_keys_are_read_between_speech(prompts: dict[str, Samples]) -> None:
    digits = 0.4 * tones.key_tones("42", 0.1, 0.1)
    recording = np.concatenate([prompts["menu"], digits, prompts["goodbye"]])
    assert goertzel_digits(recording) == "42"


def test_speech_and_other_tones_are_no_keys(prompts: dict[str, Samples]) -> None:
    for samples in (
        *prompts.values(),
        tones.beep(),
        tones.special_information(),
        tones.fax_answer(),
        tones.tone((697.0,), 1.0),
        tones.tone((425.0,), 1.0),
        np.random.default_rng(1).normal(0.0, 0.2, 5 * RATE),
        silence(1.0),
        silence(0.01),
    ):
        assert goertzel_digits(samples) == ""


def test_recordings_are_loaded_whatever_their_format(
    prompts: dict[str, Samples], tmp_path: Path
) -> None:
    path = tmp_path / "heard.wav"
    soundfile.write(path, prompts["menu"], RATE, subtype="ULAW")
    assert find_prompt(audio.load(path), prompts["menu"])[0] > 0.99
