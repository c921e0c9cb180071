"""A pay node on real calls: the channel is lent to a second FastAGI server and comes back.

The server that would hear cards is a stand-in here; what matters is the hand-over on a real
Asterisk, and what the flow makes of every way in which the other side can end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from fixtures_ivr import NOW, Office, office, write_sounds
from fixtures_switch import AsteriskPair, free_port
from flows import FLOWS
from sqlalchemy import insert

from agi_scripts.server import AgiServer
from agi_scripts.session import Ivr
from agi_scripts.wire import Agi
from dialer.domain import events as ev
from dialer.domain.model import Outcome
from dialer.domain.payment import AmountChoice, PaymentState, PayResult, PayStep
from dialer.simulation.personas import named
from dialer.store import tables as t
from dialer.store.db import migrate, open_database
from dialer.store.pay_sessions import end_session, load_session
from dialer.switch import names
from dialer.switch.ami import AmiLink, OriginateRequest

_serial = itertools.count(800_000)
BLEEP = b"\x20\xa0" * 400
PERSONA = "hasty_repeats"
"""Presses 1, the factor, `*`, and 1.2 s later 3."""

FLOW: dict[str, Any] = {
    "start": "greeting",
    "nodes": {
        "greeting": {
            "type": "menu", "say": "greeting", "keys": {1: "identity", 9: "opt_out"},
            "on_timeout": {"then": "bye"}, "on_wrong_key": {"then": "bye"},
        },
        "identity": {
            "type": "identity", "say": "ask_document", "matched": "menu", "unavailable": "bye",
            "on_no_match": {"then": "bye"}, "on_timeout": {"then": "bye"},
        },
        "menu": {
            "type": "menu", "say": "menu", "keys": {"*": "pay", 9: "opt_out"},
            "on_timeout": {"then": "bye"}, "on_wrong_key": {"then": "bye"},
        },
        "pay": {
            "type": "pay", "amounts": ["whole", "part"], "attempts": {"number": 2},
            "paid": "bye", "unknown": "somebody", "link": "link", "agent": "agent",
        },
        "link": {"type": "send_link", "next": "sent", "not_mobile": "again"},
        "again": {"type": "go_back", "to": "menu", "then": "bye"},
        "sent": {"type": "end", "say": "link_sent"},
        "agent": {"type": "agent", "next": "somebody"},
        "opt_out": {"type": "opt_out", "next": "bye"},
        "somebody": {"type": "end", "say": "somebody_will_call"},
        "bye": {"type": "end", "say": "goodbye"},
    },
}  # fmt: skip


Work = Callable[[Agi, str], None]
"""(the channel, the pay session's id)."""


@dataclass
class Inner:
    """The stand-in: what it does with a channel is set by each test, for all calls or by the
    attempt."""

    work: Work = lambda agi, session: None
    by_attempt: dict[str, Work] = field(default_factory=dict)
    sessions: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def run(self, agi: Agi, _: Ivr) -> None:
        session = agi.env["agi_arg_1"]
        self.sessions.append(session)
        self.by_attempt.get(agi.attempt_id, self.work)(agi, session)


@dataclass
class Counter:
    """The IVR, the stand-in beside it, and the Asterisk pair."""

    pair: AsteriskPair
    desk: Office
    inner: Inner

    def end(self, session: str, result: PayResult) -> None:
        """Write down how the session ended, as the payment process does."""
        with self.desk.engine.begin() as connection:
            end_session(connection, session, result, NOW, seconds={}, errors={})

    def payment(self, session_id: str, state: PaymentState) -> None:
        """A payment of the session, in that state."""
        with self.desk.engine.begin() as connection:
            session = load_session(connection, session_id)
            assert session is not None
            connection.execute(
                insert(t.payment).values(
                    id=session_id, order_ref=session_id[:12], company_id=self.desk.world.company_id,
                    account_id=session.account_id, session_id=session_id, source="call",
                    gateway="test", mode="charge", amount_minor=100, currency="EUR",
                    state=state.value, created_at=NOW, send_before=NOW,
                )
            )  # fmt: skip


@pytest.fixture(scope="module")
def counter(
    asterisk_pair: AsteriskPair, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Counter]:
    home = tmp_path_factory.mktemp("pay")
    flows_dir = home / "flows"
    shutil.copytree(FLOWS, flows_dir)
    (flows_dir / "till.yaml").write_text(yaml.safe_dump(FLOW), encoding="utf-8")
    migrate(f"sqlite:///{home / 'dialer.db'}")
    engine = open_database(f"sqlite:///{home / 'dialer.db'}")
    write_sounds(home / "prompts", BLEEP)
    inner = Inner()
    with office(
        engine, home, home / "prompts", flows_dir=flows_dir,
        port=asterisk_pair.settings.agi_port, payments_agi_port=free_port(),
        gateways={"*": "test"}, gateway_seconds=5,
    ) as desk, AgiServer(
        desk.ivr, "127.0.0.1", desk.settings.payments_agi_port,
        entries={names.AGI_PAY: inner.run},
    ):  # fmt: skip
        yield Counter(asterisk_pair, desk, inner)
    engine.dispose()


@pytest.fixture
def inner(counter: Counter) -> Inner:
    counter.inner.sessions.clear()
    counter.inner.keys.clear()
    counter.inner.by_attempt.clear()
    counter.inner.work = lambda agi, session: None
    return counter.inner


@asynccontextmanager
async def line(counter: Counter) -> AsyncIterator[AmiLink]:
    async with counter.pair.link() as link:
        yield link


async def _place(counter: Counter, link: AmiLink, work: Work | None = None) -> tuple[str, str]:
    """Call a persona that nobody has called yet: (the attempt, the number)."""
    number = f"+346{next(_serial)}{named(PERSONA).code}"
    attempt = counter.desk.call(number=number, document=number[-4:], flow="till")
    if work is not None:
        counter.inner.by_attempt[attempt] = work
    trunk = counter.pair.trunk
    await link.originate(
        OriginateRequest(
            attempt,
            trunk.dial_string(number),
            trunk.caller_id_value("+34911000111"),
            20,
            variables={
                names.VAR_DETECTOR: "none", names.VAR_FLOW: "till", names.VAR_LANGUAGE: "es",
            },
        )
    )  # fmt: skip
    return attempt, number


Events = list[ev.CallEvent]


async def _ends(link: AmiLink, *attempts: str) -> dict[str, Events]:
    """Everything of these calls to their hang-ups."""
    seen: dict[str, Events] = {attempt: [] for attempt in attempts}
    left = set(attempts)
    async with asyncio.timeout(60):
        while left:
            event = await link.events.get()
            if isinstance(event, ev.CallEvent) and event.attempt_id in seen:
                seen[event.attempt_id].append(event)
                if isinstance(event, ev.Ended):
                    left.discard(event.attempt_id)
    return seen


def _calls(counter: Counter, *works: Work | None) -> list[tuple[str, Events]]:
    """Whole calls at the same time, one for each work: (attempt, its events)."""

    async def body() -> list[tuple[str, Events]]:
        async with line(counter) as link:
            placed = [(await _place(counter, link, work))[0] for work in works]
            return list((await _ends(link, *placed)).items())

    found = asyncio.run(body())
    counter.desk.settle()
    return found


def _prompts(events: Events) -> list[str]:
    return [one.prompt for one in events if isinstance(one, ev.PromptReached)]


def _keys(events: Events) -> list[str]:
    return [one.key for one in events if isinstance(one, ev.KeyPressed)]


def _outcome(counter: Counter, attempt: str) -> str:
    (row,) = counter.desk.world.rows(t.flow_outcome, attempt_id=attempt)
    return str(row.outcome)


def test_the_other_server_talks_to_the_channel_and_the_flow_goes_on(
    counter: Counter, inner: Inner
) -> None:
    def work(agi: Agi, session: str) -> None:
        inner.keys.append(agi.wait_for_digit(10))
        agi.stream_file(str(counter.desk.settings.home / "prompts" / "es" / "menu"))
        counter.end(session, PayResult.SUCCESS)

    ((attempt, events),) = _calls(counter, work)
    assert inner.keys == ["3"]
    assert _keys(events) == ["1", "xxxx", "*"], "the flow sees no key of a payment"
    assert _prompts(events)[-1] == "goodbye"
    assert [one.outcome for one in events if isinstance(one, ev.OutcomeReported)] == [Outcome.PAID]
    assert _outcome(counter, attempt) == Outcome.PAID
    last = events[-1]
    assert isinstance(last, ev.Ended)
    assert last.q850 == 16
    (row,) = counter.desk.world.rows(t.pay_session, attempt_id=attempt)
    with counter.desk.engine.connect() as connection:
        session = load_session(connection, row.id)
    assert session is not None
    assert (session.node, session.language) == ("pay", "es")
    assert session.spec.amounts == (AmountChoice.WHOLE, AmountChoice.PART)
    assert session.spec.attempts_at(PayStep.CARD_NUMBER) == 2


def test_every_result_has_its_way_out(counter: Counter, inner: Inner) -> None:
    ways = {
        PayResult.DECLINED: ("link_sent", Outcome.LINK_SENT),
        PayResult.CARD_ENTRY_UNAVAILABLE: ("link_sent", Outcome.LINK_SENT),
        PayResult.LIMIT_REACHED: ("somebody_will_call", Outcome.WANTS_AGENT),
        PayResult.GATEWAY_TIMEOUT_UNKNOWN: ("somebody_will_call", Outcome.INCOMPLETE),
    }

    def ending(result: PayResult) -> Work:
        return lambda agi, session: counter.end(session, result)

    calls = _calls(counter, *map(ending, ways))
    found = [(_prompts(events)[-1], _outcome(counter, attempt)) for attempt, events in calls]
    assert found == list(ways.values())


def test_a_server_that_left_no_word_is_judged_by_its_payments(
    counter: Counter, inner: Inner
) -> None:
    """Money that may have moved is never asked for again, whatever else was written down."""
    link = ("link_sent", Outcome.LINK_SENT)
    unknown = ("somebody_will_call", Outcome.INCOMPLETE)
    ways = {
        (None, None): link,
        (PaymentState.CREATED, None): unknown,
        (PaymentState.SENDING, None): unknown,
        (PaymentState.UNKNOWN, None): unknown,
        (PaymentState.APPROVED, None): ("goodbye", Outcome.PAID),
        (PaymentState.DECLINED, None): link,
        (PaymentState.NOT_CHARGED, None): link,
        (PaymentState.SENDING, PayResult.WANTS_LINK): unknown,
        (PaymentState.APPROVED, PayResult.INTERNAL_ERROR): ("goodbye", Outcome.PAID),
    }

    def leaving(state: PaymentState | None, result: PayResult | None) -> Work:
        def work(_: Agi, session: str) -> None:
            if state is not None:
                counter.payment(session, state)
            if result is not None:
                counter.end(session, result)

        return work

    calls = _calls(counter, *(leaving(*key) for key in ways))
    found = [(_prompts(events)[-1], _outcome(counter, attempt)) for attempt, events in calls]
    assert found == list(ways.values())


_KILLED = """
import os, signal, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
channel, _ = server.accept()
lines = channel.makefile("r")
while lines.readline().strip():
    pass
channel.sendall(b"WAIT FOR DIGIT 20000\\n")
assert lines.readline().startswith("200 result="), "no key"
channel.sendall(b"WAIT FOR DIGIT 20000\\n")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_server_that_is_killed_gives_the_channel_back(
    asterisk_pair: AsteriskPair, counter: Counter
) -> None:
    """SIGKILL while Asterisk waits for a key on its behalf: the flow goes on, with the link."""
    port = free_port()
    other = counter.desk.ivr.settings.model_copy(update={"payments_agi_port": port})
    killed = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(port)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "up\n"
        with _settings(counter.desk.ivr, other):
            ((attempt, events),) = _calls(counter, None)
        assert killed.wait(10) == -9
    finally:
        killed.kill()
        killed.communicate()
    assert _prompts(events)[-1] == "link_sent"
    assert _outcome(counter, attempt) == Outcome.LINK_SENT


def test_a_server_that_is_not_there(counter: Counter, inner: Inner) -> None:
    other = counter.desk.ivr.settings.model_copy(update={"payments_agi_port": free_port()})
    with _settings(counter.desk.ivr, other):
        ((attempt, events),) = _calls(counter, None)
    assert inner.sessions == []
    assert _prompts(events)[-1] == "link_sent"
    assert _outcome(counter, attempt) == Outcome.LINK_SENT
    assert isinstance(events[-1], ev.Ended)
    assert events[-1].q850 == 16, "the dialplan takes a missing payment process for no missing IVR"


@contextlib.contextmanager
def _settings(ivr: Ivr, other: Any) -> Iterator[None]:
    before = ivr.settings
    object.__setattr__(ivr, "settings", other)
    try:
        yield
    finally:
        object.__setattr__(ivr, "settings", before)


def test_without_a_gateway_nobody_is_sent_there(counter: Counter, inner: Inner) -> None:
    other = counter.desk.ivr.settings.model_copy(update={"gateways": {}})
    with _settings(counter.desk.ivr, other):
        ((attempt, events),) = _calls(counter, None)
    assert inner.sessions == []
    assert counter.desk.world.rows(t.pay_session, attempt_id=attempt) == []
    assert _prompts(events)[-1] == "link_sent"


# --- hanging up -------------------------------------------------------------------------------


def _hang_up_during(counter: Counter, inner: Inner, *afters: Callable[[str], None]) -> list[str]:
    """Debtors leave while the stand-in waits for a key; ``afters``: what it still does for each.
    The attempts."""
    reached = threading.Semaphore(0)
    ended = threading.Semaphore(0)

    def staying(after: Callable[[str], None]) -> Work:
        def work(agi: Agi, session: str) -> None:
            inner.keys.append(agi.wait_for_digit(10))
            reached.release()
            try:
                inner.keys.append(agi.wait_for_digit(20))
            finally:
                after(session)
                ended.release()

        return work

    async def body() -> list[str]:
        async with line(counter) as link:
            placed = [await _place(counter, link, staying(after)) for after in afters]
            for _ in placed:
                assert await asyncio.to_thread(reached.acquire, timeout=30)
            for _, number in placed:
                _debtor_hangs_up(counter, number)
            for events in (await _ends(link, *(attempt for attempt, _ in placed))).values():
                assert any(isinstance(one, ev.HangupRequested) for one in events)
            return [attempt for attempt, _ in placed]

    attempts = asyncio.run(body())
    assert all(ended.acquire(timeout=10) for _ in afters)
    counter.desk.settle()
    assert inner.keys == ["3"] * len(afters), "the other server learned of the hang-up"
    return attempts


def _debtor_hangs_up(counter: Counter, number: str) -> None:
    """A BYE from the network's side, of this call alone."""
    rx = counter.pair.carrier.rx
    channels = [line.split("!")[0] for line in rx("core show channels concise").splitlines()]
    (ours,) = (one for one in channels if f"number={number[-9:]}" in rx(f"core show channel {one}"))
    rx(f"channel request hangup {ours}")


def test_hanging_up_in_a_payment(counter: Counter, inner: Inner) -> None:
    """Incomplete, unless it was paid: also where the gateway answers when the debtor has gone."""

    def nothing_sent(session: str) -> None:
        counter.end(session, PayResult.CALLER_HUNG_UP)

    def answered_after(session: str) -> None:
        counter.payment(session, PaymentState.APPROVED)
        counter.end(session, PayResult.SUCCESS)

    def on_its_way(session: str) -> None:
        counter.payment(session, PaymentState.SENDING)
        threading.Timer(1.0, approve, [session]).start()  # the gateway takes its time

    def approve(session: str) -> None:
        with counter.desk.engine.begin() as connection:
            connection.execute(
                t.payment.update()
                .where(t.payment.c.session_id == session)
                .values(state=PaymentState.APPROVED.value)
            )
        counter.end(session, PayResult.SUCCESS)

    attempts = _hang_up_during(counter, inner, nothing_sent, answered_after, on_its_way)
    found = [_outcome(counter, attempt) for attempt in attempts]
    assert found == [Outcome.INCOMPLETE, Outcome.PAID, Outcome.PAID]


def test_the_ivr_waits_longer_for_a_payment_than_for_a_prompt() -> None:
    from agi_scripts.paying import PAY_SECONDS
    from agi_scripts.wire import ANSWER_SECONDS

    assert PAY_SECONDS > 2 * ANSWER_SECONDS
