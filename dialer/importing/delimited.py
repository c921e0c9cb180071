"""CSV and its relatives, read in bounded memory, losing no line to a stray quotation mark."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dialer.importing.errors import ImportFileError
from dialer.importing.headers import recognised
from dialer.importing.tabular import RawRow

LONGEST_LINE = 1_000_000  # characters
MOST_LINES = 50  # of one record, by line ends inside quotation marks
DELIMITERS = (",", ";", "\t", "|")
SAMPLE_ROWS = 50
_SEP = re.compile(r'\ufeff?"?sep=(.)"?[\r\n]*', re.IGNORECASE)


class _Lines:
    """The lines of a file, one at a time, with the possibility to give some back."""

    def __init__(self, source: io.TextIOWrapper, encoding: str) -> None:
        self._source = source
        self._encoding = encoding
        self._back: deque[str] = deque()
        self.taken: list[str] = []  # since the last ``start``
        self.line = 1  # of the first of ``taken``

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else self._read()
        if not line:
            raise StopIteration
        self.taken.append(line)
        if len(self.taken) > MOST_LINES:
            raise csv.Error(f"a quotation mark is not closed within {MOST_LINES} lines")
        return line

    def _read(self) -> str:
        at = self.line + len(self.taken)
        try:
            line = self._source.readline(LONGEST_LINE)
        except UnicodeError:
            raise ImportFileError(
                f"the file is not {self._encoding}, at the latest from line {at} or soon after:"
                " say another --encoding, or save the file as UTF-8"
            ) from None
        if len(line) >= LONGEST_LINE and line[-1] not in "\r\n":
            raise ImportFileError(
                f"line {at} is longer than {LONGEST_LINE:,} characters: this is no table of debtors"
            )
        return line

    def start(self) -> None:
        """The record that was begun is complete."""
        self.line += len(self.taken)
        self.taken.clear()

    def keep_first(self) -> str:
        """Give back all lines of the record but the first, which is returned."""
        first, *rest = self.taken
        self._back.extendleft(reversed(rest))
        self.taken[:] = [first]
        return first


@dataclass(frozen=True, slots=True)
class Delimited:
    """A text file of records; ``rows`` may be called again and again."""

    path: Path
    encoding: str
    delimiter: str

    def rows(self) -> Iterator[RawRow]:
        """Every record that is not blank, the header among them.

        A record that is not well formed (quotation marks) comes with ``broken`` and its first
        line as the only cell; reading goes on at the line after. Raises ImportFileError where
        the bytes do not decode or a line has no end.
        """
        with self.path.open("rb") as raw:
            text = io.TextIOWrapper(raw, encoding=self.encoding, errors="strict", newline="")
            yield from self._records(_Lines(text, self.encoding))

    def _records(self, lines: _Lines) -> Iterator[RawRow]:
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                first = lines.keep_first().rstrip("\r\n")
                yield RawRow(lines.line, [first], broken=_why(error))
                lines.start()
                continue
            if lines.line == 1 and _SEP.fullmatch("".join(lines.taken)):
                lines.start()
                continue
            if any(cells) and any(cell.strip("\x1a \t\r\n") for cell in cells):
                yield RawRow(lines.line, cells)  # type: ignore[arg-type]  # list is invariant
            lines.start()


def _why(error: csv.Error) -> str:
    said = str(error)
    if "field limit" in said:
        return f"a field is longer than {csv.field_size_limit():,} characters"
    if "not closed" in said:
        return said
    return "the quotation marks of this line do not match"


def open_delimited(path: Path, encoding: str, delimiter: str | None) -> Delimited:
    """The file with the delimiter that is told, or the one that makes most sense of its start.

    Raises ImportFileError where none does.
    """
    if delimiter is not None:
        return Delimited(path, encoding, delimiter)
    first = _first_line(path, encoding)
    if match := _SEP.fullmatch(first):
        return Delimited(path, encoding, match[1])
    scored = sorted(
        ((_sense(Delimited(path, encoding, sign)), sign) for sign in DELIMITERS), reverse=True
    )
    (fields, _, columns), best = scored[0]
    if columns < 2:
        raise ImportFileError(
            "no delimiter found: the columns are separated by none of , ; tab |"
            " (say --delimiter for another one)"
        )
    if not fields and scored[1][0][1:] == scored[0][0][1:]:
        raise ImportFileError("the delimiter cannot be told: say --delimiter")
    return Delimited(path, encoding, best)


def _first_line(path: Path, encoding: str) -> str:
    with path.open("rb") as raw:
        text = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="")
        return next(iter(_Lines(text, encoding)), "")


def _sense(candidate: Delimited) -> tuple[int, float, int]:
    """(fields that a header row names, share of rows as long as the header, its columns)."""
    rows = list(islice(candidate.rows(), SAMPLE_ROWS))
    if not rows:
        raise ImportFileError("the file has no rows")
    header = max(rows[:10], key=lambda row: recognised([str(cell) for cell in row.cells]))
    fields = recognised([str(cell) for cell in header.cells])
    width = len(header.cells)
    alike = sum(len(row.cells) == width and not row.broken for row in rows) / len(rows)
    return fields if width > 1 else 0, alike if width > 1 else 0.0, width
