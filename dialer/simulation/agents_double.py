"""Simulated agents: each logs in over the real API with the reference client, takes calls on a
telephone of the simulated network, talks, concludes, wraps up. All of them live in one process.

    crew = Crew("http://127.0.0.1:8080", people, Habits(talk_mean=8), seed=1)
    crew.start()
    ...
    crew.stop()             # ends talks, logs everybody out
    crew.measured()         # what they saw from their side

What an agent decides is ``dialer.simulation.agent_mind``.
"""

from __future__ import annotations

import queue
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dialer.desk.client import DeskClient, DeskError
from dialer.logs import get_logger
from dialer.simulation.agent_mind import MOST_TRIES, Do, Habits, How, Mind, Plan

log = get_logger(__name__)

BEAT_SECONDS = 3.0
LOOK_SECONDS = 1.0
AGAIN_SECONDS = 1.0
"""Between two log-ins that fail."""
LEAVING_SECONDS = 8.0
"""How long an agent may take to end the talk and go home."""
GONE = frozenset({"no_session", "forbidden", "unauthorised"})
"""Refusals that mean: the session is over."""


@dataclass(frozen=True, slots=True)
class Person:
    """An agent's account: its id in the database, its token."""

    id: int
    login: str
    token: str


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of the desk, and when it came. ``kind`` ``over``: there are no more of this
    session."""

    session: str
    at: float
    kind: str
    data: Mapping[str, Any]


class SimulatedAgent:
    """One agent, in a thread of their own; a second thread listens to the desk's events."""

    def __init__(self, url: str, person: Person, mind: Mind) -> None:
        self.person = person
        self.mind = mind
        self.waits: list[float] = []
        """Seconds that each command took."""
        self._desk = DeskClient(url, person.token)
        self._news: queue.Queue[Heard | None] = queue.Queue()
        self._leaving = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=person.login, daemon=True)

    def start(self) -> None:
        """Go to work."""
        self._thread.start()

    def leave(self) -> None:
        """Ask to go home; returns at once."""
        self._leaving.set()
        self._news.put(None)

    def join(self, seconds: float) -> bool:
        """Wait until they have gone."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def measured(self) -> dict[str, Any]:
        """What they saw so far."""
        with self._lock:
            self.mind.tick(time.monotonic())
            notes = self.mind.notes
            return {
                "state": self.mind.state,
                "seconds": dict(notes.seconds),
                "counts": dict(notes.counts),
                "refusals": dict(notes.refusals),
                "gaps": list(notes.gaps),
                "talks": list(notes.talks),
                "waits": list(self.waits),
            }

    # --- one session after the other ------------------------------------------------------

    def _run(self) -> None:
        while not self._leaving.is_set():
            try:
                session = self._desk.log_in().session
            except DeskError as error:
                self._refusal("log_in", error)
                self._leaving.wait(AGAIN_SECONDS)
                continue
            self._count("log_in")
            listener = threading.Thread(
                target=self._listen, args=(session,), name=f"{self.person.login}-hears", daemon=True
            )
            listener.start()
            try:
                self._work(session)
            except Exception:
                log.exception("simulated_agent_failed", agent=self.person.login)
                self._leaving.wait(AGAIN_SECONDS)
        self._go_home()
        self._desk.close()

    def _listen(self, session: str) -> None:
        try:
            for event in self._desk.events():
                self._news.put(Heard(session, time.monotonic(), event.type, event.data))
        except DeskError as error:
            self._refusal("events", error)
        self._news.put(Heard(session, time.monotonic(), "over", {}))

    def _work(self, session: str) -> None:
        """Until the session is over, or it is time to go."""
        beat_at = time.monotonic()
        while not self._leaving.is_set():
            now = time.monotonic()
            if now >= beat_at:
                beat_at = now + BEAT_SECONDS
                if not self._beat():
                    return
            for plan in self._taken(now):
                self._do(plan)
            if not self._hear(session, beat_at):
                return

    def _beat(self) -> bool:
        """Whether the session is still there."""
        try:
            told = self._timed(self._desk.heartbeat)
        except DeskError as error:
            self._refusal("heartbeat", error)
            return error.code not in GONE
        if told.get("state") not in (None, self.mind.state):
            self._count("behind")  # its event is under way, or lost
        return True

    def _taken(self, now: float) -> list[Plan]:
        with self._lock:
            return self.mind.take(now)

    def _hear(self, session: str, beat_at: float) -> bool:
        """Wait for news as long as there is nothing to do; whether the session goes on."""
        next_at = min(beat_at, self.mind.next_at() or beat_at)
        try:
            heard = self._news.get(timeout=max(0.0, next_at - time.monotonic()))
        except queue.Empty:
            return True
        if heard is None or heard.session != session:
            return True
        if heard.kind == "over":
            return False
        if heard.kind == "gap":
            self._catch_up()
        with self._lock:
            self.mind.heard(heard.kind, heard.data, heard.at)
        return True

    def _catch_up(self) -> None:
        """Events are missing: the desk as it is."""
        try:
            now = self._desk.now()
        except DeskError as error:
            self._refusal("now", error)
            return
        attempt = None if now.call is None else now.call.attempt
        state = {"state": now.state, "pause_code": now.pause_code, "attempt": attempt}
        with self._lock:
            self.mind.heard("state", state, time.monotonic())
            if now.state == "talking" and attempt is not None:
                self.mind.heard("joined", {"attempt": attempt}, time.monotonic())

    # --- what they do ---------------------------------------------------------------------

    def _do(self, plan: Plan) -> None:
        try:
            self._timed(lambda: self._perform(plan))
        except DeskError as error:
            log.info("refused", agent=self.person.login, what=plan.do.value, code=error.code)
            with self._lock:
                self.mind.refused(plan, error.code, time.monotonic())
            return
        with self._lock:
            self.mind.done(plan, time.monotonic())

    def _perform(self, plan: Plan) -> None:
        """Raises DeskError."""
        desk = self._desk
        match plan.do:
            case Do.READY:
                desk.ready()
            case Do.FINISH:
                if plan.tried < MOST_TRIES:
                    self._conclude(self.mind.how())
                desk.hang_up()
            case Do.CONCLUDE:
                self._conclude(self.mind.how())
            case Do.WRAP_DONE:
                desk.wrap_done()
            case Do.BLIND:
                desk.transfer("blind", agent=plan.whom)
            case Do.ATTENDED:
                desk.transfer("attended", agent=plan.whom)
            case Do.COMPLETE:
                desk.complete_transfer()
            case Do.CANCEL:
                desk.cancel_transfer()
            case Do.PAY:
                desk.pay()
            case Do.PREVIEW_CALL:
                desk.preview_call()
            case Do.NEW_LEG:
                desk.new_leg()

    def _conclude(self, how: How) -> None:
        desk, now = self._desk, datetime.now(UTC)
        try:
            match how:
                case How.PROMISE:
                    desk.promise((now + timedelta(days=3)).date())
                case How.CALLBACK:
                    desk.callback(now + timedelta(days=1), note="asked for it")
                case How.LINK:
                    desk.link()
                case How.SPOKE:
                    desk.disposition("spoke")
            self._count(f"concluded_{how.value}")
        except DeskError as error:
            if how is How.SPOKE:
                raise
            self._refusal(how.value, error)  # a landline, say
            desk.disposition("spoke")
            self._count("concluded_spoke")

    def _go_home(self) -> None:
        """End the talk, and the session."""
        until = time.monotonic() + LEAVING_SECONDS
        while time.monotonic() < until:
            try:
                self._desk.log_out()
                self._count("log_out")
                return
            except DeskError as error:
                if error.code in GONE:
                    return
                if error.code != "talking":
                    self._refusal("log_out", error)
            try:
                self._desk.hang_up()
            except DeskError:
                pass  # over by now, or not to be had: the next log-out tells
            time.sleep(0.3)

    def _timed(self, work: Callable[[], Any]) -> Any:
        began = time.monotonic()
        try:
            return work()
        finally:
            with self._lock:
                self.waits.append(time.monotonic() - began)

    def _count(self, what: str) -> None:
        with self._lock:
            self.mind.notes.counts[what] += 1

    def _refusal(self, what: str, error: DeskError) -> None:
        with self._lock:
            self.mind.notes.refusals[f"{what}:{error.code}"] += 1


class Crew:
    """All agents of a process. Each has chance of their own, from the seed."""

    def __init__(self, url: str, people: Sequence[Person], habits: Habits, seed: int = 1) -> None:
        self.agents = [
            SimulatedAgent(
                url,
                person,
                Mind(
                    habits,
                    random.Random(f"{seed}-{person.login}"),
                    [other.id for other in people if other.id != person.id],
                ),
            )
            for person in people
        ]

    def start(self) -> None:
        """Everybody goes to work."""
        for agent in self.agents:
            agent.start()

    def stop(self) -> bool:
        """Everybody goes home; whether all have."""
        for agent in self.agents:
            agent.leave()
        until = time.monotonic() + LEAVING_SECONDS + 10
        return all(agent.join(max(0.0, until - time.monotonic())) for agent in self.agents)

    def measured(self) -> dict[str, Any]:
        """What they saw, all together; times in milliseconds where the name says so."""
        each = [agent.measured() for agent in self.agents]
        return {
            "agents": len(each),
            "states": dict(Counter(one["state"] for one in each)),
            "seconds": _sum(one["seconds"] for one in each),
            "counts": _sum(one["counts"] for one in each),
            "refusals": _sum(one["refusals"] for one in each),
            "call_to_joined_ms": _spread([gap for one in each for gap in one["gaps"]]),
            "command_ms": _spread([wait for one in each for wait in one["waits"]]),
            "talk_seconds": _mean([talk for one in each for talk in one["talks"]]),
        }


def _sum(counts: Any) -> dict[str, float]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return {key: round(value, 2) for key, value in sorted(total.items())}


def _mean(values: Sequence[float]) -> float | None:
    return round(statistics.fmean(values), 2) if values else None


def _spread(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """Percentiles in milliseconds, and of how many."""
    ordered = sorted(seconds)

    def at(share: float) -> float | None:
        if not ordered:
            return None
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1)

    return {"count": len(ordered), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99)}
