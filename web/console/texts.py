"""The texts of messages: which there are and who sends them, how each looks to a debtor and what it
costs, what has to stand in it, and what it said before.

They are the texts of the whole installation, so that only who sees every company changes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection, Row, exists, select
from werkzeug.exceptions import Forbidden, NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.domain.access import ADMINISTRATORS, READERS
from dialer.messaging import editing
from dialer.messaging.duties import TO_THE_DEBTOR, Duty
from dialer.messaging.editing import ChangedMeanwhile
from dialer.messaging.preview import Preview, languages, preview, sample_of
from dialer.messaging.sms_length import SmsLength
from dialer.messaging.templates import (
    AFTER_PAYMENT,
    SAMPLE,
    VALUES,
    MessageTemplateError,
    template_names,
)
from dialer.store import text_versions, today
from dialer.store.tables import account, company, debtor
from web.access.doors import viewer
from web.access.rules import allow
from web.ui import formats
from web.ui.said import error_text
from web.ui.words import NAMES
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts

TOKEN_LENGTH = 22
"""Of the last part of a link, which is not shown: who has it sees the debt."""
DEBTORS = 10
"""The newest, to look at a text for."""


def texts(parts: Parts) -> Blueprint:
    """The pages, at /texts."""
    blueprint = Blueprint("texts", __name__, url_prefix="/texts")
    folder = parts.settings.flows_dir / "messages"

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        with parts.readonly() as connection:
            used = _used(connection)
        rows = [
            (language, template, _preview(folder, language, template, None), used.get(template, []))
            for language in languages(folder)
            for template in sorted(template_names(language, folder))
        ]
        return render_template("texts/index.html", rows=rows, names=NAMES, **_words(parts))

    @blueprint.get("/<language>/<template>")
    @allow(READERS)
    def show(language: str, template: str) -> str:
        source = _source(folder, language, template)
        return _page(parts, folder, language, template, source, editing.mark_of(source))

    @blueprint.post("/<language>/<template>")
    @allow(ADMINISTRATORS)
    def change(language: str, template: str) -> str | tuple[str, int] | AnyResponse:
        _may_change()
        before = _source(folder, language, template)
        text = editing.tidy(request.form.get("text", ""))
        mark = request.form.get("mark", "")
        looked = _preview(folder, language, template, None, text)
        if request.form.get("look") or not looked.sound:
            page = _page(parts, folder, language, template, text, mark)
            return page if request.form.get("look") else (page, 422)
        said = _save(parts, folder, language, template, before, text, mark)
        flash(said[0], said[1])
        return redirect(url_for(".show", language=language, template=template))

    @blueprint.post("/<language>/<template>/back/<int:version_id>")
    @allow(ADMINISTRATORS)
    def back(language: str, template: str, version_id: int) -> AnyResponse:
        _may_change()
        before = _source(folder, language, template)
        with parts.readonly() as connection:
            version = text_versions.find(connection, language, template, version_id)
        if version is None:
            raise NotFound
        if not _preview(folder, language, template, None, version.text).sound:
            flash(_("That version lacks what a text has to say today."), "bad")
        else:
            mark = editing.mark_of(before)
            said = _save(parts, folder, language, template, before, version.text, mark)
            flash(said[0], said[1])
        return redirect(url_for(".show", language=language, template=template))

    return blueprint


def _may_change() -> None:
    """Raises Forbidden for who sees one company alone: the texts are everybody's."""
    if viewer().company_id is not None:
        raise Forbidden


def _source(folder: Path, language: str, template: str) -> str:
    """Raises NotFound."""
    if language not in languages(folder):
        raise NotFound
    try:
        return editing.source_of(folder, language, template)
    except MessageTemplateError:
        raise NotFound from None


def _save(
    parts: Parts, folder: Path, language: str, template: str, before: str, text: str, mark: str
) -> tuple[str, str]:
    """Into the file, with its version; what to say and how."""
    if text == before:
        return _("Nothing has changed."), "good"
    try:
        with parts.engine.begin() as connection:
            # A version of a change that did not come about goes with the transaction.
            text_versions.note(
                connection, language, template, before, text, viewer().user_id, datetime.now(UTC)
            )
            editing.write_source(folder, language, template, text, mark)
    except ChangedMeanwhile:
        return _("Somebody has changed it meanwhile: look at it again."), "bad"
    except (MessageTemplateError, OSError) as error:
        return _("The file of texts cannot be changed: %(why)s", why=error_text(error)), "bad"
    return _("The next message says so."), "good"


