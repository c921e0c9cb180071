"""What a row of a file is before it is understood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

Cell = str | int | float | bool | datetime | date | None
"""Text files have text alone; a workbook has numbers and dates, and text for anything else."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """``line`` is where it begins (from 1). ``broken``: why its cells could not be told apart."""

    line: int
    cells: list[Cell]
    broken: str = ""


class Table(Protocol):
    """A file that can be gone through more than once."""

    def rows(self) -> Iterator[RawRow]:
        """Every row that is not blank, the header among them."""
        ...


def cell_text(cell: Cell) -> str:
    """A cell as text, as the file of rejects shows it."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, datetime):
        return cell.date().isoformat() if not (cell.hour or cell.minute) else cell.isoformat(" ")
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else format(cell, ".15g")
    return str(cell)
