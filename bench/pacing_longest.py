"""The longest decision of the predictive pacer on a large floor, from its first second on."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pacing_loads import LOADS
from pacing_world import World

from dialer.domain.pacing import Decision, Event, Floor, make_pacer


@dataclass(frozen=True, slots=True)
class Longest:
    """Milliseconds of a decision, by the processor's clock (``wall``: by the one on the wall)."""

    agents: int
    decisions: int
    mean: float
    p99: float
    longest: float
    longest_wall: float

    def text(self) -> str:
        return (
            f"Decisions of the predictive pacer with {self.agents} agents ({self.decisions} of "
            f"them, the start of the day included): mean {self.mean:.1f} ms, p99 "
            f"{self.p99:.1f} ms, longest {self.longest:.1f} ms of processor time "
            f"({self.longest_wall:.1f} ms elapsed)."
        )


class _Watch:
    """A pacer that times another."""

    def __init__(self) -> None:
        self._pacer = make_pacer("predictive")
        self.took: list[float] = []
        self.elapsed: list[float] = []

    def observe(self, event: Event) -> None:
        self._pacer.observe(event)

    def decide(self, floor: Floor) -> Decision:
        began, on_the_wall = time.thread_time(), time.perf_counter()
        decision = self._pacer.decide(floor)
        self.took.append(1000.0 * (time.thread_time() - began))
        self.elapsed.append(1000.0 * (time.perf_counter() - on_the_wall))
        return decision


def longest_decision(agents: int, seconds: float = 900.0) -> Longest:
    """Times every decision of the first ``seconds`` of a steady day."""
    watch = _Watch()
    World(LOADS["steady"], agents, seconds, 1, watch).run()
    took = sorted(watch.took)
    return Longest(
        agents,
        len(took),
        sum(took) / len(took),
        took[int(len(took) * 0.99)],
        took[-1],
        max(watch.elapsed),
    )
