"""Sentences that keep what they were made of.

A text for people is English where the command line and programs read it; pages say it in the
viewer's language. So it carries its code and its values: whoever only reads it sees a string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any, Self


class Code(StrEnum):
    """The base of what a part of the product can say: the member is the code, its value the English
    sentence with ``%(name)s`` for what is filled in."""

    def say(self, **values: Any) -> Said:
        """The sentence with these values; one may be a sentence itself, or several."""
        return Said(self, values)


class Said(str):
    """A sentence, its code and its values."""

    code: Code
    values: Mapping[str, Any]

    def __new__(cls, code: Code, values: Mapping[str, Any]) -> Self:
        """``values``: as the sentence of the code names them."""
        self = super().__new__(cls, code.value % {key: plain(one) for key, one in values.items()})
        self.code = code
        self.values = MappingProxyType(dict(values))
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, dict(self.values))


def plain(value: Any) -> Any:
    """A value as the English sentence has it: several sentences are one text."""
    return "; ".join(value) if several(value) else value


def several(value: Any) -> bool:
    """Whether it is a list of sentences or names."""
    return isinstance(value, Sequence) and not isinstance(value, str)


@cache
def _pattern(code: Code) -> re.Pattern[str]:
    """The English sentence, with anything for what is filled in."""
    parts = re.split(r"%\((\w+)\)[a-z]", code.value)
    texts = [re.escape(part) for part in parts[::2]]
    names = [f"(?P<{name}>.*?)" for name in parts[1::2]]
    return re.compile("".join(a + b for a, b in zip(texts, [*names, ""], strict=True)), re.DOTALL)


def heard(text: str, part: type[Code]) -> str:
    """A sentence that was kept as its text, with its code again; what ``part`` does not say, as it
    is. For codes whose values are all texts."""
    for code in part:
        found = _pattern(code).fullmatch(text)
        if found is not None:
            return code.say(**found.groupdict())
    return text


def of_error(error: Exception) -> str:
    """What an exception says, with its code and values where it was raised with a sentence."""
    told = error.args[0] if error.args else None
    return told if isinstance(told, Said) else str(error)
