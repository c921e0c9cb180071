"""Keys lost between the telephone and the payment process.

    python bench/bench_digits.py [--rounds 4] [--calls 5] [--json FILE]

Numbers of sixteen digits, keyed in by ``dialer.simulation.key_sender`` in each way (RFC 4733, SIP
INFO, tones in the speech), each key held for 60, 80, 120 and 200 ms with 40 ms between, all at
once; taken by a loop of WAIT FOR DIGIT as ``agi_scripts.digits`` does, and by GET DATA. With the
machine idle, and with one process a core that burns CPU (bounded). Then the same loop held up for a
time between each answer and the next command: from what delay on keys are lost.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from bench.office import finish, machine, scratch, tell  # noqa: E402, I001 - it finds the tests

from agi_scripts.wire import Agi  # noqa: E402
from dialer.simulation.key_sender import number_to_dial  # noqa: E402
from dialer.switch.portable import ensure_asterisk  # noqa: E402
from keys_line import KeysLine, keys_line  # noqa: E402

CARD = "4539148803436467"
WAYS = {"r": "RFC 4733", "i": "SIP INFO", "t": "in-band"}
HELD = (60, 80, 120, 200)
GAP = 40
DELAYS = (40, 60, 70, 80, 90, 100, 120, 150, 200)
BURN_SECONDS = 60
CORES = os.cpu_count() or 1


@dataclass
class Cell:
    """What became of the keys of one kind of sender.

    ``worst_ms``: the longest turnaround of all; ``least_ms_of_a_wrong_one``: of the longest
    turnarounds of those numbers that have a hole the least: a limit below it finds all of them.
    """

    pressed: int = 0
    lost: int = 0
    wrong: int = 0
    worst_ms: float = 0.0
    least_ms_of_a_wrong_one: float | None = None

    def add(self, heard: str, worst: float) -> None:
        """One call."""
        matcher = SequenceMatcher(None, CARD, heard, autojunk=False)
        self.pressed += len(CARD)
        self.lost += len(CARD) - sum(one.size for one in matcher.get_matching_blocks())
        ms = round(worst * 1000, 1)
        self.worst_ms = max(self.worst_ms, ms)
        if heard != CARD:
            self.wrong += 1
            self.least_ms_of_a_wrong_one = min(ms, self.least_ms_of_a_wrong_one or ms)


def looped(delay: float = 0.0) -> Callable[[Agi], tuple[str, float]]:
    """A loop of WAIT FOR DIGIT, held up between each answer and the next command."""

    def session(agi: Agi) -> tuple[str, float]:
        heard, worst = "", 0.0
        while key := agi.wait_for_digit(3.0):
            worst = max(worst, agi.turnaround if heard else 0.0)
            heard += key
            time.sleep(delay)
        return heard, worst

    return session


def whole(agi: Agi) -> tuple[str, float]:
    """One GET DATA."""
    return agi.get_data("", 3000, len(CARD) + 1)[0], 0.0


@contextmanager
def busy() -> Iterator[None]:
    """Every core is wanted by a process that only burns CPU."""
    end = f"time.monotonic() + {BURN_SECONDS}"
    burn = f"import time\nend = {end}\nwhile time.monotonic() < end: pass"
    burners = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(CORES)]
    try:
        yield
    finally:
        for one in burners:
            one.kill()
            one.wait()


def measure(
    line: KeysLine, session: Callable[[Agi], tuple[str, float]], calls: int
) -> dict[tuple[str, int], Cell]:
    """So many calls of each kind of sender, all at once."""
    kinds = [(way, ms) for way in WAYS for ms in HELD for _ in range(calls)]
    numbers = [number_to_dial(way, ms, GAP, 1500, CARD) for way, ms in kinds]
    cells = {kind: Cell() for kind in kinds}
    for kind, (heard, worst) in zip(kinds, line.ring(numbers, session, within=60), strict=True):
        cells[kind].add(heard, worst)
    return cells


def merge(into: dict[tuple[str, int], Cell], more: dict[tuple[str, int], Cell]) -> None:
    """Add the second to the first."""
    for kind, cell in more.items():
        at = into.setdefault(kind, Cell())
        at.pressed += cell.pressed
        at.lost += cell.lost
        at.wrong += cell.wrong
        at.worst_ms = max(at.worst_ms, cell.worst_ms)
        leasts = (at.least_ms_of_a_wrong_one, cell.least_ms_of_a_wrong_one)
        at.least_ms_of_a_wrong_one = min((one for one in leasts if one is not None), default=None)


def shown(cells: dict[tuple[str, int], Cell]) -> dict[str, Any]:
    """As JSON."""
    return {f"{WAYS[way]}, {ms} ms": asdict(cell) for (way, ms), cell in cells.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--calls", type=int, default=5, help="at once, of each of twelve kinds")
    parser.add_argument("--held-up-only", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "senders": {}, "held_up": {}}
    methods = {"WAIT FOR DIGIT": looped(), "GET DATA": whole}
    with scratch() as home, keys_line(home, ensure_asterisk()) as line:
        for load in () if options.held_up_only else ("idle", "busy"):
            for name, session in methods.items():
                cells: dict[tuple[str, int], Cell] = {}
                for _ in range(options.rounds):
                    if load == "busy":
                        with busy():
                            merge(cells, measure(line, session, options.calls))
                    else:
                        merge(cells, measure(line, session, options.calls))
                result["senders"][f"{name}, {load}"] = shown(cells)
                tell(f"{name}, {load}: {sum(cell.lost for cell in cells.values())} lost")
        for ms in DELAYS:
            cells = {}
            for _ in range(options.rounds):
                merge(cells, measure(line, looped(ms / 1000), options.calls))
            result["held_up"][f"{ms} ms"] = shown(cells)
            tell(f"held up {ms} ms: {sum(cell.lost for cell in cells.values())} lost")
    finish(result, options.json)


if __name__ == "__main__":
    main()
