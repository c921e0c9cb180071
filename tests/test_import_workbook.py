"""Excel workbooks: typed cells, formulas, sheets, and archives that are none."""

from __future__ import annotations

import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from import_support import HEADER, Collected, collect, dni, rejects, workbook

from dialer.domain.model import Money
from dialer.importing.errors import ImportFileError
from dialer.importing.run import Options, import_file
from dialer.importing.workbook import LARGEST_STRINGS, Workbook

TITLES = HEADER.split(";")


def row(number: int, **changes: Any) -> list[Any]:
    """A good row with typed cells."""
    cells: dict[str, Any] = {
        "documento": dni(number),
        "nombre": f"María Gómez {number}",
        "telefono1": 600_000_000 + number,
        "telefono2": None,
        "referencia": number,
        "importe": 1234.5,
        "moneda": "EUR",
        "vencimiento": datetime(2026, 1, 31),
        "email": None,
        "idioma": "es",
    }
    return list((cells | changes).values())


def test_typed_cells_mean_what_they_show(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        [
            TITLES,
            row(1),
            [],
            row(2, importe=1234, telefono1="+34600000002"),
            row(3, importe=1.5, vencimiento=46053, telefono1=6.00000003e8),
        ],
    )
    summary, rows = collect(path)
    assert (summary.sheet, summary.rejected) == ("Deudores", 0)
    assert [one.amount for one in rows] == [Money(n, "EUR") for n in (123450, 123400, 150)]
    assert {one.due for one in rows} == {date(2026, 1, 31)}
    assert [one.phones[0].number for one in rows] == [f"+3460000000{i}" for i in (1, 2, 3)]
    assert [(one.line, one.reference) for one in rows] == [(2, "1"), (4, "2"), (5, "3")]


def test_texts_are_read_as_in_any_other_file(tmp_path: Path) -> None:
    texts = {"importe": "1.234,56", "vencimiento": "31/01/2026", "telefono1": "600 123 123"}
    path = workbook(tmp_path / "a.xlsx", [TITLES, row(1, **texts)])
    [one] = collect(path)[1]
    assert (one.amount, one.due) == (Money(123456, "EUR"), date(2026, 1, 31))


def test_amounts_that_a_spreadsheet_half_understood(tmp_path: Path) -> None:
    """Opened in English, a Spanish list's 1.500 becomes 1.5 and its 9.999,00 stays a text."""
    rows = [TITLES, row(1, importe=1.5), row(2, importe="9.999,00")]
    path = workbook(tmp_path / "a.xlsx", rows)
    with pytest.raises(ImportFileError, match="1 amounts are numbers and 1 are texts"):
        collect(path)
    assert [one.amount.minor for one in collect(path, decimal=",")[1]] == [150, 999900]


def test_dates_that_a_spreadsheet_half_understood(tmp_path: Path) -> None:
    rows = [TITLES, row(1, vencimiento=datetime(2026, 3, 4)), row(2, vencimiento="31/01/2026")]
    path = workbook(tmp_path / "a.xlsx", rows)
    with pytest.raises(ImportFileError, match="1 due dates are dates and 1 are texts"):
        collect(path)
    assert len(collect(path, date_order="dmy")[1]) == 2


def test_formulas_and_errors_stay_out(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        [
            TITLES,
            row(1),
            row(2, importe="=1000+1"),
            row(3, nombre='=HYPERLINK("http://example.invalid")'),
            row(4, importe="#N/A"),
            row(5, importe=True),
            row(6, documento="@SUM(A1)"),
        ],
    )
    summary, rows = collect(path)
    assert [one.line for one in rows] == [2]
    assert summary.rejected == 5
    told = rejects(summary)
    assert "formula" in told
    assert "'=HYPERLINK" in told


def test_zeros_that_only_the_format_shows_are_kept(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(TITLES)
    sheet.append(row(1, documento=1234567, telefono1=999888777))
    sheet["A2"].number_format = "00000000"
    book.save(tmp_path / "a.xlsx")
    assert collect(tmp_path / "a.xlsx", "PE", documents="off")[1][0].document == "01234567"


def test_the_1904_calendar(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.epoch = datetime(1904, 1, 1)
    sheet = book.active
    assert sheet is not None
    sheet.append(TITLES)
    sheet.append(row(1))
    sheet.append(row(2, vencimiento=44591))
    book.save(tmp_path / "a.xlsx")
    assert [one.due for one in collect(tmp_path / "a.xlsx")[1]] == [date(2026, 1, 31)] * 2


def test_the_first_visible_sheet_or_the_one_that_is_told(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    hidden = book.active
    assert hidden is not None
    hidden.sheet_state = "hidden"
    for title, number in (("Uno", 1), ("Dos", 2)):
        sheet = book.create_sheet(title)
        sheet.append(TITLES)
        sheet.append(row(number))
    path = tmp_path / "a.xlsx"
    book.save(path)
    assert collect(path)[1][0].reference == "1"
    assert collect(path, sheet="Dos")[1][0].reference == "2"
    with pytest.raises(ImportFileError, match="'Uno', 'Dos'"):
        collect(path, sheet="Tres")


def test_a_sheet_is_for_workbooks_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "\n")
    with pytest.raises(ImportFileError, match="this file is text"):
        collect(path, sheet="Uno")


def test_a_row_wider_than_the_header_keeps_its_cells_in_the_rejects(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [TITLES, row(1), [*row(2), "beside"]])
    summary, rows = collect(path)
    assert len(rows) == 1
    assert "es,beside" in rejects(summary)


def test_rows_are_the_same_the_second_time(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [TITLES, row(1), row(2)])
    book = Workbook(path)
    assert [*book.rows()] == [*book.rows()] != []
    book.close()


def _edited(path: Path, name: str, content: bytes) -> Path:
    """The workbook with one of its parts exchanged."""
    target = path.with_name(f"edited-{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename != name:
                new.writestr(entry, old.read(entry))
        new.writestr(name, content)
    return target


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row>", "damaged"),
        ("xl/workbook.xml", b"nonsense", "damaged"),
        ("xl/workbook.bin", b"", ".xlsb"),
        ("xl/sharedStrings.xml", b"\0" * (LARGEST_STRINGS + 1), "save it as CSV"),
        ("xl/worksheets/sheet1.xml", b" " * (60 << 20), "unpacks to far more"),
        (
            "xl/worksheets/sheet1.xml",
            b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
            + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
            + b"]><worksheet>&j;</worksheet>",
            "damaged",
        ),
    ],
)
def test_damaged_and_hostile_workbooks(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    path = _edited(workbook(tmp_path / "a.xlsx", [TITLES, row(1)]), name, content)
    sink = Collected()
    with pytest.raises(ImportFileError, match=why):
        import_file(path, Options(), sink)
    assert not sink.begun


def test_another_zip_archive_is_no_workbook(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("debtors.csv", HEADER)
    with pytest.raises(ImportFileError, match="unpack it"):
        collect(path)
