"""What messages say: texts by language in ``ivr_flows/messages/<language>.yaml``.

A file is a mapping of template names, each with ``text`` (Jinja). A value that a text needs and
does not get is an error, never an empty place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml
from jinja2 import StrictUndefined, TemplateError, UndefinedError
from jinja2.sandbox import SandboxedEnvironment

from dialer.config import ROOT
from dialer.messaging.text_says import TextSays

FOLDER = ROOT / "ivr_flows" / "messages"
LONGEST = 1600  # Twilio takes no longer one
SAMPLE = {"company": "Empresa", "callback": "+34910000000", "link": "https://example.com/p/x"}
VALUES = frozenset(SAMPLE)
"""What every text may use."""
RECEIPT = {
    "amount": "123.45 EUR",
    "date": "16/03/2026",
    "receipt": "0123ABCD4567",
    "auth_code": "",
    "last_four": "",
}
"""What a receipt may use as well; the last two may be empty."""
AFTER_PAYMENT: Mapping[str, Mapping[str, str]] = {
    "payment_receipt": RECEIPT,
    "payment_link_after": {},
}
"""Texts that answer a payment, with their further values; no campaign sends them by itself."""

_JINJA = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


class MessageTemplateError(Exception):
    """A text is missing or cannot be filled in; the message says which and what to do."""


def render_message(
    template: str, language: str, values: Mapping[str, str], folder: Path = FOLDER
) -> str:
    """The text of a message, on one line.

    ``language`` as ``es`` or ``es-MX`` (which falls back to ``es``). Raises MessageTemplateError
    for a template or language that is not there, a value that is missing, a text too long.
    """
    found = _texts(folder, language).get(template)
    if found is None:
        known = ", ".join(sorted(_texts(folder, language)))
        raise MessageTemplateError(
            TextSays.NO_TEMPLATE.say(
                template=template,
                language=language,
                known=known,
                file=f"{folder.name}/{language}.yaml",
            )
        )
    return fill_in(found, template, language, values)


def fill_in(source: str, template: str, language: str, values: Mapping[str, str]) -> str:
    """A text as it is written, filled in, on one line. Raises MessageTemplateError."""
    try:
        text = _JINJA.from_string(source).render({k: _flat(v) for k, v in values.items()})
    except UndefinedError as error:
        raise MessageTemplateError(
            TextSays.NO_SUCH_PLACE.say(
                template=template,
                language=language,
                why=error.message,
                known=", ".join(sorted(VALUES | AFTER_PAYMENT.get(template, {}).keys())),
            )
        ) from error
    except TemplateError as error:
        raise MessageTemplateError(
            TextSays.NOT_VALID_IN.say(template=template, language=language, why=error.message)
        ) from error
    text = _flat(text)
    if not text or len(text) > LONGEST:
        raise MessageTemplateError(
            TextSays.LENGTH.say(template=template, language=language, count=len(text), most=LONGEST)
        )
    return text


def template_names(language: str, folder: Path = FOLDER) -> frozenset[str]:
    """The templates there are in a language. Raises MessageTemplateError if it has none."""
    return frozenset(_texts(folder, language))


def campaign_templates(language: str, folder: Path = FOLDER) -> frozenset[str]:
    """Those that a campaign may send. Raises MessageTemplateError if there are no texts."""
    return template_names(language, folder) - AFTER_PAYMENT.keys()


def check_templates(folder: Path = FOLDER) -> list[str]:
    """What is wrong with the texts of a folder, for people to read; empty: nothing."""
    wrong = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            for name in sorted(template_names(path.stem, folder)):
                values = {**SAMPLE, **AFTER_PAYMENT.get(name, {})}
                text = render_message(name, path.stem, values, folder)
                if not {"STOP", "BAJA"} <= set(re.split(r"\W+", text)):
                    wrong.append(f"{path.name}: {name} does not say how to stop (STOP and BAJA)")
        except MessageTemplateError as error:
            wrong.append(str(error))
    return wrong


def _flat(text: str) -> str:
    return " ".join(text.split())


def _texts(folder: Path, language: str) -> Mapping[str, str]:
    for name in (language, language.split("-")[0]):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return _load(path, path.stat().st_mtime_ns)
    known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "none"
    raise MessageTemplateError(TextSays.NO_TEXTS.say(language=language, folder=folder, known=known))


@lru_cache(maxsize=32)
def _load(path: Path, _changed: int) -> Mapping[str, str]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MessageTemplateError(TextSays.UNREADABLE.say(file=path, why=error)) from error
    if not isinstance(content, dict):
        raise MessageTemplateError(TextSays.A_MAPPING.say(file=path))
    texts = {}
    for name, entry in content.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            raise MessageTemplateError(TextSays.NEEDS_TEXT.say(file=path, name=name))
        texts[str(name)] = entry["text"]
    return texts
