"""The words of pages in the viewer's language.

English stands in the code and the templates; ``web/words/<area>.es.po`` has the Spanish of one
part of the pages each. They are read once, at the start, so nothing has to be compiled.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, g, request, session

WORDS = Path(__file__).resolve().parent.parent / "words"
LANGUAGES = ("es", "en")
PLURALS = "nplurals=2; plural=(n != 1);"
NAMES = {"es": "Español", "en": "English"}


@cache
def translations(language: str) -> NullTranslations:
    """The catalogue of a language, all areas in one; English is what stands in the code.

    Raises ValueError where two areas say the same words differently.
    """
    if language == "en":
        return NullTranslations()
    whole = Catalog(locale=language)
    # That of the files. CLDR, which the catalogue would go by, knows a third form for millions.
    whole.mime_headers = [("Plural-Forms", PLURALS)]
    for path in sorted(WORDS.glob(f"*.{language}.po")):
        with path.open("rb") as file:
            part = read_po(file, locale=language)
        for message in part:
            if not message.id:
                continue
            known = whole.get(message.id, message.context)
            if known is not None and known.string != message.string:
                raise ValueError(f"{path.name}: {message.id!r} is said differently elsewhere")
            whole[message.id] = message
    compiled = io.BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    return Translations(compiled)


def language() -> str:
    """The language of this request: the viewer's, else what was chosen at the log-in, else the best
    that the browser asks for."""
    found = getattr(g, "language", None)
    if found is None:
        viewer = getattr(g, "viewer", None)
        found = viewer.language if viewer else session.get("language")
        found = found or request.accept_languages.best_match(LANGUAGES, "es")
        g.language = found
    return str(found)


def gettext(text: str, **values: Any) -> str:
    """``text`` in the language of this request, ``%(name)s`` filled in."""
    said = translations(language()).gettext(text)
    return said % values if values else said


def ngettext(one: str, many: str, num: int, **values: Any) -> str:
    """The same for a number of things, ``%(num)s``."""
    said = translations(language()).ngettext(one, many, num)
    return said % {"num": num, **values}


def install(app: Flask) -> None:
    """``_()``, ``ngettext()`` and ``{% trans %}`` in templates."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: translations(language()).gettext(text),
        lambda one, many, num: translations(language()).ngettext(one, many, num),
        newstyle=True,
    )
