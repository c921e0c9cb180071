"""What the simulated debtors say: the voices, greetings and tones that the carrier plays.

They are made like prompts, but quieter and without the treble of a prompt, with other voices than
the product's, so that a recording of a call tells the two sides apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dialer.config import Settings
from dialer.speech import audio, tones
from dialer.speech.audio import Samples, silence
from dialer.speech.render import Treatment, speak
from dialer.speech.voices import PLAIN, Style

LANGUAGE = "es"
PERSON = Treatment(treble=False, peak_db=-10.0)
"""A handset: the level of a person on a line, well under that of a prompt."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing a simulated debtor plays: a text, said in some style, and a tone after it."""

    text: str
    style: Style = PLAIN
    before: float = 0.0  # seconds of silence before it
    after: Callable[[], Samples] | None = None


_WOMAN, _MAN = Style(pitch=1.1, speed=1.05), Style(pitch=0.85)

SPOKEN: dict[str, Line] = {
    "diga": Line("¿Sí, dígame?", _WOMAN),
    "diga_diga": Line("¿Diga? ¿Diga?", _MAN),
    "chatter": Line("Sí, sí, ahora voy.", _WOMAN),
    "voicemail": Line(
        "Hola, ha llamado al buzón de voz de Carmen Ruiz. En este momento no puedo atenderle. "
        "Deje su mensaje después de la señal.",
        _MAN,
        after=lambda: np.concatenate([silence(0.5), tones.beep()]),
    ),
    "announcement_changed": Line(
        "El número al que llama ha cambiado. Por favor, consulte la guía telefónica.", _MAN
    ),
}
"""Lines with a voice, by the name of their file."""

TONES: dict[str, Callable[[], Samples]] = {
    "sit": tones.special_information,
    "fax_ced": tones.fax_answer,
    "beep": tones.beep,
}
"""Lines that are tones, by the name of their file."""


def debtor_lines_dir(settings: Settings) -> Path:
    """Where the carrier finds them."""
    return settings.home / "debtor_lines"


def line_samples(settings: Settings, name: str) -> Samples:
    """One line as samples at 8 kHz. Raises KeyError for an unknown name, VoiceError."""
    if name in TONES:
        return TONES[name]()
    line = SPOKEN[name]
    spoken, _, _ = speak(settings, line.text, LANGUAGE, line.style, PERSON)
    parts = [silence(line.before), spoken]
    if line.after is not None:
        parts.append(line.after())
    return np.concatenate(parts)


def ensure_debtor_lines(settings: Settings) -> Path:
    """Make ``<name>.alaw`` of every line; the folder. Quick when they are there already.

    Raises VoiceError when no voice is installed.
    """
    folder = debtor_lines_dir(settings)
    for name in (*SPOKEN, *TONES):
        content = audio.encodings(line_samples(settings, name))["alaw"]
        path = folder / f"{name}.alaw"
        if not path.exists() or path.read_bytes() != content:
            audio.write_atomically(path, content)
    return folder
