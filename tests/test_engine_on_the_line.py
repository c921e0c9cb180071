"""The engine with everything real around it: what becomes of each debtor, and what a crash, a
restart or an outage does to a campaign."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from typing import Any

import pytest
from fixtures_stack import Office, kill
from world import World

from dialer.domain.model import Disposition
from dialer.local.witnessing import Witnessing
from dialer.simulation.personas import PERSONAS, persona_of
from dialer.store import tables as t
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import ensure_asterisk
from dialer.switch.product import prepare_product

pytestmark = pytest.mark.timeout(300)

QUICK = ["busy", "hangs_up_always", "hasty_promiser", "unallocated", "hangs_up_then_listens"]


def by_number(rows: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.number, []).append(row)
    return found


def assert_called_once_for_each_attempt(office: Office, world: World, witness: Witnessing) -> None:
    """The far side saw no call that is not an attempt, and none twice."""
    seen = Counter(call.number for call in witness.calls())
    attempts = Counter(row.number for row in office.attempts(world))
    for number, calls in seen.items():
        if number in attempts:
            assert calls <= attempts[number], f"{number}: {calls} calls"


def assert_nothing_lost(office: Office, world: World) -> None:
    """Every lead is done, every attempt ended with a disposition, and each lead's count of
    attempts is the number of their rows."""
    rows = office.attempts(world)
    assert all(row.state == "ended" and row.disposition for row in rows)
    counted = Counter(row.lead_id for row in rows)
    for lead in world.rows(t.lead, campaign_id=world.campaign_id):
        assert lead.state == "done"
        assert lead.attempts == counted[lead.id]


def test_every_persona_ends_in_its_disposition(office: Office) -> None:
    world = office.campaign([persona.name for persona in PERSONAS.values()])
    with office.engine_process(world):
        office.wait_finished(world, 200)
    wrong = []
    for number, rows in by_number(office.attempts(world)).items():
        persona = persona_of(number)
        assert persona is not None
        for nth, row in enumerate(rows, start=1):
            expected = persona.expected_at(nth)
            if row.disposition != expected.value:
                wrong.append(f"{persona.name} call {nth}: {row.disposition}")
    assert wrong == []
    assert_nothing_lost(office, world)


def test_the_redial_comes_from_another_number_and_is_measured(
    office: Office, witness: Witnessing
) -> None:
    world = office.campaign(["hangs_up_then_listens"] * 3)
    with office.engine_process(world):
        office.wait_finished(world, 60)
    seen = witness.calls()
    for number, rows in by_number(office.attempts(world)).items():
        first, second = rows
        assert (first.disposition, second.disposition) == ("answered_abandoned", "promise")
        assert second.follows == first.id
        shown = [call.caller_id for call in seen if call.number == number]
        assert len(set(shown)) == 2
        row = world.rows(t.fallback, attempt_id=first.id)[0]
        assert row.made_attempt_id == second.id
        calls = [call for call in seen if call.number == number]
        assert calls[0].ended_at is not None
        outside = (calls[1].invited_at - calls[0].ended_at).total_seconds() * 1000
        # Two Asterisks, two clocks' readings of one loopback: they may differ by some ms.
        assert row.latency_ms == pytest.approx(outside, abs=50)


def test_a_line_that_suppresses_silence_is_no_machine_and_a_voicemail_is(office: Office) -> None:
    world = office.campaign(["suppresses_silence", "voicemail"], fallback=())
    with office.engine_process(world):
        office.wait_finished(world, 90)
    ended = {row.number[-2:]: row for row in office.attempts(world)}
    quiet, voicemail = ended["45"], ended["60"]
    assert (quiet.disposition, quiet.detection) == ("answered_abandoned", "person")
    assert (voicemail.disposition, voicemail.detection) == ("machine", "machine")


def test_twice_hung_up_is_texted_once(office: Office) -> None:
    world = office.campaign(["hangs_up_always"] * 2)
    with office.engine_process(world):
        office.wait_finished(world, 60)

    def sent() -> bool:
        rows = world.rows(t.message, campaign_id=world.campaign_id)
        return len(rows) == 2 and all(row.requested_at for row in rows)

    office.wait("the texts have not left", sent, 20)
    for row in world.rows(t.fallback, kind="sms"):
        if row.made_message_id is not None:
            assert row.latency_ms is not None and row.latency_ms > 0


def test_an_engine_killed_twenty_times_loses_no_lead_and_calls_nobody_twice(
    office: Office, witness: Witnessing
) -> None:
    world = office.campaign(QUICK * 10, calls_per_second=4.0)
    chance = random.Random(7)
    for _ in range(20):
        process = office.start_engine(world)
        before = office.placed(world)
        end = time.monotonic() + 6
        while office.placed(world) == before and office.left(world) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 0.8))
        kill(process)
    # What the last one was doing is called "lost" and waits its minute: sooner here.
    with office.engine_process(world):
        finish_in_a_hurry(office, world)
    assert_nothing_lost(office, world)
    assert_called_once_for_each_attempt(office, world, witness)
    assert any(row.failure == "lost" for row in office.attempts(world))


def finish_in_a_hurry(office: Office, world: World) -> None:
    """To the end of the campaign; nobody waits for the minute of a lost call or for a retry."""

    def done() -> bool:
        _hurry(office, world)
        return office.left(world) == 0

    office.wait("leads are not done", done, 150)


def _hurry(office: Office, world: World) -> None:
    with office.engine.begin() as connection:
        connection.execute(
            t.lead.update()
            .where(t.lead.c.campaign_id == world.campaign_id, t.lead.c.state == "waiting")
            .values(next_at=world.at)
        )


def test_two_engines_share_a_campaign_without_calling_anybody_twice(
    office: Office, witness: Witnessing
) -> None:
    world = office.campaign(QUICK * 4)
    with office.engine_process(world), office.engine_process(world):
        office.wait_finished(world, 90)
    assert_nothing_lost(office, world)
    assert_called_once_for_each_attempt(office, world, witness)


def test_asterisk_killed_in_the_middle(office: Office, witness: Witnessing) -> None:
    world = office.campaign(QUICK * 6, calls_per_second=5.0)
    instance = prepare_product(office.settings, ensure_asterisk())
    with office.engine_process(world):
        office.wait("nothing was placed", lambda: office.placed(world) > 8, 30)
        os.kill(int(instance.pid_file.read_text().split()[0]), signal.SIGKILL)
        finish_in_a_hurry(office, world)
    assert_nothing_lost(office, world)
    assert_called_once_for_each_attempt(office, world, witness)


def test_a_lost_ami_connection_loses_no_call(office: Office, witness: Witnessing) -> None:
    world = office.campaign(QUICK * 6, calls_per_second=5.0)
    instance = prepare_product(office.settings, ensure_asterisk())
    with office.engine_process(world):
        office.wait("nothing was placed", lambda: office.placed(world) > 8, 30)
        kick_everybody(instance)
        office.wait("nothing more was placed", lambda: office.placed(world) > 20, 30)
        kick_everybody(instance)
        finish_in_a_hurry(office, world)
    assert_nothing_lost(office, world)
    assert_called_once_for_each_attempt(office, world, witness)


def kick_everybody(instance: AsteriskInstance) -> None:
    """End every AMI session from Asterisk's console."""
    kicked = 0
    for line in instance.rx("manager show connected").splitlines():
        columns = line.split()
        if len(columns) > 4 and columns[1] == "127.0.0.1":
            instance.rx(f"manager kick session {columns[4]}")
            kicked += 1
    assert kicked


