"""One import from beginning to end: what the file is, what it proves, then its rows in batches.

Nothing is stored until the whole file has been read once: an error of the file as a whole leaves
the database as it was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from dialer.domain.currency import MINOR_DIGITS
from dialer.domain.debtor_row import BatchResult, Caution, Concern, DebtorRow, RowFate
from dialer.importing.dates import Order
from dialer.importing.delimited import open_delimited
from dialer.importing.encoding import FileKind, inspect_file
from dialer.importing.errors import ImportFileError
from dialer.importing.headers import Columns
from dialer.importing.rejects import RejectsFile, default_rejects
from dialer.importing.rows import DocumentPolicy, RowReader, RowRejected, Rules
from dialer.importing.scan import (
    Findings,
    contradictions,
    find_header,
    reference_hash,
    rows_below,
    scan,
    settle_dates,
    settle_notation,
)
from dialer.importing.tabular import RawRow, Table
from dialer.importing.workbook import Workbook

BATCH = 250  # rows of one transaction: no slower than thousands, and other writers wait for its end
MOST_REASONS = 50
CONTRADICTION = (
    "the reference comes more than once in this file, with different amounts, due dates or"
    " documents: which one is right?"
)

Progress = Callable[[str, int, int | None], None]
"""(what is being done, rows so far, rows in all if known)."""


class Sink(Protocol):
    """Where rows go; ``dialer.store.import_sink`` is the database."""

    @property
    def country(self) -> str:
        """ISO 3166, of phones and documents where a row names none."""
        ...

    def begin(self, file_name: str, sha256: str) -> None:
        """An import begins."""
        ...

    def store(self, rows: Sequence[DebtorRow], rejected: int) -> BatchResult:
        """Bring in rows in one transaction; ``rejected`` more were read beside them."""
        ...

    def finish(self) -> None:
        """Every row has been through."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """What the user says about a file; None where the file is to tell."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    decimal: str | None = None
    date_order: Order | None = None
    currency: str | None = None
    documents: DocumentPolicy = "warn"
    rejects: Path | None = None
    batch: int = BATCH


@dataclass(slots=True)
class Summary:
    """What an import did. ``rows`` = new + updated + unchanged + rejected."""

    file: str
    sha256: str
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    decimal: str | None = None
    rows: int = 0
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    new_debtors: int = 0
    updated_debtors: int = 0
    new_phones: int = 0
    new_accounts: int = 0
    updated_accounts: int = 0
    leads: int = 0
    warnings: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    rejects_file: str | None = None

    def values(self) -> dict[str, Any]:
        """As JSON has it."""
        # Not dataclasses.asdict: it takes a Counter's pairs for its keys.
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return found | {"warnings": dict(self.warnings), "reasons": dict(self.reasons)}

    def add(self, result: BatchResult) -> None:
        """Count a batch's changes."""
        for name in (
            "new_debtors",
            "updated_debtors",
            "new_phones",
            "new_accounts",
            "updated_accounts",
            "leads",
        ):
            setattr(self, name, getattr(self, name) + getattr(result, name))

    def add_fate(self, fate: RowFate) -> None:
        """Count a row."""
        self.rows += 1
        setattr(self, fate.value, getattr(self, fate.value) + 1)


def import_file(
    path: Path, options: Options, sink: Sink, progress: Progress = lambda *_: None
) -> Summary:
    """Import a file.

    Raises ImportFileError where it cannot be imported as a whole; then nothing was stored, unless
    the message says that the file was changed meanwhile. Rows that stay out are in the file of
    rejects. Safe to run again after any interruption.
    """
    if options.currency is not None and options.currency not in MINOR_DIGITS:
        raise ImportFileError(f"{options.currency!r} is no currency: write its ISO code, like EUR")
    kind = inspect_file(path, options.encoding)
    before = _stamp(path)
    with ExitStack() as stack:
        table = open_table(path, kind, options, stack)
        header_line, columns = find_header(table, options.columns)
        found = scan(table, header_line, columns, lambda n: progress("reading", n, None))
        rules = settle_rules(table, columns, found, options, sink.country)
        reader = RowReader(columns, rules)
        wrong: set[int] = set()
        if found.suspects:
            wrong = contradictions(
                table,
                header_line,
                reader,
                found.suspects,
                lambda n: progress("checking", n, found.rows),
            )
        _unchanged(path, before, "nothing was imported")
        summary = Summary(path.name, kind.sha256, kind.encoding, columns=columns.names())
        summary.delimiter = getattr(table, "delimiter", "")
        summary.sheet = getattr(table, "sheet", "")
        summary.decimal = rules.notation.decimal
        rejects = RejectsFile(
            options.rejects or default_rejects(path), columns.header, summary.delimiter or ","
        )
        rejects.check()
        sink.begin(path.name, kind.sha256)
        with rejects:
            run = _Run(reader, wrong, sink, rejects, summary)
            for batch in _batches(rows_below(table, header_line), options.batch):
                run.batch(batch)
                progress("importing", summary.rows, found.rows)
        if rejects.written:
            summary.rejects_file = str(rejects.path)
        _unchanged(path, before, "what was read of it was imported; run the import again")
        sink.finish()
    return summary


