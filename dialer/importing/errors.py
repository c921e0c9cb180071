"""What goes wrong with a file, and with a row of it."""

from __future__ import annotations


class ImportFileError(Exception):
    """The file as a whole cannot be imported, and nothing of it was; the message says why."""


class CellError(ValueError):
    """One cell cannot be taken; the message is the reason in the file of rejects."""
