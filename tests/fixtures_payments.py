"""Payments by keypad, all of it real: the payment process, Asterisk, a telephone that presses keys,
the simulated bank. In place of the flow's process a session of the test's opens the pay session and
lends the channel, as ``agi_scripts.paying`` does."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TextIO

import pytest
from fixtures_bank import BankProcess
from fixtures_ivr import write_sounds
from fixtures_switch import free_port
from keys_line import KeysLine, keys_line
from sqlalchemy import Engine, insert
from world import POOL, World

from agi_scripts.wire import Agi, Gone
from dialer.config import Settings
from dialer.domain.payment import Brand, PaySpec
from dialer.local.stack import environment, health
from dialer.simulation.cards import card_number, expiry, security_code
from dialer.simulation.key_sender import number_to_dial
from dialer.store import pay_sessions
from dialer.store import tables as t
from dialer.store.db import migrate, open_database
from dialer.switch import names
from dialer.switch.portable import AsteriskBinary

WAIT = 30.0
SILENT_SECONDS = 6.0
"""After so long the silent bank answers; the gateway is waited for less."""
GATEWAY_SECONDS = 3.0


Answers = dict[str, str | list[str]]
"""Step -> keys, each time the same, or one after the other (the last one again and again)."""

REACTION = 0.6
"""Seconds from a question to the first key: who presses sooner has not heard it."""


@dataclass
class Plastic:
    """A made-up card as its holder keys it in."""

    behaviour: str
    brand: Brand = Brand.VISA
    unique: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def number(self) -> str:
        """All digits."""
        return card_number(self.brand, self.behaviour, self.unique)

    @property
    def code(self) -> str:
        """The security code."""
        return security_code(self.unique, self.brand)

    @property
    def expiry(self) -> str:
        """MMYY."""
        month, year = expiry(date.today())
        return f"{month:02d}{year % 100:02d}"

    def answers(self, **others: str | list[str]) -> Answers:
        """Step (with _ for -) -> what is keyed in when it is asked: the whole amount, this card,
        and nothing more after the outcome."""
        usual: dict[str, str | list[str]] = {
            "agree": "1",
            "payment_card_number": self.number,
            "expiration_date": self.expiry,
            "security_code": self.code,
            "confirm": "1",
            "result": "2",
        }
        return {step.replace("_", "-"): keys for step, keys in (usual | others).items()}


@dataclass
class Visit:
    """One call in which somebody paid, or tried to."""

    attempt_id: str
    session_id: str
    account_id: int
    returned: bool = False
    """The channel came back from the payment process."""


@dataclass
class PayDesk:
    """Calls that pay. ``process`` is the payment process, started again by ``start``."""

    line: KeysLine
    bank: BankProcess
    settings: Settings
    engine: Engine
    world: World
    book: Path
    process: subprocess.Popen[bytes] | None = None
    log: Path = Path()
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    def start(self) -> None:
        """Start the payment process and wait until it is ready."""
        env = os.environ | {k: v for k, v in environment(self.settings).items() if v is not None}
        self.log = self.settings.home / "log" / "payments.log"
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dialer", "ivr", "--payments"],
                env=env, stdout=out, stderr=out,
            )  # fmt: skip
        port = self.settings.payments_health_port
        until(lambda: health("127.0.0.1", port, "payments")[0], "the payment process is not ready")

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the payment process."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(WAIT)

    @property
    def pid(self) -> int:
        """Of the payment process."""
        assert self.process is not None
        return self.process.pid

    def maps(self) -> list[str]:
        """What is mapped into its memory."""
        return Path(f"/proc/{self.pid}/maps").read_text().splitlines()

    def cut_while_charging(self, visit: Visit) -> None:
        """Hang up when the bank has charged, and have it answer only then."""
        until(lambda: self.charged(visit) == 1, "nothing was charged")
        self.line.instance.rx("channel request hangup all")
        self.bank.post("release")

    def pay(
        self,
        answers: Answers,
        *,
        spec: PaySpec | None = None,
        language: str = "es",
        hang_up_after: float = 0.0,
        meanwhile: Callable[[Visit], None] = lambda _visit: None,
        record: bool = False,
        account: int | None = None,
        way: str = "r",
        watched: bool = False,
        agreed: int | None = None,
        identified: bool = True,
        paused: bool = False,
    ) -> Visit:
        """A call on which each question is answered; ``hang_up_after`` so many seconds of it.
        ``meanwhile`` is done in a thread while it lasts. ``watched``: an agent looks on, who has
        talked about ``agreed``, with somebody who is ``identified``. ``paused``: that agent has
        paused the recording."""
        number = str(next(self._numbers))
        (self.book / number).write_text(number_to_dial(way, 60, 40, 0, ""))
        found: list[Visit] = []

        def session(agi: Agi) -> None:
            visit = self._open(agi.attempt_id, account, identified)
            self._open_session(visit, spec or PaySpec(), language, watched, agreed)
            found.append(visit)
            over = threading.Event()
            log = self.log.open()
            log.seek(0, os.SEEK_END)
            with log, ThreadPoolExecutor(2) as others:
                answering = others.submit(self._answer, log, visit, number, way, answers, over)
                doing = others.submit(meanwhile, visit)
                try:
                    if paused:
                        agi.set_variable(names.VAR_RECORDING_PAUSED, "1")
                    if hang_up_after:
                        agi.execute("SET AUTOHANGUP", round(hang_up_after))
                    host, port = self.settings.agi_host, self.settings.payments_agi_port
                    agi.appexec("AGI", f"agi://{host}:{port}/{names.AGI_PAY},{visit.session_id}")
                    visit.returned = True
                except Gone:
                    pass
                finally:
                    over.set()
            answering.result()
            doing.result()

        self.line.ring([number], session, within=90, record=record)
        return found[0]

    def _answer(
        self,
        log: TextIO,
        visit: Visit,
        number: str,
        way: str,
        answers: Answers,
        over: threading.Event,
    ) -> None:
        """Press keys whenever something is asked, as the payment process's log tells."""
        asked: Counter[str] = Counter()
        said = itertools.count(1)
        part = ""
        while not over.wait(0.03):
            part += log.read()
            *lines, part = part.split("\n")
            for line in lines:
                step = _asked(line, visit.session_id)
                keys = answers.get(step, "")
                if isinstance(keys, list):
                    keys = keys[min(asked[step], len(keys) - 1)]
                asked[step] += 1
                if not keys or over.wait(REACTION):
                    continue
                new = self.book / f"{number}.new"
                new.write_text(number_to_dial(way, 60, 40, 0, keys))
                new.rename(self.book / f"{number}.{next(said)}")

    def _open(self, attempt_id: str, account: int | None, identified: bool) -> Visit:
        now = datetime.now(UTC)
        n = next(self._numbers)
        if account is None:
            lead = self.world.rows(t.lead, id=self.world.lead(f"+3460100{n:04d}"))[0]
        else:
            lead = self.world.rows(t.lead, account_id=account)[0]
        phone = self.world.rows(t.phone, debtor_id=lead.debtor_id)[0]
        visit = Visit(attempt_id, uuid.uuid4().hex, int(lead.account_id))
        with self.engine.begin() as c:
            c.execute(
                insert(t.attempt).values(
                    id=attempt_id, campaign_id=self.world.campaign_id, lead_id=lead.id,
                    debtor_id=lead.debtor_id, phone_id=phone.id, number=phone.number,
                    caller_id=POOL[0], trunk="carrier", node="node1", flow="reminder",
                    state="answered", placed_at=now, answered_at=now,
                    identity_confirmed=identified,
                )
            )  # fmt: skip
        return visit

    def _open_session(
        self, visit: Visit, spec: PaySpec, language: str, watched: bool, agreed: int | None
    ) -> None:
        now = datetime.now(UTC)
        with self.engine.begin() as c:
            pay_sessions.open_session(
                c,
                pay_sessions.PaySession(
                    id=visit.session_id, attempt_id=visit.attempt_id,
                    account_id=visit.account_id, node="pay", language=language, spec=spec,
                    started_at=now, watched=watched, agreed_minor=agreed,
                ),
            )  # fmt: skip

    def wait_ended(self, visit: Visit) -> None:
        """Until the session's end is written down."""
        until(lambda: self.session(visit).result is not None, "the session never ended")

    def wait_step(self, visit: Visit, step: str) -> None:
        """Until the conversation is there; fails with what the payment process said."""
        try:
            until(lambda: self.session(visit).step == step, f"it never came to {step}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()[-3000:]}") from None

    # --- what is known afterwards ---------------------------------------------------------

    def session(self, visit: Visit) -> Any:
        """The row of ``pay_session``."""
        return self.world.rows(t.pay_session, id=visit.session_id)[0]

    def payments(self, visit: Visit) -> list[Any]:
        """The rows of ``payment`` of the session."""
        rows = self.world.rows(t.payment, session_id=visit.session_id)
        return sorted(rows, key=lambda one: one.created_at)

    def books(self, visit: Visit) -> dict[str, int]:
        """Book -> balance of the account."""
        found: dict[str, int] = {}
        for entry in self.world.rows(t.ledger_entry, account_id=visit.account_id):
            found[entry.book] = found.get(entry.book, 0) + entry.minor
        return found

    def charged(self, visit: Visit) -> int:
        """How often money moved at the bank for this session."""
        keys = {one.id for one in self.payments(visit)}
        return sum(one["charged"] for one in self.bank.ledger()["charges"] if one["key"] in keys)

    def said(self) -> str:
        """Everything the payment process wrote."""
        return self.log.read_text()


