"""Files that are made for a download. A cell that a spreadsheet would take for a formula is text.

OWASP, "CSV Injection": a cell that begins with = + - @, a tab or a line's end may run on the
machine of whoever opens the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flask import Response, stream_with_context

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_ROWS_TOGETHER = 200


def harmless(cell: Any) -> Any:
    """A text as text; numbers stay numbers."""
    if isinstance(cell, str) and cell.startswith(_BEGINS_A_FORMULA):
        return "'" + cell
    return "" if cell is None else cell


def csv_lines(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of a CSV file, several at a time; begins with the mark by which spreadsheets know
    that it is UTF-8."""
    out = io.StringIO("\ufeff")
    out.seek(0, io.SEEK_END)
    writer = csv.writer(out)
    for number, row in enumerate(rows, 1):
        writer.writerow([harmless(cell) for cell in row])
        if number % _ROWS_TOGETHER == 0:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def csv_answer(name: str, rows: Iterable[Sequence[Any]]) -> Response:
    """A CSV file, sent while ``rows`` are still being read."""
    return Response(
        stream_with_context(csv_lines(rows)),
        mimetype="text/csv",
        headers=attachment(name),
    )


def attachment(name: str) -> dict[str, str]:
    """Headers of a file that is kept; ``name`` is plain ASCII."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}
