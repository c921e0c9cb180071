"""The pages, put together: every blueprint of those who log in.

A page is a module with a function that makes its blueprint of ``Parts``; a line here registers it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Blueprint
from redis import Redis
from sqlalchemy import Engine

from dialer.config import Settings
from web.access.views import access
from web.api.routes import api
from web.api_parts import Desk
from web.console.api_keys import api_keys
from web.console.approvals import approvals
from web.console.audit import audit_pages
from web.console.caller_ids import caller_ids
from web.console.campaign_new import campaign_new
from web.console.campaigns import campaigns_pages
from web.console.debtors import debtors
from web.console.floor import floor_page
from web.console.flows import flows
from web.console.lists import lists
from web.console.payments import payments
from web.console.policy import policy_pages
from web.console.recordings import recordings
from web.console.report_mails import report_mails
from web.console.reports import reports
from web.console.settings import settings_pages
from web.console.texts import texts
from web.console.today import today_page
from web.console.users import users_pages
from web.console.webhooks import webhooks_pages
from web.desk.page import desk_pages


@dataclass(frozen=True, slots=True)
class Parts:
    """What pages are made of. ``desk``: questions to the engine."""

    settings: Settings
    engine: Engine
    redis: Redis
    desk: Desk

    def readonly(self) -> Any:
        """A connection that only reads, for a ``with``."""
        return self.engine.connect().execution_options(dialer_readonly=True)


def blueprints(parts: Parts) -> Iterator[Blueprint]:
    """All of them."""
    yield access(parts.settings, parts.engine, parts.redis)
    yield today_page(parts)
    yield campaigns_pages(parts)
    yield campaign_new(parts)
    yield policy_pages(parts)
    yield floor_page(parts)
    yield lists(parts)
    yield debtors(parts)
    yield flows(parts)
    yield texts(parts)
    yield caller_ids(parts)
    yield recordings(parts)
    yield users_pages(parts)
    yield audit_pages(parts)
    yield reports(parts)
    yield report_mails(parts)
    yield approvals(parts)
    yield payments(parts)
    yield settings_pages(parts)
    yield api_keys(parts)
    yield webhooks_pages(parts)
    yield api(parts)
    yield desk_pages(parts)
