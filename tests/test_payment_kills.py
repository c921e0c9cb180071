"""The process that charges is killed again and again, at any moment: money and books agree.

Real processes, the simulated bank behind HTTP, a database that outlives them all. What is left
behind is settled by the product's own means alone: ``reconcile`` and look-ups.
"""

from __future__ import annotations

import multiprocessing
import random
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from charging_process import MARKS, Life, live
from fixtures_bank import BankProcess
from fixtures_payments import until
from payment_support import Till
from reckoning import money_and_books_agree, settle_later
from sqlalchemy import Engine
from world import World

from dialer.config import Settings
from dialer.domain.payment import PaymentState
from dialer.simulation.cards import Behaviour
from dialer.store import tables as t

pytestmark = pytest.mark.timeout(400)  # processes and servers are killed again and again

B, S = Behaviour, PaymentState
PART = 5000
"""Of 123.45: a debt is paid twice in parts, and a third one is more than is owed."""
DEBTS = 24
CARDS = 4
MIXED = (B.APPROVE, B.APPROVE, B.SLOW, B.DROPPED_AFTER, B.INSUFFICIENT_FUNDS)
KILLS = {"sqlite": 30, "postgresql": 8}
CHARGED = "charged"
"""The bank has taken the money and does not answer."""
TOLERATED = 60.0

Kill = float | str
"""When: a part of how long charging takes, or a mark."""


class Killer:
    """Starts processes that charge some of these debts, and ends them."""

    def __init__(self, bank: BankProcess, database: str, tills: list[Till]) -> None:
        self.bank = bank
        self.settings: Settings = bank.settings(gateways={"*": "test"}, gateway_seconds=5.0)
        self.database = database
        self.tills = tills
        self.chance = random.Random(20)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["charging_process"])
        self.seconds = 0.0
        self.died_at: Counter[str] = Counter()

    def life(self, when: Kill | None) -> Callable[[], None]:
        """One process, killed then; None: when it is done. Chance is asked now, not in a thread."""
        tills = self.chance.sample(self.tills, CARDS)
        how = [B.SILENT] * CARDS if when == CHARGED else self.chance.choices(MIXED, k=CARDS)
        cards = [
            (replace(till.request(PART), fingerprint=uuid.uuid4().hex * 2), one)
            for till, one in zip(tills, how, strict=True)
        ]
        dies_at = when if isinstance(when, str) and when != CHARGED else ""
        return partial(self._run, Life(self.settings, self.database, cards, dies_at), when)

    def _run(self, life: Life, when: Kill | None) -> None:
        told, ours = self.context.Pipe()
        process = self.context.Process(target=live, args=(life, ours), daemon=True)
        process.start()
        try:
            ours.close()
            assert told.poll(TOLERATED), "it never began"
            told.recv()
            if when is None:
                assert told.poll(TOLERATED), "it is never done"
                self.seconds = told.recv()
            elif when == CHARGED:
                debts = {one.account_id for one, _ in life.cards}
                until(lambda: self._charged(debts, told), "nothing was charged")
            elif isinstance(when, str):
                # It kills itself; where every debt was refused it never comes to that.
                assert told.poll(TOLERATED), "it neither dies nor is done"
                with suppress(EOFError):
                    told.recv()
                    return
                self.died_at[when] += 1
            else:
                told.poll(when * self.seconds)
        finally:
            process.kill()
            process.join(TOLERATED)
            told.close()

    def _charged(self, debts: set[int], told: Any) -> bool:
        """Silent cards of these debts, whose payments nobody has settled."""
        charges = self.bank.ledger()["charges"]
        silent = {one["key"] for one in charges if one["behaviour"] == B.SILENT}
        rows = self.tills[0].world.rows(t.payment, state=S.SENDING.value)
        return any(one.account_id in debts and one.id in silent for one in rows) or told.poll()


def test_killed_again_and_again(database: Engine, database_url: str, bank: BankProcess) -> None:
    world = World(database, at=datetime.now(UTC))
    settings = bank.settings()
    tills = [Till(world, settings) for _ in range(DEBTS)]
    killer = Killer(bank, database_url, tills)
    killer.life(None)()
    kills = KILLS[database.dialect.name]
    marks: list[Kill] = [*MARKS, CHARGED] * (2 if kills > 12 else 1)
    spread: list[Kill] = [1.3 * n / (kills - len(marks)) for n in range(kills - len(marks))]
    moments = marks + spread
    killer.chance.shuffle(moments)
    lives = [killer.life(when) for when in moments]
    with ThreadPoolExecutor(3) as side_by_side:
        for done in [side_by_side.submit(life) for life in lives]:
            done.result()
    bank.post("release")

    assert set(killer.died_at) >= {"begun", "sending", "replied"}, killer.died_at

    found = settle_later(database, killer.settings)
    assert found.unknown > 0 and found.abandoned > 0, "nothing was interrupted"
    assert money_and_books_agree(bank, world, tills) > 5, "little was charged"
