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
from dialer.importing.tabular import RawRow, Table, cell_text

HEADER_WITHIN = 10  # rows: reports have titles above their table
STRAY_DATES = 100  # one date in so many may be in the other order: a typing error
_BLOOM_BITS = 1 << 26  # 8 MiB; a million references leave some ten thousand to look at again

Progress = Callable[[int], None]


@dataclass(slots=True)
class Findings:
    """Of a whole file. ``spare``: empty fields behind the last column, in every row alike.

    ``signed``: whether at least one amount names its currency. ``suspects``: hashes of references
    that may come more than once.
    """

    rows: int = 0
    notation: Notation = field(default_factory=Notation)
    spare: int = 0
    signed: bool = False
    day_first: int = 0
    month_first: int = 0
    suspects: set[int] = field(default_factory=set)


def find_header(table: Table, told: Mapping[str, Sequence[str]]) -> tuple[int, Columns]:
    """The line of the header row, and its columns. Raises ImportFileError."""
    first = list(islice(table.rows(), HEADER_WITHIN))
    if not first:
        raise ImportFileError("the file has no rows")
    wanted = {simplify(text) for texts in told.values() for text in texts}

    def named(row: RawRow) -> int:
        texts = [cell_text(cell) for cell in row.cells]
        fields = {field_of(text) for text in texts} - {None}
        return len(fields) + sum(simplify(text) in wanted for text in texts)

    best = max(first, key=named)
    header = best if named(best) else first[0]
    if header.broken:
        raise ImportFileError(f"the header row (line {header.line}) is broken: {header.broken}")
    return header.line, find_columns([cell_text(cell).strip() for cell in header.cells], told)


def rows_below(table: Table, header_line: int) -> Iterator[RawRow]:
    """The rows of data."""
    return (row for row in table.rows() if row.line > header_line)


def scan(table: Table, header_line: int, columns: Columns, progress: Progress) -> Findings:
    """Go through the file once. Raises ImportFileError where it does not decode to its end."""
    found, proofs = Findings(), Proofs()
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
        if amount < length and isinstance(text := cells[amount], str):
            digits = proofs.add(text)
            if digits is not None and digits.currencies and len(digits.currencies) == 1:
                found.signed = True
        if due < length and isinstance(text := cells[due], str):
            proven = order_proven(text)
            found.day_first += proven == "dmy"
            found.month_first += proven == "mdy"
        if reference < length:
            _mark(bloom, found.suspects, reference_hash(cell_text(cells[reference])))
    found.notation = proofs.notation()
    if len(surplus) == 1 and not filled:
        found.spare = surplus.pop()
    return found


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


def settle_dates(found: Findings, told: Order | None) -> Order:
    """The order of day and month. Raises ImportFileError where the file proves another one."""
    first, other, order = found.day_first, found.month_first, told or "dmy"
    if order == "mdy":
        first, other = other, first
    if other * STRAY_DATES > first and other:
        better: Order = "mdy" if order == "dmy" else "dmy"
        if not first:
            raise ImportFileError(
                f"the due dates are not {_DATES[order]}: say --date-order {better}"
                f" if they are {_DATES[better]}"
            )
        raise ImportFileError(
            f"{first} due dates can only be {_DATES[order]} and {other} only {_DATES[better]}:"
            " write all of them in one way, best like 2026-01-31"
        )
    return order


_DATES: dict[Order, str] = {"dmy": "day/month/year", "mdy": "month/day/year"}
