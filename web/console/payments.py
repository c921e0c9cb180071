"""Payments: a list without anything of a card but its last digits, and a page to ask for a refund
from."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from babel import numbers
from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Row
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.domain.access import MANAGERS, READERS
from dialer.domain.payment import PaymentState
from dialer.logs import mask_text
from dialer.payments import refunding
from dialer.store import approvals, choices, payment_pages, refunds
from dialer.store.payment_pages import Wanted
from web.access.doors import viewer
from web.access.rules import allow
from web.console import asked
from web.ui import formats
from web.ui.names import payment_state_name
from web.ui.words import gettext as _
from web.ui.words import language

if TYPE_CHECKING:
    from web.parts import Parts

USUAL_DAYS = 30


def payments(parts: Parts) -> Blueprint:
    """The pages, at /payments."""
    blueprint = Blueprint("payments", __name__, url_prefix="/payments")

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        """The newest, by campaign, day and state."""
        campaigns = _campaigns(parts)
        wanted, days = _wanted(campaigns)
        with parts.readonly() as connection:
            found = payment_pages.page(connection, wanted)
            rows = found[: payment_pages.PAGE]
            back = payment_pages.given_back(connection, [row.id for row in rows])
        return render_template(
            "payments/index.html", rows=rows, back=back, campaigns=campaigns, wanted=wanted,
            days=days, again=asked.again, states=_states(),
            older=rows[-1].id if len(found) > len(rows) else None,
        )  # fmt: skip

    @blueprint.get("/<payment_id>")
    @allow(READERS)
    def show(payment_id: str) -> str:
        """One payment: what became of it, what was given back, what waits."""
        return _page(_found(parts, payment_id))

    def _page(one: Row[Any], **form: Any) -> str:
        with parts.readonly() as connection:
            given = refunds.refunds_of(connection, one.id)
            requests = approvals.of_target(connection, f"{refunding.PAYMENT}{one.id}")
            left = refunding.left(connection, one.id)
        point = numbers.get_decimal_symbol(language())
        told = {
            "amount": refunding.written_amount(left, one.currency, point), "reason": "",
            "forgive": False, "faults": {}, **form,
        }  # fmt: skip
        return render_template(
            "payments/show.html", one=one, refunds=given, requests=requests, left=left, **told
        )

    @blueprint.post("/<payment_id>/refund")
    @allow(MANAGERS)
    def ask_refund(payment_id: str) -> AnyResponse | tuple[str, int]:
        """Ask another one to give it back, or a part of it."""
        one = _found(parts, payment_id)
        told = {
            "amount": request.form.get("amount", "")[:40],
            "reason": request.form.get("reason", "").strip(),
            "forgive": request.form.get("forgive") == "1",
        }
        minor = refunding.parse_amount(str(told["amount"]), one.currency)
        with parts.readonly() as connection:
            left = refunding.left(connection, payment_id)
        faults = _faults(minor, left, one.currency, str(told["reason"]))
        if faults or minor is None:
            return _page(one, faults=faults, **told), 422
        made = refunding.ask(
            parts.engine, payment_id, minor, str(told["reason"]), viewer().user_id,
            forgive=bool(told["forgive"]),
        )  # fmt: skip
        if made is None:
            flash(_("Less is left of this payment by now. Nothing was asked for."), "bad")
            return redirect(url_for(".show", payment_id=payment_id))
        flash(_("Asked. Somebody else has to grant it before any money leaves."), "good")
        return redirect(url_for("approvals.index"))

    return blueprint


def _faults(minor: int | None, left: int, currency: str, reason: str) -> dict[str, str]:
    faults = {}
    if minor is None:
        faults["amount"] = _("Write an amount like %(like)s.", like=formats.money(1250, currency))
    elif not 0 < minor <= left:
        most = formats.money(left, currency)
        faults["amount"] = _("At most %(most)s can be given back.", most=most)
    if not 0 < len(reason) <= refunding.LONGEST_REASON:
        faults["reason"] = _("Say why in 200 letters at most: whoever decides reads it.")
    elif mask_text(reason) != reason:
        faults["reason"] = _("Take the long number out: it is kept for good and many read it.")
    return faults


def _campaigns(parts: Parts) -> list[Row[Any]]:
    with parts.readonly() as connection:
        return choices.campaigns(connection, viewer().company_id)


def _wanted(campaigns: list[Row[Any]]) -> tuple[Wanted, dict[str, date]]:
    """Raises NotFound for a campaign that is not the viewer's."""
    campaign_id = request.args.get("campaign", type=int)
    if campaign_id is not None and campaign_id not in {row.id for row in campaigns}:
        raise NotFound
    last = asked.day("to") or datetime.now(formats.zone()).date()
    first = asked.day("from") or last - timedelta(days=min(USUAL_DAYS - 1, (last - date.min).days))
    state = asked.text("state")
    known = state in {one.value for one in PaymentState}
    return Wanted(
        company_id=viewer().company_id, campaign_id=campaign_id, state=state if known else None,
        since=asked.begins(first), until=asked.ends(last), before=asked.text("before"),
    ), {"from": first, "to": last}  # fmt: skip


def _states() -> list[tuple[str, str]]:
    return [("", _("Any")), *((one.value, payment_state_name(one.value)) for one in PaymentState)]


def _found(parts: Parts, payment_id: str) -> Row[Any]:
    """Raises NotFound for what is not there, or another company's."""
    with parts.readonly() as connection:
        one = payment_pages.one(connection, payment_id)
    if one is None or not viewer().sees(one.company_id):
        raise NotFound
    return one
