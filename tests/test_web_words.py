"""Every word of the pages has its Spanish, and fills in what the English fills in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from web.ui.words import WORDS, translations

WEB = Path(__file__).resolve().parent.parent / "web"
_PLACE = re.compile(r"%\(\w+\)[sd]")
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}


def _all(text: Any) -> list[str]:
    """One text, or one for each number."""
    return [text] if isinstance(text, str) else list(text or ())


def _said() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    for name, _line, message, _comments, _context in extract_from_dir(
        WEB, METHODS, keywords=KEYWORDS, options_map={"templates/**.html": {"silent": "false"}}
    ):
        yield name, message


def test_all_that_is_said_is_said_in_spanish_too() -> None:
    spanish = translations("es")
    missing = set()
    for name, message in _said():
        one = message if isinstance(message, str) else message[0]
        if spanish.gettext(one) == one and spanish.ngettext(one, one, 1) == one:
            missing.add(f"{name}: {one}")
    assert sorted(one for one in missing if one.split(": ", 1)[1] not in SAME) == []


SAME = {"Supervisor", "Auditor", "no", "Webhook", "Webhooks"}
"""Words whose Spanish is the English."""


@pytest.mark.parametrize("path", sorted(WORDS.glob("*.po")), ids=lambda path: str(path.name))
def test_what_is_filled_in_is_the_same(path: Path) -> None:
    with path.open("rb") as file:
        for message in read_po(file, locale="es"):
            if not message.id:
                continue
            ids, texts = _all(message.id), _all(message.string)
            wanted = {place for one in ids for place in _PLACE.findall(one)}
            for text in texts:
                assert text, f"{message.id} is empty"
                assert set(_PLACE.findall(text)) <= wanted, message.id
                if len(texts) == 1:
                    assert set(_PLACE.findall(text)) == wanted, message.id


def test_nothing_is_translated_that_nobody_says() -> None:
    said = {m if isinstance(m, str) else m[0] for _name, m in _said()}
    left = set()
    for path in WORDS.glob("*.po"):
        if path.name.startswith("said_"):
            continue  # what other parts say: tests/test_words_said.py
        with path.open("rb") as file:
            for message in read_po(file, locale="es"):
                one = message.id if isinstance(message.id, str) else message.id[0]
                if one and one not in said and one not in FROM_TABLES:
                    left.add(f"{path.name}: {one}")
    assert sorted(left) == []


def test_one_and_many() -> None:
    spanish = translations("es")
    said = [
        spanish.ngettext("%(num)s row", "%(num)s rows", count) for count in (0, 1, 2, 1_000_000)
    ]
    assert said == ["%(num)s filas", "%(num)s fila", "%(num)s filas", "%(num)s filas"]


FROM_TABLES: set[str] = set()
"""Said by a name that is looked up; ``web.ui.frame.MENU`` and the like fill it in below."""


def _menu() -> set[str]:
    from web.ui.frame import MENU

    return {label for group in MENU for label, _endpoint, _roles in group}


FROM_TABLES |= _menu()
