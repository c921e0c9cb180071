"""Reports by e-mail: who gets which, and what became of each message."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection, Row
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.domain.access import MANAGERS, READERS
from dialer.domain.mail import MOST_ADDRESSES, addresses_of
from dialer.domain.recurring import Every, run_on
from dialer.store import choices
from dialer.store import report_mails as store
from dialer.store.report_mails import Wanted
from web.access.doors import viewer
from web.access.rules import allow
from web.console.report_effect import hour_name
from web.console.report_mail import FORMATS
from web.ui.words import gettext as _
from web.ui.words import language

if TYPE_CHECKING:
    from web.parts import Parts

USUAL_HOUR = 7


def report_mails(parts: Parts) -> Blueprint:
    """The pages, at /reports/by-mail."""
    blueprint = Blueprint("report_mails", __name__, url_prefix="/reports/by-mail")
    _looking(blueprint, parts)
    _changing(blueprint, parts)
    return blueprint


def _looking(blueprint: Blueprint, parts: Parts) -> None:
    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        with parts.readonly() as connection:
            rows = store.of_company(connection, viewer().company_id)
            last = store.last_of(connection, [row.id for row in rows])
        removed = request.args.get("removed", type=int)
        return render_template(
            "report_mails/index.html", rows=rows, last=last, removed=removed, **_words(parts)
        )

    @blueprint.get("/new")
    @allow(MANAGERS)
    def new() -> str:
        with parts.readonly() as connection:
            form = MailForm.of(connection, request.args)
        form.faults.clear()
        return render_template("report_mails/new.html", form=form, **_words(parts))

    @blueprint.get("/<int:mail_id>")
    @allow(READERS)
    def show(mail_id: int) -> str:
        with parts.readonly() as connection:
            row = _own(store.find(connection, mail_id))
            sendings = store.sendings(connection, mail_id)
        return render_template(
            "report_mails/show.html", row=row, sendings=sendings, **_words(parts)
        )


def _changing(blueprint: Blueprint, parts: Parts) -> None:
    def now() -> datetime:
        return datetime.now(UTC)

    @blueprint.post("")
    @allow(MANAGERS)
    def create() -> tuple[str, int] | AnyResponse:
        with parts.readonly() as connection:
            form = MailForm.of(connection, request.form)
        if form.faults:
            page = render_template("report_mails/new.html", form=form, **_words(parts))
            return page, 422
        with parts.engine.begin() as connection:
            made = store.create(connection, form.wanted(parts), now())
        flash(_("It is set up. Send a test to see that it arrives."), "good")
        return redirect(url_for(".show", mail_id=made))

    @blueprint.post("/<int:mail_id>/test")
    @allow(MANAGERS)
    def test(mail_id: int) -> AnyResponse:
        with parts.engine.begin() as connection:
            row = _own(store.find(connection, mail_id))
            today = now().astimezone(ZoneInfo(row.timezone)).date()
            run = run_on(Every(row.every), today, now())
            store.put(connection, mail_id, row.addresses, run, f"test-{secrets.token_hex(8)}",
                      now())  # fmt: skip
        if parts.settings.smtp_host:
            flash(_("The test is on its way; below is what becomes of it."), "good")
        else:
            flash(_("The test waits: no mail server is set."), "bad")
        return redirect(url_for(".show", mail_id=mail_id))

    @blueprint.post("/<int:mail_id>/<any(pause, resume):action>")
    @allow(MANAGERS)
    def act(mail_id: int, action: str) -> AnyResponse:
        with parts.engine.begin() as connection:
            row = _own(store.find(connection, mail_id))
            if action == "pause":
                store.pause(connection, mail_id, f"user:{viewer().user_id}", now())
            else:
                store.resume(connection, row, f"user:{viewer().user_id}", now())
        return redirect(url_for(".show", mail_id=mail_id))

    @blueprint.post("/<int:mail_id>/remove")
    @allow(MANAGERS)
    def remove(mail_id: int) -> AnyResponse:
        with parts.engine.begin() as connection:
            _own(store.find(connection, mail_id))
            store.remove(connection, mail_id, f"user:{viewer().user_id}", now())
        flash(_("It is not sent any more."), "good")
        return redirect(url_for(".index", removed=mail_id))

    @blueprint.post("/<int:mail_id>/restore")
    @allow(MANAGERS)
    def restore(mail_id: int) -> AnyResponse:
        with parts.engine.begin() as connection:
            _own(store.find_removed(connection, mail_id))
            store.restore(connection, mail_id, f"user:{viewer().user_id}", now())
        flash(_("It is back, paused."), "good")
        return redirect(url_for(".show", mail_id=mail_id))

    @blueprint.post("/<int:mail_id>/sendings/<int:sending_id>/again")
    @allow(MANAGERS)
    def again(mail_id: int, sending_id: int) -> AnyResponse:
        with parts.engine.begin() as connection:
            _own(store.find(connection, mail_id))
            done = store.send_again(connection, mail_id, sending_id, now())
        if done:
            flash(_("It is sent again within seconds."), "good")
        else:
            flash(_("There is nothing to send again in that line any more."), "bad")
        return redirect(url_for(".show", mail_id=mail_id))


def _own(row: Row[Any] | None) -> Row[Any]:
    """The viewer's. Raises NotFound."""
    if row is None or not viewer().sees(row.company_id):
        raise NotFound
    return row


