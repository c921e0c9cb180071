"""Checks of payments: gateways that are set up, money that is in doubt or only held."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from dialer.config import ConfigError
from dialer.domain.model import CampaignState
from dialer.local.checks.findings import Looked, Mend, Service
from dialer.local.checks.result import CheckResult, Subject, fault, ok, warning
from dialer.payments.gateways import choose, gateway_named
from dialer.store import unresolved
from dialer.store.db import open_database
from dialer.store.plans import terms_of
from dialer.store.tables import campaign, company

_OVER = (CampaignState.STOPPED.value, CampaignState.FINISHED.value)


def gateways(subject: Subject) -> CheckResult:
    """Each gateway that the settings or a campaign name must be set up."""
    settings = subject.settings
    wanted: dict[str, str] = dict.fromkeys(settings.gateways.values(), Service.THE_SETTING.say())
    try:
        engine = open_database(settings.database)
        try:
            with engine.connect().execution_options(dialer_readonly=True) as connection:
                wanted |= dict(_of_campaigns(connection, subject))
        finally:
            engine.dispose()
    except (SQLAlchemyError, OSError):
        pass  # the check of the database says so
    if not wanted:
        return ok(Looked.GATEWAYS, Service.NO_GATEWAY)
    wrong = []
    for name, whose in sorted(wanted.items()):
        try:
            gateway_named(settings, name)
        except ConfigError as error:
            wrong.append(Service.WHOSE.say(whose=whose, why=str(error)))
    if wrong:
        return fault(Looked.GATEWAYS, Service.GATEWAYS_WRONG.say(what=wrong), Mend.GATEWAYS)
    return ok(Looked.GATEWAYS, ", ".join(sorted(wanted)))


def _of_campaigns(connection: Connection, subject: Subject) -> Iterator[tuple[str, str]]:
    rows = connection.execute(
        select(campaign.c.name, campaign.c.plan, company.c.country)
        .join(company, company.c.id == campaign.c.company_id)
        .where(campaign.c.state.not_in(_OVER))
    )
    for row in rows:
        name = choose(subject.settings, terms_of(row.plan).gateway, row.country)
        if name is not None:
            yield name, Service.OF_CAMPAIGN.say(name=row.name)


def money_in_doubt(subject: Subject) -> CheckResult:
    """No payment may be in doubt for long, and none only authorised and forgotten."""
    engine = open_database(subject.settings.database)
    try:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            doubt = unresolved.unresolved(connection, datetime.now(UTC))
            held = unresolved.uncaptured(connection)
    except (SQLAlchemyError, OSError):
        return ok(Looked.PAYMENTS, Service.NOT_LOOKED)
    finally:
        engine.dispose()
    if doubt.worrying:
        return warning(
            Looked.PAYMENTS,
            Service.ONE_IN_DOUBT
            if doubt.worrying == 1
            else Service.IN_DOUBT_LONG.say(count=doubt.worrying),
            Mend.WORKER,
        )
    if held:
        return warning(
            Looked.PAYMENTS,
            Service.HELD.say(count=held),
            Mend.CAPTURE,
        )
    return ok(
        Looked.PAYMENTS,
        Service.LOOKED_UP.say(count=doubt.count) if doubt.count else Service.SETTLED,
    )


CHECKS = (gateways, money_in_doubt)
