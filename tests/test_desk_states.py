"""The desk's page in each of its states, in a real Chromium, with an engine's stand-in that tells
it what a real one would: what is shown, what is sent, what axe says, and how it fits a telephone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from desk_stand_in import Desk
from desk_story_parts import TELEPHONE, desk_browser
from desk_web import open_floor
from fixtures_browser import microphone
from fixtures_messaging import wait_until
from playwright.sync_api import BrowserContext, expect
from sqlalchemy import Engine, select, update

from dialer.desk import Reply
from dialer.desk.models import CommandName as Do
from dialer.store import agent_calls
from dialer.store import tables as t
from dialer.store.story import as_json, story
from web.serving import STREAMS

pytestmark = [pytest.mark.database("sqlite"), pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    said = microphone(tmp_path_factory.mktemp("said") / "said.wav")
    with desk_browser(said) as context:
        yield context


@pytest.fixture
def at_desk(
    tmp_path: Path, database: Engine, redis_url: str, browser: BrowserContext
) -> Iterator[Desk]:
    with open_floor(tmp_path, database, redis_url) as floor:
        desk = Desk(floor, browser)
        yield desk
        desk.page.close()
        assert desk.desk.faults == []


def test_a_call_from_the_first_notice_to_the_next_one(at_desk: Desk) -> None:
    page, desk = at_desk.page, at_desk.desk
    desk.log_in(at_desk.url, "ana")
    expect(page.locator("#sit-down")).to_be_disabled()
    desk.axe("before work")
    desk.check_microphone()
    page.uncheck("[name=skill][value=legal]")
    at_desk.start()
    asked = at_desk.sent(Do.LOG_IN)
    assert (asked["skills"], asked["ringing"]) == (["payments"], True)
    wait_until(lambda: "heartbeat" in at_desk.floor.engine.names)
    at_desk.state("paused", "logged_in")
    expect(page.locator("#state-more")).to_have_text("Not ready yet")
    desk.axe("at work, nobody there")
    page.keyboard.press("Alt+Shift+R")
    at_desk.sent(Do.READY)
    at_desk.state("available")

    at_desk.call(ring=True)
    expect(page.locator("#incoming-said")).to_have_text(
        "Debtor 1 is on the line: From the automatic call"
    )
    expect(page.locator("#answer")).to_be_visible()
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.locator("#marks")).to_contain_text("Identity not confirmed")
    expect(page.locator("#script-lines")).to_contain_text("¿Hablo con Debtor 1?")
    assert page.get_attribute("#talk", "data-story") == "before"
    desk.axe("a call comes")

    at_desk.join()
    expect(page.locator("#incoming")).to_be_hidden()
    page.click("#hold")
    at_desk.sent(Do.HOLD)
    expect(page.locator("#hold")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Alt+Shift+H")
    at_desk.sent(Do.RESUME)
    page.keyboard.press("Alt+Shift+M")
    at_desk.sent(Do.MUTE)
    page.click("#record")
    at_desk.sent(Do.RECORD_PAUSE)
    page.keyboard.press("Alt+Shift+K")
    page.fill("#keys-text", "12#")
    page.keyboard.press("Enter")
    assert at_desk.sent(Do.DTMF) == {"keys": "12#"}
    desk.axe("talking")

    page.fill("#notes", "will pay")
    at_desk.state("wrap_up")
    at_desk.tell("left", attempt=at_desk.attempt, why="hung_up")
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.locator("#wrap-left")).to_contain_text("s left to finish")
    page.click("#finish")
    expect(page.locator("#saved")).to_have_text("Choose how it ended first")
    page.select_option("#disposition", "spoke")
    desk.axe("finishing")
    page.keyboard.press("Alt+Shift+F")
    assert at_desk.sent(Do.DISPOSITION) == {"code": "spoke", "notes": "will pay"}
    at_desk.sent(Do.WRAP_DONE)
    at_desk.state("available")
    expect(page.locator("#idle")).to_be_visible()
    assert page.input_value("#notes") == ""
    assert page.text_content("#who") == "–"


def test_what_is_agreed_on(at_desk: Desk) -> None:
    page = at_desk.page
    at_desk.sit()
    at_desk.call()
    at_desk.join()
    page.fill("#promise-date", "2030-12-24")
    page.click("#promise-form button")
    assert at_desk.sent(Do.PROMISE) == {"due": "2030-12-24"}
    expect(page.locator("#saved")).to_have_text("Promise written down: 24 Dec 2030")
    assert page.input_value("#disposition") == "promise"
    page.click("#link")
    at_desk.sent(Do.LINK)

    # A winter's day next year, whatever day it is now: 10:30 there is 9:30 in UTC.
    page.keyboard.press("Alt+Shift+C")
    year = datetime.now(UTC).year + 1
    while str(year) not in page.inner_text("#month") or "January" not in page.inner_text("#month"):
        page.click("#month-after")
    page.click(f"[data-day='{year}-01-14']")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.fill("#callback-time", "10:30")
    expect(page.locator("#callback-both")).to_contain_text("(Europe/Madrid)")
    at_desk.desk.axe("the calendar")
    page.check("[name=whose][value=any]")
    page.fill("#callback-note", "after work")
    page.click("#callback-form [type=submit]")
    told = at_desk.sent(Do.CALLBACK)
    due = datetime.fromisoformat(told["due_at"])
    assert (due.astimezone(UTC), told["own"]) == (datetime(year, 1, 15, 9, 30, tzinfo=UTC), False)
    assert told["note"] == "after work"


def test_a_card_is_counted_and_never_shown(at_desk: Desk) -> None:
    page = at_desk.page
    at_desk.sit()
    at_desk.call()
    at_desk.join()
    page.fill("#pay-amount", "12,5")
    page.click("#pay-start")
    assert at_desk.sent(Do.PAY) == {"amount_minor": 1250, "currency": "EUR"}
    expect(page.locator("#hold")).to_be_disabled()
    for digits in (0, 1, 12):
        at_desk.tell("payment", attempt=at_desk.attempt, step="payment-card-number", digits=digits,
                     error=None, result=None)  # fmt: skip
    expect(page.locator("#pay-dots")).to_have_text("•" * 12)
    expect(page.locator("#pay-steps [aria-current=step]")).to_have_text("Card number")
    at_desk.desk.axe("a card is keyed in")
    at_desk.tell("payment", attempt=at_desk.attempt, step="payment-card-number", digits=None,
                 error="invalid-card-number", result=None)  # fmt: skip
    expect(page.locator("#pay-error")).to_have_text("that is no card number")
    page.click("#pay-again")
    at_desk.sent(Do.PAY_AGAIN)

    # Loaded anew in the middle of it: what was told since the call came is told again.
    page.reload()
    expect(page.locator("#who")).to_have_text("Debtor 1")
    expect(page.locator("#pay-dots")).to_have_text("•" * 12)
    page.click("#pay-cancel")
    at_desk.sent(Do.PAY_CANCEL)
    at_desk.tell("payment", attempt=at_desk.attempt, step="result", digits=None, error=None,
                 result="success")  # fmt: skip
    expect(page.locator("#pay-result")).to_have_text("Card payment: Paid")
    expect(page.locator("#pay-running")).to_be_hidden()
    expect(page.locator("#hold")).to_be_enabled()
    # The word for it is there, and chosen, where money came and only there.
    expect(page.locator("#disposition option:checked")).to_have_text("Paid")
    at_desk.state("wrap_up")
    at_desk.tell("left", attempt=at_desk.attempt, why="hung_up")
    page.click("#finish")
    assert at_desk.sent(Do.DISPOSITION) == {"code": "paid", "notes": ""}
    at_desk.state("available")
    assert page.locator("#disposition [value=paid]").count() == 0


def test_a_call_is_passed_on(at_desk: Desk) -> None:
    page = at_desk.page
    eva = at_desk.floor.logged_in("eva")
    at_desk.sit()
    at_desk.call()
    at_desk.join()
    page.click("#transfer")
    expect(page.locator("#to-agent option")).to_have_text(["eva · On a break"])
    at_desk.desk.axe("passing on")
    page.check("[name=how][value=attended]")
    page.click("#transfer-form [type=submit]")
    assert at_desk.sent(Do.TRANSFER) == {"to": {"agent": eva.id}, "kind": "attended"}
    at_desk.tell("transfer", state="calling", kind="attended")
    page.click("#third-complete")
    at_desk.sent(Do.COMPLETE_TRANSFER)
    page.click("#third-cancel")
    at_desk.sent(Do.CANCEL_TRANSFER)
    page.keyboard.press("Alt+Shift+T")
    page.fill("#to-number", "+34600111222")
    expect(page.locator("[name=how][value=blind]")).to_be_disabled()
    at_desk.floor.engine.script["transfer"] = lambda _: Reply.refused("nobody")
    page.click("#transfer-form [type=submit]")
    expect(page.locator("#transfer-fault")).to_have_text("Nobody who works now can take it.")


def test_a_debtor_is_looked_at_before(at_desk: Desk) -> None:
    page = at_desk.page
    at_desk.sit()
    attempt = at_desk.floor.call_at(at_desk.agent)
    with at_desk.floor.database.connect() as connection:
        told = as_json(story(connection, attempt, datetime.now(UTC)))
    with at_desk.floor.database.begin() as connection:
        connection.execute(t.agent_call.delete())
    shown = {key: told[key] for key in ("name", "document", "language", "timezone", "local_time",
                                        "campaign", "accounts", "timeline")}  # fmt: skip
    at_desk.state("available")
    until = datetime.now(UTC) + timedelta(seconds=100)
    at_desk.tell("preview", lead=1, story=shown, until=until.isoformat())
    expect(page.locator("#preview-left")).to_contain_text("1:")
    expect(page.locator("#conclude")).to_be_hidden()
    at_desk.desk.axe("a debtor to look at")
    page.click("#preview-call")
    at_desk.sent(Do.PREVIEW_CALL)
    at_desk.state("reserved")
    at_desk.state("available")  # nobody answered
    expect(page.locator("#idle")).to_be_visible()


def test_on_a_telephone_in_the_dark_and_in_spanish(at_desk: Desk) -> None:
    page, desk = at_desk.page, at_desk.desk
    with at_desk.floor.database.begin() as connection:
        connection.execute(update(t.app_user).values(language="es"))
    page.set_viewport_size(TELEPHONE)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="dark")
    desk.log_in(at_desk.url, "ana")
    desk.fits("before work")
    page.uncheck("#mic-clean")
    page.click("#mic-check")
    expect(page.locator("#mic-said")).to_have_text("Se le oye bien.")
    at_desk.start()
    desk.fits("at work")
    at_desk.call()
    at_desk.join()
    expect(page.locator("#hold")).to_have_text("Poner en espera")
    desk.fits("talking")
    desk.axe("talking, on a telephone")
    page.click("#callback")
    desk.fits("the calendar")
    desk.axe("the calendar, on a telephone")


def test_who_is_logged_out_of_the_pages_is_told(at_desk: Desk) -> None:
    page = at_desk.page
    at_desk.sit()
    at_desk.state("available")
    with at_desk.floor.database.begin() as connection:
        connection.execute(update(t.web_session).values(ended_at=datetime.now(UTC)))
    expect(page.locator("#trouble")).to_contain_text("Log in again", timeout=12_000)
    expect(page.locator("#sit")).to_be_visible()


def test_the_connection_breaks_and_what_was_missed_is_told(at_desk: Desk) -> None:
    page = at_desk.page
    at_desk.sit()
    at_desk.state("available")
    page.context.set_offline(True)
    for held in list(at_desk.floor.workers[0].app.extensions[STREAMS]._held):
        held.stop.set()
    expect(page.locator("#trouble")).to_contain_text("trying again")
    at_desk.attempt = at_desk.floor.call_at(at_desk.agent)
    at_desk.tell("call", attempt=at_desk.attempt, kind="escalation", skill="", ring=False)
    page.context.set_offline(False)
    expect(page.locator("#talk")).to_have_attribute("data-attempt", at_desk.attempt)
    expect(page.locator("#trouble")).to_be_hidden()


def test_ready_is_a_wish_until_the_line_is_up(at_desk: Desk) -> None:
    page, script = at_desk.page, at_desk.floor.engine.script
    at_desk.sit()
    at_desk.state("paused", "logged_in")
    script["ready"] = lambda _: Reply.refused("no_leg")
    page.click("#ready")
    expect(page.locator("#ready-soon")).to_have_text("You are ready as soon as your line is up.")
    expect(page.locator("#trouble")).to_be_hidden()
    script["ready"] = lambda _: Reply.refused("switch_away")
    expect(page.locator("#ready-soon")).to_have_text(
        "You are ready as soon as the telephone system answers."
    )
    del script["ready"]
    at_desk.tell("leg", up=True, why="")
    expect(page.locator("#ready-soon")).to_be_hidden()

    # A pause takes the wish back; a refusal that does not pass is said, and not repeated.
    script["ready"] = lambda _: Reply.refused("no_leg")
    page.click("#ready")
    expect(page.locator("#ready-soon")).to_be_visible()
    page.click("#pause")
    at_desk.sent(Do.PAUSE)
    expect(page.locator("#ready-soon")).to_be_hidden()
    script["ready"] = lambda _: Reply.refused("not_now")
    page.click("#ready")
    expect(page.locator("#trouble")).to_contain_text("not possible at this moment")


def test_there_is_no_telephone_system_when_one_sits_down(at_desk: Desk) -> None:
    page, script = at_desk.page, at_desk.floor.engine.script
    as_ever = script["log_in"]
    script["log_in"] = lambda _: Reply.refused("switch_away")
    at_desk.desk.log_in(at_desk.url, "ana")
    at_desk.desk.check_microphone()
    page.check("[name=ringing]")
    page.click("#sit-down")
    expect(page.locator("#trouble")).to_contain_text("telephone system does not answer")
    script["log_in"] = as_ever
    expect(page.locator("#work")).to_be_visible()
    expect(page.locator("#trouble")).to_be_hidden()


def test_what_was_said_of_a_call_is_not_lost(at_desk: Desk) -> None:
    """Neither when the page is loaded anew in the wrap-up, nor when its time is over."""
    page = at_desk.page
    with at_desk.floor.database.begin() as connection:
        connection.execute(update(t.agent).values(wrap_seconds=6))
    at_desk.sit()
    at_desk.call()
    at_desk.join()
    with at_desk.floor.database.begin() as connection:
        (row,) = connection.execute(select(t.agent_call))
        agent_calls.joined(connection, row.id, row.session_id, row.agent_id, row.queued_at)
        agent_calls.note(connection, row.id, "callback", "after work")
        agent_calls.left(connection, row.id, row.queued_at)
    at_desk.state("wrap_up")
    page.reload()
    expect(page.locator("#finish")).to_be_visible()
    expect(page.locator("#notes")).to_have_value("after work")
    expect(page.locator("#disposition")).to_have_value("callback")
    at_desk.state("wrap_up")  # its six seconds begin
    page.select_option("#disposition", "")
    page.fill("#notes", "after work, or on Sunday")
    asked = at_desk.sent(Do.DISPOSITION)
    assert asked == {"code": "spoke", "notes": "after work, or on Sunday"}
    expect(page.locator("#saved")).to_have_text("Saved")
