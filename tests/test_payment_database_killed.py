"""The database server is killed while cards are charged, and comes back: money and books agree.

A real PostgreSQL of these tests' own, killed with all its processes at moments that are exact: when
every payment is written down and none is charged, and when every one is charged and none of the
outcomes is written down. The bank is a process behind HTTP, the card leaves through the real
submitter. What is left behind is settled by the product's own means alone.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from charging_process import MarkedSubmitter
from fixtures_bank import BankProcess, make_card
from payment_support import OWED, Till
from reckoning import TOLERATED, money_and_books_agree, settle_later
from sqlalchemy import Engine, NullPool, create_engine, text
from world import World

from agi_scripts import charging
from agi_scripts.charging import Cashier, Ended
from agi_scripts.database import open_for_calls
from dialer.config import Settings
from dialer.domain.payment import PaymentOutcome, PaymentState
from dialer.local.postgres import PostgresServer
from dialer.payments.conversation import Refused, Submitted
from dialer.simulation.cards import Behaviour
from dialer.store import tables as t
from dialer.store.db import migrate, open_database

pytestmark = pytest.mark.timeout(400)  # processes and servers are killed again and again

B = Behaviour
CARDS = (B.APPROVE, B.APPROVE, B.APPROVE, B.SLOW, B.DROPPED_AFTER, B.INSUFFICIENT_FUNDS)
CHARGED = 5
"""Of these cards; one is declined."""

TEMPLATE = "payments_template"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Set as carelessly as can be: by itself it writes commits down ten seconds later."""
    one = PostgresServer(synchronous_commit="off", wal_writer_delay="10s")
    try:
        one.start()
        one.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(one.url(TEMPLATE))
        yield one
    finally:
        one.stop()


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    """An empty, migrated database of the test's own."""
    name = f"t_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


class HeldSubmitter(MarkedSubmitter):
    """The real one; every charge waits at the mark until all have come there, and for ``go``."""

    def __init__(self, settings: Settings, mark: str, cards: int) -> None:
        super().__init__(settings, "")
        self._at = mark
        self._coming = threading.Semaphore(0)
        self._cards = cards
        self.go = threading.Event()

    def _mark(self, name: str) -> None:
        if name == self._at:
            self._coming.release()
            assert self.go.wait(TOLERATED)

    def wait_for_all(self) -> None:
        """Until every charge has come to the mark."""
        for _ in range(self._cards):
            assert self._coming.acquire(timeout=TOLERATED), f"a charge never came to {self._at}"


@dataclass(frozen=True)
class Outage:
    """``mark``: where all charges are when the server is killed. ``back``: ``unseen``, before any
    of them needs it; ``soon``, while they try to write; ``late``, when they have given up."""

    mark: str
    back: str

    def __str__(self) -> str:
        return f"{self.mark}, back {self.back}"


