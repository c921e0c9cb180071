"""Webhooks: which programs are told of what, and what came of each delivery."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection, Row
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.domain.access import ADMINISTRATORS
from dialer.domain.api import DeliveryState, EventType
from dialer.store import choices, webhook_events
from dialer.store import webhooks as store
from dialer.store.companies import NotPossible
from dialer.webhooks.addresses import AddressError, check_url
from dialer.webhooks.signing import HEADER, SECRET_SIGNING, secret_of
from web.access.doors import viewer
from web.access.rules import allow
from web.ui.said import error_text
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts

PAGE = 50


def webhooks_pages(parts: Parts) -> Blueprint:
    """The pages, at /webhooks."""
    blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")
    _looking(blueprint, parts)
    _changing(blueprint, parts)
    return blueprint


def _looking(blueprint: Blueprint, parts: Parts) -> None:
    @blueprint.get("")
    @allow(ADMINISTRATORS)
    def index() -> str:
        with parts.readonly() as connection:
            return _page(connection, HookForm.of(connection, None))

    @blueprint.get("/<int:endpoint_id>")
    @allow(ADMINISTRATORS)
    def show(endpoint_id: int) -> str:
        state = request.args.get("state", "")
        below = request.args.get("below", type=int)
        wanted = state if state in set(DeliveryState) else None
        with parts.readonly() as connection:
            row = _own(connection, endpoint_id)
            found = store.deliveries(connection, endpoint_id, below, PAGE + 1, wanted)
        older = None
        if len(found) > PAGE:
            older = url_for(
                ".show", endpoint_id=endpoint_id, state=state or None, below=found[PAGE - 1].id
            )
        newest = url_for(".show", endpoint_id=endpoint_id, state=state or None)
        return render_template(
            "webhooks/show.html", row=row, deliveries=found[:PAGE], older=older, state=state,
            newest=newest if below else None, event_name=event_name, state_name=state_name,
            states=[("", _("All"))] + [(one.value, state_name(one.value)[0])
                                       for one in DeliveryState],
        )  # fmt: skip


def _changing(blueprint: Blueprint, parts: Parts) -> None:
    def now() -> datetime:
        return datetime.now(UTC)

    def actor() -> str:
        return f"user:{viewer().user_id}"

    @blueprint.post("")
    @allow(ADMINISTRATORS)
    def create() -> str | tuple[str, int]:
        """Set one up, and show its secret this once."""
        with parts.readonly() as connection:
            form = HookForm.of(connection, request.form)
            form.judge(parts.settings.webhook_private)
            if form.faults:
                return _page(connection, form), 422
        try:
            with parts.engine.begin() as connection:
                row = store.create_endpoint(
                    connection, company_id=int(form.company), url=form.url, events=form.events,
                    cursors=webhook_events.start(connection, now()), actor=actor(), now=now(),
                )  # fmt: skip
        except NotPossible as error:
            form.faults["url"] = error_text(error)
            with parts.readonly() as connection:
                return _page(connection, form), 422
        secret = secret_of(parts.settings.secret(SECRET_SIGNING), row.id, row.salt)
        return render_template("webhooks/made.html", row=row, secret=secret, header=HEADER)

    @blueprint.post("/<int:endpoint_id>/<any(pause, resume):action>")
    @allow(ADMINISTRATORS)
    def act(endpoint_id: int, action: str) -> AnyResponse:
        with parts.engine.begin() as connection:
            _own(connection, endpoint_id)
            store.pause_endpoint(connection, endpoint_id, action == "pause", actor(), now())
        said = _("Nothing is sent there; what happens meanwhile waits.")
        flash(said if action == "pause" else _("What waited is sent within seconds."), "good")
        return redirect(url_for(".show", endpoint_id=endpoint_id))

    @blueprint.post("/<int:endpoint_id>/remove")
    @allow(ADMINISTRATORS)
    def remove(endpoint_id: int) -> AnyResponse:
        with parts.engine.begin() as connection:
            row = _own(connection, endpoint_id)
            store.remove_endpoint(connection, endpoint_id, actor(), now())
        flash(_("%(url)s is told of nothing any more.", url=row.url), "good")
        return redirect(url_for(".index"))

    @blueprint.post("/<int:endpoint_id>/deliveries/<int:delivery_id>/again")
    @allow(ADMINISTRATORS)
    def again(endpoint_id: int, delivery_id: int) -> AnyResponse:
        with parts.engine.begin() as connection:
            _own(connection, endpoint_id)
            done = store.send_again(connection, endpoint_id, delivery_id, now())
        if done:
            flash(_("It is sent again within seconds."), "good")
        else:
            flash(_("That delivery waits to be sent anyway."), "bad")
        return redirect(url_for(".show", endpoint_id=endpoint_id))


def _own(connection: Connection, endpoint_id: int) -> Row[Any]:
    """The viewer's. Raises NotFound."""
    row = store.endpoint(connection, endpoint_id)
    if row is None or not viewer().sees(row.company_id):
        raise NotFound
    return row


def _page(connection: Connection, form: HookForm) -> str:
    rows = store.endpoints(connection, viewer().company_id)
    return render_template(
        "webhooks/index.html", form=form, rows=rows, event_name=event_name,
        counts=store.counts(connection, [row.id for row in rows]), all_events=list(EventType),
    )  # fmt: skip


@dataclass
class HookForm:
    """What was chosen, the choices, and what is wrong by field."""

    companies: dict[str, str]
    company: str = ""
    url: str = ""
    events: list[EventType] = field(default_factory=lambda: list(EventType))
    faults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Connection, given: MultiDict[str, str] | None) -> HookForm:
        """As it was filled in; None: with everything chosen."""
        rows = choices.companies(connection, viewer().company_id)
        form = cls({str(row.id): str(row.name) for row in rows})
        form.company = next(iter(form.companies), "")
        if given is not None:
            wanted = set(given.getlist("events"))
            form.company = given.get("company", form.company)
            form.url = given.get("url", "").strip()
            form.events = [one for one in EventType if one.value in wanted]
        return form

    def judge(self, private: list[str]) -> None:
        """What is wrong with it, into ``faults``."""
        try:
            check_url(self.url, private)
        except AddressError as error:
            self.faults["url"] = _("That address will not do: %(why)s", why=error_text(error))
        if not self.events:
            self.faults["events"] = _("Choose one thing at least that it is told of.")
        if self.company not in self.companies:
            self.faults["company"] = _("Choose one of the list.")


def event_name(event: str) -> str:
    """What happened."""
    return {
        EventType.ATTEMPT_ENDED.value: _("A call ended"),
        EventType.PROMISE_MADE.value: _("A promise was made"),
        EventType.PAYMENT_SETTLED.value: _("A payment was settled"),
        EventType.CAMPAIGN_FINISHED.value: _("A campaign was finished"),
        EventType.OPTOUT_MADE.value: _("Somebody wants no more contact"),
    }.get(event, event)


def state_name(state: str) -> tuple[str, str]:
    """Where a delivery stands, and how it looks."""
    return {
        DeliveryState.PENDING.value: (_("Waits"), "warn"),
        DeliveryState.DELIVERED.value: (_("Taken"), "good"),
        DeliveryState.FAILED.value: (_("Given up"), "bad"),
    }[state]
