"""More debtors than agents, and a debtor who calls us from the network: each is told where they
stand, has a way out, and nobody is lost."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from desk_office import DeskOffice, Ear
from desk_tones import ANA, DEBTOR, at_desk, ear_of, hears
from fixtures_agents import ESCAPE_SECONDS
from world import World

from dialer.domain.model import DialMode, Disposition
from dialer.flow import waiting_prompts as words
from dialer.flow.words import say_number
from dialer.store import tables as t

pytestmark = pytest.mark.timeout(300)

ASKS = "says_a_tone_asked_for"


def said(desks: DeskOffice, ear: Ear, key: str) -> bool:
    """Whether a prompt came to that ear. It comes as it is (A-law), so that a second of it is
    either there or nowhere."""
    folder: Path = desks.settings.prompts_dir / "es"
    prompt = soundfile.read((folder / key).with_suffix(".wav"))[0][:8000]
    heard = ear.heard()
    if len(heard) < len(prompt):
        return False
    size = 1 << (len(heard) + len(prompt)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(prompt, size))
    found = np.fft.irfft(spectrum, size)[: len(heard) - len(prompt) + 1]
    sums = np.cumsum(np.concatenate([[0.0], heard**2]))
    power = (sums[len(prompt) :] - sums[: -len(prompt)]) * (prompt**2).sum()
    return bool((found / np.sqrt(power + 1e-9)).max() > 0.9)


def wait_said(desks: DeskOffice, ear: Ear, key: str, seconds: float) -> None:
    desks.wait(f"{key} is not said", lambda: said(desks, ear, key), seconds)


def waiting(desks: DeskOffice, world: World) -> list[str]:
    """Numbers of those who wait, first come first."""
    numbers = {row.id: row.number for row in desks.attempts(world)}
    rows = desks.rows(world, joined_at=None, left_at=None)
    return [numbers[row.attempt_id] for row in rows]


def test_four_ask_for_the_one_agent_and_nobody_is_lost(desks: DeskOffice) -> None:
    """One is served, one after them, one goes by the way out, one has waited long enough."""
    world = desks.campaign(
        [ASKS] * 3 + ["waits_for_callback"],
        fallback=(), retry={}, calls_per_second=0.5,
    )  # fmt: skip
    with desks.engine_process(world), desks.desk(world, desks.phone("agent01")) as ana:
        at_desk(ana)
        ana.wait_for("talking", 40)
        ears = {one.number: ear_of(desks, one.number) for one in desks.attempts(world)[1:]}
        desks.wait("they do not wait", lambda: len(waiting(desks, world)) == 3, 20)
        second, third, fourth = waiting(desks, world)
        two, three = (say_number(n, "es")[0].key for n in (2, 3))
        wait_said(desks, ears[third], two, 10)
        wait_said(desks, ears[fourth], three, 10)
        ana.client.hang_up()
        ana.wait_for("wrap_up")
        assert ana.client.wrap_done()["state"] in ("available", "reserved")
        ana.wait_for("talking")
        hears(desks, ears[second], {ANA})
        wait_said(desks, ears[third], words.ESCAPE, ESCAPE_SECONDS + 10)
        desks.wait("they wait still", lambda: not waiting(desks, world), 20)
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    for one in (two, words.OFFER_CALLBACK, words.CALLED_BACK):  # a place further, and the way out
        assert said(desks, ears[fourth], one)
    rows = desks.rows(world)
    assert Counter(row.result for row in rows) == {"served": 2, "callback": 1, "timeout": 1}
    (late,) = [row for row in rows if row.result == "timeout"]
    waited = (late.left_at - late.queued_at).total_seconds()
    assert ESCAPE_SECONDS - 1 < waited < ESCAPE_SECONDS + 10
    booked = world.rows(t.callback, company_id=world.company_id)
    assert [row.state for row in booked] == ["due"] * 2
    assert {row.disposition for row in desks.attempts(world)} <= {
        Disposition.SPOKE.value, Disposition.WANTS_AGENT.value, Disposition.CALLBACK.value
    }  # fmt: skip


@pytest.fixture
def our_number(desks: DeskOffice) -> str:
    return f"+3491{time.monotonic_ns() % 10**7:07d}"


def call_in(desks: DeskOffice, number: str, ours: str) -> None:
    """The network calls us, by SIP: keys 0 in the greeting, then a tone."""
    for step, what in enumerate(
        ("SendDTMF,wwwwwwww0", f"PlayTones,{DEBTOR:.0f}", "Wait,120"), start=1
    ):
        desks.carrier.rx(f"dialplan add extension s,{step},{what} into calls-back")
    desks.carrier.rx("module load pbx_spool.so")
    spool = desks.carrier.folder / "spool"
    (spool / "outgoing").mkdir(exist_ok=True)
    new = spool / f"{number}.call"
    new.write_text(
        f"Channel: PJSIP/{ours}@dialer\nCallerID: <{number}>\nMaxRetries: 0\n"
        "Context: calls-back\nExtension: s\nPriority: 1\n"
    )
    new.rename(spool / "outgoing" / new.name)


def test_a_debtor_calls_back_over_the_network_and_comes_to_an_agent(
    desks: DeskOffice, our_number: str
) -> None:
    world = desks.calls_for(["no_answer"], DialMode.PREVIEW)
    with desks.engine.begin() as c:
        c.execute(t.caller_id.insert().values(pool_id=world.pool_id, number=our_number))
        (debtor,) = c.execute(
            t.debtor.select().where(t.debtor.c.company_id == world.company_id)
        ).all()
        (phone,) = c.execute(t.phone.select().where(t.phone.c.debtor_id == debtor.id)).all()
    with desks.engine_process(world), desks.desk(world, desks.phone("agent06")) as ana:
        ana.log_in()
        ana.wait_line()
        call_in(desks, phone.number, our_number)
        desks.wait("nobody waits", lambda: len(waiting(desks, world)) == 1, 30)
        ana.ready()
        ana.wait_for("talking")
        hears(desks, ear_of(desks, "agent06"), {DEBTOR})
        (call,) = ana.of("call")
        desks.wait("no story", lambda: bool(ana.of("story")), 5)
        story = ana.of("story")[0]["story"]
        ana.client.hang_up()
        desks.wait("the call is open", lambda: all_over(desks, world), 20)
    (one,) = desks.attempts(world)
    assert (one.inbound, one.number, one.caller_id) == (True, phone.number, our_number)
    assert one.trunk == "carrier" and call["kind"] == "inbound"
    assert story["attempt_id"] == one.id and (story["name"], story["may_speak_of_debt"]) == (
        debtor.name,
        False,
    )
    assert one.agent_joined_at - one.placed_at < timedelta(seconds=60)
    assert [row.result for row in desks.rows(world)] == ["served"]


def all_over(desks: DeskOffice, world: World) -> bool:
    return all(row.disposition for row in desks.attempts(world))
