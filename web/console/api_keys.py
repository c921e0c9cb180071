"""Keys of programs: made, shown this once, revoked.

An administrator of one company has the keys of that company alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.domain.access import ADMINISTRATORS, Viewer
from dialer.domain.api import Scope
from dialer.store import api_tokens, choices, users
from dialer.store.api_tokens import LONGEST_NAME, ApiToken
from dialer.store.companies import NotPossible
from web.access.doors import viewer
from web.access.rules import allow
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts

EVERY_COMPANY = "all"
DAYS = ("90", "365", "730", "")
"""How long a key may live; empty: until it is revoked."""


def api_keys(parts: Parts) -> Blueprint:
    """The pages, at /api-keys."""
    blueprint = Blueprint("api_keys", __name__, url_prefix="/api-keys")

    @blueprint.get("")
    @allow(ADMINISTRATORS)
    def index() -> str:
        """Those that there are, and the form for another."""
        with parts.readonly() as connection:
            return _page(connection, KeyForm.empty(connection, viewer()))

    @blueprint.post("")
    @allow(ADMINISTRATORS)
    def create() -> str | tuple[str, int]:
        """Make one, and show it this once."""
        now = datetime.now(UTC)
        with parts.readonly() as connection:
            form = KeyForm.sent(connection, viewer(), request.form)
            if form.faults:
                return _page(connection, form), 422
        with parts.engine.begin() as connection:
            made, token = api_tokens.create_token(
                connection,
                company_id=form.company_id,
                name=form.name,
                scopes=form.scopes,
                actor=f"user:{viewer().user_id}",
                now=now,
                expires_at=now + timedelta(days=int(form.days)) if form.days else None,
            )
            one = api_tokens.load_token(connection, made)
        return render_template(
            "api_keys/made.html", one=one, token=token, scope_name=scope_name,
            address=f"{parts.settings.web_url}/api/v1",
        )  # fmt: skip

    @blueprint.post("/<int:key_id>/revoke")
    @allow(ADMINISTRATORS)
    def revoke(key_id: int) -> AnyResponse:
        """It opens nothing from now on."""
        with parts.engine.begin() as connection:
            one = api_tokens.load_token(connection, key_id)
            if one is None or not viewer().sees(one.company_id):
                raise NotFound
            try:
                api_tokens.revoke_token(
                    connection, key_id, f"user:{viewer().user_id}", datetime.now(UTC)
                )
            except NotPossible:
                flash(_("That key was revoked already."), "bad")
            else:
                flash(_("The key %(name)s opens nothing any more.", name=one.name), "good")
        return redirect(url_for(".index"))

    return blueprint


def _page(connection: Connection, form: KeyForm) -> str:
    now = datetime.now(UTC)
    keys = api_tokens.list_tokens(connection, viewer().company_id)
    return render_template(
        "api_keys/index.html", form=form, now=now, scope_name=scope_name,
        open=[one for one in keys if one.opens(now)],
        closed=[one for one in keys if not one.opens(now)],
        makers=_makers(connection, keys),
    )  # fmt: skip


def _makers(connection: Connection, keys: list[ApiToken]) -> dict[str, str]:
    """Who made them, by name where they are users."""
    names = {f"user:{one.id}": one.name for one in users.list_users(connection)}
    return {one.created_by: names.get(one.created_by, one.created_by) for one in keys}


def scope_name(scope: Scope) -> str:
    """What a scope lets a program do."""
    return {
        Scope.CAMPAIGNS_READ: _("See campaigns and how they stand"),
        Scope.CAMPAIGNS_WRITE: _("Make, start, pause and stop campaigns"),
        Scope.LEADS_READ: _("See the debtors of campaigns"),
        Scope.LEADS_WRITE: _("Send debtors into campaigns"),
        Scope.DEBTORS_READ: _("Find debtors and see what was between us"),
        Scope.RESULTS_READ: _("Fetch results, messages, promises and reports"),
        Scope.PAYMENTS_READ: _("Fetch payments"),
        Scope.AGENTS_READ: _("See agents"),
        Scope.DNC_READ: _("Ask whether a number is on the do-not-call list"),
        Scope.DNC_WRITE: _("Change the do-not-call list"),
        Scope.WEBHOOKS_WRITE: _("Set up webhooks"),
        Scope.APPROVALS_READ: _("See what waits for a second person"),
        Scope.APPROVALS_ASK: _("Ask for refunds and for looser rules, in the name of who makes it"),
        Scope.APPROVALS_DECIDE: _("Grant and refuse, in the name of who makes the key"),
        Scope.CALLER_IDS_READ: _("See caller IDs and how they do"),
        Scope.CALLER_IDS_WRITE: _("Add caller IDs and take them out of use"),
        Scope.TEXTS_READ: _("See the texts of messages"),
        Scope.TEXTS_WRITE: _("Change the texts of messages; a key for every company alone may"),
        Scope.REPORTS_WRITE: _("Set up reports by e-mail"),
        Scope.RECORDINGS_READ: _("Fetch recordings of calls"),
        Scope.AUDIT_READ: _("Read the audit log"),
        Scope.USERS_READ: _("See users"),
    }[scope]


@dataclass
class KeyForm:
    """What was chosen, the choices, and what is wrong by field."""

    companies: dict[str, str]
    fixed: int | None = None
    name: str = ""
    company: str = ""
    days: str = DAYS[1]
    scopes: list[Scope] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, connection: Connection, who: Viewer) -> KeyForm:
        """With nothing chosen."""
        rows = choices.companies(connection, who.company_id)
        offered = {str(row.id): str(row.name) for row in rows}
        if who.company_id is None:
            offered[EVERY_COMPANY] = _("Every company")
        return cls(offered, fixed=who.company_id, company=next(iter(offered), ""))

    @classmethod
    def sent(cls, connection: Connection, who: Viewer, given: MultiDict[str, Any]) -> KeyForm:
        """As it was filled in."""
        form = cls.empty(connection, who)
        form.name = " ".join(given.get("name", "").split())
        form.days = given.get("days", "")
        wanted = set(given.getlist("scopes"))
        form.scopes = [scope for scope in Scope if scope.value in wanted]
        if form.fixed is None:
            form.company = given.get("company", "")
        if not 0 < len(form.name) <= LONGEST_NAME:
            form.faults["name"] = _("Write which program it is for, in 100 letters at most.")
        if not form.scopes:
            form.faults["scopes"] = _("Choose what the program may do, one thing at least.")
        if form.company not in form.companies:
            form.faults["company"] = _("Choose one of the list.")
        if form.days not in DAYS:
            form.faults["days"] = _("Choose one of the list.")
        return form

    @property
    def company_id(self) -> int | None:
        """None: every one."""
        return None if self.company == EVERY_COMPANY else int(self.company)

    def all_scopes(self) -> list[Scope]:
        """What may be chosen."""
        return list(Scope)

    def day_choices(self) -> list[tuple[str, str]]:
        """How long it may live."""
        said = {
            "90": _("90 days"),
            "365": _("One year"),
            "730": _("Two years"),
            "": _("Until it is revoked"),
        }
        return [(days, said[days]) for days in DAYS]
