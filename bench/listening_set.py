"""Openings of calls as the far end sounds: people and machines, made up, with their labels.

**Synthetic.** Texts are spoken by the synthesisers that are installed, in many pitches and
speeds; levels, noise, pauses, clicks, echo and line coding are drawn at random. No recording of a
real call is in it: what a detector scores here compares rules, it is no promise for a network.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from dialer.config import Settings  # noqa: E402
from dialer.speech import audio, g711, tones  # noqa: E402
from dialer.speech.audio import RATE, Samples  # noqa: E402
from dialer.speech.render import Treatment, speak  # noqa: E402
from dialer.speech.voices import PicoVoice, Style  # noqa: E402

SECONDS = 12.0
"""Length of each opening."""

FLAT = Treatment(treble=False, peak_db=0.0)

HELLO = {
    "es": (
        "¿Sí?", "¿Diga?", "¿Dígame?", "Hola.", "¿Sí, dígame?", "Hola, buenas.", "¿Aló?", "¿Bueno?",
        "Buenos días.", "¿Quién es?", "Hola, ¿quién es?", "¿Sí, quién llama?", "Dígame.",
        "¿Sí, con quién hablo?", "Hola, buenas tardes.", "¿Qué hay?", "Al habla.",
    ),
    "en": (
        "Hello?", "Yes?", "Hi.", "Hello, who is this?", "Good morning.", "Speaking.",
        "Yes, hello?", "Hello, who's calling?", "This is John.", "Hey, what's up?",
    ),
}  # fmt: skip
"""What a person says first."""

AGAIN = {
    "es": ("¿Hola?", "¿Diga?", "¿Quién es?", "¿Oiga?", "¿Sí?", "¿Me oye?", "¿Hay alguien?"),
    "en": ("Hello?", "Hello?", "Who is this?", "Is anyone there?", "Yes?", "Can you hear me?"),
}
"""What a person says again when it hears nothing it likes."""

LONG = {
    "es": (
        "Talleres García, buenos días, ¿en qué puedo ayudarle?",
        "Sí, sí, espera un momento, que me llaman por la otra línea. ¿Diga?",
        "Hola, mira, ahora estoy conduciendo, ¿quién es?",
    ),
    "en": (
        "Smith and Sons, good morning, this is Laura, how can I help you?",
        "Hang on a second, somebody is calling me. Hello?",
    ),
}
"""A person who speaks on: the hard case."""

GREETINGS = {
    "es": (
        "Hola, ha llamado al buzón de voz de Carmen. Deje su mensaje después de la señal.",
        "El número al que llama no está disponible. Deje su mensaje después de oír la señal.",
        "Hola, soy Antonio. Ahora no puedo atenderte. Déjame un mensaje y te llamo luego.",
        "Éste es el contestador del seis cero cero, uno dos tres, cuatro cinco. Deje su mensaje.",
        (
            "Bienvenido al buzón de voz. La persona a la que llama no puede atenderle. "
            "Al terminar, puede colgar."
        ),
        "Hola. Has llamado a la familia López. No estamos en casa. Deja tu mensaje, gracias.",
        "Le informamos de que el teléfono al que llama está apagado o fuera de cobertura.",
        "Hola, en este momento no puedo contestar. Deja tu mensaje.",
        "Buzón de voz. Deje su mensaje.",
        "Hola, soy Lucía. Deja tu mensaje.",
    ),
    "en": (
        "Hi, you have reached the voicemail of Anna. Please leave a message after the tone.",
        (
            "The person you are calling is not available. Please record your message. "
            "When you have finished, you may hang up."
        ),
        "Your call has been forwarded to an automatic voice message system.",
        "Hey, this is Mike. I can't come to the phone right now. Leave me a message.",
        "Hello. You have reached the Johnson family. We are not at home. Please leave a message.",
        "Hi, it's Tom. Leave a message.",
    ),
}
"""What a machine says."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The first seconds from the answer on. ``kind`` names how it was made up."""

    kind: str
    machine: bool
    samples: Samples


@dataclass(frozen=True, slots=True)
class Speaker:
    """One of the voices; ``language`` is what it speaks."""

    engine: str
    language: str
    style: Style

    def say(self, settings: Settings, text: str) -> Samples:
        """The text at full level."""
        told = settings.model_copy(update={"voice": self.engine})
        samples, _, _ = speak(told, text, self.language, self.style, FLAT)
        return samples


def speakers() -> list[Speaker]:
    """Every voice in several pitches and speeds."""
    made = []
    for pitch, speed in ((0.7, 0.95), (0.85, 1.1), (1.0, 1.0), (1.2, 1.15), (1.4, 1.0)):
        for language in ("es", "en", "en-US"):
            if PicoVoice.available():
                made.append(Speaker("pico", language, Style(speed, pitch)))
    for variant, speed in (("m1", 1.0), ("m3", 1.2), ("f2", 1.1), ("f4", 0.95)):
        for language in ("es", "es-MX", "en", "en-US"):
            made.append(Speaker("espeak", language, Style(speed, 1.0, variant)))
    return made


