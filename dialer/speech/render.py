"""Prompts: from texts (or recordings) to the files that Asterisk plays.

A prompt is ``<home>/prompts/<language>/<key>`` with four endings: ``.alaw``, ``.ulaw`` and
``.wav`` (8 kHz mono, each coded once from the same samples) and ``.json``, which tells what the
sound was made of. A recording ``<flows>/recordings/<language>/<key>.wav`` takes the place of the
rendered text. Rendered texts are kept in the cache by a hash of all that decides their bytes, so
a second set-up, or another home on the same machine, only copies.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dialer.config import Settings
from dialer.flow.fragments import PAUSE
from dialer.flow.prompts import company_fragment, languages_of
from dialer.speech import audio, voices
from dialer.speech.audio import Samples, SoundError
from dialer.speech.catalogue import PromptError as PromptError
from dialer.speech.catalogue import prompt_catalogue
from dialer.speech.voices import PLAIN, Style, VoiceError

ENDINGS = ("alaw", "ulaw", "wav")
"""The files of a prompt."""

PAUSE_SECONDS = 0.5
"""Silence between the groups of a code that is read slowly."""

SHAPING_VERSION = 1
"""Goes up when ``shape`` gives other bytes: everything is then rendered again."""

_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]*(/[a-z0-9][a-z0-9_.-]*)*")
_LONGEST_RECORDING = 180.0  # seconds; nobody listens to more, so it is the wrong file
_SHORTEST_RECORDING = 0.05
_ALIKE = 3  # prompts that are named of those that failed for one reason
_SILENT = 0.003  # -50 dB below full scale: nothing was recorded


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to a voice after synthesis: treble lifted or not, peak brought to dBFS."""

    treble: bool = True
    peak_db: float = audio.PEAK_DB


PROMPT = Treatment()


@dataclass(frozen=True, slots=True)
class Made:
    """What a prompt's sound was made of; the ``.json`` beside it.

    ``digest`` changes when the sound would; ``source`` is the voice or ``recording``; ``seconds``
    is its length; ``text`` what it says.
    """

    digest: str
    source: str
    seconds: float
    text: str


@dataclass(slots=True)
class PromptReport:
    """What ``ensure_prompts`` did, in prompts, with what went wrong in words.

    ``rendered`` were spoken anew, ``cached`` copied from the cache, ``recorded`` taken from
    recordings, ``unchanged`` were there already, ``lacking`` could not be made. ``refused``
    tells of recordings that the voice replaced, ``failed`` why prompts are lacking.
    """

    languages: tuple[str, ...] = ()
    rendered: int = 0
    cached: int = 0
    recorded: int = 0
    unchanged: int = 0
    lacking: int = 0
    seconds: float = 0.0
    voices: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Prompts looked at."""
        return self.rendered + self.cached + self.recorded + self.unchanged + self.lacking

    @property
    def ok(self) -> bool:
        """Whether every prompt can be played."""
        return self.lacking == 0


def shape(sound: audio.Sound, treble_db: float, peak_db: float = audio.PEAK_DB) -> Samples:
    """A voice made ready for the telephone: its band, trimmed, at a known level."""
    samples = audio.for_telephone(sound, treble_db)
    return audio.normalise(audio.trim(samples), peak_db)


def speak(
    settings: Settings,
    text: str,
    language: str,
    style: Style = PLAIN,
    treatment: Treatment = PROMPT,
) -> tuple[Samples, Made, bool]:
    """A text as samples at 8 kHz, what they were made of, and whether the cache had them.

    Raises VoiceError when no voice can say it.
    """
    voice = voices.choose(settings.voice, language, settings.voice_command)
    digest = _text_digest(voice, text, language, style, treatment)
    kept = settings.cache_dir / "speech" / digest[:2] / f"{digest}.wav"
    found = _from_cache(kept)
    cached = found is not None
    if found is None:
        treble_db = voice.treble_db if treatment.treble else 0.0
        found = (
            audio.silence(PAUSE_SECONDS)
            if text == PAUSE.text
            else shape(voice.speak(text, language, style), treble_db, treatment.peak_db)
        )
        audio.write_atomically(kept, audio.wav_bytes(found))
        # What is used is what the cache gives back, so that both ways give the same bytes.
        found = audio.load(kept)
    return found, Made(digest, voice.name, round(len(found) / audio.RATE, 3), text), cached


def render_text(
    settings: Settings,
    text: str,
    language: str,
    path_without_ending: Path,
    style: Style = PLAIN,
    treatment: Treatment = PROMPT,
) -> Made:
    """Write a text as ``.alaw``, ``.ulaw``, ``.wav`` and ``.json``. Raises VoiceError."""
    samples, made, _ = speak(settings, text, language, style, treatment)
    _write(path_without_ending, samples, made)
    return made


def prompt_path(settings: Settings, language: str, key: str) -> Path:
    """Where a prompt lies, without ending: what Asterisk is told to play.

    Raises PromptError for a key that is no file name.
    """
    if not _KEY.fullmatch(key):
        raise PromptError(
            f"prompt {key!r} of {language}: use small letters, digits, '_', '-', '.' and '/'"
        )
    return settings.prompts_dir / language / key


def recording_path(settings: Settings, language: str, key: str) -> Path:
    """Where a recording that takes the place of a prompt's text is looked for."""
    return settings.flows_dir / "recordings" / language / f"{key}.wav"


