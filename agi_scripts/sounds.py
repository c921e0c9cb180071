"""Where the sound of a fragment lies."""

from __future__ import annotations

from pathlib import Path

ENDINGS = (".alaw", ".ulaw", ".wav")


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
            raise MissingSound(
                f"prompt {language}/{key} has no sound: run `dialer prompts`, and for a company's "
                "name create its campaign again"
            )
        return f"{self._folder}/{language}/{key}"
