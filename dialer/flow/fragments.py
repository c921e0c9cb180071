"""A fragment: the smallest thing that is rendered to one sound file.

Amounts, dates and numbers are never synthesised in a call; they are put together from fragments
that were rendered at set-up. A sentence is a list of fragments, its words are their texts joined.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_UNSAFE = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Fragment:
    """``key`` is the file below ``<home>/prompts/<language>/`` without ending; ``text`` is what
    is rendered there."""

    key: str
    text: str


PAUSE = Fragment("pause", ",")
"""Not a word: a moment of silence between groups that are to be written down."""


def fragment(kind: str, text: str) -> Fragment:
    """A fragment of a closed set (numbers, currencies, months): its key is made of its text."""
    plain = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return Fragment(f"{kind}/{_UNSAFE.sub('_', plain).strip('_')}", text)


def words(fragments: Iterable[Fragment]) -> str:
    """The sentence that these fragments say."""
    return " ".join(one.text for one in fragments).replace(f" {PAUSE.text}", PAUSE.text)
