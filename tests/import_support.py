"""What the tests of imports share: files to import, and a place for rows without a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
from sqlalchemy import Engine

from dialer.domain.debtor_row import BatchResult, DebtorRow, RowFate, RowResult
from dialer.importing.run import Options, Summary, import_file
from dialer.store.companies import NewCompany
from dialer.store.import_sink import DatabaseSink, find_target

HEADER = "documento;nombre;telefono1;telefono2;referencia;importe;moneda;vencimiento;email;idioma"
MOMENT = datetime(2026, 6, 1, 9, tzinfo=UTC)
_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def dni(number: int) -> str:
    """A valid Spanish document."""
    return f"{number:08d}{_LETTERS[number % 23]}"


def line(number: int, **changes: str) -> str:
    """A good row of ``HEADER``, with some cells changed."""
    cells = {
        "documento": dni(number),
        "nombre": f"María Gómez {number}",
        "telefono1": f"6{number:08d}",
        "telefono2": "",
        "referencia": f"EXP-{number}",
        "importe": "1.234,56",
        "moneda": "EUR",
        "vencimiento": "31/01/2026",
        "email": "",
        "idioma": "es",
    }
    return ";".join((cells | changes).values())


def text(*lines: str, header: str = HEADER) -> str:
    """The text of a file."""
    return "\n".join((header, *lines)) + "\n"


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    """A file on the disk."""
    path.write_bytes(content.encode(encoding))
    return path


def workbook(path: Path, rows: Iterable[Sequence[Any]], title: str = "Deudores") -> Path:
    """An .xlsx of these rows."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    book.save(path)
    return path


class Collected:
    """Keeps the rows that an import would store."""

    def __init__(self, country: str = "ES") -> None:
        self.country = country
        self.rows: list[DebtorRow] = []
        self.begun = False
        self.finished = False

    def begin(self, file_name: str, sha256: str) -> None:
        self.begun = True

    def store(self, rows: Sequence[DebtorRow], rejected: int) -> BatchResult:
        self.rows += rows
        return BatchResult(tuple(RowResult(row.line, RowFate.NEW) for row in rows))

    def finish(self) -> None:
        self.finished = True


def collect(path: Path, country: str = "ES", **options: Any) -> tuple[Summary, list[DebtorRow]]:
    """Import without a database."""
    sink = Collected(country)
    summary = import_file(path, Options(**options), sink)
    assert sink.finished
    return summary, sink.rows


def store(
    engine: Engine,
    path: Path,
    *,
    company: str = "Banco Uno",
    country: str = "ES",
    campaign: str | None = None,
    now: datetime = MOMENT,
    dry_run: bool = False,
    **options: Any,
) -> Summary:
    """Import into a database; makes the company."""
    with engine.connect() as connection:
        target = find_target(
            connection,
            company,
            campaign,
            lambda name: NewCompany(name, country, "Europe/Madrid", name),
        )
    with DatabaseSink(engine, target, "ana", lambda: now, dry_run=dry_run) as sink:
        return import_file(path, Options(**options), sink)


def rejects(summary: Summary) -> str:
    """The text of the file of rejects."""
    assert summary.rejects_file is not None
    return Path(summary.rejects_file).read_text("utf-8-sig")
