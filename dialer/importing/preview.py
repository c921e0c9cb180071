"""A look at a file before it is imported: its headings, what they are taken for, its first rows as
they would go in, and what would stay out. Nothing is stored."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from dialer.domain.debtor_row import DebtorRow
from dialer.importing.encoding import inspect_file
from dialer.importing.headers import FIELDS, field_of
from dialer.importing.rows import RowReader, RowRejected
from dialer.importing.run import Options, open_table, settle_rules
from dialer.importing.scan import find_header, header_row, rows_below, scan
from dialer.importing.tabular import cell_text

SAMPLES = 3
TRIED = 1000
"""Rows that are read as they would be; the rest of a long file is counted."""
_SEVERAL = ("phone", "surname")


@dataclass(frozen=True, slots=True)
class Heading:
    """A column: its title, the first cells below it, the field it is taken for ("": none)."""

    title: str
    samples: tuple[str, ...]
    guess: str


@dataclass(frozen=True, slots=True)
class TriedRow:
    """``row`` as it would go in; None where it would not, for ``reasons``."""

    line: int
    row: DebtorRow | None
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class Trial:
    """What an import would do with the first ``tried`` of ``rows`` rows, as far as the file tells:
    what is in the database already is not looked at. ``shown``: the first good and bad ones."""

    rows: int
    tried: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    cautions: Counter[str] = field(default_factory=Counter)
    shown: list[TriedRow] = field(default_factory=list)


def headings(path: Path, options: Options) -> tuple[Heading, ...]:
    """The columns of a file. Raises ImportFileError where it is no table."""
    with ExitStack() as stack:
        table = open_table(path, inspect_file(path, options.encoding), options, stack)
        header = header_row(table, {})
        below = list(islice(rows_below(table, header.line), SAMPLES))
    titles = [cell_text(cell).strip() for cell in header.cells]
    taken: set[str] = set()
    found = []
    for place, title in enumerate(titles):
        guess = field_of(title) or ""
        if guess in taken and guess not in _SEVERAL:
            guess = ""  # two could be it: the person says which
        taken.add(guess)
        cells = [cell_text(row.cells[place]) for row in below if place < len(row.cells)]
        found.append(Heading(title, tuple(cells), guess))
    return tuple(found)


def told(fields: list[str]) -> dict[str, list[str]]:
    """What ``Options.columns`` needs, of the field that each column was given ("": none): every
    field is named, so that nothing is guessed beside it."""
    columns: dict[str, list[str]] = {name: [] for name in FIELDS}
    for place, name in enumerate(fields, 1):
        if name in columns:
            columns[name].append(f"#{place}")
    return columns


def trial(path: Path, options: Options, country: str, shown: int = 8) -> Trial:
    """Read a file as an import would, without a place to put it. Raises ImportFileError."""
    with ExitStack() as stack:
        table = open_table(path, inspect_file(path, options.encoding), options, stack)
        line, columns = find_header(table, options.columns)
        found = scan(table, line, columns, lambda _: None)
        reader = RowReader(columns, settle_rules(table, columns, found, options, country))
        result = Trial(found.rows)
        for raw in islice(rows_below(table, line), TRIED):
            result.tried += 1
            try:
                row = reader.read(raw)
            except RowRejected as error:
                result.rejected += 1
                result.reasons.update(error.reasons)
                tried = TriedRow(raw.line, None, tuple(error.reasons))
            else:
                result.cautions.update({one.concern.value for one in row.cautions})
                tried = TriedRow(raw.line, row)
            good = sum(one.row is not None for one in result.shown)
            if (good if tried.row is not None else len(result.shown) - good) < shown:
                result.shown.append(tried)
    return result
