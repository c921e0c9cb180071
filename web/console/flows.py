"""Flows: drawn, with what debtors did in each node, and what is said to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask import Blueprint, render_template, request
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from dialer.domain.access import READERS
from dialer.domain.funnel import AtNode, Funnel, StepName, funnel
from dialer.domain.model import Outcome
from dialer.flow.drawing import Note, draw
from dialer.flow.errors import FlowError
from dialer.flow.model import Flow, flow_names
from dialer.store import funnel as counts
from dialer.store.funnel import UsedBy
from web.access.doors import viewer
from web.access.rules import allow
from web.console import flow_files
from web.ui import formats, names
from web.ui.words import gettext as _
from web.ui.words import language

if TYPE_CHECKING:
    from web.parts import Parts

PERIODS = (1, 7, 30, 90)
USUAL = 7
LANGUAGES = ("es", "en")


@dataclass(frozen=True, slots=True)
class Line:
    """A flow of the list; ``fault``: why it cannot be read."""

    name: str
    title: str = ""
    nodes: int = 0
    languages: tuple[str, ...] = ()
    used: tuple[UsedBy, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the figures are of; ``campaign`` None: of nothing, there is none."""

    campaign: UsedBy | None
    campaigns: list[UsedBy]
    days: int


def flows(parts: Parts) -> Blueprint:
    """The pages, at /flows."""
    blueprint = Blueprint("flows", __name__, url_prefix="/flows")
    flows_dir = parts.settings.flows_dir

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        """All of them, and who uses each."""
        with parts.readonly() as connection:
            used = counts.uses(connection, viewer().company_id)
        lines = [_line(flows_dir, name, used.get(name, [])) for name in flow_names(flows_dir)]
        return render_template("flows/index.html", flows=lines)

    @blueprint.get("/<name>")
    @allow(READERS)
    def show(name: str) -> str:
        """One flow; its picture comes after the page, for it has to be counted."""
        flow = _found(flows_dir, name)
        asked = _asked(parts, name)
        texts = {one: flow_files.texts_of(flows_dir, one) for one in LANGUAGES}
        return render_template(
            "flows/show.html", flow=flow, asked=asked, periods=_periods(), said=_said(flow),
            texts=texts, choices=[(one.id, one.name) for one in asked.campaigns],
            whole=_figures(flow, asked) if "figures" in request.args else None,
        )  # fmt: skip

    @blueprint.get("/<name>/figures")
    @allow(READERS)
    def figures(name: str) -> str:
        """The picture, the funnel, and the table of nodes."""
        return _figures(_found(flows_dir, name), _asked(parts, name))

    def _figures(flow: Flow, asked: Asked) -> str:
        found: Funnel | None = None
        if asked.campaign is not None:
            now = datetime.now(UTC)
            with parts.readonly() as connection:
                groups = counts.last_calls(
                    connection, asked.campaign.id, flow.name, now - timedelta(days=asked.days), now
                )
            found = funnel(groups, flow.nodes)
        return render_template(
            "flows/figures.html", flow=flow, asked=asked, funnel=found,
            drawing=_drawing(flows_dir, flow, found), step_name=_step_name,
            problems=flow_files.problems_of(flows_dir, flow.name),
        )  # fmt: skip

    return blueprint


def _line(flows_dir: Any, name: str, used: list[UsedBy]) -> Line:
    try:
        flow = flow_files.flow_of(flows_dir, name)
    except FlowError as error:
        return Line(name, fault=str(error), used=tuple(used))
    return Line(name, flow.title, len(flow.nodes), flow.languages, tuple(used))


def _found(flows_dir: Any, name: str) -> Flow:
    if name not in flow_names(flows_dir):
        raise NotFound
    try:
        return flow_files.flow_of(flows_dir, name)
    except FlowError:
        raise NotFound from None  # the list says what is wrong with it


def _asked(parts: Parts, name: str) -> Asked:
    """Raises NotFound for a campaign of another company, or without this flow."""
    with parts.readonly() as connection:
        campaigns = counts.campaigns_with(connection, viewer().company_id, name)
    wanted = request.args.get("campaign", type=int)
    days = request.args.get("days", USUAL, type=int)
    chosen = campaigns[0] if campaigns else None
    if wanted is not None:
        chosen = next((one for one in campaigns if one.id == wanted), None)
        if chosen is None:
            raise NotFound
    return Asked(chosen, campaigns, days if days in PERIODS else USUAL)


def flow_drawing(flows_dir: Any, name: str) -> Markup:
    """A flow without what became of anybody. Raises FlowError for one that cannot be read."""
    return _drawing(flows_dir, flow_files.flow_of(flows_dir, name), None)


def _drawing(flows_dir: Any, flow: Flow, found: Funnel | None) -> Markup:
    spoken = language() if language() in flow.languages else flow.languages[0]
    try:
        prompts = flow_files.prompts_of(flows_dir, spoken)
    except FlowError:
        prompts = None
    notes = {}
    for one in found.nodes if found else ():
        if text := _note(one):
            notes[one.node] = Note(text, one.left_share)
    svg = draw(flow, prompts, notes=notes, words=_words())
    # Beside the table, which says the same to those who do not see it.
    return Markup(svg.replace("<svg ", '<svg aria-hidden="true" ', 1))  # noqa: S704 - escaped there


def _note(one: AtNode) -> str:
    """What became of debtors in a node, in one line."""
    parts = []
    if one.left:
        parts.append(_("%(share)s left", share=formats.percent(one.left_share)))
    if one.promised:
        parts.append(_("%(n)s promised", n=formats.number(one.promised)))
    if one.paid:
        parts.append(_("%(n)s paid", n=formats.number(one.paid)))
    return " · ".join(parts)


def _said(flow: Flow) -> list[tuple[str, list[str]]]:
    """Node -> the prompts that it can say."""
    found = []
    for name, node in flow.nodes.items():
        keys = [key for spoken in node.spoken() for key, _when in spoken.choices]
        if keys:
            found.append((name, list(dict.fromkeys(keys))))
    return found


def _words() -> dict[str, str]:
    """What a drawing says, as the viewer reads it."""
    own = {
        "no key": _("no key"),
        "wrong key": _("wrong key"),
        "no match": _("does not match"),
        "matched": _("matches"),
        "cannot": _("cannot"),
        "again": _("again"),
        "then": _("then"),
        "outcome": _("comes to"),
    }
    return own | {one.value: names.outcome_name(one.value) for one in Outcome}


def _step_name(name: StepName) -> str:
    return {
        StepName.ANSWERED: _("Answered"),
        StepName.PRESSED: _("Pressed a key"),
        StepName.IDENTIFIED: _("Identified themselves"),
        StepName.AGREED: _("Promised, took the link or paid"),
        StepName.PAID: _("Paid in the call"),
    }[name]


def _periods() -> list[tuple[int, str]]:
    return [
        (1, _("Last 24 hours")),
        (7, _("Last 7 days")),
        (30, _("Last 30 days")),
        (90, _("Last 90 days")),
    ]
