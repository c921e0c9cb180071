"""Reports: what calls came to, what was promised and paid, and what each fallback brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import NotFound

from dialer.domain.access import READERS
from dialer.store import audit, choices
from dialer.store.console_reports import Span
from web.access.doors import viewer
from web.access.rules import allow
from web.console import asked
from web.console.downloads import attachment, csv_answer
from web.console.report_effect import hour_name
from web.console.report_files import pdf, workbook
from web.console.report_model import Table, is_number, plain, shown
from web.console.report_tables import KEYS, PARTS, tables
from web.ui import formats
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts

USUAL_DAYS = 7
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True, slots=True)
class Question:
    """The filters of the address; what is wrong in them is taken for the usual."""

    first: date
    last: date
    hours: tuple[int, int]
    campaign_id: int | None
    campaigns: list[Any]

    @property
    def span(self) -> Span:
        """As the store is asked."""
        since, until = asked.begins(self.first), asked.ends(self.last)
        assert since is not None
        assert until is not None
        return Span(since, until, formats.zone(), viewer().company_id, self.campaign_id, self.hours)

    @property
    def campaign(self) -> str:
        """Its name."""
        named = {row.id: row.name for row in self.campaigns}
        return named[self.campaign_id] if self.campaign_id is not None else _("All campaigns")

    def about(self, now: datetime) -> list[tuple[str, str]]:
        """For those who have the file and not the page."""
        first, last = self.hours
        return [
            (_("Campaign"), self.campaign),
            (_("Days"), f"{formats.date_of(self.first)} – {formats.date_of(self.last)}"),
            (_("Hours"), f"{hour_name(first)} – {hour_name(last)}"),
            (_("Time zone"), viewer().timezone),
            (_("Made"), formats.moment_of(now)),
        ]


def reports(parts: Parts) -> Blueprint:
    """The pages, at /reports."""
    blueprint = Blueprint("reports", __name__, url_prefix="/reports")

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        """The filters; the figures follow by themselves, for they take a moment."""
        return render_template(
            "reports/index.html", asked=_question(parts), again=asked.again,
            today=datetime.now(formats.zone()).date(), days=timedelta, hour_name=hour_name,
            parts=PARTS,
        )  # fmt: skip

    @blueprint.get("/figures")
    @allow(READERS)
    def figures() -> str:
        """The tables, or a part of them."""
        keys = PARTS.get(request.args.get("part", ""), KEYS)
        return render_template(
            "reports/figures.html", again=partial(asked.again, part=None),
            tables=_tables(parts, _question(parts), keys),
            shown=shown, is_number=is_number,
        )  # fmt: skip

    @blueprint.get("/<any(" + ", ".join(f"'{key}'" for key in KEYS) + "):key>.csv")
    @allow(READERS)
    def as_csv(key: str) -> Response:
        """One table."""
        question = _question(parts)
        (table,) = _tables(parts, question, (key,))
        _on_record(parts, question, f"{key}.csv")
        rows = [[plain(cell) for cell in row] for row in table.flat()]
        return csv_answer(f"{key}.csv", rows)

    @blueprint.get("/report.xlsx")
    @allow(READERS)
    def as_workbook() -> Response:
        """All tables as sheets."""
        question, now = _question(parts), datetime.now(UTC)
        made = workbook(_("Report"), question.about(now), _tables(parts, question))
        _on_record(parts, question, "report.xlsx")
        return Response(made, mimetype=XLSX, headers=attachment("report.xlsx"))

    @blueprint.get("/report.pdf")
    @allow(READERS)
    def as_pdf() -> Response:
        """All tables on paper."""
        question, now = _question(parts), datetime.now(UTC)
        made = pdf(_("Report"), question.about(now), _tables(parts, question))
        _on_record(parts, question, "report.pdf")
        return Response(made, mimetype="application/pdf", headers=attachment("report.pdf"))

    return blueprint


def _question(parts: Parts) -> Question:
    """Raises NotFound for a campaign that is not the viewer's."""
    with parts.readonly() as connection:
        campaigns = choices.campaigns(connection, viewer().company_id)
    wanted = request.args.get("campaign", type=int)
    if wanted is not None and wanted not in {row.id for row in campaigns}:
        raise NotFound
    today = datetime.now(formats.zone()).date()
    last = asked.day("to") or today
    first = asked.day("from") or last - timedelta(days=USUAL_DAYS - 1)
    if first > last:
        first, last = last, first
    hours = (_hour("hour_from", 0), _hour("hour_to", 24))
    return Question(
        min(first, today), min(last, today), hours if hours[0] < hours[1] else (0, 24), wanted,
        campaigns,
    )  # fmt: skip


def _hour(name: str, usual: int) -> int:
    told = request.args.get(name, type=int)
    return told if told is not None and 0 <= told <= 24 else usual


def _tables(parts: Parts, question: Question, keys: Sequence[str] = KEYS) -> list[Table]:
    with parts.readonly() as connection:
        return tables(connection, question.span, datetime.now(UTC), keys)


def _on_record(parts: Parts, question: Question, name: str) -> None:
    who = viewer()
    about = "report" if who.company_id is None else f"company:{who.company_id}"
    if question.campaign_id is not None:
        about = f"campaign:{question.campaign_id}"
    with parts.engine.begin() as connection:
        audit.record(
            connection, actor=f"user:{who.user_id}", action="report.download", target=about,
            now=datetime.now(UTC), after={"file": name, "from": question.first.isoformat(),
                                          "to": question.last.isoformat()},
        )  # fmt: skip
