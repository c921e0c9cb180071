"""The texts of messages: read, changed, and what they said before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from dialer.domain.api import Scope
from dialer.messaging import editing
from dialer.messaging.duties import Duty, Found
from dialer.messaging.editing import ChangedMeanwhile
from dialer.messaging.preview import languages, preview, sample_of
from dialer.messaging.templates import MessageTemplateError, template_names
from dialer.store import text_versions
from web.api.paging import cursor_of, keys_of
from web.api.person import maker_of
from web.api.registry import Asked, operation
from web.api.scoping import not_found
from web.api.shapes import Answer, Given, Page, Paged
from web.problems import Problem, invalid_fields


class MessageText(Answer):
    """A text. ``source``: with its places, like `{{ link }}`; ``filled_in``: for a made-up debtor,
    in so many SMS. ``mark``: give it back with a change. ``faults``: what a text has to say and
    this one does not."""

    language: str
    template: str
    source: str
    mark: str
    filled_in: str
    segments: int
    faults: list[str]


class TextPage(Page[MessageText]):
    """Texts."""


class NewText(Given):
    """``mark``: of the text that it was made from."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    mark: Annotated[str, StringConstraints(min_length=16, max_length=16)]


class Version(Answer):
    """What a text said from ``made_at`` on. ``user_id``: null: it was found in the file."""

    id: int
    source: str
    user_id: int | None
    made_at: datetime


class VersionPage(Page[Version]):
    """Versions, the newest first."""


class Which(Paged):
    """Which texts."""

    language: Annotated[str, StringConstraints(pattern="^[a-z]{2}$")] | None = Field(
        None, description="Like `es`."
    )


@operation("GET", "/texts", Scope.TEXTS_READ, TextPage, "Texts of messages", query=Which)
def list_texts(ask: Asked) -> TextPage:
    """They are those of the whole installation."""
    folder = _folder(ask)
    wanted = ask.query.language
    after = keys_of(ask.query.cursor, str, str)
    every = [
        (language, template)
        for language in languages(folder)
        for template in sorted(template_names(language, folder))
        if wanted in (None, language) and (after is None or (language, template) > after)
    ]
    kept = every[: ask.query.limit]
    return TextPage(
        items=[_told(folder, *one) for one in kept],
        next=cursor_of(*kept[-1]) if len(every) > len(kept) else None,
    )


@operation("GET", "/texts/{language}/{template}", Scope.TEXTS_READ, MessageText, "One text")
def get_text(ask: Asked, language: str, template: str) -> MessageText:
    """As the next message says it."""
    return _told(_folder(ask), language, template)


@operation(
    "PUT",
    "/texts/{language}/{template}",
    Scope.TEXTS_WRITE,
    MessageText,
    "Change a text",
    body=NewText,
    example={
        "source": "{{ company }}: {{ callback }} {{ link }} STOP/BAJA",
        "mark": "0123456789abcdef",
    },
)
def change_text(ask: Asked, language: str, template: str) -> MessageText:
    """The next message says so. The texts are those of the whole installation: a key for every
    company alone may. 409 where somebody has changed it meanwhile (read it again), 422 where it
    lacks what a text has to say. To go back, send the source of a version."""
    folder = _folder(ask)
    before = _told(folder, language, template).source
    if ask.token.company_id is not None:
        raise Problem(
            403, "every_company", "The texts are those of all companies",
            "A key that opens every company changes them.",
        )  # fmt: skip
    maker = maker_of(ask, None)
    text = editing.tidy(ask.body.source)
    looked = preview(folder, language, template, sample_of(template), text)
    if not looked.sound:
        raise invalid_fields([("source", looked.fault or _lacks(looked.duties))])
    if editing.mark_of(before) != ask.body.mark:
        raise _changed_meanwhile()
    if text != before:
        try:
            text_versions.note(
                ask.connection, language, template, before, text, maker.user_id, ask.now,
                actor=ask.actor,
            )  # fmt: skip
            editing.write_source(folder, language, template, text, ask.body.mark)
        except ChangedMeanwhile as error:
            raise _changed_meanwhile() from error
        except (MessageTemplateError, OSError) as error:
            raise Problem(
                409, "not_possible", "That cannot be done", "The file of texts cannot be changed."
            ) from error
    return _told(folder, language, template)


@operation(
    "GET",
    "/texts/{language}/{template}/versions",
    Scope.TEXTS_READ,
    VersionPage,
    "What it said before",
)
def list_versions(ask: Asked, language: str, template: str) -> VersionPage:
    """The newest fifty, in one page."""
    _told(_folder(ask), language, template)
    rows = text_versions.versions(ask.connection, language, template)
    return VersionPage(
        items=[
            Version(id=row.id, source=row.text, user_id=row.user_id, made_at=row.made_at)
            for row in rows
        ],
        next=None,
    )


def _folder(ask: Asked) -> Path:
    return ask.settings.flows_dir / "messages"


def _told(folder: Path, language: str, template: str) -> MessageText:
    """Raises Problem (404)."""
    if language not in languages(folder):
        raise not_found("text")
    try:
        source = editing.source_of(folder, language, template)
    except MessageTemplateError:
        raise not_found("text") from None
    seen = preview(folder, language, template, sample_of(template), source)
    return MessageText(
        language=language,
        template=template,
        source=source,
        mark=editing.mark_of(source),
        filled_in=seen.text,
        segments=seen.length.segments if seen.length else 0,
        faults=[seen.fault] if seen.fault else [one.duty for one in seen.duties if not one.kept],
    )


def _lacks(duties: Sequence[Found]) -> str:
    return "it lacks: " + ", ".join(_DUTIES[one.duty] for one in duties if not one.kept)


_DUTIES = {
    Duty.WHO: "who we are ({{ company }})",
    Duty.BACK: "where to reach us ({{ callback }} or {{ link }})",
    Duty.STOP: "how to have no more of them (STOP and BAJA)",
    Duty.NO_DEBT: "no word of a debt, for it goes to whoever has the telephone",
}


def _changed_meanwhile() -> Problem:
    return Problem(
        409, "not_possible", "That cannot be done",
        "Somebody has changed the text meanwhile: read it again, with its mark.",
    )  # fmt: skip
