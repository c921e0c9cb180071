"""Cards are keyed in on a real Asterisk, with a simulated bank, then looked for everywhere; and a
leak is found. ``make pci-scan`` does the same with every way a card entry can end."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from dialer.config import Settings
from dialer.local.cardscan.casting import OUTCOMES, all_cards, planned
from dialer.local.cardscan.matcher import Matcher
from dialer.local.cardscan.places import Searched, family
from dialer.local.cardscan.rig import ScanFailed, scan_settings
from dialer.local.cardscan.run import NAMES, Control, Scan, ScanOptions, run_scan
from dialer.local.cardscan.with_agent import search_heard
from dialer.local.demo_payments import today
from dialer.speech.audio import to_linear
from dialer.speech.tones import key_tones

pytestmark = pytest.mark.timeout(900)  # the calls of the fixture, on a machine with other work

CALLED = ("hangs_up_in_number", "hangs_up_in_expiry", "hangs_up_while_charged")
EVERYBODY = [*CALLED, "falls_silent_in_code", "pays_aloud_with_agent"]
SEED = 20


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scan") / "pci-scan"


@pytest.fixture(scope="module")
def scan(home: Path) -> Scan:
    options = ScanOptions(
        personas=CALLED, kill=True, together=True, seed=SEED,
        leaks=("logger-dtmf", "database-row", "rq-payload", "gzip-file", "redis-key",
               "command-line", "desk-events"),
    )  # fmt: skip
    return run_scan(scan_settings(Settings(home=home)), options)


def test_every_call_came_to_its_card(scan: Scan) -> None:
    assert [one.problems for one in scan.calls] == [[]] * 5
    assert scan.problems == []
    assert [one.name.split(" ")[0] for one in scan.calls] == EVERYBODY
    assert all(one.keyed for one in scan.calls)


def test_nothing_of_a_card_is_anywhere(scan: Scan) -> None:
    assert [one for one in scan.searched if one.findings or one.trouble] == []
    assert scan.clean


def test_everything_was_searched(scan: Scan) -> None:
    by_place = {one.where: one.bytes for one in scan.searched}
    for place in (
        "log/", "asterisk/", "redis/", "acquirer-double/", "prompts/", "state folder", "database",
        "redis", "AMI, the engine's user", "AMI, the payments' user", "Redis, every command",
        "process redis", "process asterisk", "process ivr", "process payments", "process worker",
        "process web", "process engine", "process twilio-double", "HTTP to Twilio",
        "process payments, the killed one",
        "webhooks and books of the bank", "health pages and metrics", "recordings",
        "command lines, environments", "agent-leg/", "the agent's telephone", "events of desks",
    ):  # fmt: skip
        assert by_place.pop(place) > 0, place
    assert set(by_place) <= {
        "debtor_lines/",
        "run/",
        "samples/",
        "secrets/",
        "Asterisk's run folder",
    }
    assert "process carrier" not in by_place
    sounds = next(one for one in scan.searched if one.where == "recordings")
    assert sounds.what.startswith("decoded: 5,")


def test_a_leak_is_found_where_it_is(scan: Scan) -> None:
    assert scan.missed == []
    assert len(scan.controls) == 7
    dtmf = scan.controls[0]
    assert any("leak-dtmf.log" in one for one in dtmf.found["asterisk/"])


def test_the_report_shows_no_digit_of_a_card(scan: Scan, home: Path) -> None:
    report = json.dumps(scan.as_json())
    cards = all_cards(planned(EVERYBODY, SEED, today()))
    assert len(cards) == 5
    for card in cards:
        assert card.number[6:] not in report and card.number[:12] not in report
    # They are the ones that were keyed: the bank knows one of them.
    ledger = (home / "acquirer-double" / "ledger.jsonl").read_text()
    assert hashlib.sha256(cards[2].number.encode()).hexdigest() in ledger


@pytest.mark.usefixtures("scan")
def test_the_last_four_are_known_where_the_number_is_not(home: Path) -> None:
    card = all_cards(planned([*CALLED], SEED, today()))[2]
    engine = create_engine(f"sqlite:///{home / 'dialer.db'}")
    with engine.connect() as connection:
        query = text("SELECT last_four FROM payment ORDER BY created_at")
        last_four = connection.execute(query).scalar()
    engine.dispose()
    assert last_four == card.number[-4:]


# --- what makes a scan fail ------------------------------------------------------------------


def test_a_place_that_cannot_be_searched_is_not_clean() -> None:
    fine = Searched("a", "files", 10)
    assert Scan(searched=[fine]).clean
    assert not Scan(searched=[fine, replace(fine, trouble="not there")]).clean
    assert not Scan(searched=[replace(fine, findings=["x"])]).clean
    assert not Scan(problems=["it was not killed"]).clean


def test_a_leak_that_is_not_found_is_told() -> None:
    assert Scan(controls=[Control("a", "log/", False), Control("b", "log/", True)]).missed == ["a"]


def test_a_key_that_an_agent_hears_is_found(tmp_path: Path) -> None:
    """Any key; and a telephone that heard nothing proves nothing."""
    (one,) = planned(["pays_aloud_with_agent"], SEED, today())
    matcher = Matcher(one.cards)
    speech = 0.1 * np.sin(np.arange(3 * 8000) * 0.3)

    def heard(*parts: np.ndarray) -> Searched:
        (tmp_path / "heard.sln").write_bytes(to_linear(np.concatenate(parts)).tobytes())
        return search_heard(matcher, tmp_path)

    assert search_heard(matcher, tmp_path).trouble
    assert heard(np.zeros(80_000)).trouble
    quiet = heard(speech)
    assert (quiet.findings, quiet.trouble) == ([], None)
    assert heard(speech, key_tones("5")).findings
    assert "number from single" in heard(speech, key_tones(one.cards[0].number)).findings[0]


def test_no_folder_is_emptied_but_the_scans_own(tmp_path: Path) -> None:
    (tmp_path / "keep").write_text("me")
    with pytest.raises(ScanFailed, match="pci-scan"):
        run_scan(scan_settings(Settings(home=tmp_path)), ScanOptions(personas=()))
    assert (tmp_path / "keep").read_text() == "me"


def test_every_debtor_of_a_scan_has_cards_of_its_own() -> None:
    cards = all_cards(planned(OUTCOMES * 3, SEED, today()))
    assert len({one.number for one in cards}) == len(cards) > len(OUTCOMES) * 3
    with pytest.raises(ValueError, match="no card"):
        planned(["silent_at_card"], SEED, today())
    with pytest.raises(KeyError):
        planned(["nobody"], SEED, today())


def test_a_leak_nobody_knows_is_refused_before_anything_starts(home: Path) -> None:
    with pytest.raises(KeyError, match="nothing"):
        run_scan(scan_settings(Settings(home=home)), ScanOptions(leaks=("nothing",)))
    assert len(set(NAMES)) == len(NAMES) == 12


def test_descendants_are_found() -> None:
    assert os.getpid() in family(os.getppid())
