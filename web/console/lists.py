"""Lists of debtors: uploaded, looked at, imported, and what became of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from babel import numbers
from flask import (
    Blueprint,
    Response,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    send_file,
    stream_with_context,
    url_for,
)
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.config import ROOT
from dialer.domain.access import MANAGERS, READERS
from dialer.flow.words import SPOKEN
from dialer.importing.errors import ImportFileError
from dialer.importing.headers import FIELDS
from dialer.importing.preview import Heading, Trial, headings, trial
from dialer.store import audit, choices, import_history
from web.access.doors import viewer
from web.access.rules import allow
from web.console import list_import, list_words
from web.console.downloads import attachment
from web.console.list_rejects import in_words
from web.console.list_words import field_name, wrong_fields
from web.console.uploads import ARRIVED, FAILED, LARGEST, REJECTS_KEPT, Upload, Uploads
from web.ui.words import gettext as _
from web.ui.words import language

if TYPE_CHECKING:
    from web.parts import Parts

SAMPLE = ROOT / "docs" / "samples" / "debtors.csv"
MOST_COLUMNS = 200


def lists(parts: Parts) -> Blueprint:
    """The pages, at /lists."""
    blueprint = Blueprint("lists", __name__, url_prefix="/lists")
    uploads = Uploads(parts.settings.home)

    @blueprint.url_value_preprocessor
    def allow_a_large_body(endpoint: str | None, _values: dict[str, Any] | None) -> None:
        # Before the form's token is looked for, which reads the body.
        if endpoint == "lists.upload":
            request.max_content_length = LARGEST

    @blueprint.app_template_filter("reason_name")
    def reason_name(text: str) -> str:
        return list_words.reason_name(text)

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        """The form, and what was imported."""
        before = request.args.get("before", type=int)
        with parts.readonly() as connection:
            rows = import_history.list_imports(connection, viewer().company_id, before)
            places = _places(connection)
        page = rows[: import_history.PAGE]
        now = datetime.now(UTC)
        return render_template(
            "lists/index.html", places=places, imports=page, first=before is None,
            older=page[-1].id if len(rows) > len(page) else None,
            rejects={row.id for row in page if row.rejected and uploads.rejects(row.id)},
            lost={
                row.id for row in page
                if row.finished_at is None and now - row.started_at > timedelta(hours=1)
            },
            largest=LARGEST, chosen=request.args.get("campaign", type=int),
        )  # fmt: skip

    @blueprint.get("/sample.csv")
    @allow(READERS)
    def sample() -> Response:
        """A list to begin with."""
        if not SAMPLE.exists():
            raise NotFound
        return send_file(SAMPLE, "text/csv", as_attachment=True, download_name="debtors.csv")

    @blueprint.post("")
    @allow(MANAGERS)
    def upload() -> AnyResponse:
        """A file arrives."""
        sent = request.files.get("file")
        if sent is None or not sent.filename:
            flash(_("Choose a file first."), "bad")
            return _go(url_for(".index"))
        with parts.readonly() as connection:
            company_id, campaign = _place(connection, request.form.get("place", ""))
        one = uploads.keep(sent, company_id, campaign, viewer().user_id)
        try:
            found = _headings(uploads, one)
        except ImportFileError as error:
            uploads.drop(one)
            flash(list_words.file_error_name(str(error)), "bad")
            return _go(url_for(".index"))
        fields = [heading.guess for heading in found]
        how = {} if "currency" in fields else {"currency": _usual_currency(parts, company_id)}
        uploads.note(one, fields=fields, how=how)
        return _go(url_for(".show", upload_id=one.id))

    @blueprint.get("/<upload_id>")
    @allow(READERS)
    def show(upload_id: str) -> str:
        """What it would do; while it runs, how far it is; then what it did."""
        one = _found(uploads, upload_id)
        if one.stage != ARRIVED and not (one.lost or one.stage == FAILED):
            onward = _campaign_page(parts, one.campaign)
            return render_template("lists/progress.html", one=one, onward=onward, **_words())
        if not uploads.path(one).exists():
            raise NotFound
        faults = wrong_fields(one.fields)
        tried: Trial | None = None
        columns: tuple[Heading, ...] = ()
        try:
            columns = _headings(uploads, one)
            if not faults:
                with parts.readonly() as connection:
                    country = choices.companies(connection, one.company_id)[0].country
                options = list_import.options_of(one, uploads)
                tried = trial(uploads.path(one), options, country)
        except ImportFileError as error:
            faults.append(list_words.file_error_name(str(error)))
        return render_template(
            "lists/preview.html", one=one, columns=columns, faults=faults, trial=tried,
            fields=[("", _("Not used")), *((name, field_name(name)) for name in FIELDS)],
            currencies=_currencies(), **_words(),
        )  # fmt: skip

    @blueprint.post("/<upload_id>")
    @allow(MANAGERS)
    def change(upload_id: str) -> AnyResponse:
        """The columns as they were chosen; with ``import``, the import begins."""
        one = _found(uploads, upload_id)
        if one.stage != ARRIVED and not (one.lost or one.stage == FAILED):
            return redirect(url_for(".show", upload_id=one.id))
        one = uploads.note(one, fields=_chosen(len(one.fields)), how=_how())
        if request.form.get("do") == "import" and not wrong_fields(one.fields):
            with parts.readonly() as connection:
                company = choices.companies(connection, one.company_id)[0].name
            list_import.start(parts.engine, uploads, one, company)
        return redirect(url_for(".show", upload_id=one.id))

    @blueprint.get("/<upload_id>/progress")
    @allow(READERS)
    def progress(upload_id: str) -> Response:
        """The bar alone; when it is over the whole page is asked for."""
        one = _found(uploads, upload_id)
        answer = Response(render_template("lists/bar.html", one=one, **_words()))
        if not one.under_way:
            answer.headers["HX-Refresh"] = "true"
        return answer

    @blueprint.post("/<upload_id>/drop")
    @allow(MANAGERS)
    def drop(upload_id: str) -> AnyResponse:
        """Thrown away unread."""
        one = _found(uploads, upload_id)
        if not one.under_way:
            uploads.drop(one)
            flash(_("The file was thrown away. Nothing was loaded from it."), "good")
        return redirect(url_for(".index"))

    @blueprint.get("/imports/<int:batch_id>/rejects.csv")
    @allow(READERS)
    def rejects(batch_id: int) -> Response:
        """The rows that stayed out, with the reasons; who fetched them is on record."""
        with parts.readonly() as connection:
            found = import_history.find_import(connection, batch_id)
        path = uploads.rejects(batch_id)
        if found is None or not viewer().sees(found.company_id) or path is None:
            raise NotFound
        with parts.engine.begin() as connection:
            audit.record(
                connection, actor=f"user:{viewer().user_id}", action="import.rejects",
                target=f"import_batch:{batch_id}", now=datetime.now(UTC),
            )  # fmt: skip
        return Response(
            stream_with_context(in_words(path)), mimetype="text/csv",
            headers=attachment(f"rejects-{batch_id}.csv"),
        )  # fmt: skip

    return blueprint


def _go(href: str) -> AnyResponse:
    """To a page; a script that sent the form is told where, so that the page is not loaded twice
    and what it announces is not lost."""
    if request.headers.get("Accept") == "application/json":
        return jsonify(go=href)
    return redirect(href)


def _words() -> dict[str, Any]:
    return {
        "phase_name": list_words.phase_name,
        "concern_name": list_words.concern_name,
        "file_error_name": list_words.file_error_name,
        "field_name": field_name,
        "rejects_kept": REJECTS_KEPT.days,
    }


def _found(uploads: Uploads, upload_id: str) -> Upload:
    one = uploads.find(upload_id)
    if one is None or not viewer().sees(one.company_id):
        raise NotFound
    return one


def _headings(uploads: Uploads, one: Upload) -> tuple[Heading, ...]:
    found = headings(uploads.path(one), list_import.options_of(one, uploads))
    if len(found) > MOST_COLUMNS:
        raise ImportFileError("this is no text file of debtors: too many columns")
    return found


def _places(connection: Any) -> list[tuple[str, str]]:
    """Where a list can go: each company, first, since that calls nobody; each of its campaigns."""
    own = viewer().company_id
    companies = {row.id: row.name for row in choices.companies(connection, own)}
    one = len(companies) == 1
    found = [
        (f"company:{key}", _("%(company)s, without a campaign for now", company=name))
        for key, name in companies.items()
    ]
    for row in choices.campaigns(connection, own, still_open=True):
        name = row.name if one else f"{companies[row.company_id]} – {row.name}"
        found.append((f"campaign:{row.id}", name))
    return found


def _campaign_page(parts: Parts, name: str | None) -> str:
    """Where one goes on from a list of this campaign."""
    if name is None:
        return url_for("campaign_new.new")
    with parts.readonly() as connection:
        for row in choices.campaigns(connection, viewer().company_id):
            if row.name == name:
                return url_for("campaigns.show", campaign_id=row.id)
    return url_for("campaigns.index")


def _place(connection: Any, told: str) -> tuple[int, str | None]:
    """Company and campaign of a choice. Raises NotFound for another company's."""
    kind, _sign, number = told.partition(":")
    if not number.isdecimal():
        raise NotFound
    if kind == "company" and viewer().sees(int(number)):
        if choices.companies(connection, int(number)):
            return int(number), None
    elif kind == "campaign":
        for row in choices.campaigns(connection, viewer().company_id, still_open=True):
            if row.id == int(number):
                return row.company_id, row.name
    raise NotFound


def _chosen(columns: int) -> list[str]:
    told = [request.form.get(f"column-{place}", "") for place in range(columns)]
    return [name if name in FIELDS else "" for name in told]


def _how() -> dict[str, str]:
    told = {name: request.form.get(name, "") for name in ("currency", "decimal", "date_order")}
    allowed = {"currency": SPOKEN, "decimal": (",", "."), "date_order": ("dmy", "mdy")}
    return {name: value for name, value in told.items() if value in allowed[name]}


def _usual_currency(parts: Parts, company_id: int) -> str:
    """Of the company's country."""
    with parts.readonly() as connection:
        country = choices.companies(connection, company_id)[0].country
    usual = [code for code in numbers.get_territory_currencies(country) if code in SPOKEN]
    return usual[0] if usual else ""


def _currencies() -> list[tuple[str, str]]:
    named = [
        (code, f"{code} – {numbers.get_currency_name(code, locale=language())}") for code in SPOKEN
    ]
    return [("", _("As the file says")), *named]
