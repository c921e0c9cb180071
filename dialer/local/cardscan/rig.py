"""The installation that is scanned: a whole stack that says as much as it can, and its calls."""

from __future__ import annotations

import fcntl
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, select

from dialer.config import Settings
from dialer.domain.payment import PayStep
from dialer.local import demo_payments
from dialer.local.cardscan.casting import Planned, all_cards
from dialer.local.cardscan.listening import Recorder, ami_recorder, redis_recorder
from dialer.local.cardscan.matcher import Matcher
from dialer.local.cardscan.places import Searched, search_family, search_memory
from dialer.local.demo_campaign import (
    ACTOR,
    Watch,
    demo_campaign,
    make_calls,
    prepare,
    wait_for_messages,
    wait_until_over,
)
from dialer.local.ports import with_free_ports
from dialer.local.stack import ACQUIRER, CARRIER, PAYMENTS, Simulation, Stack
from dialer.simulation.network import carrier_ports
from dialer.store import campaigns
from dialer.store.campaigns import Action
from dialer.store.tables import attempt, pay_session
from dialer.switch import names
from dialer.switch.ami_client import AmiClient
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import ensure_asterisk
from dialer.switch.render import carrier_folder, product_folder

FOLDER = "pci-scan"
"""Below the state folder; emptied by every scan."""
GATEWAY = "test"
KEPT = ("prompts", "debtor_lines", "config.yaml")
"""Of an earlier scan: nothing that a call writes."""
CALLS_SECONDS = 300.0
FIELD_SECONDS = 120.0
KNOWN_SECONDS = 120.0
LOOK_SECONDS = 0.05
RESTART_SECONDS = 60.0
ARGUMENTS = {ACQUIRER: ("--slow", "4")}
"""Of the components: the bank that is slow is so for longer than its debtor waits, and no more."""


class ScanFailed(Exception):
    """The scan did not come to its end; the message says what it waited for."""


def scan_settings(settings: Settings) -> Settings:
    """Those of the scan's own installation: free ports, the simulated bank, every log at its most
    verbose."""
    verbose = settings.model_copy(
        update={"log_level": "debug", "gateways": {"*": GATEWAY}, "agents": True}
    )
    return with_free_ports(verbose)


