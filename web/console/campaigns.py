"""Campaigns: all of them, each with what it does as it does it, and a hand on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection, Row
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.domain.access import MANAGERS, READERS
from dialer.domain.model import CampaignPlan, CampaignState, DialMode
from dialer.engine import outlook as engine_outlook
from dialer.engine.outlook import Outlook
from dialer.store import campaigns as store
from dialer.store import idle, imports, policy_approvals, today
from dialer.store.campaigns import TRANSITIONS, Action
from dialer.store.companies import NotPossible
from dialer.store.idle_reasons import Reason
from dialer.store.plans import plan_of
from dialer.store.policy_approvals import NeedsApproval
from web.access.doors import viewer
from web.access.rules import allow
from web.console import campaign_words, idle_words, outlook, policy, sentences
from web.console.live import Sampler, stream
from web.console.today import Line, line_of, midnight
from web.ui import formats
from web.ui.names import campaign_state_name
from web.ui.words import gettext as _
from web.ui.words import ngettext

if TYPE_CHECKING:
    from web.parts import Parts


OUTLOOK_SECONDS = 30.0
"""How often whom it may call and when it would end is worked out, while somebody looks."""
ENDED = frozenset({CampaignState.STOPPED.value, CampaignState.FINISHED.value})
STARTED = frozenset({CampaignState.RUNNING.value, CampaignState.PAUSED.value})


@dataclass(frozen=True, slots=True)
class Shown:
    """A campaign as its page shows it. ``reasons``: why it calls nobody. ``may_start``: if
    it does not run, no second person is needed for it. ``outlook``: None where nobody waits to be
    called, or never will be."""

    row: Row[Any]
    plan: CampaignPlan
    line: Line
    glance: today.Glance
    reasons: tuple[Reason, ...]
    may_start: bool
    outlook: Outlook | None = None

    @property
    def actions(self) -> list[Action]:
        """What may be done to it now."""
        state = CampaignState(self.row.state)
        return [
            action
            for action, (allowed, _after) in TRANSITIONS.items()
            if state in allowed and (action is not Action.START or self.may_start)
        ]


def campaigns_pages(parts: Parts) -> Blueprint:
    """``/campaigns``."""
    blueprint = Blueprint("campaigns", __name__, url_prefix="/campaigns")
    blueprint.add_app_template_filter(idle_words.said, "idle_reason")
    sampler = Sampler()
    _looking(blueprint, parts, sampler, Sampler(every=OUTLOOK_SECONDS))
    _changing(blueprint, parts, sampler)
    return blueprint


def moment_given(text: str) -> datetime | None:
    """The time of a field for date and time, in the viewer's zone; None of an empty one. Raises
    NotPossible."""
    if not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise NotPossible(_("That is no date and time: %(given)s", given=text)) from None
    return found.replace(tzinfo=ZoneInfo(viewer().timezone)).astimezone(UTC)


def own_campaign(connection: Connection, campaign_id: int) -> Row[Any]:
    """The campaign, if it is the viewer's to see. Raises NotFound."""
    for row in today.campaigns_of(connection, viewer().company_id):
        if row.id == campaign_id:
            return row
    raise NotFound


def _looking(blueprint: Blueprint, parts: Parts, sampler: Sampler, ahead: Sampler) -> None:
    def found(campaign_id: int) -> Shown:
        now = datetime.now(UTC)
        since = midnight(viewer(), now)
        company_id = viewer().company_id
        shown: Shown = sampler.get(
            (company_id, campaign_id, since), lambda: _find(parts, campaign_id, since, now, ahead)
        )
        return shown

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        state = request.args.get("state", "")
        with parts.readonly() as connection:
            rows = today.campaigns_of(connection, viewer().company_id)
            leads = today.leads_by_state(connection, [row.id for row in rows]) if rows else {}
        shown = [(row, line_of(row, leads[row.id])) for row in rows if state in ("", row.state)]
        states = [("", _("All"))] + [(s.value, campaign_state_name(s.value)) for s in CampaignState]
        return render_template(
            "campaigns/index.html", shown=shown, states=states, state=state, any=bool(rows)
        )

    @blueprint.get("/<int:campaign_id>")
    @allow(READERS)
    def show(campaign_id: int) -> str:
        shown = found(campaign_id)
        with parts.readonly() as connection:
            stands = policy_approvals.standing(connection, campaign_id)
        return render_template(
            "campaigns/show.html", shown=shown, stands=stands, looser=policy.said, actions=Action,
            says=sentences, modes=_modes(), ahead=outlook,
            start=_local(shown.row.start_at),
            live=url_for(".live", campaign_id=campaign_id),
            flow_page=url_for("flows.show", name=shown.plan.flow),
        )  # fmt: skip

    @blueprint.get("/<int:campaign_id>/live")
    @allow(READERS)
    def live(campaign_id: int) -> Response:
        found(campaign_id)  # another company's is not there, said at once
        return stream(
            f"{viewer().company_id}",
            lambda: render_template(
                "campaigns/show_part.html", shown=found(campaign_id), ahead=outlook
            ),
        )


