"""The audit log: who changed what, when, what it was before and what it is now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, render_template, request

from dialer.domain.access import READERS
from dialer.store import audit as trail
from dialer.store import audit_views, choices
from dialer.store.audit_views import OUTSIDE, USER, Entry, Wanted
from web.access.doors import viewer
from web.access.rules import allow
from web.console import asked, audit_words
from web.console.downloads import csv_answer
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts

FILTERS = ("company", "actor", "action", "target", "from", "to")


def audit_pages(parts: Parts) -> Blueprint:
    """The pages, at /audit."""
    blueprint = Blueprint("audit", __name__, url_prefix="/audit")

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        """The newest, or those of the filters."""
        wanted, before = _wanted(), request.args.get("before", type=int)
        with parts.readonly() as connection:
            page = audit_views.page(connection, wanted, before)
            users = audit_views.actors(connection, viewer().company_id)
            companies = choices.companies(connection, None) if _sees_all() else []
        return render_template(
            "audit/index.html", page=page, wanted=wanted, before=before, words=audit_words,
            companies=_companies(companies), actors=_actors(users), actions=_actions(),
            again=asked.again,
            narrowed=any(request.args.get(one) for one in FILTERS),
            days={name: asked.day(name) for name in ("from", "to")},
        )  # fmt: skip

    @blueprint.get("/audit.csv")
    @allow(READERS)
    def download() -> Response:
        """All that the filters let through. That somebody took it is on record too."""
        who = viewer()
        about = "audit" if who.company_id is None else f"company:{who.company_id}"
        with parts.engine.begin() as connection:
            trail.record(
                connection, actor=f"user:{who.user_id}", action="audit.download", target=about,
                now=datetime.now(UTC),
            )  # fmt: skip
        return csv_answer("audit.csv", _rows(parts, _wanted()))

    return blueprint


def _sees_all() -> bool:
    return viewer().company_id is None


def _wanted() -> Wanted:
    actor = asked.text("actor")
    return Wanted(
        seen_by=viewer().company_id,
        company_id=request.args.get("company", type=int) if _sees_all() else None,
        actor=actor,
        action=asked.text("action"),
        target=asked.text("target"),
        since=asked.begins(asked.day("from")),
        until=asked.ends(asked.day("to")),
    )


def _companies(rows: list[Any]) -> list[tuple[str, str]]:
    """To choose from, where there is a choice."""
    return [("", _("Every company")), *((str(row.id), row.name) for row in rows)] if rows else []


def _actors(users: list[Any]) -> list[tuple[str, str]]:
    named = [(f"{USER}{row.id}", row.name) for row in users]
    return [("", _("Anybody")), (OUTSIDE, _("Somebody outside the browser")), *named]


def _actions() -> list[tuple[str, str]]:
    single = sorted(audit_words.action_names().items(), key=lambda one: one[1].casefold())
    return [("", _("Anything")), *audit_words.kinds(), *single]


def _rows(parts: Parts, wanted: Wanted) -> Iterator[list[Any]]:
    yield [
        _("Time (UTC)"), _("Who"), _("Name"), _("Action"), _("What was done"), _("Of what"),
        _("Name of it"), _("Before"), _("After"),
    ]  # fmt: skip
    with parts.readonly() as connection:
        for one in audit_views.everything(connection, wanted):
            yield _cells(one)


def _cells(one: Entry) -> list[Any]:
    changed = audit_words.changes(one.before, one.after)
    return [
        one.at.strftime("%Y-%m-%dT%H:%M:%SZ"), one.actor, one.actor_name or "", one.action,
        audit_words.action_name(one.action), one.target, one.target_name or "",
        "; ".join(f"{what}: {was}".lstrip(": ") for what, was, _is in changed if was is not None),
        "; ".join(f"{what}: {is_}".lstrip(": ") for what, _was, is_ in changed if is_ is not None),
    ]  # fmt: skip
