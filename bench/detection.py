"""How the answering-machine detector scores on the synthetic set, and the sweep of its limits.

    python bench/detection.py [--count 1000] [--seed 2] [--sweep] [--json FILE]

Each opening is turned into the events that TALK_DETECT would report (``dialer.speech.talk``), and
these go through ``dialer.domain.detection`` with its timer. The voices are synthetic, the shares
of kinds are guesses: the table compares rules and says nothing about a real network.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from listening_set import Opening, openings  # noqa: E402

from dialer.config import load_settings  # noqa: E402
from dialer.domain.detection import (  # noqa: E402
    DetectionState,
    TalkRules,
    next_check,
    observe,
    verdict,
)
from dialer.domain.events import CallEvent  # noqa: E402
from dialer.domain.model import DetectionResult  # noqa: E402
from dialer.speech.talk import call_events  # noqa: E402

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one opening; ``after`` seconds from the answer to the verdict."""

    opening: Opening
    result: DetectionResult
    reason: str
    after: float


def judge(opening: Opening, rules: TalkRules, events: list[CallEvent] | None = None) -> Judged:
    """One call: every event, and the timer in between, until there is a verdict."""
    state = DetectionState(rules=rules)
    for event in events or call_events(opening.samples, rules.silence, rules.level, START):
        timer = next_check(state)
        if timer is not None and timer <= event.at and (given := verdict(state, timer)):
            return _judged(opening, given, timer)
        state = observe(state, event, event.at)
        if given := verdict(state, event.at):
            return _judged(opening, given, event.at)
    timer = next_check(state)
    assert timer is not None
    given = verdict(state, timer)
    assert given is not None
    return _judged(opening, given, timer)


def _judged(opening: Opening, given: tuple[DetectionResult, str], at: datetime) -> Judged:
    return Judged(opening, given[0], given[1], (at - START) / timedelta(seconds=1))


def score(judged: list[Judged]) -> dict[str, Any]:
    """Shares in percent and times in seconds."""
    people = [one for one in judged if not one.opening.machine]
    machines = [one for one in judged if one.opening.machine]
    false = [one for one in people if one.result is DetectionResult.MACHINE]
    caught = [one for one in machines if one.result is DetectionResult.MACHINE]
    brief = [one for one in false if one.opening.kind != "person/long"]
    times = sorted(one.after for one in caught)
    return {
        "people": len(people),
        "machines": len(machines),
        "people_taken_for_machines_percent": round(100 * len(false) / len(people), 2),
        "of_them_not_speaking_on": len(brief),
        "machines_missed_percent": round(100 * (1 - len(caught) / len(machines)), 2),
        "machine_verdict_seconds_p50_p95": [
            round(float(np.percentile(times, q)), 2) if times else None for q in (50, 95)
        ],
    }


def confusion(judged: list[Judged]) -> list[tuple[str, dict[str, int]]]:
    """Kind of opening -> how often each result was given."""
    kinds = sorted({one.opening.kind for one in judged})
    return [
        (kind, dict(Counter(one.result.value for one in judged if one.opening.kind == kind)))
        for kind in kinds
    ]


def sweep(known: list[Opening]) -> list[tuple[float, TalkRules, dict[str, Any]]]:
    """Every combination of limits on one set, best first.

    A person hung up on is worse than a machine played to: it costs five times as much here.
    """
    found = []
    for silence, level in itertools.product((0.25, 0.35, 0.5, 0.7), (256, 384, 512)):
        heard = [call_events(one.samples, silence, level, START) for one in known]
        for burst, total, window, pause in itertools.product(
            (2.2, 2.6, 3.0, 3.4), (2.6, 3.0, 3.4), (5.0, 6.0, 7.0), (1.5, 2.5)
        ):
            rules = TalkRules(silence, level, burst, total, pause=pause, window=window)
            judged = [judge(one, rules, events) for one, events in zip(known, heard, strict=True)]
            scored = score(judged)
            cost = (
                5 * scored["people_taken_for_machines_percent"] + scored["machines_missed_percent"]
            )
            found.append((cost, rules, scored))
    return sorted(found, key=lambda one: one[0])


def main() -> None:
    """Print the table (and the sweep); write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="people, and as many machines")
    parser.add_argument("--seed", type=int, default=2, help="of the set; the sweep uses seed 1")
    parser.add_argument("--sweep", action="store_true", help="try other limits on another set")
    parser.add_argument("--json", type=Path, help="write the figures there")
    asked = parser.parse_args()
    settings = load_settings()
    if asked.sweep:
        for cost, rules, scored in sweep(openings(settings, 250, seed=1))[:12]:
            print(f"{cost:6.2f} {rules}\n       {scored}")
    judged = [judge(one, TalkRules()) for one in openings(settings, asked.count, asked.seed)]
    figures = {"set": "synthetic", **score(judged), "confusion": dict(confusion(judged))}
    print("Synthetic openings, not calls of a network:")
    for kind, results in confusion(judged):
        print(f"  {kind:22} {results}")
    print(json.dumps(score(judged), indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
