"""Files of phone numbers alone, for the do-not-call list: a column, or a number a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dialer.importing.delimited import Delimited, open_delimited
from dialer.importing.encoding import inspect_file
from dialer.importing.errors import CellError, ImportFileError
from dialer.importing.headers import field_of, simplify
from dialer.importing.phones import parse_phone, split_phones
from dialer.importing.tabular import RawRow, Table, cell_text
from dialer.importing.workbook import Workbook

_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class NumberRow:
    """The numbers of a row in E.164; ``reason`` where one of its cells is none."""

    raw: RawRow
    numbers: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NumberFile:
    """``header`` is empty for a file without one."""

    header: tuple[str, ...]
    sha256: str
    table: Table
    places: tuple[int, ...]
    country: str

    def rows(self) -> Iterator[NumberRow]:
        """Every row. Raises ImportFileError where the file does not decode to its end."""
        below = islice(self.table.rows(), 1 if self.header else 0, None)
        for raw in below:
            yield self._read(raw)

    def _read(self, raw: RawRow) -> NumberRow:
        if raw.broken:
            return NumberRow(raw, (), raw.broken)
        found: list[str] = []
        reason = ""
        for place in self.places:
            text = cell_text(raw.cells[place]) if place < len(raw.cells) else ""
            for part in split_phones(text[:1000]):
                try:
                    found.append(parse_phone(part, self.country).number)
                except CellError as error:
                    reason = str(error)
        return NumberRow(raw, tuple(found), reason or ("" if found else "no phone"))


@contextmanager
def open_numbers(
    path: Path, country: str, column: str | None = None, encoding: str | None = None
) -> Iterator[NumberFile]:
    """The numbers of a text file or workbook. ``column``: its header, where it is an unusual one.

    Raises ImportFileError where the file cannot be read or the column of the numbers not told.
    """
    kind = inspect_file(path, encoding)
    if kind.kind == "xlsx":
        book = Workbook(path)
        try:
            yield _arrange(book, kind.sha256, country, column)
        finally:
            book.close()
        return
    try:
        table = open_delimited(path, kind.encoding, None)
    except ImportFileError:
        table = Delimited(path, kind.encoding, ";")  # one column has no delimiter to find
    yield _arrange(table, kind.sha256, country, column)


def _arrange(table: Table, sha256: str, country: str, column: str | None) -> NumberFile:
    first = list(islice(table.rows(), _SAMPLE))
    if not first:
        raise ImportFileError("the file has no rows")
    header = tuple(cell_text(cell).strip() for cell in first[0].cells)
    if column is not None:
        places = tuple(i for i, t in enumerate(header) if simplify(t) == simplify(column))
        if len(places) != 1:
            raise ImportFileError(f"there is no column {column!r}, or more than one")
    else:
        places = tuple(
            i
            for i, title in enumerate(header)
            if field_of(title) == "phone" or simplify(title) in ("numero", "number", "msisdn")
        )
    if places:
        return NumberFile(header, sha256, table, places, country)
    if max(len(row.cells) for row in first) == 1:
        return NumberFile((), sha256, table, (0,), country)
    raise ImportFileError("which column has the numbers? Call it 'telefono', or say --column")
