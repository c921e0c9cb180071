"""Prompts: rendered, cached, recorded, and what is wrong with them."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dialer.config import Settings, load_settings
from dialer.flow.prompts import company_fragment
from dialer.speech import audio
from dialer.speech.analysis import find_prompt
from dialer.speech.audio import RATE
from dialer.speech.catalogue import prompt_catalogue
from dialer.speech.render import (
    PromptError,
    ensure_company,
    ensure_prompt,
    ensure_prompts,
    missing_prompts,
    prompt_path,
    read_made,
    recording_path,
    render_text,
)

TEXTS = """\
greeting: Hola. Le llamamos de {company}. Pulse uno.
goodbye: Gracias. Hasta luego.
neutral_goodbye: Hasta luego.
"""


def installation(tmp_path: Path, **others: object) -> Settings:
    """Settings of an installation with a few Spanish prompts of its own."""
    flows = tmp_path / "flows"
    (flows / "prompts").mkdir(parents=True, exist_ok=True)
    (flows / "prompts" / "es.yaml").write_text(TEXTS, encoding="utf-8")
    given = {"home": tmp_path / "home", "cache": tmp_path / "cache", "voice": "espeak", **others}
    return load_settings(flows_dir=flows, **given)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was spoken once in this module is not spoken again."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def settings(tmp_path: Path, cache: Path) -> Settings:
    return installation(tmp_path, cache=cache)


def files(path: Path) -> dict[str, bytes]:
    """The contents of a prompt's files by ending."""
    return {
        one: path.with_name(f"{path.name}.{one}").read_bytes() for one in ("alaw", "ulaw", "wav")
    }


def write_recording(settings: Settings, key: str, seconds: float = 1.0, **how: str) -> Path:
    """A studio recording: a tone that no voice makes."""
    path = recording_path(settings, "es", key)
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.3 * np.sin(2 * np.pi * 620 * np.arange(round(seconds * 44100)) / 44100)
    soundfile.write(path, np.column_stack([samples, samples]), 44100, format="WAV", **how)
    return path


def test_a_prompt_is_three_files_of_the_same_sound(settings: Settings) -> None:
    path = ensure_prompt(settings, "es", "hello", "Hola, buenos días.")
    assert path == settings.prompts_dir / "es" / "hello"
    sounds = {one: audio.load(path.with_name(f"hello.{one}")) for one in ("alaw", "ulaw", "wav")}
    assert {len(sound) for sound in sounds.values()} == {len(sounds["wav"])}
    for coded in ("alaw", "ulaw"):
        assert find_prompt(sounds[coded], sounds["wav"])[0] > 0.99
    assert np.abs(sounds["wav"]).max() == pytest.approx(10 ** (-3 / 20), abs=0.001)
    info = soundfile.info(path.with_name("hello.wav"))
    assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "PCM_16")


def test_the_same_text_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = installation(tmp_path / "a"), installation(tmp_path / "b")
    one = ensure_prompt(first, "es", "x", "Ciento veinte euros.")
    # Other texts before it: a voice that keeps state would give other bytes now.
    render_text(second, "Otra frase, más larga.", "es", tmp_path / "other")
    two = ensure_prompt(second, "es", "x", "Ciento veinte euros.")
    assert files(one) == files(two)


@pytest.mark.parametrize("voice", ["espeak", "pico"])
def test_voices_sound_like_the_telephone(tmp_path: Path, voice: str) -> None:
    if voice == "pico":
        pytest.importorskip("ttspico", reason="the pico voice is an extra: pip install ttspico")
    settings = installation(tmp_path, voice=voice)
    path = ensure_prompt(settings, "es", "x", "Hola. Le llamamos por un asunto personal.")
    samples = audio.load(path.with_name("x.wav"))
    assert 0.05 < audio.energy_above(samples, 1000.0) < 0.35
    assert audio.energy_above(samples, 3800.0) < 0.001
    made = read_made(path)
    assert made is not None
    assert made.source == voice
    assert made.seconds == pytest.approx(len(samples) / RATE, abs=0.001)


