"""Digits that must not be seen: card numbers and security codes in the memory of one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn, Self

HIDDEN = "<hidden>"


class Secret(Exception):  # noqa: N818 - the word is the message
    """Something tried to write hidden digits down."""


class SecretDigits:
    """Digits in a bytearray that is overwritten when they are done with.

    ``str``, ``repr`` and ``format`` show nothing; pickle, copy, hash and json refuse. ``reveal``
    is the only way to the digits, and what it gives must not be kept. As a context manager it
    wipes at the end.
    """

    __slots__ = ("_digits",)

    def __init__(self, digits: bytes | bytearray | str = b"") -> None:
        """Takes a copy. Raises ValueError (without the value) for anything but digits."""
        raw = digits.encode("ascii", "replace") if isinstance(digits, str) else digits
        if any(not 48 <= one <= 57 for one in raw):
            raise ValueError("hidden digits are digits")
        self._digits = bytearray(raw)

    def add(self, digit: int) -> None:
        """One more digit, as its ASCII code."""
        if not 48 <= digit <= 57:
            raise ValueError("hidden digits are digits")
        # A bytearray that grows leaves its old bytes behind in freed memory: make the new one,
        # then wipe the old.
        grown = bytearray(len(self._digits) + 1)
        grown[:-1] = self._digits
        grown[-1] = digit
        self.wipe()
        self._digits = grown

    def wipe(self) -> None:
        """Overwrite and forget."""
        for index in range(len(self._digits)):
            self._digits[index] = 0
        self._digits = bytearray()

    def copy(self) -> SecretDigits:
        """Another one with the same digits, to be wiped by itself."""
        return SecretDigits(self._digits)

    @contextmanager
    def reveal(self) -> Iterator[bytearray]:
        """The digits themselves, for the time of a ``with``."""
        yield self._digits

    def reveal_str(self) -> str:
        """As text, for a library that takes nothing else. Text cannot be wiped: only in a process
        that ends right after."""
        return self._digits.decode("ascii")

    def __len__(self) -> int:
        return len(self._digits)

    def __bool__(self) -> bool:
        return bool(self._digits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def _refuse(self, *_: Any) -> NoReturn:
        raise Secret("hidden digits are not written down")

    __reduce__ = _refuse
    __reduce_ex__ = _refuse
    __getstate__ = _refuse
    __copy__ = _refuse
    __deepcopy__ = _refuse
    __iter__ = _refuse
    __hash__ = None  # type: ignore[assignment]
