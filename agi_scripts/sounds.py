"""Where the sound of a fragment lies."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from dialer.flow.errors import FlowError
from dialer.flow.prompts import languages_of, prompt_texts
from dialer.flow.words import WordsError
from dialer.logs import get_logger

log = get_logger(__name__)

ENDINGS = (".alaw", ".ulaw", ".wav")
SILENCE = {".alaw": b"\xd5", ".ulaw": b"\xff"}
"""One sample of silence (G.711); a second has 8000."""
PAUSES = ".with-silence"


class MissingSound(Exception):
    """A prompt cannot be played: its sound was never rendered. The message names it."""


class Sounds:
    """The rendered prompts below one folder. What was found once is not looked for again."""

    def __init__(self, prompts_dir: Path) -> None:
        self._folder = prompts_dir.absolute()
        self._found: set[str] = set()

    def has(self, language: str, key: str) -> bool:
        """Whether Asterisk could play it."""
        path = f"{self._folder}/{language}/{key}"
        if path not in self._found and any(Path(path + e).is_file() for e in ENDINGS):
            self._found.add(path)
        return path in self._found

    def path(self, language: str, key: str) -> str:
        """What Asterisk is told to play. Raises MissingSound where there is nothing.

        Asked before playing, because Asterisk answers a missing file like a hang-up.
        """
        if not self.has(language, key):
            raise MissingSound(f"prompt {language}/{key} has no sound: run `dialer prompts`")
        return f"{self._folder}/{language}/{key}"

    def silence(self) -> str:
        """Half a second without a sound, for a line on which something goes on. Raises OSError."""
        made = self._folder / PAUSES / "half-a-second"
        for ending, sample in SILENCE.items():
            target = Path(f"{made}{ending}")
            if not target.is_file():
                _write_whole(target, sample * 4000)
        return str(made)

    def followed_by_silence(self, path: str, seconds: int) -> str:
        """The same sound with whole seconds of silence behind it, made when first asked for.

        ``path`` is what ``path`` gave. Where no G.711 file lies there, or none can be written, the
        sound itself.
        """
        try:
            return self._followed(path, seconds) if seconds > 0 else path
        except OSError as error:
            log.warning("no silence behind a prompt", why=error.strerror)
            return path

    def _followed(self, path: str, seconds: int) -> str:
        source = Path(path)
        made = self._folder / PAUSES / source.relative_to(self._folder)
        made = made.with_name(f"{made.name}+{seconds}")
        found = False
        for ending, sample in SILENCE.items():
            sound = Path(path + ending)
            if not sound.is_file():
                continue
            found = True
            target = Path(f"{made}{ending}")
            if not target.is_file() or target.stat().st_mtime_ns < sound.stat().st_mtime_ns:
                _write_whole(target, sound.read_bytes() + sample * (8000 * seconds))
        return str(made) if found else path


def missing_sounds(sounds: Sounds, flows_dir: Path, companies: Iterable[str] = ()) -> str | None:
    """Which prompts of any language were never rendered, the names of ``companies`` among them,
    in words for a health page; None: all were."""
    names = {"company": list(companies)}
    try:
        missing = [
            f"{language}/{key}"
            for language in languages_of(flows_dir)
            for key in prompt_texts(flows_dir, language, names)
            if not sounds.has(language, key)
        ]
    except (FlowError, WordsError) as error:
        return str(error)
    if not missing:
        return None
    some = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
    return f"{len(missing)} prompts have no sound ({some}): run `dialer prompts`"


def _write_whole(target: Path, content: bytes) -> None:
    """Never half a file under the name: two calls may ask for it at the same moment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as out:
        out.write(content)
    Path(out.name).chmod(0o644)
    Path(out.name).replace(target)
