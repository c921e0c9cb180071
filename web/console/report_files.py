"""A report as a workbook and as a PDF."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import Cell as SheetCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, TableStyle
from reportlab.platypus import Table as PdfTable

from dialer.domain.currency import minor_digits
from dialer.domain.model import Money
from web.console.report_model import Cell, Seconds, Share, Table, is_number, plain, shown
from web.ui.words import gettext as _

WIDEST = 44
_NOT_IN_A_TITLE = re.compile(r"[\[\]:*?/\\]")

# --- XLSX -----------------------------------------------------------------------------------


def workbook(title: str, about: Sequence[tuple[str, str]], tables: Sequence[Table]) -> bytes:
    """A sheet for each table, after one that says what was asked for."""
    book = Workbook()
    first = book.active
    assert isinstance(first, Worksheet)
    first.title = _("Report")
    _write(first, 1, (title,), bold=True)
    for number, (name, value) in enumerate(about, 3):
        _write(first, number, (name, value))
    _fit(first)
    for table in tables:
        sheet = book.create_sheet(_sheet_title(table.title, book.sheetnames))
        for number, row in enumerate(table.flat(), 1):
            _write(sheet, number, row, bold=number == 1)
        sheet.freeze_panes = "B2"
        _fit(sheet)
        if table.note:
            _write(sheet, sheet.max_row + 2, (table.note,))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _sheet_title(title: str, taken: Sequence[str]) -> str:
    """31 letters at most, and none twice: two long titles may begin alike."""
    plain_title = _NOT_IN_A_TITLE.sub(" ", title)
    made, count = plain_title[:31], 1
    while made.lower() in {one.lower() for one in taken}:
        count += 1
        made = f"{plain_title[: 30 - len(str(count))]} {count}"
    return made


def _write(sheet: Worksheet, number: int, row: Sequence[Cell], *, bold: bool = False) -> None:
    for place, cell in enumerate(row, 1):
        target = sheet.cell(number, place)
        assert isinstance(target, SheetCell)
        value = plain(cell)
        target.value = value
        if isinstance(value, str):
            target.data_type = "s"  # also what begins like a formula
        elif isinstance(cell, Share):
            target.number_format = "0.0%"
        elif isinstance(cell, Seconds):
            target.number_format = "0.0"
        elif isinstance(cell, Money):
            digits = minor_digits(cell.currency)
            target.number_format = "#,##0" + ("." + "0" * digits if digits else "")
        elif isinstance(cell, int):
            target.number_format = "#,##0"
        if bold:
            target.font = Font(bold=True)
            target.alignment = Alignment(wrap_text=len(row) > 1, vertical="top")


def _fit(sheet: Worksheet) -> None:
    for place, column in enumerate(sheet.iter_cols(), 1):
        widest = max(len(str(one.value)) for one in column)
        sheet.column_dimensions[get_column_letter(place)].width = min(WIDEST, widest + 3)


# --- PDF ------------------------------------------------------------------------------------

_PLAIN = ParagraphStyle("plain", fontName="Helvetica", fontSize=8, leading=10)
_RIGHT = ParagraphStyle("right", parent=_PLAIN, alignment=2)
_HEAD = ParagraphStyle("head", parent=_PLAIN, fontName="Helvetica-Bold")
_HEAD_RIGHT = ParagraphStyle("head-right", parent=_HEAD, alignment=2)
_NOTE = ParagraphStyle("note", parent=_PLAIN, textColor=colors.HexColor("#56635e"), spaceAfter=4)
_TITLE = ParagraphStyle("title", parent=_HEAD, fontSize=16, leading=20, spaceAfter=6)
_SECTION = ParagraphStyle("section", parent=_HEAD, fontSize=11, leading=14, spaceAfter=4)
_LINE = colors.HexColor("#d9dfdb")
_LOOK = TableStyle(
    [
        ("LINEBELOW", (0, 0), (-1, 0), 1, colors.HexColor("#1f6f5c")),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, _LINE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3),
    ]
)


def pdf(title: str, about: Sequence[tuple[str, str]], tables: Sequence[Table]) -> bytes:
    """All tables, with the number of each page and of all."""
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=landscape(A4), title=_latin(title), author="Dialer",
        leftMargin=14 * mm, rightMargin=14 * mm, topMargin=14 * mm, bottomMargin=16 * mm,
    )  # fmt: skip
    parts: list[Any] = [Paragraph(_safe(title), _TITLE)]
    parts += [Paragraph(f"<b>{_safe(name)}</b>: {_safe(value)}", _PLAIN) for name, value in about]
    for table in tables:
        parts += [Spacer(1, 7 * mm), *_section(table, document.width)]
    document.build(parts, canvasmaker=_numbered(_("Page %(page)s of %(pages)s")))
    return out.getvalue()


def _section(table: Table, width: float) -> list[Any]:
    head: list[Any] = [Paragraph(_safe(table.title), _SECTION)]
    if table.note:
        head.append(Paragraph(_safe(table.note), _NOTE))
    if not table.rows:
        return [KeepTogether([*head, Paragraph(_safe(table.empty), _PLAIN)])]
    right = [is_number(cell) for cell in table.rows[0]]
    cells = [
        [
            Paragraph(_safe(name), _HEAD_RIGHT if at_right else _HEAD)
            for name, at_right in zip(table.columns, right, strict=True)
        ]
    ]
    cells += [
        [Paragraph(_safe(shown(cell)), _RIGHT if is_number(cell) else _PLAIN) for cell in row]
        for row in table.rows
    ]
    # The first column says what the row is about: it gets the room of two.
    one = width / (len(table.columns) + 1)
    widths = [2 * one, *[one] * (len(table.columns) - 1)]
    drawn = PdfTable(cells, colWidths=widths, repeatRows=1, style=_LOOK, hAlign="LEFT")
    if len(table.rows) <= 12:
        return [KeepTogether([*head, drawn])]
    return [*head, drawn]


def _numbered(text: str) -> type[Canvas]:
    """A canvas that knows, at its end, how many pages there are."""

    class Numbered(Canvas):  # type: ignore[misc]
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - reportlab calls it so
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._pages, 1):
                self.__dict__.update(page)
                self.setFont("Helvetica", 8)
                said = text % {"page": number, "pages": len(self._pages)}
                self.drawRightString(self._pagesize[0] - 14 * mm, 9 * mm, _latin(said))
                super().showPage()
            super().save()

    return Numbered


def _safe(text: str) -> str:
    return escape(_latin(text), quote=False)


def _latin(text: str) -> str:
    """What the fonts of every PDF reader have; a letter beyond them becomes a question mark."""
    plain_text = text.replace("\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}")
    plain_text = plain_text.replace("\N{MINUS SIGN}", "-")
    return plain_text.encode("cp1252", "replace").decode("cp1252")
