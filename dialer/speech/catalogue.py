"""Which prompts there are: every key with its text, by language."""

from __future__ import annotations

from pathlib import Path

import yaml

from dialer.config import Settings


class CatalogueError(Exception):
    """The texts of the prompts cannot be read; the message names the file and says why."""


def prompt_catalogue(settings: Settings) -> dict[str, dict[str, str]]:
    """Language -> key -> text, from ``<flows>/prompts/<language>.yaml``.

    Raises CatalogueError when a file is not a flat mapping of texts.
    """
    folder = settings.flows_dir / "prompts"
    return {path.stem: _texts(path) for path in sorted(folder.glob("*.yaml"))}


def _texts(path: Path) -> dict[str, str]:
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogueError(f"{path} cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise CatalogueError(f"{path}: write one 'key: text' a line")
    return {str(key): str(text) for key, text in read.items()}