def _find(parts: Parts, campaign_id: int, since: datetime, now: datetime, ahead: Sampler) -> Shown:
    with parts.readonly() as connection:
        row = own_campaign(connection, campaign_id)
        leads = today.leads_by_state(connection, [campaign_id])[campaign_id]
        reasons = []
        if row.state == CampaignState.RUNNING.value:
            reasons = idle.reasons(connection, campaign_id, now)
        plan = plan_of(row.plan)
        seen: Outlook | None = None
        if row.state not in ENDED and leads["waiting"]:
            # What a change of the plan or the state changes in it is seen at once.
            key = (campaign_id, row.state, row.start_at, str(row.plan))
            seen = ahead.get(key, lambda: _ahead(connection, row, plan, now))
        return Shown(
            outlook=seen,
            row=row,
            plan=plan,
            line=line_of(row, leads),
            glance=today.glance(connection, [campaign_id], since, now),
            reasons=tuple(reasons),
            may_start=row.state in STARTED
            or policy_approvals.standing(connection, campaign_id).may_start,
        )


def _ahead(connection: Connection, row: Row[Any], plan: CampaignPlan, now: datetime) -> Outlook:
    facts = engine_outlook.facts_of_campaign(connection, row.id, plan, row.company_id, now)
    return engine_outlook.outlook(facts, now, row.start_at)


def _local(at: datetime | None) -> str:
    """As a field for date and time has it."""
    return f"{at.astimezone(ZoneInfo(viewer().timezone)):%Y-%m-%dT%H:%M}" if at else ""


def _modes() -> list[tuple[str, str]]:
    from web.ui.names import dial_mode_name

    return [(mode.value, dial_mode_name(mode.value)) for mode in DialMode]


def _changing(blueprint: Blueprint, parts: Parts, sampler: Sampler) -> None:
    def back(campaign_id: int) -> AnyResponse:
        sampler.forget()  # whoever has changed something sees it changed
        return redirect(url_for(".show", campaign_id=campaign_id))

    @blueprint.post("/<int:campaign_id>/<any(start, pause, resume, stop):action>")
    @allow(MANAGERS)
    def act(campaign_id: int, action: str) -> AnyResponse:
        now, actor = datetime.now(UTC), f"user:{viewer().user_id}"
        try:
            with parts.engine.begin() as connection:
                row = own_campaign(connection, campaign_id)
                after = store.change_state(connection, row.name, Action(action), actor, now)
            flash(_("%(name)s is now: %(state)s", name=row.name,
                    state=campaign_state_name(after.value)), "good")  # fmt: skip
        except NeedsApproval:
            flash(policy.needs_approval(), "bad")
        except NotPossible as error:
            flash(campaign_words.refused(error), "bad")
        return back(campaign_id)

    @blueprint.post("/<int:campaign_id>/mode")
    @allow(MANAGERS)
    def mode(campaign_id: int) -> AnyResponse:
        now, actor = datetime.now(UTC), f"user:{viewer().user_id}"
        try:
            with parts.engine.begin() as connection:
                row = own_campaign(connection, campaign_id)
                wanted = DialMode(request.form.get("mode", ""))
                store.change_mode(connection, row.name, wanted, actor, now)
            flash(_("Calls from now on are placed in this mode."), "good")
        except NotPossible as error:
            flash(campaign_words.refused(error), "bad")
        except ValueError:
            flash(_("Choose one of the list."), "bad")
        return back(campaign_id)

    @blueprint.post("/<int:campaign_id>/schedule")
    @allow(MANAGERS)
    def schedule(campaign_id: int) -> AnyResponse:
        now, actor = datetime.now(UTC), f"user:{viewer().user_id}"
        try:
            at = moment_given(request.form.get("start", ""))
            with parts.engine.begin() as connection:
                row = own_campaign(connection, campaign_id)
                store.schedule(connection, row.name, at, actor, now)
            said = _("It starts only when somebody starts it.")
            if at is not None:
                said = _("It starts by itself on %(at)s.", at=formats.moment_of(at))
            flash(said, "good")
        except NotPossible as error:
            flash(campaign_words.refused(error), "bad")
        return back(campaign_id)

    @blueprint.post("/<int:campaign_id>/add-leads")
    @allow(MANAGERS)
    def add_leads(campaign_id: int) -> AnyResponse:
        now, actor = datetime.now(UTC), f"user:{viewer().user_id}"
        with parts.engine.begin() as connection:
            row = own_campaign(connection, campaign_id)
            added = imports.add_leads(connection, row.id)
            store.record_leads(connection, row.id, added, actor, now)
        flash(ngettext("%(num)s lead was added.", "%(num)s leads were added.", added), "good")
        return back(campaign_id)