def _asked(line: str, session_id: str) -> str:
    """The step that a line of the log tells of; '' for other lines and sessions."""
    if session_id not in line:
        return ""
    told = json.loads(line)
    return str(told["step"]) if told.get("event") == "payment goes on" else ""


def until(holds: Callable[[], bool], why: str) -> None:
    """Wait for it; fails with ``why``."""
    end = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < end, why
        time.sleep(0.05)


def found_in_memory(pid: int, wanted: list[bytes]) -> list[bytes]:
    """Which of these stand in the memory of a process (as root)."""
    found = set()
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for row in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", row)
            if place is None or row.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = int(place[1], 16), int(place[2], 16)
            try:
                memory.seek(start)
                raw = memory.read(end - start)
            except OSError:
                continue
            found |= {one for one in wanted if one in raw}
    return sorted(found)


def shapes(digits: str) -> list[bytes]:
    """The ways in which digits could stand in memory."""
    grouped = [digits[n : n + 4] for n in range(0, len(digits), 4)]
    return [
        digits.encode(),
        digits.encode("utf-16-le"),
        digits.encode("utf-32-le"),
        " ".join(digits).encode(),
        " ".join(grouped).encode(),
        "-".join(grouped).encode(),
        bytes.fromhex(digits + "0" * (len(digits) % 2)),
        bytes(int(one) for one in digits),
    ]


