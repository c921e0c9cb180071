"""One loop, one consumer of events.

The consumer applies what the switch says, commits, then acts. Placing ordinary calls is in
``dialer.engine.placing``, keeping campaigns and leases in ``dialer.engine.run``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection

from dialer import metrics
from dialer.domain import events as ev
from dialer.domain.attempt import LOST, Close, Effect, HandleMachine
from dialer.domain.model import (
    Attempt,
    AttemptState,
    DetectionResult,
    Detector,
    Disposition,
    MachineAction,
)
from dialer.engine.campaigns import RunningCampaign, answer_context, channel_variables
from dialer.engine.claiming import still_wanted
from dialer.engine.clock import utc_now
from dialer.engine.closing import Closing, FollowUp, SmsWriter, set_redial_latency
from dialer.engine.concluding import conclude_all
from dialer.engine.database import Database
from dialer.engine.live import ConfirmSound, LiveCall
from dialer.engine.packets import sends_nothing
from dialer.engine.reconciling import Reconciling
from dialer.engine.trunks import TrunkGate
from dialer.logs import get_logger
from dialer.store import attempts
from dialer.switch import names
from dialer.switch.ami import AmiLink, OriginateRefused, OriginateRequest

log = get_logger(__name__)

FLUSH_SECONDS = 0.25
"""How much of a call's progress a crash may lose; what decides (an end) is written at once."""
TICK = 0.1
MAX_BATCH = 500
RECHECK_AFTER = timedelta(seconds=2)
"""A call placed later than this after its commit (the switch was away, the trunk rested, the
machine slept) is asked again: the hour may have passed, the debtor opted out, the lease gone."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What the engine acts with. ``enqueue`` hands a message to the workers."""

    database: Database
    link: AmiLink
    gate: TrunkGate
    sms: SmsWriter
    enqueue: Callable[[int], None]
    new_id: Callable[[], str]


class Observer(Protocol):
    """Who looks on: the floor of agents, the pacers. Called in the consumer's order."""

    def observe(self, event: ev.CallEvent) -> None:
        """An event was applied to its attempt, if it has one here."""
        ...

    def tick(self) -> None:
        """A tenth of a second has passed."""
        ...

    async def switch_ready(self, event: ev.SwitchReady) -> None:
        """The switch is there (again); what was in the air is reconciled."""
        ...

    async def adopted(self) -> None:
        """Calls of an engine that died were taken over."""
        ...


