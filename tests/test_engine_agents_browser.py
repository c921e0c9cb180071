"""An agent in a browser and a debtor on the simulated network, end to end: the API, the engine,
both Asterisks, WebRTC in a real Chromium. What each of the two hears is measured where it is heard.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from desk_browser import DeskBrowser
from desk_office import DeskOffice, Ear, Member, legs, open_desk_office
from fixtures_browser import telephone_page
from voice_peer import AGENT_HERTZ, DEBTOR_HERTZ
from world import World

from dialer.domain.model import Detector, DialMode, Disposition
from dialer.local.witnessing import Witnessing
from dialer.simulation.talkers import TONE_HERTZ
from dialer.store import tables as t
from dialer.switch.portable import AsteriskBinary

pytestmark = pytest.mark.timeout(400)

TALKS, ASKS = "says_a_tone", "says_a_tone_asked_for"
CALLS = 5
SOON = 0.5
"""Seconds from the answer to sound that no call may take on a machine with other work; most take
far less (see what the tests print)."""
RTP_TIMEOUT = 10.0


@pytest.fixture(scope="module")
def desks(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeskOffice]:
    assert TONE_HERTZ == DEBTOR_HERTZ
    with open_desk_office(tmp_path_factory.mktemp("desks"), asterisk_binary) as one:
        yield one


@pytest.fixture(scope="module")
def page_url() -> Iterator[str]:
    with telephone_page() as url:
        yield url


@pytest.fixture
def browser(
    desks: DeskOffice, page_url: str, tmp_path: Path
) -> Iterator[Callable[[World], tuple[Member, DeskBrowser]]]:
    """An agent of a campaign at a page, with the line up; not ready yet."""
    with ExitStack() as held:

        def sit(world: World) -> tuple[Member, DeskBrowser]:
            member = held.enter_context(desks.desk(world))
            page = held.enter_context(DeskBrowser(member, page_url, tmp_path))
            page.call_in(member.log_in(beats=False))
            member.wait_line()
            return member, page

        yield sit


def ear_of(desks: DeskOffice, world: World) -> Ear:
    """What the debtor hears who was called last."""
    number = desks.attempts(world)[-1].number
    channels = desks.channels(number)
    assert channels, f"{number} is not on the line"
    return desks.listen(channels[0])


def hears(desks: DeskOffice, ear: Ear, hertz: float, since: float = 0.0) -> None:
    """A far end hears a tone for some time."""

    def there() -> bool:
        return sum(level > 0.02 for level in ear.tone(hertz, since)[-25:]) > 20

    desks.wait(f"{hertz:g} Hz is not heard at the far end", there, 8)


def test_a_predictive_call_is_heard_at_both_ends_soon_after_the_answer(
    desks: DeskOffice, browser: Callable[[World], tuple[Member, DeskBrowser]]
) -> None:
    world = desks.calls_for([TALKS] * CALLS, DialMode.PREDICTIVE)
    at_agent, at_debtor = [], []
    with desks.engine_process(world), Witnessing(desks.settings) as seen:
        ana, page = browser(world)
        for n in range(1, CALLS + 1):
            begun = time.time()
            ana.ready()
            ana.wait_for("talking")
            page.first_sound(begun)
            hears(desks, ear_of(desks, world), AGENT_HERTZ)
            call = seen.calls()[-1]
            assert call.answered_at is not None and call.heard_at is not None
            answered = call.answered_at.timestamp()
            at_agent.append(page.first_sound(answered) - answered)
            at_debtor.append(call.heard_at.timestamp() - answered)
            assert ana.client.story()["attempt_id"] == desks.attempts(world)[-1].id
            ana.client.hang_up()
            ana.wait_for("wrap_up")
            page.quiet(time.time())
            assert len(ana.of("call")) == len(ana.of("joined")) == n
            ana.client.wrap_done()
        desks.wait_finished(world, 30)
    print(f"\nms from the answer to sound, median and worst of {CALLS}")
    for who, took in (("agent", at_agent), ("debtor", at_debtor)):
        print(f"  at the {who}: {1000 * statistics.median(took):.0f} {1000 * max(took):.0f}")
    assert max(at_agent) < SOON and max(at_debtor) < SOON
    assert all(row.mode == "predictive" for row in desks.attempts(world))
    assert [row.result for row in desks.rows(world)] == ["served"] * CALLS


def test_who_asks_for_a_person_is_heard_in_the_browser(
    desks: DeskOffice, browser: Callable[[World], tuple[Member, DeskBrowser]]
) -> None:
    world = desks.campaign([ASKS], fallback=(), retry={}, detector=Detector.NONE)
    with desks.engine_process(world):
        ana, page = browser(world)
        begun = time.time()
        ana.ready()
        ana.wait_for("talking", 60)
        heard = page.first_sound(begun)
        ear = ear_of(desks, world)
        hears(desks, ear, AGENT_HERTZ)
        (call,) = desks.rows(world)
        print(f"\nms from the wish to sound: {1000 * (heard - call.queued_at.timestamp()):.0f}")
        assert (call.kind, call.reason) == ("escalation", "menu")
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    (one,) = desks.attempts(world)
    assert (one.disposition, one.identity_confirmed) == (Disposition.SPOKE.value, True)


def test_a_debtor_is_called_back_by_the_agent_who_agreed_to_it(
    desks: DeskOffice, browser: Callable[[World], tuple[Member, DeskBrowser]]
) -> None:
    world = desks.calls_for([TALKS, "no_answer"], terms={"wrap": 1.0})
    with desks.engine_process(world):
        ana, page = browser(world)
        ana.ready()
        ana.wait_for("talking")
        due = datetime.now(UTC) + timedelta(seconds=4)
        ana.client.callback(due, own=True, note="rings at four")
        ana.client.hang_up()
        desks.wait("nobody is called back", lambda: _modes(desks, world).count("preview") == 1, 30)
        ana.wait_for("talking")
        page.first_sound(due.timestamp())
        hears(desks, ear_of(desks, world), AGENT_HERTZ)
        ana.client.hang_up()
    again = next(row for row in desks.attempts(world) if row.mode == "preview")
    assert again.placed_at >= due


def _modes(desks: DeskOffice, world: World) -> list[str]:
    return [row.mode for row in desks.attempts(world)]


def test_a_card_is_keyed_in_while_the_agent_looks_on(
    desks: DeskOffice, browser: Callable[[World], tuple[Member, DeskBrowser]]
) -> None:
    """With tones that can be heard: not in the browser. The debtor would take what the agent says
    for a question, so that nothing is said meanwhile."""
    world = desks.calls_for(["pays_aloud_with_agent"])
    with desks.engine_process(world):
        ana, page = browser(world)
        page.say(on=False)
        ana.ready()
        ana.wait_for("talking")
        ana.client.pay(5000, "EUR")
        desks.wait("nothing is asked", lambda: bool(ana.of("payment")), 20)
        begun = time.time() + 0.5  # what the debtor said before is still on its way; no key is yet
        desks.wait("it does not end", lambda: bool(ana.of("payment")[-1]["result"]), 120)
        during = [one for one in page.heard(begun) if one.at < time.time() - 0.1]
        assert len(during) > 500 and max(one.loudness for one in during) < 0.002
        assert ana.of("payment")[-1]["result"] == "success"
        desks.wait("they are not together again", lambda: len(ana.of("joined")) == 2, 15)
        back = time.time()
        page.say(on=True)
        hears(desks, ear_of(desks, world), AGENT_HERTZ)
        desks.wait("the debtor is not heard", lambda: _spoken(page, back) > 0.3, 15)
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    (payment,) = world.rows(t.payment, attempt_id=desks.attempts(world)[0].id)
    assert (payment.state, payment.amount_minor) == ("approved", 5000)
    assert sum(one["charged"] for one in desks.bank()["charges"] if one["key"] == payment.id) == 1


def _spoken(page: DeskBrowser, since: float) -> float:
    """Seconds in which something was heard in the browser."""
    return 0.02 * sum(one.loudness > 0.01 for one in page.heard(since))


def test_the_browser_is_closed_in_a_talk(
    desks: DeskOffice, browser: Callable[[World], tuple[Member, DeskBrowser]]
) -> None:
    """It says goodbye to nobody. The debtor reaches somebody else, and whose browser it was is
    offered nothing."""
    world = desks.calls_for([TALKS], terms={"wrap": 1.0})
    with desks.engine_process(world):
        ana, page = browser(world)
        ana.ready()
        ana.wait_for("talking")
        page.first_sound(time.time())
        gone = time.time()
        page.vanish()
        with desks.desk(world, desks.phone("agent01")) as eva:
            eva.log_in()
            eva.wait_line()
            eva.ready()
            eva.wait_for("talking", 30)
            print(f"\nthe debtor was with somebody else after {time.time() - gone:.1f} s")
            assert eva.of("call")[0]["kind"] == "transfer"
            ana.wait_for("paused", 30)
            desks.another(world, TALKS)
            time.sleep(2.0)
            assert desks.placed(world) == 1, "a call was placed for her who is gone"
            eva.client.hang_up()
            eva.wait_for("wrap_up")
            eva.wait_for("talking", 30)
            eva.client.hang_up()
            desks.wait_finished(world, 30)
        assert len(ana.of("call")) == 1
        assert ana.of("state")[-1]["pause_code"] == "away"
    assert [row.kind for row in desks.rows(world)] == ["predictive", "transfer", "predictive"]


def test_the_page_is_loaded_anew_in_a_talk(
    desks: DeskOffice, browser: Callable[[World], tuple[Member, DeskBrowser]]
) -> None:
    """The talk goes on: the same session, a fresh token, a new line, the old one is hung up."""
    world = desks.calls_for([TALKS])
    with desks.engine_process(world):
        ana, page = browser(world)
        ana.ready()
        ana.wait_for("talking")
        page.first_sound(time.time())
        first = ana.client.now()
        began = time.time()
        page.reload()
        desks.wait("it is not written", lambda: ana.client.now().state == "talking", 5)
        again = ana.client.log_in()
        assert again.session == first.session
        fresh = ana.client.new_leg()
        assert fresh.session == first.session
        assert len({first.leg_token, again.leg_token, fresh.leg_token}) == 3
        page.call_in(fresh)
        heard = page.first_sound(began)
        print(f"\nback in the talk {heard - began:.1f} s after the page was loaded anew")
        hears(desks, ear_of(desks, world), AGENT_HERTZ)
        desks.wait("the old line is still there", lambda: legs(desks, ana) == 2, 5)
        assert ana.state == "talking"
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    (call,) = desks.rows(world)
    assert call.result == "served"


def test_the_network_is_cut_for_five_seconds(
    desks: DeskOffice, browser: Callable[[World], tuple[Member, DeskBrowser]]
) -> None:
    """Shorter than Asterisk waits for sound: the talk goes on as if nothing had been."""
    world = desks.calls_for([TALKS])
    with desks.engine_process(world):
        ana, page = browser(world)
        ana.ready()
        ana.wait_for("talking")
        page.first_sound(time.time())
        ear = ear_of(desks, world)
        hears(desks, ear, AGENT_HERTZ)
        page.freeze()
        desks.wait("the agent is still heard", lambda: max(ear.tone(AGENT_HERTZ)[-25:]) < 0.02, 4)
        time.sleep(5.0)
        thawed = time.time()
        page.go_on()
        heard = page.first_sound(thawed)
        hears(desks, ear, AGENT_HERTZ)
        print(f"\nheard again {1000 * (heard - thawed):.0f} ms after the network was back")
        assert (ana.state, page.line_ended(), len(ana.of("joined"))) == ("talking", None, 1)
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    (call,) = desks.rows(world)
    assert call.result == "served"


def test_the_network_is_cut_for_thirty_seconds(
    desks: DeskOffice, browser: Callable[[World], tuple[Member, DeskBrowser]]
) -> None:
    """The line is given up, the debtor waits with music and words, the agent is offered nothing;
    and who comes back gets the debtor back."""
    world = desks.calls_for([TALKS], terms={"wrap": 1.0})
    with desks.engine_process(world):
        ana, page = browser(world)
        ana.ready()
        ana.wait_for("talking")
        page.first_sound(time.time())
        ear = ear_of(desks, world)
        cut = time.time()
        page.freeze()
        ana.wait_for("wrap_up", 20)
        print(f"\nthe line was given up after {time.time() - cut:.1f} s")
        assert time.time() - cut > RTP_TIMEOUT - 1
        ana.wait_for("paused", 20)
        assert ana.of("state")[-1]["pause_code"] == "away"
        since = len(ear.heard()) / 8000
        time.sleep(max(0.0, 30 - (time.time() - cut)))
        assert ear.loud(since) > 0.5, "the debtor was left in silence"
        assert len(ana.of("call")) == 1
        page.go_on()
        desks.wait("the page knows nothing of it", lambda: page.line_ended() is not None, 10)
        page.reload()
        page.call_in(ana.log_in(beats=False))
        ana.wait_line()
        back = time.time()
        ana.ready()
        ana.wait_for("talking")
        page.first_sound(back)
        hears(desks, ear, AGENT_HERTZ)
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    assert [row.kind for row in desks.rows(world)] == ["predictive", "transfer"]