def ensure_prompt(settings: Settings, language: str, key: str, text: str) -> Path:
    """Make one prompt if it is not there as it should be; its path without ending.

    A recording takes the place of the text; one that is broken is passed over (see
    ``ensure_prompts``, which tells). Raises PromptError when no sound can be made.
    """
    report = PromptReport()
    _ensure(settings, language, key, text, report)
    if report.failed:
        raise PromptError(report.failed[0])
    return prompt_path(settings, language, key)


def ensure_prompts(
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
    companies: Iterable[str] = (),
) -> PromptReport:
    """Make every prompt of every language that is not there as it should be.

    ``progress`` is called with how many are done, of how many; ``companies`` are the names, as
    they are spoken, that a greeting may say (see ``ensure_company``). A prompt that cannot be
    made is named in the report and stops nothing. Raises PromptError when the texts cannot be
    read.
    """
    texts = prompt_catalogue(settings, companies)
    items = [(language, key, text) for language in texts for key, text in texts[language].items()]
    report = PromptReport(languages=tuple(texts))
    reasons: Counter[str] = Counter()
    # Each voice speaks in a process of its own; threads only wait for it.
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(_ensure, settings, *item, PromptReport()) for item in items]
        for done, job in enumerate(jobs, start=1):
            one = job.result()
            # A voice that is missing fails every prompt alike: that is one thing to tell.
            reason = one.failed[0].partition(": ")[2] if one.failed else ""
            reasons[reason] += 1
            if reasons[reason] > _ALIKE:
                one.failed.clear()
            _add(report, one)
            if progress is not None:
                progress(done, len(items))
    del reasons[""]
    report.failed += [
        f"and {count - _ALIKE} more: {reason}"
        for reason, count in reasons.items()
        if count > _ALIKE
    ]
    return report


def ensure_company(settings: Settings, spoken_name: str) -> list[Path]:
    """Make the sound of a company's name in every language; the paths without ending.

    For whoever makes a company or changes its spoken name. Raises PromptError.
    """
    one = company_fragment(spoken_name)
    return [
        ensure_prompt(settings, language, one.key, one.text)
        for language in languages_of(settings.flows_dir)
    ]


def missing_prompts(settings: Settings, companies: Iterable[str] = ()) -> list[str]:
    """What is wrong with the prompts on disk, in words; nothing is made. Empty: all is well.

    Raises PromptError when the texts cannot be read.
    """
    wrong = []
    for language, texts in prompt_catalogue(settings, companies).items():
        for key, text in texts.items():
            problem = _problem(settings, language, key, text)
            if problem:
                wrong.append(f"{language}/{key}: {problem}")
    return wrong


def read_made(path_without_ending: Path) -> Made | None:
    """What a prompt on disk was made of; None when it is not told (or not there)."""
    try:
        told: dict[str, Any] = json.loads(_beside(path_without_ending, "json").read_bytes())
        return Made(**told)
    except (OSError, ValueError, TypeError):
        return None


# --- one prompt ---------------------------------------------------------------------------


def _ensure(
    settings: Settings, language: str, key: str, text: str, report: PromptReport
) -> PromptReport:
    """Make one prompt and count it in ``report``, which it also returns."""
    try:
        path = prompt_path(settings, language, key)
        if _ensure_recording(settings, language, key, text, path, report):
            return report
        voice = voices.choose(settings.voice, language, settings.voice_command)
        report.voices[language] = f"{voice.name} {voice.version}"
        there = read_made(path)
        digest = _text_digest(voice, text, language, PLAIN, PROMPT)
        if there is not None and there.digest == digest and not _broken(path, there):
            report.unchanged += 1
            report.seconds += there.seconds
            return report
        samples, made, cached = speak(settings, text, language)
        _write(path, samples, made)
        report.cached += cached
        report.rendered += not cached
        report.seconds += made.seconds
    except (VoiceError, PromptError, OSError) as error:
        report.lacking += 1
        report.failed.append(f"{language}/{key}: {error}")
    return report


