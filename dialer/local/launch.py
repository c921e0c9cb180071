"""From a campaign file to a campaign: the file held against what exists here."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from dialer.config import Settings
from dialer.domain.said import of_error
from dialer.flow.check import require_proven
from dialer.messaging.templates import MessageTemplateError, campaign_templates
from dialer.payments import gateways
from dialer.store import campaigns, companies
from dialer.store.campaign_file import CampaignFile
from dialer.store.companies import NotPossible
from dialer.store.plans import Company, Known, make_plan
from dialer.store.refusals import Why
from dialer.switch.trunks import load_trunks


def known(settings: Settings, language: str) -> Known:
    """What there is to hold a file against. Raises NotPossible, TrunkError."""
    try:
        templates = campaign_templates(language, settings.flows_dir / "messages")
    except MessageTemplateError as error:
        raise NotPossible(Why.NO_MESSAGES.say(why=of_error(error))) from error
    return Known(
        flows={path.stem for path in settings.flows_dir.glob("*.yaml")},
        trunks=set(load_trunks(settings).by_name),
        templates=templates,
        gateways=gateways.KNOWN,
    )


def make_campaign(
    connection: Connection, settings: Settings, wanted: CampaignFile, actor: str, now: datetime
) -> tuple[int, list[str]]:
    """Make the campaign, a draft without leads: its id, and warnings to show.

    Raises PlanError for what is wrong in the file, NotPossible for what does not exist, FlowError
    for a flow that is not proven.
    """
    company = companies.find_company(connection, wanted.company)
    numbers: tuple[str, ...] = wanted.caller_ids
    pool_id = None
    if wanted.pool is not None:
        pool_id = companies.find_pool(connection, company.id, wanted.pool)
        numbers = companies.numbers_of(connection, pool_id)
    plan, warnings = make_plan(
        wanted,
        numbers,
        Company(company.country, company.timezone),
        known(settings, wanted.language),
        now.date(),
    )
    flows = [plan.flow, *(step.flow for step in plan.fallback if step.flow is not None)]
    require_proven(settings.flows_dir, flows, plan.language)
    if pool_id is None:
        pool_id = companies.create_pool(
            connection, company.id, f"of {plan.name}"[:100], plan.caller_ids, actor, now
        )
    campaign_id = campaigns.create(
        connection, company_id=company.id, pool_id=pool_id, plan=plan, actor=actor, now=now
    )
    return campaign_id, warnings