def children_of(pid: int) -> list[int]:
    """Processes that it started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has just ended
            found += map(int, (task / "children").read_text().split())
    return found


@contextmanager
def pay_desk(home: Path, binary: AsteriskBinary, **changes: Any) -> Iterator[PayDesk]:
    """Start all of it."""
    book = home / "book"
    book.mkdir()
    with keys_line(home, binary, book) as line:
        bank = BankProcess(home, "http://127.0.0.1:9", silent=SILENT_SECONDS)
        try:
            settings = bank.settings(
                **{name: getattr(line.settings, name) for name in line.settings.model_fields_set}
                | {
                    "payments_agi_port": free_port(),
                    "payments_health_port": free_port(),
                    "gateways": {"*": "test"},
                    "gateway_seconds": GATEWAY_SECONDS,
                    "log_level": "debug",
                }
                | changes
            )
            migrate(settings.database)
            write_sounds(settings.prompts_dir)
            engine = open_database(settings.database)
            world = World(engine, at=datetime.now(UTC))
            desk = PayDesk(line, bank, settings, engine, world, book)
            desk.start()
            try:
                yield desk
            finally:
                if desk.process is not None and desk.process.poll() is None:
                    desk.stop()
                engine.dispose()
        finally:
            bank.stop()


@pytest.fixture(scope="module")
def desk(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PayDesk]:
    """One for a module."""
    with pay_desk(tmp_path_factory.mktemp("paydesk"), asterisk_binary) as one:
        yield one