def _ensure_recording(
    settings: Settings, language: str, key: str, text: str, path: Path, report: PromptReport
) -> bool:
    """Use the recording of a prompt, if there is a good one; whether it was used."""
    source = recording_path(settings, language, key)
    if not source.exists():
        return False
    try:
        digest = _file_digest(source)
        there = read_made(path)
        if there is not None and there.digest == digest and not _broken(path, there):
            report.unchanged += 1
            report.seconds += there.seconds
            return True
        samples = read_recording(source)
    except (SoundError, OSError) as error:
        report.refused.append(f"{language}/{key}: {error}; the voice speaks the text instead")
        return False
    made = Made(digest, "recording", round(len(samples) / audio.RATE, 3), text)
    _write(path, samples, made)
    report.recorded += 1
    report.seconds += made.seconds
    return True


def read_recording(source: Path) -> Samples:
    """A studio recording at 8 kHz, trimmed and levelled, its timbre left alone.

    Raises SoundError when it is unreadable, silent, or of a length that cannot be meant.
    """
    sound = audio.read_sound(source)
    if not _SHORTEST_RECORDING <= sound.seconds <= _LONGEST_RECORDING:
        raise SoundError(
            f"{source} lasts {sound.seconds:.2f} s; a prompt lasts {_SHORTEST_RECORDING} "
            f"to {_LONGEST_RECORDING:.0f} s"
        )
    samples = audio.resample(sound)
    samples = samples - samples.mean()  # a constant offset would click between fragments
    if float(abs(samples).max()) < _SILENT:
        raise SoundError(f"{source} is silent; record it again")
    return audio.normalise(audio.trim(samples))


def _problem(settings: Settings, language: str, key: str, text: str) -> str | None:
    """What is wrong with one prompt on disk."""
    try:
        path = prompt_path(settings, language, key)
    except PromptError as error:
        return str(error)
    made = read_made(path)
    if made is None:
        return "is missing" if not _beside(path, "alaw").exists() else "has no .json beside it"
    broken = _broken(path, made)
    if broken:
        return broken
    if made.text != text:
        return "says an older text"
    return None


def _broken(path: Path, made: Made) -> str | None:
    """Why the files of a prompt cannot be played as they are."""
    samples = round(made.seconds * audio.RATE)
    for ending in ENDINGS:
        try:
            with _beside(path, ending).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            return f".{ending} cannot be read ({error.strerror})"
        least = samples * (2 if ending == "wav" else 1)
        # ``seconds`` is told in milliseconds: eight samples.
        if size < max(1, least - 16):
            return f".{ending} is cut short ({size} bytes)"
    return None


def _write(path: Path, samples: Samples, made: Made) -> None:
    for ending, content in audio.encodings(samples).items():
        audio.write_atomically(_beside(path, ending), content)
    told = json.dumps(asdict(made), ensure_ascii=False, indent=1).encode()
    audio.write_atomically(_beside(path, "json"), told)


def _beside(path_without_ending: Path, ending: str) -> Path:
    """A key may have a dot in it, so ``with_suffix`` would cut it."""
    return path_without_ending.with_name(f"{path_without_ending.name}.{ending}")


def _from_cache(kept: Path) -> Samples | None:
    """The samples of a cache entry; None when there is none, or a damaged one."""
    try:
        return audio.load(kept)
    except SoundError:
        return None


def _text_digest(
    voice: voices.Voice, text: str, language: str, style: Style, treatment: Treatment
) -> str:
    parts = [text, language, voice.name, voice.version, SHAPING_VERSION]
    told = json.dumps([*parts, asdict(style), asdict(treatment)], ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()


def _file_digest(path: Path) -> str:
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(f"{content} {SHAPING_VERSION}".encode()).hexdigest()


def _add(total: PromptReport, one: PromptReport) -> None:
    total.rendered += one.rendered
    total.cached += one.cached
    total.recorded += one.recorded
    total.unchanged += one.unchanged
    total.lacking += one.lacking
    total.seconds += one.seconds
    total.voices |= one.voices
    total.refused += one.refused
    total.failed += one.failed
