"""Text to speech behind one small protocol.

``pico`` (the ``ttspico`` package) sounds best of what comes with a package, ``espeak`` works from
a wheel on any machine and knows many languages, ``command`` is the door for any other voice: a
program that reads a text and writes a sound file.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from dialer.speech.audio import Sound, SoundError, from_linear, read_sound

_LIMIT = 60.0  # seconds one text may take; a hung engine must not hang the set-up
_ESPEAK = Path(__file__).with_name("espeak_process.py")
_PICO = Path(__file__).with_name("pico_process.py")

_PICO_LINGWARE = {"es": "es-ES", "en": "en-GB", "fr": "fr-FR", "de": "de-DE", "it": "it-IT"}
_ESPEAK_REGIONS = frozenset({"en-us", "pt-br", "fr-be", "fr-ch"})
_LATIN_AMERICA = frozenset(
    [
        "ar",
        "bo",
        "cl",
        "co",
        "cr",
        "cu",
        "do",
        "ec",
        "gt",
        "hn",
        "mx",
        "ni",
        "pa",
        "pe",
        "pr",
        "py",
        "sv",
        "us",
        "uy",
        "ve",
        "419",
    ]
)


class VoiceError(Exception):
    """No voice can say this; the message says what to install or set."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is said, relative to the voice's own way. ``variant`` is the engine's own."""

    speed: float = 1.0
    pitch: float = 1.0
    variant: str = ""


PLAIN = Style()


class Voice(Protocol):
    """One engine. ``name`` with ``version`` decides, with the text, which bytes come out."""

    @property
    def name(self) -> str:
        """What settings call it."""

    @property
    def version(self) -> str:
        """Changes when the same text may sound different."""

    @property
    def treble_db(self) -> float:
        """How much its treble is lifted for the telephone."""

    def speaks(self, language: str) -> bool:
        """Whether it has a voice for the language (``es``, ``es-MX``, ``en`` ...)."""

    def speak(self, text: str, language: str, style: Style = PLAIN) -> Sound:
        """The text as sound. Raises VoiceError."""


def base_language(language: str) -> str:
    """``es`` of ``es-MX`` or ``es_MX``."""
    return language.replace("_", "-").partition("-")[0].lower()


