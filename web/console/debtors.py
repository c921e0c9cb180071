"""Debtors: found, and all that was between them and us on one page.

What is searched for says who somebody is, so it is never part of an address: it is kept for a
while under a random name, for the user who searched.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from dialer.domain.access import MANAGERS, READERS
from dialer.domain.model import Disposition, Refusal
from dialer.engine.claiming import BAD_TIMEZONE
from dialer.importing.documents import normalise_document
from dialer.importing.errors import CellError
from dialer.importing.phones import parse_phone
from dialer.store import choices, debtor_history, debtor_search, debtor_view, suppressions
from dialer.store.debtor_search import Wanted
from dialer.store.story import masked
from web.access.doors import viewer
from web.access.rules import allow
from web.console import flow_files
from web.console.debtor_contact import standings
from web.ui import formats, names
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts

KEPT = 30 * 60
"""Seconds for which what was searched for is remembered."""
SHORTEST = 2
LONGEST = 100


def debtors(parts: Parts) -> Blueprint:
    """The pages, at /debtors."""
    blueprint = Blueprint("debtors", __name__, url_prefix="/debtors")
    searches = _Searches(parts.redis)

    @blueprint.app_template_filter("contact_reason")
    def contact_reason(value: str) -> str:
        return _reason(value)

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        """The search, and what it found."""
        words = searches.words(request.args.get("search", ""))
        hits: list[debtor_search.Hit] = []
        more = False
        if words:
            with parts.readonly() as connection:
                companies = choices.companies(connection, viewer().company_id)
                wanted = wanted_of(words, sorted({row.country for row in companies}))
                hits, more = debtor_search.search(connection, [row.id for row in companies], wanted)
        return render_template(
            "debtors/index.html", words=words, hits=hits, more=more, masked=masked
        )

    @blueprint.post("/search")
    @allow(READERS)
    def search() -> Response:
        """Remembers what is wanted, and shows it by a name that tells nothing."""
        words = " ".join(request.form.get("words", "").split())[:LONGEST]
        if len(words) < SHORTEST:
            flash(_("Type at least two characters."), "bad")
            return redirect(url_for(".index"))
        return redirect(url_for(".index", search=searches.remember(words)))

    @blueprint.get("/<int:debtor_id>")
    @allow(READERS)
    def show(debtor_id: int) -> str:
        """One debtor, with the line of time."""
        now = datetime.now(UTC)
        before = _moment(request.args.get("before"))
        with parts.readonly() as connection:
            head = _head(connection, debtor_id)
            leads = debtor_view.leads(connection, debtor_id)
            phones = debtor_view.phones(connection, debtor_id)
            values = {
                "standings": standings(connection, leads, now),
                "debts": debtor_view.debts(connection, debtor_id),
                "history": debtor_history.history(connection, debtor_id, before),
            }
        zone = head.timezone or head.company_timezone
        heard = flow_files.texts_of(parts.settings.flows_dir, head.language or "es")
        return render_template(
            "debtors/show.html", head=head, phones=phones, zone=zone, now=now, before=before,
            own_zone=formats.zone().key, heard=heard,
            stopped=head.opted_out_at is not None or any(one.listed_at for one in phones),
            asked=any(one.listed_as in ("keypad", "sms_stop") for one in phones), **values,
        )  # fmt: skip

    @blueprint.post("/<int:debtor_id>/stop")
    @allow(MANAGERS)
    def stop(debtor_id: int) -> Response:
        """Not to be contacted any more."""
        with parts.engine.begin() as connection:
            _head(connection, debtor_id)
            suppressions.stop_contact(connection, debtor_id, _actor(), datetime.now(UTC))
        flash(_("Nobody will be contacted here from now on, by call or by message."), "good")
        return redirect(url_for(".show", debtor_id=debtor_id))

    @blueprint.post("/<int:debtor_id>/allow")
    @allow(MANAGERS)
    def permit(debtor_id: int) -> Response:
        """May be contacted again."""
        with parts.engine.begin() as connection:
            _head(connection, debtor_id)
            suppressions.allow_contact(connection, debtor_id, _actor(), datetime.now(UTC))
        flash(_("This debtor may be contacted again."), "good")
        return redirect(url_for(".show", debtor_id=debtor_id))

    return blueprint


def wanted_of(words: str, countries: Sequence[str]) -> Wanted:
    """What typed words can be; ``countries``: of the companies, whose numbers need no prefix."""
    numbers = []
    for country in countries:
        try:
            numbers.append(parse_phone(words, country).number)
        except CellError:
            continue
    try:
        document: str | None = normalise_document(words)
    except CellError:
        document = None
    name = words if any(char.isalpha() for char in words) else ""
    return Wanted(document, tuple(dict.fromkeys(numbers)), words, name)


class _Searches:
    """What users search for, for as long as they look at it."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis

    def remember(self, words: str) -> str:
        """The name it goes by."""
        name = secrets.token_urlsafe(12)
        self._redis.set(self._key(name), words, ex=KEPT)
        return name

    def words(self, name: str) -> str:
        """Nothing where it is forgotten, or somebody else's."""
        found = self._redis.get(self._key(name)) if name else None
        return found.decode() if isinstance(found, bytes) else found or ""

    def _key(self, name: str) -> str:
        return f"search:{viewer().user_id}:{name[:40]}"


def _head(connection: Any, debtor_id: int) -> Any:
    """The debtor. Raises NotFound for another company's."""
    found = debtor_view.head(connection, debtor_id)
    if found is None or not viewer().sees(found.company_id):
        raise NotFound
    return found


def _reason(value: str) -> str:
    """Why nobody is called: a refusal, or how the lead was closed."""
    if value == BAD_TIMEZONE:
        return _("Their time zone is not known, so no hour is allowed")
    if value in {one.value for one in Refusal} - {Disposition.PAID.value}:
        return names.refusal_name(value)
    return names.closed_name(value)


def _actor() -> str:
    return f"user:{viewer().user_id}"


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise NotFound from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
