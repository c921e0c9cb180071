"""What other parts of the product say, in the viewer's language."""

from __future__ import annotations

from typing import Any

from flask import Flask

from dialer.domain.said import Code, Said, heard, of_error, several
from dialer.domain.sending_says import Undelivered, Unmailed
from web.ui.words import gettext


def in_words(text: str) -> str:
    """A sentence of the product in the viewer's language; any other text as it came."""
    if not isinstance(text, Said):
        return text
    # Without values gettext leaves a doubled % as it stands: they are filled in here.
    said = gettext(text.code.value)
    return said % {key: _value(one) for key, one in text.values.items()}


def _value(value: Any) -> Any:
    if several(value):
        return "; ".join(in_words(one) for one in value)
    return in_words(value) if isinstance(value, str) else value


def error_text(error: Exception) -> str:
    """What an exception says, in the viewer's language."""
    return in_words(of_error(error))


def install(app: Flask) -> None:
    """``|in_words`` in templates; ``|heard`` for a sentence that was kept as its text."""
    parts: dict[str, type[Code]] = {"Undelivered": Undelivered, "Unmailed": Unmailed}
    app.jinja_env.filters["heard"] = lambda text, part: in_words(heard(text, parts[part]))
    app.jinja_env.filters["in_words"] = in_words