class Rig:
    """A context manager; used by one thread."""

    def __init__(self, settings: Settings, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._given = settings
        self._held = ExitStack()
        self._campaigns = 0
        self.campaign_ids: list[int] = []
        self.recorders: list[Recorder] = []
        self.desk_sessions: list[str] = []
        """Of agents at whose desks a card was keyed in."""

    def __enter__(self) -> Self:
        """An empty state folder, everything started, recorders logged in. Raises ScanFailed,
        ComponentFailed and whatever a first start raises."""
        with ExitStack() as held:
            _empty(self._given.home)
            self.database: Engine = prepare(self._given, self._tell)
            held.callback(self.database.dispose)
            simulation = Simulation(network=True, twilio=True, acquirer=True)
            self.stack = held.enter_context(
                Stack(self._given, simulation, arguments=ARGUMENTS, tell=self._tell)
            )
            self.settings = self.stack.settings
            if CARRIER not in self.stack.components:
                raise ScanFailed("a scan calls nobody but its own debtors: unset DIALER_TRUNK")
            self._instances()
            self.payments_ami = self._ami(self.settings.payments_ami_user)
            held.callback(self.payments_ami.close)
            self.recorders = [held.enter_context(one) for one in self._recorders()]
            self.carrier.rx("dialplan set global notice 1")
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _instances(self) -> None:
        s = self.settings
        binary = ensure_asterisk(named=s.asterisk, cache=s.cache_dir, suite=s.asterisk_suite)
        self.carrier = AsteriskInstance(binary, carrier_folder(s), carrier_ports(s))
        self.asterisk = AsteriskInstance(binary, product_folder(s))

    def _ami(self, user: str) -> AmiClient:
        s = self.settings
        return AmiClient(
            host=s.switch_host, port=s.ami_port, user=user, secret=s.secret(self._secret(user))
        )

    def _secret(self, user: str) -> str:
        own = user == self.settings.payments_ami_user
        return names.SECRET_PAYMENTS_AMI if own else names.SECRET_AMI

    def _recorders(self) -> list[Recorder]:
        s = self.settings
        users = {"the engine's user": s.ami_user, "the payments' user": s.payments_ami_user}
        return [
            *(
                ami_recorder(
                    f"AMI, {what}", s.switch_host, s.ami_port, user, s.secret(self._secret(user))
                )
                for what, user in users.items()
            ),
            redis_recorder(s.redis),
        ]

    # --- calls ----------------------------------------------------------------------------

    def start(self, calls: Sequence[Planned], **changes: Any) -> int:
        """Begin to call these debtors; the campaign's id. ``changes`` are laid over it. Raises
        DemoFailed."""
        self._campaigns += 1
        name = f"scan-{self._campaigns}-{datetime.now(UTC):%H%M%S}"
        wanted = demo_campaign(name, 2.0, record=True, **changes)
        leads = [one.lead for one in calls]
        campaign_id = make_calls(self.database, self.settings, wanted, leads, self._tell)
        with self.database.begin() as connection:
            now = datetime.now(UTC)
            campaigns.change_state(connection, name, Action.START, ACTOR, now, alone=True)
        self.campaign_ids.append(campaign_id)
        return campaign_id

    def finish(self, campaign_id: int) -> None:
        """Wait until its calls, payments and messages are over. Raises DemoFailed."""
        wait_until_over(self.database, campaign_id, CALLS_SECONDS, Watch())
        demo_payments.wait_until_known(self.database, KNOWN_SECONDS)
        wait_for_messages(self.database, campaign_id)

    def kill_within_code(
        self, campaign_id: int, one: Planned, before: Sequence[Planned]
    ) -> tuple[bool, Searched]:
        """Kill the payment process in the middle of a debtor's security code.

        Whether it had the number in its memory then, and what it still had of the calls
        ``before``, which the process that comes after it never heard. Raises ScanFailed, also
        where somebody else is at a card.
        """
        self.wait_for_step(campaign_id, PayStep.SECURITY_CODE)
        self.until(
            lambda: self._subscriber_waits(one.lead.persona.code),
            "the debtor has not pressed half of the code",
        )
        supervisor = self.stack.supervisor
        pid, restarts = supervisor.pid(PAYMENTS), supervisor.restarts(PAYMENTS)
        supervisor.signal(PAYMENTS, signal.SIGSTOP)  # so that it stays in the middle
        try:
            if len(self.rows(select(pay_session.c.id).where(pay_session.c.result.is_(None)))) != 1:
                raise ScanFailed("others are at their cards where one alone was expected")
            held = search_memory(Matcher(all_cards([one])), "", pid)
            left = search_family(
                Matcher(all_cards(before)), "process payments, the killed one", pid
            )
        finally:
            supervisor.signal(PAYMENTS, signal.SIGKILL)
        if not supervisor.wait_for_restart(PAYMENTS, restarts, RESTART_SECONDS):
            raise ScanFailed("the payment process did not come back after it was killed")
        return bool(held.findings), left

    def wait_for_step(self, campaign_id: int, step: PayStep) -> None:
        """Until a debtor of the campaign is asked for it. Raises ScanFailed."""
        wanted = (
            select(pay_session.c.id)
            .join(attempt, attempt.c.id == pay_session.c.attempt_id)
            .where(attempt.c.campaign_id == campaign_id, pay_session.c.step == step.value)
        )
        self.until(lambda: bool(self.rows(wanted)), f"nobody was asked for the {step.value}")

    def rows(self, query: Any) -> list[Any]:
        """What a query gives."""
        with self.database.connect().execution_options(dialer_readonly=True) as connection:
            return list(connection.execute(query))

    def until(self, holds: Callable[[], bool], why: str, seconds: float = FIELD_SECONDS) -> None:
        """Wait for it. Raises ScanFailed with ``why``."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise ScanFailed(f"after {seconds:.0f} s {why}")
            time.sleep(LOOK_SECONDS)

    def _subscriber_waits(self, code: str) -> bool:
        """Whether a subscriber of the network has done all but its last step, which is to stay."""
        told = self.carrier.rx("core show channels concise")
        rows = [line.split("!") for line in told.splitlines() if f"!persona-{code}!" in line]
        return any("Wait" in row and any(one.startswith("150") for one in row) for row in rows)

    def channel(self) -> str:
        """The one channel of the product's Asterisk. Raises ScanFailed."""
        told = self.payments_ami.console("core show channels concise")
        found = [line.split("!")[0] for line in told.splitlines() if "!" in line]
        if len(found) != 1:
            raise ScanFailed(f"there are {len(found)} calls where one was expected")
        return found[0]


def _empty(home: Path) -> None:
    """Take away what an earlier scan left. Raises ScanFailed while another one runs there."""
    if home.name != FOLDER:
        raise ScanFailed(f"a scan empties its folder, so that is always one named {FOLDER}")
    lock = home / "run" / "supervisor.lock"
    if lock.exists():
        with lock.open("a+") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ScanFailed(f"another scan runs in {home}") from error
    for path in home.iterdir() if home.exists() else ():
        if path.name in KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