def _page(parts: Parts, folder: Path, language: str, template: str, source: str, mark: str) -> str:
    with parts.readonly() as connection:
        people = _people(connection)
        chosen = request.args.get("debtor", type=int)
        one = next((row for row in people if row.id == chosen), people[0] if people else None)
        versions = text_versions.versions(connection, language, template)
        used = _used(connection).get(template, [])
    return render_template(
        "texts/show.html", spoken=language, template=template, source=source, mark=mark,
        seen=_preview(folder, language, template, one, source, parts), debtor=one, people=people,
        versions=versions, used=used, places=places_of(template), names=NAMES,
        writable=editing.is_writable(folder, language),
        may=viewer().company_id is None and viewer().role in ADMINISTRATORS,
        **_words(parts),
    )  # fmt: skip


def _people(connection: Connection) -> list[Any]:
    """Debtors to look at a text for."""
    query = (
        select(debtor.c.id, debtor.c.name, company.c.spoken_name, company.c.callback_number)
        .join(company, company.c.id == debtor.c.company_id)
        .where(exists().where(account.c.debtor_id == debtor.c.id))
    )
    # In the order of an index: any few will do, and all of a company would be sorted for them.
    if viewer().company_id is None:
        query = query.order_by(debtor.c.id.desc())
    else:
        query = query.where(debtor.c.company_id == viewer().company_id)
        query = query.order_by(debtor.c.company_id, debtor.c.document)
    return list(connection.execute(query.limit(DEBTORS)).all())


def _preview(
    folder: Path, language: str, template: str, one: Row[Any] | None, source: str | None = None,
    parts: Parts | None = None,
) -> Preview:  # fmt: skip
    """A text for a debtor (None: for a made-up one)."""
    values = sample_of(template)
    if one is not None:
        values["company"] = one.spoken_name
        values["callback"] = one.callback_number or SAMPLE["callback"]
    if parts is not None:
        values["link"] = f"{parts.settings.link_base}/{'x' * TOKEN_LENGTH}"
    return preview(folder, language, template, values, source)


def _used(connection: Connection) -> dict[str, list[Row[Any]]]:
    """Template -> the campaigns of the viewer that send it."""
    found: dict[str, list[Row[Any]]] = {}
    for row in today.campaigns_of(connection, viewer().company_id):
        for step in row.plan.get("fallback", ()):
            if step.get("template"):
                found.setdefault(step["template"], []).append(row)
    return found


# --- words ----------------------------------------------------------------------------------


def _words(parts: Parts) -> dict[str, Any]:
    return {
        "text_name": text_name, "duty_name": duty_name, "length_line": length_line,
        "cost": lambda length: cost_line(length, parts.settings.sms_price),
        "to_debtor": TO_THE_DEBTOR,
    }  # fmt: skip


def text_name(template: str) -> str:
    """What it is for."""
    return {
        "missed_call": _("After a call that was hung up"),
        "apology": _("After a call that no agent took in time"),
        "payment_link": _("The payment link that was asked for"),
        "payment_receipt": _("Receipt of a payment by card"),
        "payment_link_after": _("Link after a payment that did not come about"),
    }.get(template, template)


def places_of(template: str) -> list[tuple[str, str]]:
    """What may be filled in, and what it stands for."""
    said = {
        "company": _("who calls, as it is said to debtors"),
        "callback": _("the number to call back"),
        "link": _("the debtor's own payment link"),
        "amount": _("what was paid"),
        "date": _("the day of the payment"),
        "receipt": _("its reference"),
        "auth_code": _("the bank's code; may be empty"),
        "last_four": _("the card's last digits; may be empty"),
    }
    extra: Mapping[str, str] = AFTER_PAYMENT.get(template, {})
    return [(name, said[name]) for name in said if name in VALUES or name in extra]


def duty_name(duty: Duty) -> str:
    """What is asked of a text."""
    return {
        Duty.WHO: _("It says who we are"),
        Duty.BACK: _("It says where to reach us"),
        Duty.STOP: _("It says how to have no more of them: STOP and BAJA"),
        Duty.NO_DEBT: _("It does not let others see a debt, for it goes to whoever has the phone"),
    }[duty]


def length_line(length: SmsLength) -> str:
    """How much of how many SMS."""
    name = "GSM-7" if length.encoding == "gsm7" else "UCS-2"
    if length.segments == 1:
        return _("%(units)s of %(most)s places of one SMS (%(name)s)", units=length.units,
                 most=160 if name == "GSM-7" else 70, name=name)  # fmt: skip
    return _("%(count)s SMS together: %(units)s places (%(name)s)", count=length.segments,
             units=length.units, name=name)  # fmt: skip


def cost_line(length: SmsLength, price: str) -> str:
    """What it costs, where a price is known."""
    amount, _space, currency = price.partition(" ")
    try:
        each = float(amount)
    except ValueError:
        return ""
    cost = formats.number(round(each * length.segments, 4))
    return _("%(cost)s %(currency)s a message", cost=cost, currency=currency)