# --- the form -------------------------------------------------------------------------------


@dataclass
class MailForm:
    """What was chosen, the choices, and what is wrong by field."""

    campaigns: Sequence[Row[Any]]
    campaign: str = ""
    hours: tuple[int, int] = (0, 24)
    format: str = FORMATS[0]
    every: str = Every.DAY.value
    hour: int = USUAL_HOUR
    addresses: str = ""
    faults: dict[str, str] = field(default_factory=dict)
    good: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, connection: Connection, given: MultiDict[str, str]) -> MailForm:
        """As it was filled in, or as the page of reports asks for it."""
        form = cls(choices.campaigns(connection, viewer().company_id))
        form.campaign = given.get("campaign", "")
        first = _number(given, "hour_from", 0, 23, 0)
        last = _number(given, "hour_to", 1, 24, 24)
        form.hours = (first, last)
        form.format = given.get("format", FORMATS[0])
        form.every = given.get("every", Every.DAY.value)
        form.hour = _number(given, "hour", 0, 23, USUAL_HOUR)
        form.addresses = given.get("addresses", viewer().email)
        form.good, bad = addresses_of(form.addresses)
        if form.campaign and form.campaign not in {str(row.id) for row in form.campaigns}:
            raise NotFound
        if first >= last:
            form.faults["hour_to"] = _("Later than the first hour.")
        if bad:
            form.faults["addresses"] = _("That is no address: %(given)s", given=", ".join(bad[:5]))
        elif not form.good:
            form.faults["addresses"] = _("Write one address at least.")
        elif len(form.good) > MOST_ADDRESSES:
            form.faults["addresses"] = _("%(n)s addresses at most.", n=MOST_ADDRESSES)
        for name, value, known in (
            ("format", form.format, FORMATS),
            ("every", form.every, tuple(Every)),
        ):
            if value not in known:
                form.faults[name] = _("Choose one of the list.")
        return form

    def wanted(self, parts: Parts) -> Wanted:
        """As the store has it."""
        who = viewer()
        company_id, zone = who.company_id, who.timezone
        chosen = int(self.campaign) if self.campaign else None
        for row in self.campaigns:
            if row.id == chosen:
                company_id = row.company_id
        if company_id is not None:
            with parts.readonly() as connection:
                zone = choices.companies(connection, company_id)[0].timezone
        return Wanted(
            company_id=company_id, campaign_id=chosen, owner_id=who.user_id, hours=self.hours,
            format=self.format, every=Every(self.every), hour=self.hour, timezone=zone,
            language=language(), addresses=self.good,
        )  # fmt: skip


def _number(given: MultiDict[str, str], name: str, least: int, most: int, usual: int) -> int:
    found = given.get(name, usual, type=int)
    return found if least <= found <= most else usual


# --- words ----------------------------------------------------------------------------------


def _words(parts: Parts) -> dict[str, Any]:
    return {
        "hour_name": hour_name,
        "when": when_sentence,
        "format_name": format_name,
        "state_name": state_name,
        "every": [(one.value, every_name(one.value)) for one in Every],
        "formats": [(one, format_name(one)) for one in FORMATS],
        "ready": bool(parts.settings.smtp_host),
        "to": addresses_line,
    }


def every_name(value: str) -> str:
    """How often."""
    return {
        Every.DAY.value: _("Every day, of the day before"),
        Every.WEEK.value: _("On Mondays, of the seven days before"),
        Every.MONTH.value: _("On the first, of the month before"),
    }[value]


def when_sentence(row: Row[Any]) -> str:
    """How often, and at which hour of which zone."""
    return _("%(every)s; at %(hour)s (%(zone)s)", every=every_name(row.every),
             hour=hour_name(row.hour), zone=row.timezone)  # fmt: skip


def format_name(value: str) -> str:
    """As which files."""
    return {"pdf": "PDF", "xlsx": "Excel", "csv": _("CSV, a file for each table")}[value]


def state_name(value: str) -> tuple[str, str]:
    """Where a message stands, and how it looks."""
    return {
        "pending": (_("Waits"), "warn"),
        "sending": (_("Being sent"), "warn"),
        "handed": (_("May have arrived"), "warn"),
        "sent": (_("The mail server has it"), "good"),
        "failed": (_("Not sent"), "bad"),
    }[value]


def addresses_line(row: Row[Any]) -> str:
    """The first of them, and how many more."""
    first, more = row.addresses[0], len(row.addresses) - 1
    if not more:
        return str(first)
    return _("%(first)s and %(more)s more", first=first, more=more)
