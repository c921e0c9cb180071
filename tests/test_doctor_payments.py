"""What the doctor says of payments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from doctor_support import tells
from money import payment_row
from sqlalchemy import Engine
from world import World, plan

from dialer.config import Settings
from dialer.domain.model import PaymentTerms
from dialer.local.checks import payments
from dialer.local.checks.result import Status, Subject
from dialer.local.doctor import CHECKS


@pytest.fixture
def subject(tmp_path: Path, database_url: str) -> Subject:
    return Subject(Settings(home=tmp_path, database_url=database_url))


def with_settings(subject: Subject, **changes: object) -> Subject:
    return Subject(subject.settings.model_copy(update=changes))


def test_they_are_asked() -> None:
    assert {payments.gateways, payments.money_in_doubt} <= set(CHECKS)


def test_a_gateway_without_its_settings_is_a_fault(subject: Subject, database: Engine) -> None:
    tells(payments.gateways(subject), Status.OK, "cards are not taken")
    named = with_settings(subject, gateways={"ES": "test"})
    tells(payments.gateways(named), Status.FAULT, "TEST_ACQUIRER_API_BASE", "docs/payments.md")
    ready = with_settings(named, test_acquirer_api_base="http://127.0.0.1:9")
    tells(payments.gateways(ready), Status.OK, "test")
    wrong = with_settings(subject, gateways={"ES": "swipe"})
    tells(payments.gateways(wrong), Status.FAULT, "there is no gateway 'swipe'")


def test_a_gateway_of_a_campaign_counts_too(subject: Subject, database: Engine) -> None:
    World(database, plan(payment=PaymentTerms(gateway="test")))
    tells(payments.gateways(subject), Status.FAULT, "campaign test", "TEST_ACQUIRER_API_BASE")


def test_money_in_doubt_and_money_held(subject: Subject, database: Engine) -> None:
    tells(payments.money_in_doubt(subject), Status.OK, "all settled")
    world = World(database)
    now = datetime.now(UTC)
    payment_row(
        world, world.lead(), state="approved", mode="authorise", at=now - timedelta(hours=5)
    )
    tells(payments.money_in_doubt(subject), Status.WARNING, "1 authorised", "--uncaptured")
    payment_row(world, world.lead(), at=now - timedelta(minutes=5))
    tells(payments.money_in_doubt(subject), Status.WARNING, "1 authorised")
    payment_row(world, world.lead(), at=now - timedelta(hours=2))
    tells(
        payments.money_in_doubt(subject),
        Status.WARNING,
        "1 payment or refund in doubt",
        "dialer worker",
    )


def test_a_database_that_is_away_is_said_elsewhere(tmp_path: Path) -> None:
    nowhere = Subject(Settings(home=tmp_path, database_url="postgresql://u@127.0.0.1:9/none"))
    tells(payments.money_in_doubt(nowhere), Status.OK)
    tells(payments.gateways(nowhere), Status.OK)
