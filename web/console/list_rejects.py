"""The file of rejects in the viewer's language: the rows as they came, why in their words.

The import writes its reasons in English (``dialer.importing.rejects``); what it is corrected for,
and imported again, does not depend on them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from dialer.importing.headers import OWN_COLUMNS
from web.console.list_words import reason_name
from web.ui.words import gettext as _

_TOGETHER = 500
"""Rows that are sent at a time."""


def in_words(path: Path) -> Iterator[str]:
    """The lines of the file, several at a time. Needs the request that they are for."""
    status_names = {"rejected": _("stayed out"), "warning": _("loaded, worth a look")}
    out = io.StringIO("\ufeff")
    out.seek(0, io.SEEK_END)
    known: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        delimiter = _delimiter(file.readline())
        file.seek(0)
        writer = csv.writer(out, delimiter=delimiter)
        for number, row in enumerate(csv.reader(file, delimiter=delimiter)):
            if number and len(row) >= len(OWN_COLUMNS):
                status, reasons = row[-2:]
                if reasons not in known:
                    known[reasons] = reason_name(reasons)
                row[-2:] = status_names.get(status, status), known[reasons]
            writer.writerow(row)
            if number % _TOGETHER == 0:
                yield out.getvalue()
                out.seek(0)
                out.truncate()
    yield out.getvalue()


def _delimiter(header: str) -> str:
    """What stands between our own columns, the last ones."""
    return header.rstrip("\r\n").removesuffix(OWN_COLUMNS[-1])[-1:] or ","
