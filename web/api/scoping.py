"""What is a token's to see and what is not: another company's is as if it were not there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from dialer.domain.model import CampaignState
from dialer.store import api_views
from dialer.store.tables import company
from web.api.registry import Asked
from web.problems import Problem, invalid_fields


def not_found(what: str) -> Problem:
    """It is not there, or is another company's."""
    return Problem(404, "not_found", f"There is no such {what}")


def campaign_of(ask: Asked, campaign_id: int) -> Row[Any]:
    """The campaign's row. Raises Problem (404)."""
    row = api_views.campaign_row(ask.connection, campaign_id)
    if row is None or not ask.token.sees(row.company_id):
        raise not_found("campaign")
    return row


def open_campaign_of(ask: Asked, campaign_id: int) -> Row[Any]:
    """The same for one that may get leads. Raises Problem: 404, 409 where it is stopped."""
    row = campaign_of(ask, campaign_id)
    if row.state == CampaignState.STOPPED.value:
        raise Problem(409, "not_possible", "That cannot be done", "The campaign is stopped.")
    return row


def debtor_of(ask: Asked, debtor_id: int) -> int:
    """The debtor's id. Raises Problem (404)."""
    row = api_views.debtor_row(ask.connection, debtor_id)
    if row is None or not ask.token.sees(row.company_id):
        raise not_found("debtor")
    return debtor_id


def company_of(ask: Asked, company_id: int | None) -> Row[Any]:
    """The company that is meant: the token's own where none is named.

    Raises Problem: 404, or 422 where a token of every company names none.
    """
    if company_id is None:
        company_id = ask.token.company_id
    if company_id is None:
        raise invalid_fields([("company_id", "this key opens every company: say which")])
    row = None
    if ask.token.sees(company_id):
        row = ask.connection.execute(select(company).where(company.c.id == company_id)).first()
    if row is None:
        raise not_found("company")
    return row
