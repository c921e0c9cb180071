"""A new campaign: a form, what it will do in sentences, then a draft.

What may stand in a field is the campaign file's to say (``dialer.store.campaign_file``): nothing is
checked twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection, select
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.domain.access import MANAGERS
from dialer.domain.model import DialMode
from dialer.engine.outlook import outlook as outlook_of
from dialer.flow.errors import FlowError
from dialer.local.launch import make_campaign
from dialer.store import campaigns as store
from dialer.store import companies, imports, today
from dialer.store.campaign_file import CampaignFile, PlanError, campaign_of
from dialer.store.companies import NotPossible
from dialer.store.plans import plan_of
from dialer.store.tables import caller_id_pool, company
from web.access.doors import viewer
from web.access.rules import allow
from web.console import campaign_holidays, outlook, sentences
from web.console.campaigns import moment_given
from web.console.flows import flow_drawing
from web.foreseen import foreseen
from web.ui import formats
from web.ui.names import dial_mode_name
from web.ui.said import error_text, in_words
from web.ui.words import NAMES
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts

STEPS = ("redial", "sms", "retry")
DEFAULTS: dict[str, Any] = {
    "name": "", "company": "", "flow": "reminder", "language": "es", "pool": "",
    "window": "", "calls_per_second": "5", "max_concurrent": "100", "max_per_day": "",
    "max_per_week": "", "mode": DialMode.AGENTLESS.value, "unseen_days": "7", "record": "",
    "redial": "yes", "sms": "yes", "retry": "yes", "start": "", "whom": "all",
    "holidays": campaign_holidays.COUNTRY, "days_off": "",
}  # fmt: skip


def campaign_new(parts: Parts) -> Blueprint:
    """``/campaigns/new``."""
    blueprint = Blueprint("campaign_new", __name__, url_prefix="/campaigns/new")

    @blueprint.get("")
    @allow(MANAGERS)
    def new() -> str:
        like = request.args.get("like", type=int)
        with parts.readonly() as connection:
            values = DEFAULTS | (_like(connection, like) if like else {})
            return _page(parts, connection, values)

    @blueprint.post("")
    @allow(MANAGERS)
    def make() -> str | AnyResponse:
        values = DEFAULTS | dict.fromkeys(STEPS, "") | _given()
        if request.form.get("look"):
            return _look(parts, values)
        now = datetime.now(UTC)
        try:
            wanted = _wanted(values)
            with parts.engine.begin() as connection:
                _own(connection, wanted)
                actor = f"user:{viewer().user_id}"
                made, warnings = make_campaign(connection, parts.settings, wanted, actor, now)
                added = imports.add_leads(connection, made) if values["whom"] == "all" else 0
                start = moment_given(values["start"])
                if start is not None:
                    store.schedule(connection, wanted.name, start, actor, now)
        except (PlanError, NotPossible, FlowError) as error:
            with parts.readonly() as connection:
                return _page(parts, connection, values, _problems(error))
        for one in warnings:
            flash(in_words(one), "warn")
        said = _("It is made, with %(n)s leads, and calls nobody until you start it.", n=added)
        if start is not None:
            said = _("It is made, with %(n)s leads, and starts by itself on %(at)s.", n=added,
                     at=formats.moment_of(start))  # fmt: skip
        flash(said, "good")
        return redirect(url_for("campaigns.show", campaign_id=made))

    return blueprint


def _given() -> dict[str, str]:
    return {key: request.form[key].strip() for key in DEFAULTS if key in request.form}


def _problems(error: Exception) -> list[str]:
    if isinstance(error, PlanError):
        return [in_words(one) for one in error.problems]
    if isinstance(error, FlowError):
        lead = _("What debtors hear cannot be used as it is; whoever writes flows puts this right:")
        return [lead, *str(error).splitlines()]
    return error_text(error).splitlines()


def _wanted(values: dict[str, str]) -> CampaignFile:
    """The form as a campaign file. Raises PlanError."""
    plain = ("name", "company", "flow", "language", "pool", "calls_per_second", "max_concurrent",
             "max_per_day", "max_per_week")  # fmt: skip
    wanted: dict[str, Any] = {key: values[key] for key in plain if values[key]}
    window = [line.strip() for line in values["window"].splitlines() if line.strip()]
    if window:
        wanted["window"] = window
    wanted |= campaign_holidays.wanted(values)
    steps: list[Any] = []
    if values["redial"]:
        steps.append({"redial": {"unseen_days": values["unseen_days"] or 7}})
    steps += [step for step in ("sms", "retry") if values[step]]
    return campaign_of(
        wanted
        | {"fallback": steps, "agents": {"mode": values["mode"]}, "record": bool(values["record"])}
    )


def _own(connection: Connection, wanted: CampaignFile) -> int:
    """The company it is for, which is the viewer's. Raises NotPossible, which names no other one,
    nor tells whether there is one of that name."""
    for row in companies.list_companies(connection):
        if row.name == wanted.company and viewer().sees(row.id):
            return int(row.id)
    if viewer().company_id is not None:
        raise NotPossible(_("That company is not yours."))
    return int(companies.find_company(connection, wanted.company).id)


def _look(parts: Parts, values: dict[str, str]) -> str:
    """What it would do; nothing is kept."""
    looked: dict[str, Any] = {}
    problems: list[str] = []
    now = datetime.now(UTC)
    try:
        wanted, start = _wanted(values), moment_given(values["start"])
        if start is not None and start <= now:
            raise NotPossible(_("The time to start at has passed already."))
        with parts.readonly() as connection:
            company_id = _own(connection, wanted)
        facts, warnings = foreseen(
            parts.engine, parts.settings, wanted, company_id, f"user:{viewer().user_id}", now,
            everybody=values["whom"] == "all",
        )  # fmt: skip
        # Beside the transaction, which holds up whoever writes.
        looked = {
            "plan": facts.plan, "accounts": facts.sample.whole, "warnings": warnings,
            "start": start, "drawing": flow_drawing(parts.settings.flows_dir, facts.plan.flow),
            "outlook": outlook_of(facts, now, start) if facts.sample.whole else None,
        }  # fmt: skip
    except (PlanError, NotPossible, FlowError) as error:
        problems = _problems(error)
    with parts.readonly() as connection:
        return _page(parts, connection, values, problems, looked)


def _like(connection: Connection, campaign_id: int) -> dict[str, Any]:
    """The form filled in as a campaign is. Raises NotFound."""
    row = next(
        (r for r in today.campaigns_of(connection, viewer().company_id) if r.id == campaign_id),
        None,
    )
    if row is None:
        raise NotFound
    plan = plan_of(row.plan)
    pool = connection.scalar(
        select(caller_id_pool.c.name).where(caller_id_pool.c.id == row.pool_id)
    )
    country: str = connection.execute(
        select(company.c.country).where(company.c.id == row.company_id)
    ).scalar_one()
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    kinds = {step.kind.value for step in plan.fallback}
    unseen = [step.unseen_days for step in plan.fallback if step.kind.value == "redial"]
    return {
        "name": f"{row.name} 2",
        "company": row.company,
        "flow": plan.flow,
        "language": plan.language,
        "pool": pool or "",
        "window": "\n".join(
            f"{days[one.weekday]} {one.start:%H:%M}-"
            + ("24:00" if f"{one.end:%H:%M}" == "00:00" else f"{one.end:%H:%M}")
            for one in plan.rules.window
        ),
        "calls_per_second": f"{plan.calls_per_second:g}",
        "max_concurrent": str(plan.max_concurrent),
        "max_per_day": str(plan.rules.max_per_day),
        "max_per_week": str(plan.rules.max_per_week),
        "mode": plan.agents.mode.value,
        "unseen_days": f"{unseen[0]:g}" if unseen else "7",
        "record": "yes" if plan.record else "",
        **campaign_holidays.filled_in(plan, country, datetime.now(UTC).date()),
        **{step: "yes" if step in kinds else "" for step in STEPS},
    }


def _page(
    parts: Parts,
    connection: Connection,
    values: dict[str, Any],
    problems: list[str] | None = None,
    looked: dict[str, Any] | None = None,
) -> str:
    mine = [row for row in companies.list_companies(connection) if viewer().sees(row.id)]
    names = {row.name for row in mine}
    pools = [one for one in companies.list_pools(connection) if one["company"] in names]
    if values["company"] not in names and mine:
        values = values | {"company": mine[0].name}
    if not values["pool"] and pools:
        values = values | {"pool": pools[0]["name"]}
    return render_template(
        "campaigns/new.html",
        values=values,
        problems=problems or [],
        looked=looked,
        says=sentences,
        days_off=campaign_holidays,
        today=datetime.now(ZoneInfo(viewer().timezone)).date(),
        ahead=outlook,
        zone=viewer().timezone,
        companies=[(row.name, row.name) for row in mine],
        pools=[(one["name"], f"{one['name']} ({len(one['numbers'])})") for one in pools],
        flows=[(path.stem, path.stem) for path in sorted(parts.settings.flows_dir.glob("*.yaml"))],
        modes=[(mode.value, dial_mode_name(mode.value)) for mode in DialMode],
        languages=NAMES.items(),
    )
