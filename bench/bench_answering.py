"""How well it is foretold who will answer, and what that is worth for predictive pacing.

    python bench/bench_answering.py [--full] [--seeds 2] [--days 12] [--calls 2500]
        [--agents 5,20] [--hours 1.5] [--json FILE]

First part: log-loss, Brier score and calibration of forecasts made before each call, on a
simulated list (answering_world.py; its truth is not of the model's form), against the running mean
that was best afterwards, the mean of each campaign and two hours, and the truth that nobody can
know. Second part: occupancy and abandoned of the predictive pacer with segments of the model,
without, and with true chances, on the same debtors.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from answering_days import POLICIES, TITLES, run_day, trained  # noqa: E402
from answering_world import Called, Strength, World  # noqa: E402
from pacing_world import Day, Load  # noqa: E402

from dialer.domain.answering import AnswerModel, segment  # noqa: E402

HALF_LIVES = (300.0, 1000.0, 5000.0, math.inf)
WARM_UP = 1000
"""Calls at the start that are not counted: everybody begins with a guess."""
WORLDS = {
    "as described": Strength(),
    "no drift": Strength(drift=0.0),
    "strong drift": Strength(drift=2.5),
    "little to know": Strength(0.3, 0.3, 0.3, 0.3),
    "nothing to know": Strength(0.0, 0.0, 0.0, 0.0),
}


@dataclass(slots=True)
class Mean:
    """Running mean that forgets; ``calls`` is the weight of the first guess."""

    half_life: float
    got: float = 3.0
    tried: float = 10.0

    def p(self) -> float:
        return min(max(self.got / self.tried, 0.005), 0.95)

    def learn(self, answered: bool) -> None:
        keep = 0.5 ** (1.0 / self.half_life)
        self.got, self.tried = self.got * keep + answered, self.tried * keep + 1.0


@dataclass(slots=True)
class Score:
    """Of one forecaster: sums over the calls."""

    calls: int = 0
    loss: float = 0.0
    brier: float = 0.0
    bins: dict[int, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0] * 3))

    def add(self, p: float, answered: bool) -> None:
        self.calls += 1
        self.loss -= math.log(p if answered else 1.0 - p)
        self.brier += (p - answered) ** 2
        one = self.bins[min(int(p * 10.0), 9)]
        for place, value in enumerate((1.0, p, float(answered))):
            one[place] += value

    def calibration_error(self) -> float:
        """Mean distance of forecast and frequency over ten bins, weighed by calls."""
        return sum(abs(p - got) for _, p, got in self.bins.values()) / max(1, self.calls)


@dataclass(frozen=True, slots=True)
class Result:
    """One forecaster in one world, over all seeds."""

    world: str
    forecaster: str
    log_loss: float
    brier: float
    calibration_error: float
    explained: float | None
    """Part of the way from the best running mean to the truth, by log-loss; None where that way
    is no longer than a thousandth."""


def score(world: str, days: int, calls: int, seeds: range) -> tuple[list[Result], Score]:
    scores: dict[str, Score] = defaultdict(Score)
    for seed in seeds:
        model = AnswerModel()
        means = [Mean(half_life) for half_life in HALF_LIVES]
        hours: dict[tuple[int, int], Mean] = defaultdict(lambda: Mean(5000.0))
        for number, call in enumerate(World(seed, WORLDS[world]).days(days, calls)):
            hourly = hours[call.features.campaign, int(call.features.hour) // 2]
            if number >= WARM_UP:
                for mean in means:
                    scores[f"mean {mean.half_life:g}"].add(mean.p(), call.answered)
                scores["mean of campaign and two hours"].add(hourly.p(), call.answered)
                scores["the model"].add(model.probability(call.features), call.answered)
                scores["the truth"].add(min(max(call.p, 1e-4), 1 - 1e-4), call.answered)
            _learn(call, model, [*means, hourly])
    best = min((name for name in scores if name.startswith("mean ") and name[5] != "o"),
               key=lambda name: scores[name].loss)  # fmt: skip
    base, truth = scores[best].loss, scores["the truth"].loss
    wanted = [best, "mean of campaign and two hours", "the model", "the truth"]
    found = []
    for name in wanted:
        one = scores[name]
        title = f"best running mean (half-life {name[5:]} calls)" if name == best else name
        found.append(
            Result(
                world,
                title,
                one.loss / one.calls,
                one.brier / one.calls,
                one.calibration_error(),
                (base - one.loss) / (base - truth) if base - truth > 1e-3 * one.calls else None,
            )
        )
    return found, scores["the model"]


def _learn(call: Called, model: AnswerModel, means: list[Mean]) -> None:
    model.learn(call.features, call.answered, call.seconds)
    for mean in means:
        mean.learn(call.answered)


def print_scores(results: list[Result]) -> None:
    print("| world | forecaster | log-loss | Brier | calibration error | of what can be known |")
    print("|---|---|---|---|---|---|")
    for one in results:
        known = "" if one.explained is None else f"{100.0 * one.explained:.0f} %"
        print(
            f"| {one.world} | {one.forecaster} | {one.log_loss:.4f} | {one.brier:.4f} "
            f"| {one.calibration_error:.4f} | {known} |"
        )


def print_calibration(one: Score) -> None:
    print("\n| forecast | calls | mean forecast | answered |\n|---|---|---|---|")
    for place in sorted(one.bins):
        calls, p, got = one.bins[place]
        print(
            f"| {place / 10:.1f} to {place / 10 + 0.1:.1f} | {calls:.0f} | {p / calls:.3f} "
            f"| {got / calls:.3f} |"
        )


@dataclass(frozen=True, slots=True)
class Paced:
    """One policy with so many agents, over all days."""

    agents: int
    policy: str
    days: int
    occupancy: float
    abandoned: float
    worst: float
    placed_per_served: float


def paced(agents: int, policy: str, days: list[Day]) -> Paced:
    return Paced(
        agents,
        policy,
        len(days),
        100.0 * sum(day.occupancy for day in days) / len(days),
        100.0 * sum(day.abandoned_share for day in days) / len(days),
        100.0 * max(day.abandoned_share for day in days),
        sum(day.placed for day in days) / max(1, sum(day.served for day in days)),
    )


def measure_pacing(options: argparse.Namespace, say: Callable[[str], None]) -> list[Paced]:
    abouts = {seed: trained(seed, options.days, options.calls) for seed in options.seed_range}
    names: set[str] = set()
    for about in abouts.values():
        for who in about.who[:2000]:
            known = about.leads.features(who, about.begins)
            p = about.model.probability(known)
            names.add(segment(p, about.model.time_class(known)))
    say(f"\nSegments of the model in use: {len(names)} ({', '.join(sorted(names))})\n")
    say(
        "| agents | the pacer knows | occupancy % | abandoned % | worst day % | placed per served |"
    )
    say("|---|---|---|---|---|---|")
    found = []
    for agents in options.sizes:
        for policy in options.chosen:
            days = [
                run_day(about, policy, agents, options.hours, seed, Load("list"))
                for seed, about in abouts.items()
            ]
            one = paced(agents, policy, days)
            found.append(one)
            say(
                f"| {agents} | {TITLES[policy]} | {one.occupancy:.1f} | {one.abandoned:.2f} "
                f"| {one.worst:.2f} | {one.placed_per_served:.2f} |"
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="six days of 6 h, all worlds")
    parser.add_argument("--seeds", type=int, help="lists, each with a day of pacing")
    parser.add_argument("--days", type=int, default=12, help="days of calls to learn from")
    parser.add_argument("--calls", type=int, help="a day")
    parser.add_argument("--agents", default="5,20")
    parser.add_argument("--hours", type=float, help="of each day of pacing")
    parser.add_argument("--policies", help=f"of {'; '.join(POLICIES)}")
    parser.add_argument("--part", choices=("scores", "pacing"), help="one part alone")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.seeds = options.seeds or (6 if options.full else 2)
    options.calls = options.calls or (2500 if options.full else 1500)
    options.hours = options.hours or (6.0 if options.full else 0.75)
    options.seed_range = range(1, options.seeds + 1)
    options.sizes = [int(size) for size in options.agents.split(",")]
    few = ("no segments", "model", "chance of each line")
    options.chosen = (
        options.policies.split(";") if options.policies else POLICIES if options.full else few
    )
    unknown = [one for one in options.chosen if one not in POLICIES]
    if unknown:
        raise SystemExit(f"policies are {'; '.join(POLICIES)}, not {'; '.join(unknown)}")
    began = time.monotonic()
    results: list[Result] = []
    pacing: list[Paced] = []
    print(f"{options.seeds} lists, {options.days} days of {options.calls} calls each.\n")
    if options.part != "pacing":
        model = Score()
        for place, world in enumerate(WORLDS if options.full else list(WORLDS)[:1]):
            some, scored = score(world, options.days, options.calls, options.seed_range)
            results += some
            model = scored if place == 0 else model
        print_scores(results)
        print_calibration(model)
    if options.part != "scores":
        print(f"\nDays of {options.hours:g} hours.")
        pacing = measure_pacing(options, lambda text: print(text, flush=True))
    print(f"\n{time.monotonic() - began:.0f} s")
    if options.json:
        report = {"scores": [asdict(one) for one in results], "pacing": [asdict(p) for p in pacing]}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