class Core(Reconciling):
    """The calls in the air and the consumer that moves them on."""

    def __init__(self, hands: Hands) -> None:
        self.hands = hands
        self.live: dict[str, LiveCall] = {}
        self.campaigns: dict[int, RunningCampaign] = {}
        self.summoned: set[int] = set()
        """Campaigns that have finished and are needed for a call once more: a callback is due."""
        self.observers: list[Observer] = []
        self.ready = asyncio.Event()
        """Set while the switch is connected and reconciled: only then is anything placed."""
        self.freed = asyncio.Event()
        """Pulsed when a call ended: a slot may be free, a lead may be due."""
        self.finished = asyncio.Event()
        """Set when a campaign has come to its end."""
        self._flushed = time.monotonic()
        self._ticked = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._latencies: list[tuple[str, datetime]] = []

    # --- consuming -----------------------------------------------------------------------

    async def consume(self) -> None:
        """Run for ever: batches of events in, transactions and effects out."""
        while True:
            batch = await self._next_batch()
            ended: list[LiveCall] = []
            for event in batch:
                if isinstance(event, ev.SwitchLost):
                    self._switch_lost()
                elif isinstance(event, ev.SwitchReady):
                    await self._reconcile(event)
                else:
                    self._apply(event, ended)
            self._tick()
            if ended:
                await self._close(ended)
            elif time.monotonic() - self._flushed >= FLUSH_SECONDS:
                await self.flush()

    async def _next_batch(self) -> list[ev.SwitchEvent]:
        queue = self.hands.link.events
        batch: list[ev.SwitchEvent] = []
        try:
            async with asyncio.timeout(TICK):
                batch.append(await queue.get())
        except TimeoutError:
            return batch
        while len(batch) < MAX_BATCH and not queue.empty():
            batch.append(queue.get_nowait())
        metrics.CONSUMER_QUEUE.set(queue.qsize())
        return batch

    def _apply(self, event: ev.CallEvent, ended: list[LiveCall]) -> None:
        call = self.live.get(event.attempt_id)
        if call is not None:
            self._move(call, event, ended)
        for one in self.observers:
            one.observe(event)

    def _move(self, call: LiveCall, event: ev.CallEvent, ended: list[LiveCall]) -> None:
        metrics.AMI_LAG.set(max(0.0, (utc_now() - event.at).total_seconds()))
        effects = call.apply(event)
        if isinstance(event, ev.DialBegun) and call.hangup_before is not None:
            metrics.FALLBACK_SECONDS.labels("redial").observe(
                (event.at - call.hangup_before).total_seconds()
            )
            call.hangup_before = None
            self._latencies.append((event.attempt_id, event.at))
        self._act(call, effects, ended)

    def _act(
        self, call: LiveCall, effects: Iterable[Effect | ConfirmSound], ended: list[LiveCall]
    ) -> None:
        for effect in effects:
            if isinstance(effect, Close):
                ended.append(call)
            elif isinstance(effect, ConfirmSound):
                self.beside(self._confirm(call.attempt.id, effect.reason))
            elif isinstance(effect, HandleMachine) and call.detector is Detector.TALK:
                # What app_amd or a fax tone finds, the dialplan itself has acted upon.
                self.beside(self._machine(call.attempt))

    def _tick(self) -> None:
        """Verdicts that ripen with time alone: a voice that has not stopped."""
        if time.monotonic() - self._ticked < TICK:
            return
        self._ticked = time.monotonic()
        now = utc_now()
        for call in self.live.values():
            if call.attempt.state is AttemptState.ANSWERED:
                self._act(call, call.judge(now), [])
        for state in AttemptState:
            if state is not AttemptState.ENDED:
                count = sum(1 for call in self.live.values() if call.attempt.state is state)
                metrics.CALLS.labels(state.value).set(count)
        for one in self.observers:
            one.tick()

    # --- writing -------------------------------------------------------------------------

    async def flush(self) -> None:
        """Write the progress of calls in the air."""
        dirty = [call for call in self.live.values() if call.dirty]
        latencies, self._latencies = self._latencies, []
        self._flushed = time.monotonic()
        if not dirty and not latencies:
            return
        values = [call.attempt for call in dirty]
        for call in dirty:
            call.dirty = False

        def write(connection: Connection) -> None:
            attempts.save_attempts(connection, values)
            for attempt_id, at in latencies:
                set_redial_latency(connection, attempt_id, at)

        try:
            await self.hands.database.until_done(write)
        except Exception:  # the end of each call writes it again, alone if need be
            log.exception("progress_not_written", calls=len(values))

    async def _close(self, ended: list[LiveCall]) -> None:
        known = dict(self.campaigns)
        # Of a campaign that was forgotten in this very moment, another engine concludes them.
        values = [call.ended() for call in ended if call.attempt.campaign_id in known]
        for one in values:
            self.live.pop(one.id, None)
        follow_up = await conclude_all(
            self.hands.database,
            values,
            # ``now`` is read at each try: after an outage the moment for a redial has passed.
            lambda: Closing(known, utc_now(), self.hands.new_id, self.hands.sms),
        )
        by_id = {one.id: one for one in values}
        for redial in follow_up.place:
            if redial.campaign_id not in self.campaigns:
                continue  # the lease went meanwhile: its new holder finds the attempt
            parent = by_id[redial.follows or ""]
            self.admit(redial, hangup_before=parent.hangup_requested_at or parent.ended_at)
            await self._redial(redial)
        if follow_up.send:
            self.beside(self.hands.database.aside(lambda: self._enqueue(follow_up.send)))
        self._count(follow_up)
        self.freed.set()

    def _enqueue(self, message_ids: list[int]) -> None:
        for message_id in message_ids:
            try:
                self.hands.enqueue(message_id)
            except Exception as error:  # noqa: BLE001 - the row is there: the sweep finds it
                log.warning("queue_away", error=type(error).__name__, message_id=message_id)

    def _count(self, follow_up: FollowUp) -> None:
        for one in follow_up.concluded:
            assert one.disposition is not None
            metrics.DISPOSITIONS.labels(one.disposition.value).inc()
            if one.failure != LOST:
                self.hands.gate.result(
                    one.trunk, one.disposition is not Disposition.FAILED, time.monotonic()
                )
            log.info(
                "attempt_ended",
                attempt=one.id,
                disposition=one.disposition.value,
                q850=one.q850,
                sip=one.sip_status,
                prompt=one.last_prompt,
                failure=one.failure,
            )
        for kind, reason in follow_up.refused:
            metrics.FALLBACK_REFUSED.labels(kind.value, reason.value).inc()

    # --- acting --------------------------------------------------------------------------

    def admit(
        self, one: Attempt, *, hangup_before: datetime | None = None, adopted: bool = False
    ) -> LiveCall:
        """Take an attempt that is committed under the engine's eyes."""
        running = self.campaigns[one.campaign_id]
        call = LiveCall(
            one,
            running.plan.detector,
            hangup_before=hangup_before,
            placed=adopted,
            adopted=adopted,
        )
        self.live[one.id] = call
        kind = "redial" if one.follows else "first"
        if not adopted:
            metrics.ATTEMPTS.labels(kind).inc()
        return call

    def forget(self, campaign_id: int) -> None:
        """The lease is another engine's: its calls are not ours to conclude any more."""
        self.campaigns.pop(campaign_id, None)
        for call in list(self.live.values()):
            if call.attempt.campaign_id == campaign_id:
                del self.live[call.attempt.id]

    async def _redial(self, one: Attempt) -> None:
        """At once: the campaign's rate is borrowed from; only the trunk's own cap may hold it."""
        running = self.campaigns[one.campaign_id]
        now = time.monotonic()
        running.rate = running.rate.filled(now).taken()
        wait = self.hands.gate.borrow(one.trunk, now)
        if wait > 0:
            self.beside(self._place_later(one, wait))
        else:
            await self.place(one)

    async def _place_later(self, one: Attempt, wait: float) -> None:
        await asyncio.sleep(wait)
        await self.place(one)

    async def place(self, one: Attempt) -> None:
        """Originate an attempt that is committed, once. A refusal ends it as failed; one that
        has waited too long and may not be placed any more ends as lost."""
        call = self.live.get(one.id)
        if call is None or call.placed:
            return  # forgotten, or taken over, while it waited for its turn
        if utc_now() - one.placed_at > RECHECK_AFTER:
            running = self.campaigns[one.campaign_id]
            wanted = await self.hands.database.until_done(
                lambda connection: still_wanted(connection, one, running, utc_now())
            )
            if self.live.get(one.id) is not call or call.placed:
                return
            if not wanted:
                log.warning("not_placed_any_more", attempt=one.id)
                self._vanish([call])
                return
        plan = self.campaigns[one.campaign_id].plan
        call.placed, call.placed_on = True, utc_now()
        try:
            trunk = self.hands.gate.trunk(one.trunk)
            await self.hands.link.originate(
                OriginateRequest(
                    attempt_id=one.id,
                    dial_string=trunk.dial_string(one.number, one.caller_id),
                    caller_id=trunk.caller_id_value(one.caller_id),
                    timeout=plan.ring_timeout,
                    variables=channel_variables(plan, one.flow),
                    context=answer_context(one),
                )
            )
        except (OriginateRefused, ValueError, KeyError) as error:
            # A number or a trunk that is wrong fails this attempt and stops nobody else's.
            self.hands.link.events.put_nowait(ev.OriginateFailed(one.id, utc_now(), str(error)))

    async def _confirm(self, attempt_id: str, reason: str) -> None:
        """A machine if packets of sound still come; else a person whose line sends none when
        quiet."""
        silent = await sends_nothing(self.hands.link, attempt_id)
        result = DetectionResult.PERSON if silent else DetectionResult.MACHINE
        told = "spoke, then its line sent nothing more" if silent else reason
        self.hands.link.events.put_nowait(ev.Detected(attempt_id, utc_now(), result, told))

    async def _machine(self, one: Attempt) -> None:
        if one.detection is DetectionResult.FAX:
            return
        action = self.campaigns[one.campaign_id].plan.on_machine
        try:
            if action is MachineAction.LEAVE_MESSAGE:
                await self.hands.link.redirect(one.id, names.CONTEXT_MACHINE, names.START)
            else:
                await self.hands.link.hangup(one.id)
        except (OSError, TimeoutError) as error:
            log.warning("machine_not_handled", attempt=one.id, error=type(error).__name__)

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it run on its own; the core keeps it from being forgotten."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