@dataclass(frozen=True, slots=True)
class PicoVoice:
    """SVOX Pico, by the ``ttspico`` package, which brings its voices."""

    name: str = "pico"
    treble_db: float = 12.0
    """Brings the energy above 1 kHz from 1 % to 8 %; recorded people have 6 to 14 %."""

    @staticmethod
    def available() -> bool:
        """Whether the package is installed."""
        return importlib.util.find_spec("ttspico") is not None

    @property
    def version(self) -> str:
        """The version of the package."""
        return _package_version("ttspico")

    def speaks(self, language: str) -> bool:
        """Spanish, English, French, German, Italian."""
        return base_language(language) in _PICO_LINGWARE

    def speak(self, text: str, language: str, style: Style = PLAIN) -> Sound:
        """The text as sound at 16 kHz. ``variant`` names another lingware (``en-US``)."""
        lingware = style.variant or _PICO_LINGWARE[base_language(language)]
        if language.replace("_", "-").lower() == "en-us":
            lingware = style.variant or "en-US"
        speed, pitch = str(round(100 * style.speed)), str(round(100 * style.pitch))
        return _speak(_PICO, [lingware, speed, pitch], text)


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """espeak-ng, from the ``espeakng-loader`` wheel, else the program on the PATH."""

    name: str = "espeak"
    treble_db: float = 0.0
    """It has 19 % of its energy above 1 kHz as it is."""

    @staticmethod
    def available() -> bool:
        """Whether the wheel or the program is there."""
        return _wheel() or shutil.which("espeak-ng") is not None

    @property
    def version(self) -> str:
        """The version of the wheel, or what the program says of itself."""
        if _wheel():
            return "wheel " + _package_version("espeakng-loader")
        return _program_version()

    def speaks(self, language: str) -> bool:
        """More than a hundred; one that it lacks is refused when spoken."""
        return True

    def speak(self, text: str, language: str, style: Style = PLAIN) -> Sound:
        """The text as sound at 22.05 kHz. ``variant`` is one of espeak's (``f2``, ``m3``)."""
        voice = self.voice_for(language) + (f"+{style.variant}" if style.variant else "")
        speed, pitch = str(round(150 * style.speed)), str(min(99, round(50 * style.pitch)))
        if _wheel():
            return _speak(_ESPEAK, [voice, speed, pitch], text)
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder) / "said.wav"
            _run(["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "-w", str(wav)], _plain(text))
            return _read(wav, "espeak-ng")

    def voice_for(self, language: str) -> str:
        """espeak's name of the voice: Latin American Spanish for the countries that speak it."""
        tag = language.replace("_", "-").lower()
        base, _, region = tag.partition("-")
        if base == "es" and region in _LATIN_AMERICA:
            return "es-419"
        return tag if tag in _ESPEAK_REGIONS else base


@dataclass(frozen=True, slots=True)
class CommandVoice:
    """Any program: the text on its standard input, a sound file at ``{out}``.

    ``{language}`` in the command becomes the language. Example for Piper:
    ``piper --model es_ES.onnx --output_file {out}``.
    """

    command: str
    name: str = "command"
    treble_db: float = 0.0

    @property
    def version(self) -> str:
        """The command itself: another command is another voice."""
        return self.command

    def speaks(self, language: str) -> bool:
        """Whoever sets the command answers for it."""
        return True

    def speak(self, text: str, language: str, style: Style = PLAIN) -> Sound:
        """The text as the program says it; ``style`` is not passed on."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "said.wav"
            _run(
                [
                    part.replace("{out}", str(out)).replace("{language}", language)
                    for part in shlex.split(self.command)
                ],
                text,
            )
            return _read(out, self.command)


def choose(wanted: str, language: str, command: str = "") -> Voice:
    """The voice for a language: ``wanted`` is ``auto``, ``pico``, ``espeak`` or ``command``.

    ``auto`` prefers pico where it is installed and knows the language. Raises VoiceError.
    """
    if wanted == "command":
        if not command:
            raise VoiceError("DIALER_VOICE is command: set DIALER_VOICE_COMMAND too")
        return CommandVoice(command)
    pico, espeak = PicoVoice(), EspeakVoice()
    if wanted == "pico" or (wanted == "auto" and pico.available() and pico.speaks(language)):
        if not pico.available():
            raise VoiceError("DIALER_VOICE is pico: pip install ttspico, or set it to espeak")
        if not pico.speaks(language):
            raise VoiceError(f"pico has no voice for {language}: set DIALER_VOICE to auto")
        return pico
    if not espeak.available():
        raise VoiceError(
            "no voice is installed: pip install espeakng-loader (or ttspico, with a C compiler)"
        )
    return espeak


@cache
def _package_version(name: str) -> str:
    return importlib.metadata.version(name)


@cache
def _program_version() -> str:
    shown = _run(["espeak-ng", "--version"], "").decode(errors="replace")
    return shown.partition("Data at")[0].strip()


@cache
def _wheel() -> bool:
    return importlib.util.find_spec("espeakng_loader") is not None


def _plain(text: str) -> str:
    """The text without what an engine would take for mark-up."""
    return " ".join(text.replace("<", " ").replace(">", " ").replace("&", " ").split())


def _speak(script: Path, arguments: list[str], text: str) -> Sound:
    """What one of our own one-text programs says. Raises VoiceError."""
    out = _run([sys.executable, "-I", str(script), *arguments], _plain(text))
    rate, _, samples = out.partition(b"\n")
    if not samples:
        raise VoiceError(f"the voice said nothing for {text!r}; write it differently")
    return Sound(from_linear(np.frombuffer(samples, dtype=np.int16)), int(rate))


def _run(command: list[str], text: str) -> bytes:
    """Output of a program that is given the text. Raises VoiceError with its last words."""
    try:
        done = subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=_LIMIT, check=True
        )
    except FileNotFoundError as error:
        raise VoiceError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise VoiceError(f"{command[0]} took more than {_LIMIT:.0f} s for one text") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        told = last.removeprefix("RuntimeError: ") or f"it ended with {error.returncode}"
        raise VoiceError(f"the voice failed: {told}") from error
    return done.stdout


def _read(path: Path, by: str) -> Sound:
    try:
        return read_sound(path)
    except SoundError as error:
        raise VoiceError(f"{by} gave no usable sound: {error}") from error
