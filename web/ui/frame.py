"""What the layout asks for: the menu, names of roles, where a viewer's work begins."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app, g, request, url_for

from dialer.domain.access import ADMINISTRATORS, READERS, Role
from web.ui import formats, names, said, words
from web.ui.words import gettext as _


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the menu."""

    label: str
    href: str
    current: bool


MENU: tuple[tuple[tuple[str, str, frozenset[Role]], ...], ...] = (
    (
        ("Desk", "desk.page", frozenset({Role.AGENT})),
        ("Today", "console.today", READERS),
        ("Campaigns", "campaigns.index", READERS),
        ("Live calls", "floor.index", READERS),
    ),
    (
        ("Lists", "lists.index", READERS),
        ("Debtors", "debtors.index", READERS),
        ("Payments", "payments.index", READERS),
        ("Flows", "flows.index", READERS),
        ("Message texts", "texts.index", READERS),
        ("Caller IDs", "caller_ids.index", READERS),
        ("Recordings", "recordings.index", READERS),
    ),
    (
        ("Reports", "reports.index", READERS),
        ("Approvals", "approvals.index", READERS),
        ("Audit log", "audit.index", READERS),
        ("Users", "users.index", ADMINISTRATORS),
        ("API keys", "api_keys.index", ADMINISTRATORS),
        ("Webhooks", "webhooks.index", ADMINISTRATORS),
        ("Settings", "settings.index", ADMINISTRATORS),
    ),
)
"""Groups of (label, endpoint, roles). A part that is not there has no line."""


def navigation() -> list[list[Item]]:
    """The menu of this viewer."""
    role = g.viewer.role
    groups = []
    for group in MENU:
        items = [
            Item(_(label), url_for(endpoint), _within(endpoint))
            for label, endpoint, roles in group
            if role in roles and endpoint in current_app.view_functions
        ]
        if items:
            groups.append(items)
    return groups


def _within(endpoint: str) -> bool:
    return request.blueprint == endpoint.partition(".")[0]


def role_name(role: Role) -> str:
    """As it is called."""
    return {
        Role.AGENT: _("Agent"),
        Role.SUPERVISOR: _("Supervisor"),
        Role.ADMINISTRATOR: _("Administrator"),
        Role.AUDITOR: _("Auditor"),
    }[role]


def home() -> str:
    """Where a viewer's work begins."""
    wanted = "desk.page" if g.viewer.role is Role.AGENT else "console.today"
    return url_for(wanted if wanted in current_app.view_functions else "access.account")


def install(app: Flask) -> None:
    """Words, formats and the frame's own for templates."""
    words.install(app)
    said.install(app)
    formats.install(app)
    names.install(app)
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        navigation=navigation,
        role_name=role_name,
        home=home,
        language=words.language,
        languages=lambda: words.NAMES,
    )
