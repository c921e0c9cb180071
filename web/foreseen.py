"""A campaign that is looked at before there is one, by the console and by programs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, select

from dialer.config import Settings
from dialer.engine.outlook import Facts, facts_of
from dialer.local.launch import make_campaign
from dialer.store import imports, samples
from dialer.store.campaign_file import CampaignFile
from dialer.store.plans import load_plan
from dialer.store.samples import Sample
from dialer.store.tables import lead


def foreseen(
    engine: Engine, settings: Settings, wanted: CampaignFile, company_id: int, actor: str,
    now: datetime, *, everybody: bool,
) -> tuple[Facts, list[str]]:  # fmt: skip
    """What is known of it, and warnings: it is made, with a sample of its leads, and unmade.
    ``everybody``: each account of the company would be a lead of it.

    Raises PlanError, NotPossible, FlowError.
    """
    sample = Sample((), 0)
    if everybody:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            sample = samples.of_accounts(connection, company_id)
    with engine.connect() as connection:
        kept = connection.begin()
        try:
            made, warnings = make_campaign(connection, settings, wanted, actor, now)
            imports.add_leads(connection, made, sample.ids, now)
            ids = connection.execute(select(lead.c.id).where(lead.c.campaign_id == made)).scalars()
            plan = load_plan(connection, made)
            facts = facts_of(connection, plan, company_id, sample, list(ids), now)
        finally:
            kept.rollback()
    return facts, warnings
