"""The product on its production database, on the line: a campaign, and the database gone."""

from __future__ import annotations

import time

import pytest
from fixtures_stack import Office
from test_engine_on_the_line import QUICK, assert_nothing_lost, by_number

from dialer.local.postgres import PostgresServer
from dialer.simulation.personas import persona_of
from dialer.store import tables as t

pytestmark = pytest.mark.timeout(300)


def test_a_campaign_on_postgresql(postgres_office: Office) -> None:
    office = postgres_office
    world = office.campaign([*QUICK, "wrong_person", "hasty_opts_out", "hasty_sms_link"] * 2)
    with office.engine_process(world):
        office.wait_finished(world, 90)
    assert_nothing_lost(office, world)
    for number, rows in by_number(office.attempts(world)).items():
        persona = persona_of(number)
        assert persona is not None
        told = [row.disposition for row in rows]
        assert told == [persona.expected_at(n).value for n in range(1, len(rows) + 1)]
    for row in world.rows(t.fallback, kind="redial"):
        assert row.refused is not None or row.latency_ms is not None


def test_postgresql_gone_for_ten_seconds(
    postgres_office: Office, postgres_server: PostgresServer
) -> None:
    office = postgres_office
    world = office.campaign(QUICK * 4, calls_per_second=5.0)
    with office.engine_process(world, lease=30.0) as process:
        office.wait("nothing was placed", lambda: office.placed(world) > 5, 30)
        _go_away(postgres_server, office)
        office.wait_finished(world, 120)
        assert process.wait(20) == 0
    assert_nothing_lost(office, world)


def _go_away(server: PostgresServer, office: Office) -> None:
    """Nobody may connect for ten seconds, and whoever is connected is thrown out."""
    name = office.engine.url.database
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    end = time.monotonic() + 10
    try:
        while time.monotonic() < end:
            server.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )
            time.sleep(0.5)
    finally:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