def test_fragments_follow_each_other_without_a_hole(settings: Settings) -> None:
    parts = []
    for word in ("ciento", "veinte", "euros"):
        path = ensure_prompt(settings, "es", f"n/{word}", word)
        parts.append(audio.load(path.with_name(f"{word}.wav")))
    quiet = audio.frame_levels(np.concatenate(parts)) < 0.005
    longest = max(len(run) for run in "".join("x" if q else " " for q in quiet).split(" "))
    assert longest <= 12  # hundredths of a second
    assert all(np.abs(part).max() == pytest.approx(0.708, abs=0.001) for part in parts)


def test_every_prompt_and_fragment_of_every_language_is_made(settings: Settings) -> None:
    steps: list[tuple[int, int]] = []
    report = ensure_prompts(settings, lambda done, of: steps.append((done, of)), ["Banco Uno"])
    wanted = prompt_catalogue(settings, ["Banco Uno"])
    count = len(wanted["es"])
    assert (report.ok, report.languages, report.total) == (True, ("es",), count)
    assert steps == [(n, count) for n in range(1, count + 1)]
    assert company_fragment("Banco Uno").key in wanted["es"]
    assert missing_prompts(settings, ["Banco Uno"]) == []

    again = ensure_prompts(settings, companies=["Banco Uno"])
    assert (again.unchanged, again.rendered, again.cached) == (count, 0, 0)
    home = settings.home.parent / "home2"
    other_home = installation(settings.home.parent, home=home, cache=settings.cache)
    copied = ensure_prompts(other_home, companies=["Banco Uno"])
    assert (copied.cached, copied.rendered) == (count, 0)


def test_what_is_wrong_is_told_and_made_good(settings: Settings) -> None:
    ensure_prompts(settings)
    folder = settings.prompts_dir / "es"
    (folder / "goodbye.alaw").unlink()
    (folder / "neutral_goodbye.ulaw").write_bytes(b"\xff" * 10)
    told = json.loads((folder / "greeting-1.json").read_text())
    (folder / "greeting-1.json").write_text(json.dumps({**told, "text": "Buenas."}))
    (folder / "greeting-2.json").write_text("{")
    assert sorted(missing_prompts(settings)) == [
        "es/goodbye: .alaw cannot be read (No such file or directory)",
        "es/greeting-1: says an older text",
        "es/greeting-2: has no .json beside it",
        "es/neutral_goodbye: .ulaw is cut short (10 bytes)",
    ]
    # A changed text has another digest; the .json above only claims another text.
    (folder / "greeting-1.json").unlink()
    assert ensure_prompts(settings).cached == 4
    assert missing_prompts(settings) == []


def test_a_changed_text_is_spoken_again(settings: Settings) -> None:
    path = ensure_prompt(settings, "es", "goodbye", "Adiós.")
    before = files(path)
    ensure_prompt(settings, "es", "goodbye", "Adiós, buenos días.")
    assert files(path) != before
    made = read_made(path)
    assert made is not None
    assert made.text == "Adiós, buenos días."


def test_a_damaged_cache_entry_is_made_again(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    path = ensure_prompt(settings, "es", "goodbye", "Adiós.")
    before = files(path)
    (kept,) = (settings.cache_dir / "speech").rglob("*.wav")
    kept.write_bytes(b"RIFF")
    path.with_name("goodbye.wav").unlink()
    ensure_prompt(settings, "es", "goodbye", "Adiós.")
    assert files(path) == before


def test_a_recording_takes_the_place_of_the_voice(settings: Settings) -> None:
    write_recording(settings, "goodbye", subtype="PCM_24")
    report = ensure_prompts(settings)
    assert (report.recorded, report.refused, report.ok) == (1, [], True)
    path = prompt_path(settings, "es", "goodbye")
    made = read_made(path)
    assert made is not None
    assert (made.source, made.text) == ("recording", "Gracias. Hasta luego.")
    samples = audio.load(path.with_name("goodbye.wav"))
    assert len(samples) / RATE == pytest.approx(1.0, abs=0.06)
    assert int(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples)) in range(615, 625)
    assert ensure_prompts(settings).recorded == 0
    assert missing_prompts(settings) == []

    write_recording(settings, "goodbye", seconds=1.5)
    assert ensure_prompts(settings).recorded == 1
    recording_path(settings, "es", "goodbye").unlink()
    assert ensure_prompts(settings).cached + ensure_prompts(settings).unchanged > 0
    made = read_made(path)
    assert made is not None
    assert made.source == "espeak"


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda path: path.write_bytes(b"nothing of use"), "is not a sound file"),
        (lambda path: soundfile.write(path, np.zeros(9000), 8000), "is silent; record it again"),
        (lambda path: soundfile.write(path, np.ones(80), 8000), "lasts 0.01 s"),
    ],
    ids=["no sound file", "silent", "too short"],
)
def test_a_broken_recording_is_refused_and_the_voice_speaks(
    settings: Settings, break_it: object, says: str
) -> None:
    path = write_recording(settings, "goodbye")
    assert callable(break_it)
    break_it(path)
    report = ensure_prompts(settings)
    assert report.ok
    (refused,) = report.refused
    assert refused.startswith("es/goodbye: ")
    assert says in refused
    assert refused.endswith("the voice speaks the text instead")
    made = read_made(prompt_path(settings, "es", "goodbye"))
    assert made is not None
    assert made.source == "espeak"