OUTAGES = [
    Outage("begun", "unseen"),
    Outage("begun", "late"),
    Outage("sending", "soon"),
    Outage("sending", "late"),
    Outage("replied", "soon"),
    Outage("replied", "late"),
]


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
def test_the_server_is_killed(
    outage: Outage,
    server: PostgresServer,
    url: str,
    bank: BankProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if outage.back == "late":
        monkeypatch.setattr(charging, "WRITE_AGAIN", (0.1, 0.2))
    settings = bank.settings(gateways={"*": "test"}, gateway_seconds=10.0)
    engine = open_for_calls(url)
    try:
        world = World(engine, at=datetime.now(UTC))
        tills = [Till(world, settings) for _ in CARDS]
        with HeldSubmitter(settings, outage.mark, len(CARDS)) as submitter:
            cashier = Cashier(engine, settings, submitter, lambda: datetime.now(UTC))
            charges = [
                cashier.charge(
                    replace(till.request(), fingerprint=uuid.uuid4().hex * 2), make_card(how)
                )
                for till, how in zip(tills, CARDS, strict=True)
            ]
            submitter.wait_for_all()
            intents = {one.id: one.state for one in world.rows(t.payment)}
            _is_at(outage.mark, set(intents.values()), bank)
            server.kill()
            if outage.back == "unseen":
                server.restart()
            submitter.go.set()
            if outage.back == "soon":
                time.sleep(0.4)
                server.restart()
            ended = [charge.wait(TOLERATED) for charge in charges]
            assert submitter.close(TOLERATED), "an answer was never taken"
        if outage.back == "late":
            server.restart()

        assert {one.id for one in world.rows(t.payment)} == set(intents), "an intent was lost"
        never_sent = outage.mark == "begun" and outage.back != "unseen"
        if never_sent:
            assert {type(one) for one in ended} == {Refused}
        else:
            _nobody_was_told_wrong(ended)
        found = settle_later(engine, settings)
        assert money_and_books_agree(bank, world, tills) == (0 if never_sent else CHARGED)
        states = sorted(one.state for one in world.rows(t.payment))
        if never_sent:
            assert set(states) == {PaymentState.NOT_CHARGED.value}
            assert all(till.stands() == (OWED, 0, 0) for till in tills), "it is owed as before"
        else:
            assert states.count(PaymentState.DECLINED.value) == 1
        # What could not be written down in the call was found afterwards, and only that.
        lost = outage.back == "late" and not never_sent
        expected = (len(CARDS) if never_sent else 0, len(CARDS) if lost else 0)
        assert (found.abandoned, found.unknown) == expected
    finally:
        engine.dispose()


def _is_at(mark: str, states: set[str], bank: BankProcess) -> None:
    """Before the charge nothing has moved at the bank, after it everything has."""
    charged = sum(one["charged"] for one in bank.ledger()["charges"])
    expected = PaymentState.CREATED if mark == "begun" else PaymentState.SENDING
    assert states == {expected.value}
    assert charged == (CHARGED if mark == "replied" else 0)


def _nobody_was_told_wrong(ended: list[Ended | None]) -> None:
    """Declined is only who was, approved only who was; nobody hears that nothing was charged on a
    guess (a refusal says so)."""
    for how, one in zip(CARDS, ended, strict=True):
        match one:
            case Submitted(PaymentOutcome.UNKNOWN):
                pass
            case Submitted(PaymentOutcome.APPROVED):
                assert how in (B.APPROVE, B.SLOW)
            case Submitted(PaymentOutcome.DECLINED_SOFT):
                assert how is B.INSUFFICIENT_FUNDS
            case _:
                raise AssertionError(f"{how}: {one}")


@pytest.mark.parametrize("open_it", [open_database, open_for_calls])
def test_a_commit_outlives_the_server_however_that_is_set(
    server: PostgresServer, url: str, open_it: Callable[[str], Engine]
) -> None:
    """The kill loses what this server has only promised to write, and nothing of ours."""
    promised = create_engine(url, poolclass=NullPool)
    ours = open_it(url)
    try:
        with promised.begin() as c:
            c.execute(text("CREATE TABLE lost (n int)"))
        with ours.begin() as c:
            c.execute(text("CREATE TABLE kept (n int)"))
        for _ in range(3):  # by chance the server writes just then
            with ours.begin() as c:
                c.execute(text("INSERT INTO kept VALUES (1)"))
            with promised.begin() as c:
                c.execute(text("INSERT INTO lost VALUES (1)"))
            server.kill()
            server.restart()
        with promised.begin() as c:
            lost = 3 - c.execute(text("SELECT count(*) FROM lost")).scalar_one()
            kept = c.execute(text("SELECT count(*) FROM kept")).scalar_one()
        assert lost > 0, "the kill is too kind to prove anything"
        assert kept == 3
    finally:
        ours.dispose()
        promised.dispose()


def test_what_the_url_says_of_the_session_stands(server: PostgresServer) -> None:
    url = f"{server.url()}&options=-c%20statement_timeout%3D4321"
    engine = open_database(url)
    with engine.connect() as c:
        shown = [
            c.execute(text(f"SHOW {one}")).scalar_one()
            for one in ("statement_timeout", "synchronous_commit")
        ]
    engine.dispose()
    assert shown == ["4321ms", "on"]
