"""Settings: what an installation was told and whether it is well; the companies in it. To look at:
what is set, is set where the installation runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, render_template
from werkzeug.exceptions import NotFound

from dialer.domain.access import ADMINISTRATORS
from dialer.local.doctor import Status, run_checks
from dialer.store import choices
from web.access.doors import viewer
from web.access.rules import allow
from web.console.setting_rows import Source, grouped, secret_files
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts


def settings_pages(parts: Parts) -> Blueprint:
    """The pages, at /settings."""
    blueprint = Blueprint("settings", __name__, url_prefix="/settings")

    @blueprint.get("")
    @allow(ADMINISTRATORS)
    def index() -> str:
        """The settings; for who administers one company, that company alone."""
        whole = viewer().company_id is None
        with parts.readonly() as connection:
            companies = choices.companies(connection, viewer().company_id)
        return render_template(
            "settings/index.html", companies=companies, whole=whole,
            groups=grouped(parts.settings) if whole else [],
            secrets=list(secret_files(parts.settings)) if whole else [],
            group_name=group_name, source_name=source_name,
        )  # fmt: skip

    @blueprint.get("/health")
    @allow(ADMINISTRATORS)
    def health() -> str:
        """What `dialer doctor` finds; takes some seconds, so it is asked for by itself."""
        if viewer().company_id is not None:
            raise NotFound
        found = run_checks(parts.settings)
        order = {Status.FAULT: 0, Status.WARNING: 1, Status.OK: 2}
        return render_template(
            "settings/health.html", found=sorted(found, key=lambda one: order[one.status]),
            status_name=status_name,
        )  # fmt: skip

    return blueprint


def group_name(group: str) -> str:
    """Of settings."""
    return {
        "installation": _("This installation"),
        "store": _("Database and Redis"),
        "addresses": _("Addresses of the web"),
        "messages": _("Messages"),
        "payments": _("Card payments"),
        "agents": _("Agents and browsers"),
        "telephony": _("Telephony and ports"),
    }[group]


def source_name(source: Source) -> str:
    """Where a value comes from."""
    return {
        Source.ENVIRONMENT: _("Environment"),
        Source.FILE: "config.yaml",
        Source.SECRET_FILE: _("A file"),
        Source.START: _("Told at the start"),
        Source.DEFAULT: _("As delivered"),
    }[source]


def status_name(status: Status) -> str:
    """Of a finding."""
    return {
        Status.OK: _("Well"),
        Status.WARNING: _("Could be better"),
        Status.FAULT: _("To be mended"),
    }[status]