def test_a_company_gets_its_name_in_every_language(settings: Settings) -> None:
    (path,) = ensure_company(settings, "Financiera del Sur")
    assert path == prompt_path(settings, "es", company_fragment("Financiera del Sur").key)
    assert path.with_name(f"{path.name}.alaw").stat().st_size > RATE / 2


def test_a_command_can_be_the_voice(tmp_path: Path) -> None:
    script = tmp_path / "speaker.py"
    script.write_text(
        "import sys, numpy, soundfile\n"
        "text = sys.stdin.read()\n"
        "t = numpy.arange(1600 * len(text)) / 16000\n"
        "soundfile.write(sys.argv[1], 0.5 * numpy.sin(2 * numpy.pi * 500 * t), 16000)\n"
    )
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} {{out}} {{language}}"
    settings = installation(tmp_path, voice="command", voice_command=command)
    path = ensure_prompt(settings, "es", "x", "0123456789")
    assert len(audio.load(path.with_name("x.wav"))) / RATE == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"voice": "command"}, "set DIALER_VOICE_COMMAND too"),
        ({"voice": "command", "voice_command": "no-such-program-here"}, "is not installed"),
        ({"voice": "command", "voice_command": "false"}, "the voice failed: it ended with 1"),
        ({"voice": "command", "voice_command": "true"}, "gave no usable sound"),
    ],
)
def test_a_voice_that_fails_is_told_with_what_to_do(
    tmp_path: Path, others: dict[str, object], says: str
) -> None:
    settings = installation(tmp_path, **others)
    with pytest.raises(PromptError, match=says):
        ensure_prompt(settings, "es", "x", "Hola.")


def test_prompts_that_fail_alike_are_told_once(tmp_path: Path) -> None:
    settings = installation(tmp_path, voice="command", voice_command="no-such-program-here")
    report = ensure_prompts(settings)
    assert not report.ok
    assert report.lacking == report.total - 1 > 100  # the pause needs no voice
    assert len(report.failed) == 4
    assert (
        report.failed[-1] == f"and {report.lacking - 3} more: no-such-program-here is not installed"
    )
    assert missing_prompts(settings)[0].endswith(": is missing")


def test_a_language_that_espeak_lacks_is_named(settings: Settings) -> None:
    with pytest.raises(PromptError, match="espeak-ng has no voice 'xx'"):
        ensure_prompt(settings, "xx", "x", "Hola.")


@pytest.mark.parametrize("key", ["../../etc/passwd", "a b", "", "/x", "x/../y", "Ñ"])
def test_a_key_that_is_no_file_name_is_refused(settings: Settings, key: str) -> None:
    with pytest.raises(PromptError, match="use small letters"):
        ensure_prompt(settings, "es", key, "Hola.")


def test_texts_that_cannot_be_read_are_named(settings: Settings) -> None:
    (settings.flows_dir / "prompts" / "es.yaml").write_text("greeting: [1, 2]\n")
    with pytest.raises(PromptError, match="greeting"):
        missing_prompts(settings)
