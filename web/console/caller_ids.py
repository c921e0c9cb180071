"""Caller IDs: the pools, how each number is answered beside the others, and what can be done."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from dialer.domain.access import MANAGERS, READERS
from dialer.domain.caller_id_health import FEWEST, Health, judge
from dialer.domain.said import Said, of_error
from dialer.store import caller_id_use, choices, companies, countries
from dialer.store.caller_id_use import Pool
from dialer.store.companies import NotPossible
from dialer.store.refusals import Why
from web.access.doors import viewer
from web.access.rules import allow
from web.ui.said import error_text
from web.ui.words import gettext as _
from web.ui.words import ngettext

if TYPE_CHECKING:
    from web.parts import Parts

PERIODS = (7, 30, 90)
LONGEST_NAME = 100
_BETWEEN = re.compile(r"[,;\n]+")


class Refused(Exception):
    """What was typed cannot be taken; the message is in the viewer's words."""


def caller_ids(parts: Parts) -> Blueprint:
    """The pages, at /caller-ids."""
    blueprint = Blueprint("caller_ids", __name__, url_prefix="/caller-ids")

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        """The page; its figures come after it, for they have to be counted."""
        days = _days()
        with parts.readonly() as connection:
            own = choices.companies(connection, viewer().company_id)
        return render_template(
            "caller_ids/index.html", days=days,
            companies=[(row.id, row.name) for row in own],
            periods=[(n, ngettext("Last day", "Last %(num)s days", n)) for n in PERIODS],
            whole=_figures(days) if "figures" in request.args else None,
        )  # fmt: skip

    @blueprint.get("/figures")
    @allow(READERS)
    def figures() -> str:
        """Every pool with its numbers."""
        return _figures(_days())

    @blueprint.post("")
    @allow(MANAGERS)
    def create() -> Response:
        """A new pool."""
        company_id = request.form.get("company", type=int)
        name = " ".join(request.form.get("name", "").split())[:LONGEST_NAME]

        def do(connection: Any) -> str:
            own = choices.companies(connection, viewer().company_id)
            chosen = next((row for row in own if row.id == company_id), None)
            if chosen is None:
                raise NotFound
            if not name:
                raise Refused(_("Give the pool a name."))
            numbers = _numbers(request.form.get("numbers", ""), chosen.country)
            companies.create_pool(connection, chosen.id, name, numbers, _actor(), _now())
            return _("The pool is there. A campaign can use it from now on.")

        return _done(do)

    @blueprint.post("/<int:pool_id>/add")
    @allow(MANAGERS)
    def add(pool_id: int) -> Response:
        """More numbers."""

        def do(connection: Any) -> str:
            pool = _pool(connection, pool_id)
            numbers = _numbers(request.form.get("numbers", ""), pool.country)
            companies.change_pool(connection, pool.id, add=numbers, actor=_actor(), now=_now())
            return ngettext(
                "The number is shown from now on.",
                "The %(num)s numbers are shown from now on.",
                len(numbers),
            )

        return _done(do)

    @blueprint.post("/<int:pool_id>/retire")
    @allow(MANAGERS)
    def retire(pool_id: int) -> Response:
        """A number is not shown any more."""

        def do(connection: Any) -> str:
            pool = _pool(connection, pool_id)
            number = request.form.get("number", "")
            companies.change_pool(connection, pool.id, remove=[number], actor=_actor(), now=_now())
            return _("%(number)s is not shown any more. Add it again to undo this.", number=number)

        return _done(do)

    def _done(do: Any) -> Response:
        """Run in one transaction, tell what came of it, and back to the page."""
        try:
            with parts.engine.begin() as connection:
                said, kind = do(connection), "good"
        except Refused as error:
            said, kind = str(error), "bad"
        except NotPossible as error:
            said, kind = _why(error), "bad"
        flash(said, kind)
        return redirect(url_for(".index"))

    def _figures(days: int) -> str:
        with parts.readonly() as connection:
            found = caller_id_use.pools(
                connection, viewer().company_id, _now() - timedelta(days=days)
            )
        return render_template(
            "caller_ids/figures.html", fewest=FEWEST, health_name=_health_name,
            pools=[(pool, judge(pool.numbers)) for pool in found],
        )  # fmt: skip

    return blueprint


def _pool(connection: Any, pool_id: int) -> Pool:
    """Raises NotFound for another company's."""
    found = caller_id_use.pool_of(connection, pool_id)
    if found is None or not viewer().sees(found.company_id):
        raise NotFound
    return found


def _numbers(text: str, country: str) -> list[str]:
    """In E.164, as separated by commas or lines. Raises Refused."""
    typed = [one.strip() for one in _BETWEEN.split(text) if one.strip()]
    if not typed:
        raise Refused(_("Type at least one number."))
    found = []
    for one in typed:
        try:
            found.append(countries.parse_caller_id(one, country))
        except ValueError:
            raise Refused(
                _(
                    "%(number)s is not a number that debtors can call back. Write it like"
                    " +34910123456.",
                    number=one,
                )
            ) from None
    for number in found:
        if countries.refused_caller_ids([number], country, _now().date()):
            raise Refused(
                _(
                    "%(number)s is a mobile number, which may not be shown on such calls in Spain"
                    " (Orden TDF/149/2025). Use a landline or an 800 or 900 number.",
                    number=number,
                )
            )
    return list(dict.fromkeys(found))


def _why(error: NotPossible) -> str:
    match of_error(error):
        case Said(code=Why.NO_NUMBER_LEFT):
            return _("It is the last number of the pool. Add another one first.")
        case Said(code=Why.POOL_TAKEN):
            return _("There is a pool of that name already.")
        case Said(code=Why.NOT_IN_POOL):
            return _("The number is not in the pool any more.")
    return error_text(error)


def _health_name(health: Health) -> str:
    return {
        Health.NEW: _("Too few calls to tell"),
        Health.GOOD: _("Good"),
        Health.WORN: _("Answered less than the others"),
        Health.REJECTED: _("Rejected more than the others"),
    }[health]


def _days() -> int:
    days = request.args.get("days", PERIODS[0], type=int)
    return days if days in PERIODS else PERIODS[0]


def _actor() -> str:
    return f"user:{viewer().user_id}"


def _now() -> datetime:
    return datetime.now(UTC)
