"""The texts that a payment says, by language, read again when their file changes."""

from __future__ import annotations

import threading
from pathlib import Path

from dialer.flow.errors import FlowError
from dialer.flow.prompts import Prompts, load_prompts
from dialer.logs import get_logger

log = get_logger(__name__)


class PayPrompts:
    """Safe for many threads."""

    def __init__(self, flows_dir: Path) -> None:
        self._folder = flows_dir
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[int, Prompts]] = {}

    def of(self, language: str) -> Prompts:
        """Those of a language. Raises FlowError where they cannot be read and never could."""
        path = self._folder / "prompts" / f"{language}.yaml"
        with self._lock:
            kept = self._kept.get(language)
            try:
                stamp = path.stat().st_mtime_ns
                if kept is None or kept[0] != stamp:
                    kept = (stamp, load_prompts(self._folder, language))
                    self._kept[language] = kept
            except (OSError, FlowError) as error:
                if kept is None:
                    raise FlowError(f"prompts of {language}: {error}") from error
                log.error("prompts not read again", language=language, why=str(error))
            return kept[1]