def openings(settings: Settings, count: int, seed: int) -> list[Opening]:
    """``count`` people and as many machines; the same for the same seed and voices."""
    _warm(settings)
    return list(_draw(settings, count, np.random.default_rng(seed)))


def _warm(settings: Settings) -> None:
    """Speak every text once, in parallel: afterwards everything comes from the cache."""
    jobs = [
        (speaker, text)
        for speaker in speakers()
        for texts in (HELLO, AGAIN, LONG, GREETINGS)
        for text in texts[speaker.language[:2]]
    ]
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda job: job[0].say(settings, job[1]), jobs))


PEOPLE = (
    ("hello", 0.50),
    ("hello_again", 0.22),
    ("long", 0.08),
    ("silent", 0.10),
    ("late", 0.10),
)
"""How a person begins, and how often; a guess, as there is no labelled set."""


def _draw(settings: Settings, count: int, rng: Generator) -> Iterator[Opening]:
    voices = speakers()
    kinds, shares = zip(*PEOPLE, strict=True)
    for _ in range(count):
        kind = str(rng.choice(kinds, p=shares))
        clean = _person(settings, kind, voices[rng.integers(len(voices))], rng)
        yield Opening(f"person/{kind}", False, _on_the_line(clean, rng, person=True))
    for _ in range(count):
        clean = _machine(settings, voices[rng.integers(len(voices))], rng)
        yield Opening("machine", True, _on_the_line(clean, rng, person=False))


def _person(settings: Settings, kind: str, speaker: Speaker, rng: Generator) -> Samples:
    language = speaker.language[:2]

    def one(texts: dict[str, tuple[str, ...]]) -> Samples:
        return speaker.say(settings, str(rng.choice(texts[language])))

    if kind == "silent":
        return audio.silence(0.1)
    if kind == "long":
        return np.concatenate([audio.silence(rng.uniform(0.1, 1.0)), one(LONG)])
    if kind == "late":  # listens first, then speaks up over the greeting
        return np.concatenate([audio.silence(rng.uniform(2.5, 5.0)), one(AGAIN)])
    parts = [audio.silence(rng.uniform(0.1, 1.2)), one(HELLO)]
    if kind == "hello_again":
        for _ in range(int(rng.integers(1, 4))):
            parts += [audio.silence(rng.uniform(0.5, 2.2)), one(AGAIN)]
    return np.concatenate(parts)


def _machine(settings: Settings, speaker: Speaker, rng: Generator) -> Samples:
    text = str(rng.choice(GREETINGS[speaker.language[:2]]))
    hertz = float(rng.choice([440.0, 850.0, 1000.0, 1400.0]))
    return np.concatenate(
        [
            audio.silence(rng.choice([0.05, rng.uniform(0.2, 1.5), rng.uniform(1.0, 3.0)])),
            speaker.say(settings, text),
            audio.silence(rng.uniform(0.2, 1.2)),
            tones.tone((hertz,), rng.uniform(0.2, 0.8), -3.0),
        ]
    )


def _on_the_line(clean: Samples, rng: Generator, person: bool) -> Samples:
    """As it arrives: level, room, click of the receiver, echo of our greeting, A-law."""
    whole = np.zeros(round(SECONDS * RATE))
    level = rng.uniform(-18.0, -6.0) if person else rng.uniform(-12.0, -4.0)
    spoken = clean[: len(whole)] * 10 ** (level / 20)
    whole[: len(spoken)] += spoken
    whole += _room(len(whole), rng.uniform(-66.0, -40.0 if person else -52.0), rng)
    if person and rng.random() < 0.3:
        at = int(rng.uniform(0.0, 0.4) * RATE)
        whole[at : at + 120] += rng.normal(0.0, 0.1, 120)
    if person and rng.random() < 0.3:
        whole += _echo(len(whole), rng)
    linear = audio.to_linear(np.clip(whole, -1.0, 1.0))
    return audio.from_linear(g711.decode_a_law(g711.encode_a_law(linear)))


def _room(length: int, level_db: float, rng: Generator) -> Samples:
    """Noise that falls towards high frequencies, its RMS in dB below full scale, slowly moving."""
    spectrum = np.fft.rfft(rng.normal(0.0, 1.0, length))
    hertz = np.fft.rfftfreq(length, 1 / RATE)
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 100.0)), length)
    swell = np.interp(np.arange(length), np.linspace(0, length, 12), rng.uniform(0.5, 1.5, 12))
    noise *= swell
    return np.asarray(noise / noise.std() * 10 ** (level_db / 20))


_GREETING: list[Samples] = []


def _echo(length: int, rng: Generator) -> Samples:
    """Our own greeting come back, 26 to 45 dB down and late."""
    if not _GREETING:
        settings = Settings()
        text = (
            "Hola. Le llamamos de Banco Uno. Este aviso es personal para el titular de esta "
            "línea. Si es usted, pulse uno. Si no es usted, pulse dos."
        )
        _GREETING.append(speak(settings, text, "es")[0])
    out = np.zeros(length)
    late = int(rng.uniform(0.05, 0.4) * RATE)
    greeting = _GREETING[0][: length - late]
    out[late : late + len(greeting)] = greeting * 10 ** (rng.uniform(-45.0, -26.0) / 20)
    return out