def test_a_trunk_that_is_down_rests_and_comes_back(office: Office) -> None:
    world = office.campaign(["hasty_promiser"] * 8, ring_timeout=5.0)
    carrier = "carrier"
    office.stack.stop(carrier)
    with office.engine_process(world):
        office.wait("no call failed", lambda: _failed(office, world) >= 5, 60)
        time.sleep(1.0)
        # It rests: far fewer than ten a second are thrown at a dead trunk.
        assert office.placed(world) <= 14
        office.stack.start(carrier)
        end = time.monotonic() + 120
        while office.left(world) and time.monotonic() < end:
            time.sleep(0.5)
    assert_nothing_lost(office, world)
    last = {row.number: row.disposition for row in office.attempts(world)}
    assert set(last.values()) == {Disposition.PROMISE.value}


def _failed(office: Office, world: World) -> int:
    gone = {Disposition.FAILED.value, Disposition.CONGESTION.value}
    return sum(1 for row in office.attempts(world) if row.disposition in gone)


def test_the_database_locked_for_ten_seconds(office: Office, witness: Witnessing) -> None:
    world = office.campaign(QUICK * 4, calls_per_second=5.0)
    with office.engine_process(world, lease=30.0) as process:
        office.wait("nothing was placed", lambda: office.placed(world) > 5, 30)
        held = sqlite3.connect(office.settings.home / "dialer.db", isolation_level=None, timeout=20)
        held.execute("BEGIN IMMEDIATE")
        time.sleep(10)
        held.execute("ROLLBACK")
        held.close()
        office.wait_finished(world, 90)
        assert process.wait(20) == 0
    assert_nothing_lost(office, world)
    assert_called_once_for_each_attempt(office, world, witness)


def test_a_campaign_paused_places_nothing_more(office: Office) -> None:
    world = office.campaign(["hasty_promiser"] * 40, calls_per_second=5.0)
    with office.engine_process(world):
        office.wait("nothing was placed", lambda: office.placed(world) > 3, 30)
        with office.engine.begin() as connection:
            connection.execute(
                t.campaign.update()
                .where(t.campaign.c.id == world.campaign_id)
                .values(state="paused")
            )
        time.sleep(1.5)
        placed = office.placed(world)
        time.sleep(2.0)
        assert office.placed(world) == placed < 40
