"""Two at the same moment: threads and processes, on SQLite and PostgreSQL."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from payment_support import APPROVED, CLOSED, FOUND, OWED, UNKNOWN, Till
from sqlalchemy import Engine
from world import NOW, World

from dialer.config import Settings, load_settings
from dialer.domain.model import Money
from dialer.domain.payment import PaymentMode, PaymentSource, PaymentState
from dialer.payments import service
from dialer.payments.service import Begun, PaymentRequest
from dialer.store import tables as t
from dialer.store.db import open_database
from dialer.store.ledger import audit_books, balance_of

ROUNDS = 12
S = PaymentState


@pytest.fixture
def world(database: Engine) -> World:
    return World(database)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path)


def together(*doing: Callable[[], Any]) -> list[Any]:
    """What each of them gives, all begun at once."""
    ready = threading.Barrier(len(doing))

    def run(one: Callable[[], Any]) -> Any:
        ready.wait(30)
        return one()

    with ThreadPoolExecutor(len(doing)) as pool:
        return list(pool.map(run, doing))


def _begun(results: Sequence[Any]) -> list[Begun]:
    return [one for one in results if isinstance(one, Begun)]


def test_a_call_and_a_link_for_one_debt(world: World, settings: Settings) -> None:
    for _ in range(ROUNDS):
        till = Till(world, settings)
        link: dict[str, Any] = {
            "source": PaymentSource.LINK,
            "session_id": None,
            "attempt_id": None,
        }
        results = together(
            partial(till.try_begin, fingerprint=None),
            partial(till.try_begin, fingerprint=None, number=None, **link),
        )
        (one,) = _begun(results)
        assert till.stands() == (0, OWED, 0)
        till.mark_sending(one.payment_id)
        till.settle(one.payment_id, APPROVED)
        assert till.stands() == (0, 0, OWED)
    assert till.audit() == []


def test_one_news_from_three_sides(world: World, settings: Settings) -> None:
    for _ in range(ROUNDS):
        till = Till(world, settings)
        key = till.send(fingerprint=None, number=None)
        results = together(
            partial(till.settle, key, APPROVED),
            partial(till.look_up, key, FOUND),
            partial(till.settle, key, UNKNOWN),
        )
        assert sum(one.changed and one.state is S.APPROVED for one in results) == 1
        assert till.messages() == ["payment_receipt"]
        assert till.stands() == (0, 0, OWED)
    assert till.audit() == []


def test_given_up_and_sent(world: World, settings: Settings) -> None:
    """Who gives up and who sends never both win."""
    for _ in range(ROUNDS):
        till = Till(world, settings)
        key = till.begin(fingerprint=None, number=None)

        def give_up(till: Till = till, key: str = key) -> bool:
            with till.engine.begin() as c:
                return service.abandon(c, key, till.now).changed

        sent, given_up = together(partial(till.mark_sending, key), give_up)
        assert sent != given_up
        assert till.payment(key).state is (S.SENDING if sent else S.NOT_CHARGED)
        assert till.stands() == ((0, OWED, 0) if sent else (OWED, 0, 0))
    assert till.audit() == []


def test_late_money_and_a_new_payment(world: World, settings: Settings) -> None:
    """A payment believed not charged turns out charged while the debt is paid again: both are
    booked, and what is too much is seen."""
    for _ in range(ROUNDS):
        till = Till(world, settings)
        first = till.send(fingerprint=None, number=None)
        till.look_up(first, CLOSED)
        _, second = together(
            partial(till.settle, first, APPROVED),
            partial(till.try_begin, fingerprint=None, number=None),
        )
        if isinstance(second, Begun):
            assert till.balance().overpaid == OWED
            till.settle(second.payment_id, replace(APPROVED, provider_ref="other"))
        assert till.balance().open == 0
        assert till.balance().paid == OWED * (2 if isinstance(second, Begun) else 1)


def test_one_telephone_on_many_debts(world: World, settings: Settings) -> None:
    """The limit of a telephone holds also where each call pays another debt."""
    tills = [Till(world, settings) for _ in range(8)]
    results = together(
        *(partial(till.try_begin, number="+34600000777", fingerprint="c") for till in tills)
    )
    assert len(_begun(results)) == 4  # debts of one card


# --- processes ---------------------------------------------------------------------------


def _payer(url: str, home: str, accounts: list[int], ready: Any, told: Any, name: str) -> None:
    """Another process of the product: pays each debt as soon as the other one does."""
    engine = open_database(url)
    settings = load_settings(home=Path(home))
    won = []
    for account_id in accounts:
        request = PaymentRequest(
            account_id=account_id,
            amount=Money(OWED, "EUR"),
            mode=PaymentMode.CHARGE,
            gateway="test",
            source=PaymentSource.LINK,
            fingerprint=f"{name}{account_id}",
        )
        ready.wait(60)
        with engine.begin() as c:
            begun = service.begin(c, request, NOW)
        if isinstance(begun, Begun):
            with engine.begin() as c:
                assert service.mark_sending(c, begun.payment_id, NOW)
            won.append(begun.payment_id)
            with engine.begin() as c:
                service.settle(c, begun.payment_id, APPROVED, NOW, settings)
    told.put(won)
    engine.dispose()


def test_two_processes_pay_the_same_debts(
    world: World, database_url: str, tmp_path: Path, settings: Settings
) -> None:
    settings.secret("link_key")
    accounts = [Till(world, settings).account_id for _ in range(25)]
    context = multiprocessing.get_context("spawn")
    ready, told = context.Barrier(2), context.Queue()
    both = [
        context.Process(target=_payer, args=(database_url, str(tmp_path), accounts, ready, told, n))
        for n in ("a", "b")
    ]
    for one in both:
        one.start()
    charged = [*told.get(timeout=90), *told.get(timeout=90)]
    for one in both:
        one.join(30)
        assert one.exitcode == 0
    assert len(charged) == len(set(charged)) == len(accounts)
    assert len(world.rows(t.payment)) == len(accounts)
    with world.engine.connect() as c:
        assert {balance_of(c, one).paid for one in accounts} == {OWED}
        assert audit_books(c) == []
