"""The file of rejects: the rows that stayed out and those to look at, as they came, and why."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from dialer.importing.errors import ImportFileError
from dialer.importing.headers import OWN_COLUMNS
from dialer.importing.tabular import Cell, cell_text

Status = Literal["rejected", "warning"]
_PHONE = re.compile(r"\+[0-9 ().-]+")


def default_rejects(path: Path) -> Path:
    """Beside the file: debtors.csv.rejects.csv."""
    return path.with_name(f"{path.name}.rejects.csv")


class RejectsFile:
    """Written beside its final name and moved there at the end; no file where nothing is to tell.

    UTF-8 with a mark, so that spreadsheets read it rightly; the columns of the original, then
    where, what and why. It can be corrected and imported as it is. An earlier one is kept as
    ``.bak``. Only the owner may read it: it holds personal data.
    """

    def __init__(self, path: Path, header: Sequence[str], delimiter: str = ",") -> None:
        self.path = path
        self.written = 0
        self._part = path.with_name(f"{path.name}.part")
        # Rejects that are imported again have our columns already.
        self._kept = [i for i, title in enumerate(header) if title.strip() not in OWN_COLUMNS]
        self._header = [header[i] for i in self._kept]
        self._width = len(header)
        self._delimiter = delimiter
        self._out: IO[str] | None = None
        self._writer: Any = None

    def __enter__(self) -> RejectsFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._out is None:
            return
        self._out.close()
        if self.path.exists():
            os.replace(self.path, self.path.with_name(f"{self.path.name}.bak"))
        os.replace(self._part, self.path)

    def check(self) -> None:
        """Raises ImportFileError, before anything is imported, where it could not be written."""
        folder = self.path.parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ImportFileError(
                f"the rejects cannot be written to {folder}: say where with --rejects FILE"
            )

    def write(
        self, line: int, cells: Sequence[Cell], status: Status, reasons: Sequence[str]
    ) -> None:
        """One row. Raises OSError when the disk is full."""
        if self._out is None:
            self._open()
        texts = [cell_text(cell) for cell in cells]
        shown = [_harmless(texts[i]) if i < len(texts) else "" for i in self._kept]
        # A row with more fields than the header: all of it, in the last column, or it is lost.
        if len(texts) > self._width and self._kept:
            shown[-1] = self._delimiter.join(texts[self._kept[-1] :])
        self._writer.writerow([*shown, line, status, "; ".join(reasons)])
        self.written += 1

    def _open(self) -> None:
        fresh = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._out = open(fresh, "w", encoding="utf-8-sig", newline="")  # noqa: SIM115  (kept)
        self._writer = csv.writer(self._out, delimiter=self._delimiter)
        self._writer.writerow([*self._header, *OWN_COLUMNS])


def _harmless(text: str) -> str:
    """A cell that a spreadsheet would run (=, +cmd, @) gets an apostrophe in front."""
    if text[:1] in ("=", "@", "\t", "\r") or (
        text[:1] in ("+", "-") and len(text) > 1 and not _PHONE.fullmatch(text)
    ):
        return "'" + text
    return text
