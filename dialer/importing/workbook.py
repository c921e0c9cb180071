"""Excel workbooks (.xlsx), row by row in bounded memory.

Excel keeps the texts of a workbook in one table that has to be held in memory whole (about six
times its size), so a workbook with a very large one is refused with the advice to save it as CSV.
A sheet is parsed once; its rows are kept in an unnamed temporary file for the passes after.
"""

from __future__ import annotations

import pickle
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

import openpyxl
from openpyxl.utils.datetime import from_excel

from dialer.importing.errors import CellError, ImportFileError
from dialer.importing.tabular import Cell, RawRow

LARGEST_STRINGS = 25 * 1024 * 1024  # bytes of XML: about 150 MB once read
LARGEST_RATIO = 150  # a table of debtors compresses 10 to 20 times
SUSPECT_SIZE = 50 * 1024 * 1024
MOST_COLUMNS = 1000
_SERIALS = range(20_000, 90_000)  # days: 1954 to 2146


class Workbook:
    """One sheet of a workbook; ``rows`` may be called again once it was gone through."""

    def __init__(self, path: Path, sheet: str | None = None) -> None:
        """Open it. Raises ImportFileError for no workbook, one too large, or without the sheet."""
        _check_archive(path)
        self._file = path.open("rb")  # ours to close: the library forgets it where it fails
        try:
            self._book = _load(self._file)
            self._sheet: Any = _choose(self._book, sheet)
            self._sheet.reset_dimensions()  # other programs write wrong ones
        except BaseException:
            self._file.close()
            raise
        self._spool: IO[bytes] | None = None

    @property
    def sheet(self) -> str:
        """The name of the sheet that is read."""
        return str(self._sheet.title)

    def close(self) -> None:
        """Close the file, and forget the rows."""
        self._book.close()
        self._file.close()
        if self._spool is not None:
            self._spool.close()

    def rows(self) -> Iterator[RawRow]:
        """Every row that is not blank, the header among them. Raises ImportFileError."""
        if self._spool is not None:
            yield from _unspool(self._spool)
            return
        # Rows are written as they are read, and the file is kept once all of them are in it.
        spool = tempfile.TemporaryFile(prefix="dialer-import-")  # noqa: SIM115  (kept)
        try:
            for row in self._parse():
                pickle.dump((row.line, row.cells), spool, pickle.HIGHEST_PROTOCOL)
                yield row
        except BaseException:
            spool.close()
            raise
        self._spool = spool

    def _parse(self) -> Iterator[RawRow]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for line, cells in enumerate(self._sheet.iter_rows(), 1):
                    values = [_value(cell) for cell in cells[:MOST_COLUMNS]]
                    while values and values[-1] in (None, ""):
                        values.pop()
                    if values:
                        yield RawRow(line, values)
        except (GeneratorExit, ImportFileError):
            raise
        except Exception as error:
            raise ImportFileError(f"the workbook is damaged: {type(error).__name__}") from error

    def date_of_serial(self, value: float) -> date:
        """The date of a number that Excel means as a day. Raises CellError."""
        if int(value) not in _SERIALS:
            raise CellError("the due date is a number that is no date")
        day = from_excel(value, self._book.epoch)
        return day.date() if isinstance(day, datetime) else date(day.year, day.month, day.day)


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry for entry in archive.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ImportFileError("the workbook is damaged: it does not unpack") from error
    if "xl/workbook.bin" in sizes:
        raise ImportFileError("this is an .xlsb workbook: save it as .xlsx or CSV")
    if "xl/workbook.xml" not in sizes:
        raise ImportFileError(
            "this is a ZIP archive and no .xlsx workbook: unpack it, or save the list as CSV"
        )
    strings = sizes.get("xl/sharedStrings.xml")
    if strings is not None and strings.file_size > LARGEST_STRINGS:
        raise ImportFileError("the workbook is too large to be read: save it as CSV (UTF-8)")
    for entry in sizes.values():
        ratio = entry.file_size / max(entry.compress_size, 1)
        if entry.file_size > SUSPECT_SIZE and ratio > LARGEST_RATIO:
            raise ImportFileError("the workbook unpacks to far more than a list of debtors would")


def _load(file: IO[bytes]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, nothing of ours
            return openpyxl.load_workbook(file, read_only=True)
    except Exception as error:  # the library lets through whatever the XML provokes
        raise ImportFileError(f"the workbook is damaged: {type(error).__name__}") from error


def _choose(book: Any, wanted: str | None) -> Any:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if wanted is not None:
        if wanted not in sheets:
            raise ImportFileError(f"there is no sheet {wanted!r}: {', '.join(map(repr, sheets))}")
        return sheets[wanted]
    visible = [sheet for sheet in sheets.values() if sheet.sheet_state == "visible"]
    if not visible:
        raise ImportFileError("the workbook has no visible sheet: say --sheet")
    return visible[0]


def _value(cell: Any) -> Cell:
    value = cell.value
    if value is None or isinstance(value, str | float | bool | datetime | date):
        return value
    if isinstance(value, int):
        pattern = cell.number_format
        if pattern and not pattern.strip("0"):  # 01234567, kept as a number shown with eight digits
            return str(value).zfill(len(pattern))
        return value
    if cell.data_type == "f":
        return "="  # array formulas are objects; ordinary ones come as their text, =A1+B1
    return str(value)


def _unspool(spool: IO[bytes]) -> Iterator[RawRow]:
    spool.seek(0)
    while True:
        try:
            line, cells = pickle.load(spool)  # noqa: S301  (our own file, without a name)
        except EOFError:
            return
        yield RawRow(line, cells)