def open_table(path: Path, kind: FileKind, options: Options, stack: ExitStack) -> Table:
    """The file as rows; ``stack`` closes it. Raises ImportFileError."""
    if kind.kind == "xlsx":
        book = Workbook(path, options.sheet)
        stack.callback(book.close)
        return book
    if options.sheet is not None:
        raise ImportFileError("--sheet is for workbooks (.xlsx); this file is text")
    return open_delimited(path, kind.encoding, options.delimiter)


def settle_rules(
    table: Table, columns: Columns, found: Findings, options: Options, country: str
) -> Rules:
    """How its cells are read. Raises ImportFileError where the file does not tell."""
    if not found.rows:
        raise ImportFileError("the file has a header row and no rows below it")
    if "currency" not in columns.positions and options.currency is None and not found.signed:
        raise ImportFileError(
            "which currency are the amounts in? The file has no column for it: say --currency EUR"
            " (or MXN, COP...), or name the column with --map currency=COLUMN"
        )
    return Rules(
        country=country,
        currency=options.currency,
        notation=settle_notation(found, options.decimal),
        date_order=settle_dates(found, options.date_order),
        documents=options.documents,
        serial=table.date_of_serial if isinstance(table, Workbook) else None,
        spare=found.spare,
    )


class _Run:
    """The rows of one file on their way into the sink, or into the file of rejects."""

    def __init__(
        self,
        reader: RowReader,
        contradictory: set[int],
        sink: Sink,
        rejects: RejectsFile,
        summary: Summary,
    ) -> None:
        self._reader = reader
        self._contradictory = contradictory
        self._sink = sink
        self._rejects = rejects
        self._summary = summary

    def batch(self, raws: Sequence[RawRow]) -> None:
        good: list[DebtorRow] = []
        reasons: dict[int, list[str]] = {}
        cautions: dict[int, tuple[Caution, ...]] = {}
        for raw in raws:
            try:
                row = self._read(raw)
            except RowRejected as error:
                reasons[raw.line] = error.reasons
            else:
                good.append(row)
                cautions[raw.line] = row.cautions
        result = self._sink.store(good, len(raws) - len(good))
        self._summary.add(result)
        for one in result.rows:
            self._summary.add_fate(one.fate)
            if one.fate is RowFate.REJECTED:
                reasons[one.line] = [one.reason]
            cautions[one.line] += one.cautions
        for _ in range(len(raws) - len(good)):
            self._summary.add_fate(RowFate.REJECTED)
        for raw in raws:
            self._tell(raw, reasons.get(raw.line), cautions.get(raw.line, ()))

    def _read(self, raw: RawRow) -> DebtorRow:
        row = self._reader.read(raw)
        if self._contradictory and reference_hash(row.reference) in self._contradictory:
            raise RowRejected([CONTRADICTION])
        return row

    def _tell(self, raw: RawRow, reasons: list[str] | None, cautions: tuple[Caution, ...]) -> None:
        if reasons is not None:
            self._rejects.write(raw.line, raw.cells, "rejected", reasons)
            for reason in reasons:
                self._count(reason)
        elif cautions:
            for concern in {caution.concern for caution in cautions}:
                self._summary.warnings[concern.value] += 1
            # Whole files of foreign documents would fill the rejects with what is no fault.
            told = [c.text for c in cautions if c.concern is not Concern.DOCUMENT]
            if told:
                self._rejects.write(raw.line, raw.cells, "warning", told)

    def _count(self, reason: str) -> None:
        """Reasons that differ in figures only are one; never more than a screenful."""
        key = _FIGURES.sub("N", reason)
        if key not in self._summary.reasons and len(self._summary.reasons) >= MOST_REASONS:
            key = "others"
        self._summary.reasons[key] += 1


_FIGURES = re.compile(r"[0-9][0-9.,']*")


def _batches(rows: Iterator[RawRow], size: int) -> Iterator[list[RawRow]]:
    batch: list[RawRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _unchanged(path: Path, before: tuple[int, int], consequence: str) -> None:
    if not path.exists() or _stamp(path) != before:
        raise ImportFileError(f"the file was changed while it was being read: {consequence}")
