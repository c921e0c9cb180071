"""What a file proves about itself as a whole, found before any of its rows goes in.

A row alone cannot tell whether ``1.234`` is a thousand, whether ``03/04/2026`` is in March, or
whether the same reference comes again with another amount; the file can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from dialer.domain.debtor_row import DebtorRow
from dialer.importing.amounts import Notation, Proofs
from dialer.importing.dates import Order, order_proven
from dialer.importing.errors import ImportFileError
from dialer.importing.headers import Columns, field_of, find_columns, simplify
from dialer.importing.rows import RowReader, RowRejected
from dialer.importing.tabular import Cell, RawRow, Table, cell_text

HEADER_WITHIN = 10  # rows: reports have titles above their table
STRAY_DATES = 100  # one date in so many may be in the other order: a typing error
_BLOOM_BITS = 1 << 26  # 8 MiB; a million references leave some ten thousand to look at again

Progress = Callable[[int], None]


@dataclass(slots=True)
class Findings:
    """Of a whole file. ``spare``: empty fields behind the last column, in every row alike.

    ``signed``: whether at least one amount names its currency. ``number_cells`` and ``date_cells``
    are those of a workbook's amounts and due dates. ``suspects``: hashes of references that may
    come more than once.
    """

    rows: int = 0
    proofs: Proofs = field(default_factory=Proofs)
    spare: int = 0
    number_cells: int = 0
    date_cells: int = 0
    open_dates: int = 0
    signed: bool = False
    day_first: int = 0
    month_first: int = 0
    suspects: set[int] = field(default_factory=set)


def find_header(table: Table, told: Mapping[str, Sequence[str]]) -> tuple[int, Columns]:
    """The line of the header row, and its columns. Raises ImportFileError."""
    header = header_row(table, told)
    return header.line, find_columns([cell_text(cell).strip() for cell in header.cells], told)


def header_row(table: Table, told: Mapping[str, Sequence[str]]) -> RawRow:
    """The row that names most columns, else the first. Raises ImportFileError."""
    first = list(islice(table.rows(), HEADER_WITHIN))
    if not first:
        raise ImportFileError("the file has no rows")
    # A number (#3) names no title: a cell 3 further down would be taken for one.
    wanted = {simplify(text) for texts in told.values() for text in texts if text[:1] != "#"}

    def named(row: RawRow) -> int:
        texts = [cell_text(cell) for cell in row.cells]
        fields = {field_of(text) for text in texts} - {None}
        return len(fields) + sum(simplify(text) in wanted for text in texts)

    best = max(first, key=named)
    header = best if named(best) else first[0]
    if header.broken:
        raise ImportFileError(f"the header row (line {header.line}) is broken: {header.broken}")
    return header


def rows_below(table: Table, header_line: int) -> Iterator[RawRow]:
    """The rows of data."""
    return (row for row in table.rows() if row.line > header_line)


def scan(table: Table, header_line: int, columns: Columns, progress: Progress) -> Findings:
    """Go through the file once. Raises ImportFileError where it does not decode to its end."""
    found = Findings()
    width, surplus, filled = len(columns.header), set[int](), False
    amount, due = columns.positions["amount"][0], columns.positions["due"][0]
    reference = columns.positions["reference"][0]
    bloom = bytearray(_BLOOM_BITS // 8)
    for row in rows_below(table, header_line):
        found.rows += 1
        if found.rows % 1000 == 0:
            progress(found.rows)
        if row.broken:
            continue
        cells, length = row.cells, len(row.cells)
        surplus.add(max(length - width, 0))
        if length > width and any(cells[width:]):
            filled = True
        if amount < length:
            _look_at_amount(cells[amount], found)
        if due < length:
            _look_at_date(cells[due], found)
        if reference < length:
            _mark(bloom, found.suspects, reference_hash(cell_text(cells[reference])))
    if len(surplus) == 1 and not filled:
        found.spare = surplus.pop()
    return found


def _look_at_amount(cell: Cell, found: Findings) -> None:
    if isinstance(cell, str):
        digits = found.proofs.add(cell)
        if digits is not None and digits.currencies and len(digits.currencies) == 1:
            found.signed = True
    elif isinstance(cell, int | float):
        found.number_cells += 1


def _look_at_date(cell: Cell, found: Findings) -> None:
    if isinstance(cell, str):
        proven = order_proven(cell)
        found.day_first += proven == "dmy"
        found.month_first += proven == "mdy"
        found.open_dates += proven == "open"
    elif cell is not None:
        found.date_cells += 1


def _mark(bloom: bytearray, suspects: set[int], key: int) -> None:
    place, bit = divmod(key % _BLOOM_BITS, 8)
    if bloom[place] >> bit & 1:
        suspects.add(key)
    bloom[place] |= 1 << bit


def reference_hash(reference: str) -> int:
    """The same for references that differ in spaces alone; holds within this process."""
    return hash(" ".join(reference.split()))


def contradictions(
    table: Table, header_line: int, reader: RowReader, suspects: set[int], progress: Progress
) -> set[int]:
    """Hashes of references that come more than once and do not say the same.

    Which of two amounts is owed cannot be told, so none of them goes in.
    """
    said: dict[int, int] = {}
    wrong: set[int] = set()
    place = reader.columns.positions["reference"][0]
    for count, row in enumerate(rows_below(table, header_line), 1):
        if count % 1000 == 0:
            progress(count)
        if row.broken or place >= len(row.cells):
            continue
        key = reference_hash(cell_text(row.cells[place]))
        if key not in suspects:
            continue
        try:
            claim = _claim(reader.read(row))
        except RowRejected:
            continue
        if said.setdefault(key, claim) != claim:
            wrong.add(key)
    return wrong


def _claim(row: DebtorRow) -> int:
    return hash((row.document, row.amount, row.due))


def settle_notation(found: Findings, told: str | None) -> Notation:
    """Which sign is decimal. Raises ImportFileError where the file contradicts itself.

    A spreadsheet that opens a list in another country's notation turns some of its amounts into
    numbers (1.500 into 1.5, 12,50 into 1250) and leaves the others as texts. Both kinds beside
    each other mean that neither can be trusted.
    """
    if told is not None:
        return Notation(told, told=True)
    point, comma, still_open = found.proofs.counts
    if point and comma:
        raise ImportFileError(
            f"{point} amounts have '.' as decimal sign and {comma} have ',': write all of them in"
            " one way, or say with --decimal which is right (the others are rejected then)"
        )
    if found.number_cells and (point or comma or still_open):
        raise ImportFileError(
            f"{found.number_cells} amounts are numbers and {point + comma + still_open} are texts"
            " with '.' or ',': a spreadsheet has read part of them, perhaps wrongly. Import the"
            " original file; or say --decimal for the texts, if the numbers are right"
        )
    return found.proofs.notation()


def settle_dates(found: Findings, told: Order | None) -> Order:
    """The order of day and month. Raises ImportFileError where the file proves another one."""
    first, other, order = found.day_first, found.month_first, told or "dmy"
    if order == "mdy":
        first, other = other, first
    better: Order = "mdy" if order == "dmy" else "dmy"
    if other and not first:
        raise ImportFileError(
            f"the due dates are not {_DATES[order]}: say --date-order {better}"
            f" if they are {_DATES[better]}"
        )
    if other * STRAY_DATES > first:
        raise ImportFileError(
            f"{first} due dates can only be {_DATES[order]} and {other} only {_DATES[better]}:"
            " write all of them in one way, best like 2026-01-31"
        )
    texts = first + other + found.open_dates
    if found.date_cells and texts and told is None:
        raise ImportFileError(
            f"{found.date_cells} due dates are dates and {texts} are texts: a spreadsheet has read"
            " part of them, perhaps with day and month exchanged. Import the original file; or say"
            " --date-order for the texts, if the dates are right"
        )
    return order


_DATES: dict[Order, str] = {"dmy": "day/month/year", "mdy": "month/day/year"}
