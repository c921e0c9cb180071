"""Rules of contact that are looser than a country's, in words; and asking for a second person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from dialer.domain.access import MANAGERS
from dialer.domain.looser import Looser, Rule
from dialer.store import policy_approvals as store
from dialer.store.campaign_file import parse_window
from dialer.store.companies import NotPossible
from web.access.doors import viewer
from web.access.rules import allow
from web.console import sentences
from web.ui.words import gettext as _
from web.ui.words import ngettext

if TYPE_CHECKING:
    from web.parts import Parts


def policy_pages(parts: Parts) -> Blueprint:
    """``/campaigns/<id>/ask-approval``."""
    blueprint = Blueprint("policy", __name__, url_prefix="/campaigns")

    @blueprint.post("/<int:campaign_id>/ask-approval")
    @allow(MANAGERS)
    def ask(campaign_id: int) -> AnyResponse:
        """It waits for somebody else from now on."""
        from web.console.campaigns import own_campaign

        reason = request.form.get("reason", "")
        try:
            with parts.engine.begin() as connection:
                own_campaign(connection, campaign_id)
                store.ask(connection, campaign_id, reason, viewer().user_id, datetime.now(UTC))
            flash(_("Asked. It can be started once somebody else has granted it."), "good")
        except NotPossible:
            if len(reason.strip()) < store.REASON_SHORTEST:
                flash(_("Say why, in a sentence: whoever decides has to know."), "bad")
            else:
                flash(_("It was asked for already, or nothing has to be granted."), "bad")
        return redirect(url_for("campaigns.show", campaign_id=campaign_id))

    return blueprint


def needs_approval() -> str:
    """Why it was not started."""
    return _(
        "Not started: its rules are looser than those of the country. Somebody has to ask for that"
        " with a reason, and somebody else to grant it."
    )


def said(one: Looser) -> str:
    """A rule that was loosened, in a sentence."""
    mine, usual = one.mine, one.usual
    if one.rule is Rule.WINDOW:
        return _(
            "Hours: %(mine)s, where %(usual)s is usual", mine=_hours(mine), usual=_hours(usual)
        )
    if one.rule is Rule.HOLIDAYS:
        return ngettext(
            "It calls on %(num)s public holiday", "It calls on %(num)s public holidays", int(mine)
        )
    if one.rule is Rule.MAX_ABANDONED:
        mine, usual = (f"{float(share) * 100:g}" for share in (mine, usual))
    return {
        Rule.WINDOW: _("Hours: %(mine)s, where %(usual)s is usual"),
        Rule.MAX_PER_DAY: _("Calls and messages a day: %(mine)s, where %(usual)s is usual"),
        Rule.MAX_PER_WEEK: _(
            "Calls and messages in seven days: %(mine)s, where %(usual)s is usual"
        ),
        Rule.HOLD: _(
            "Seconds that somebody waits for an agent: %(mine)s, where %(usual)s is usual"
        ),
        Rule.MAX_ABANDONED: _(
            "Per cent of answered calls left without an agent: %(mine)s, where %(usual)s is usual"
        ),
        Rule.RING_MIN: _("Seconds that it rings at least: %(mine)s, where %(usual)s is usual"),
        Rule.LOCK_OUT: _(
            "Hours without such a call after one was abandoned: %(mine)s, where %(usual)s is usual"
        ),
    }[one.rule] % {"mine": mine, "usual": usual}


def _hours(text: str) -> str:
    return sentences.hours_sentence(parse_window(text.split(", ")))
